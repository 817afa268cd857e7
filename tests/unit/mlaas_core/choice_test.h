/*
 * choice_test.h: the tests of choice_test.c, which guard_test.c starts.
 */
#pragma once

int choice_run(void);
