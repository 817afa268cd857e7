/*
 * kernel_lib_test.h: the cases of this program, by file.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

void test_strings_as_host(void **state);
void test_memmove_overlap(void **state);
void test_strlcpy(void **state);
void test_random_seed(void **state);
void test_random_noise(void **state);
void test_random_mix(void **state);
