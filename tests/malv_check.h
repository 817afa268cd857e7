/*
 * malv_check.h: how the programs that test libmalv in a machine say what they found: "ok NAME" or
 * "FAIL NAME: why", a line each. They end with `failed`.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/libmalv/malv.h"

static bool failed;

/* why: NULL, it is good. */
static inline void report(const char *name, const char *why)
{
    if (why) {
        printf("FAIL %s: %s\n", name, why);
        failed = true;
    } else {
        printf("ok %s\n", name);
    }
}

/* Ends the program with a line about a call that failed. */
static inline void check(int status, const char *what)
{
    if (!status)
        return;
    printf("FAIL %s: %s\n", what, malv_error_text(status));
    exit(1);
}
