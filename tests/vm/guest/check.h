/*
 * check.h: the frame of the programs that test the Linux personality. Each runs in a machine and,
 * for comparison, on Linux, where it must say the same. One line a test: "ok NAME" or "FAIL NAME
 * why".
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test {
    const char *name;
    void (*run)(void);
};

static bool test_failed;
static const char *test_name;

static inline void test_fail(const char *file, int line, const char *what)
{
    if (!test_failed)
        printf("FAIL %s: %s:%d: %s (errno %d: %s)\n", test_name, file, line, what, errno,
               strerror(errno));
    test_failed = true;
}

/* An address that no program has, and a negative count: values that the compiler can't see through. */
static inline void *bad_address(void)
{
    volatile uintptr_t at = 8;

    return (void *)at;
}

static inline int bad_count(void)
{
    volatile int count = -1;

    return count;
}

/* Ends the test's function with a failure; use in functions that return nothing. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            test_fail(__FILE__, __LINE__, #condition);                                             \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* The call fails with that errno. */
#define CHECK_ERRNO(call, number)                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if ((long)(call) != -1 || errno != (number)) {                                             \
            test_fail(__FILE__, __LINE__, #call " must fail with " #number);                       \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Runs all tests, or those that the arguments name. The program's exit status. */
static inline int run_tests(const struct test *tests, size_t count, int argc, char **argv)
{
    int failures = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < count; i++) {
        bool wanted = argc < 2;

        for (int a = 1; a < argc; a++)
            wanted |= strcmp(argv[a], tests[i].name) == 0;
        if (!wanted)
            continue;
        test_failed = false;
        test_name = tests[i].name;
        tests[i].run();
        if (test_failed)
            failures++;
        else
            printf("ok %s\n", test_name);
    }
    return failures ? 1 : 0;
}

#define RUN_TESTS(tests, argc, argv)                                                               \
    run_tests(tests, sizeof(tests) / sizeof((tests)[0]), argc, argv)
