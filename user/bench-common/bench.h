/*
 * bench.h: what the programs that time the GPU share.
 */
#pragma once

#include "user/libmalv/malv.h"

double bench_now_us(void);

/* Ends the program with a line about a call that failed. */
void bench_check(int status, const char *what);

/* The middle one of the values, which it sorts. */
double bench_median(double *values, unsigned count);
