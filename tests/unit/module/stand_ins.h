/*
 * stand_ins.h: what takes the place of the rest of the kernel, and how the tests look into it.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <microlake/module.h>

/* The boot archive: fixtures by their path, and files that a test adds. */
void archive_reset(void);
void archive_add(const char *path, const void *data, size_t size); /* keeps the pointers */
uint8_t *fixture_read(const char *name, size_t *size);             /* the caller frees */

/* Everything noted and logged since the last reset, one line each. */
void records_reset(void);
bool noted(const char *text);
bool logged(const char *part);
unsigned log_count(void); /* lines of errors */

/* What `modules=` and `module.unsigned=` say, or NULL. */
extern const char *option_modules, *option_unsigned;

/* Heap objects and module pages not given back. */
extern unsigned heap_live;
extern size_t space_pages_live;

/* The allocation that fails, counted from 1 of now; 0: none. */
extern unsigned allocation_fails;

/* Pages of a module that were writable and executable at once: never. */
extern unsigned space_mixed;

void stand_ins_check_idle(void); /* locks free, nothing loaded, nothing leaked */

/* Before and after each test. */
int reset(void **state);
int idle(void **state);
#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, idle)

int errors_run(void);     /* errors_test.c: the tests of what goes wrong */
int signatures_run(void); /* signature_test.c */

/* space.c */
bool allocation_may(void);
