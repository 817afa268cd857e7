/*
 * sample_tests.h: the groups of this test program.
 */
#pragma once

int damage_tests(void);
