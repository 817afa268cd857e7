/*
 * sched_burst_test.h: the cases of this program that lie in history_test.c.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>

void test_capture(void **state);
void test_kinds(void **state);
