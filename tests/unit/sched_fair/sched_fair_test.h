/*
 * sched_fair_test.h: the cases of this program that lie in model_test.c.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

void test_random_operations(void **state);
void test_foreign_data(void **state);
