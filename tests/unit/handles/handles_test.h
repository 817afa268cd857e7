/*
 * handles_test.h: what the files of this test share.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

extern unsigned heap_live;        /* blocks there are */
extern unsigned allocation_fails; /* the nth allocation from now fails; 0: none does */
extern int locks_held;

void slots_numbers(void **state);
void slots_limits(void **state);
void slots_worn_out(void **state);
