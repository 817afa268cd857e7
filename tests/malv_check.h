/*
 * malv_check.h: how the programs that test libmalv in a machine say what they found: "ok NAME" or
 * "FAIL NAME: why", a line each. They end with `failed`.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* At the end, when all devices are closed: nothing of this program's is left, but what it has mapped. */
static inline void report_gpu_empty(void)
{
    FILE *figures = fopen("/sys/kernel/malv/gpu", "r");
    unsigned long long value;
    bool contexts = false, empty = true;
    char name[32];

    while (figures && fscanf(figures, "%31s %llu", name, &value) == 2) {
        contexts |= !strcmp(name, "contexts");
        if (!strcmp(name, "contexts") || !strcmp(name, "buffers") || !strcmp(name, "programs") ||
            !strcmp(name, "kernels") || !strcmp(name, "batches"))
            empty &= value == 0;
    }
    if (figures)
        fclose(figures);
    report("nothing is left on the GPU", contexts && empty ? NULL : "something is");
}

/* Ends the program with a line about a call that failed. */
static inline void check(int status, const char *what)
{
    if (!status)
        return;
    printf("FAIL %s: %s\n", what, malv_error_text(status));
    exit(1);
}
