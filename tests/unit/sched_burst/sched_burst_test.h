/*
 * sched_burst_test.h: the cases of this program that lie in history_test.c.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>

/* The model as the module has it; a copy may be damaged. */
extern const uint8_t test_model[], test_model_end[];

void test_capture(void **state);
void test_kinds(void **state);
void test_models(void **state);
