/*
 * report.h: what a machine told about itself: moments, stamped here as they arrive, and figures.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

#define REPORT_ENTRIES 128
#define REPORT_TEXT    256

/* Text of the machine's is cut to REPORT_TEXT and holds printable characters only. */
struct report {
    uint64_t start_ns; /* CLOCK_MONOTONIC just before QEMU was started */
    unsigned mark_count;
    unsigned stat_count;
    struct {
        char name[REPORT_TEXT];
        uint64_t after_ns; /* since start_ns */
    } marks[REPORT_ENTRIES];
    struct {
        char name[REPORT_TEXT]; /* "name", NUL, "value" */
        const char *value;
    } stats[REPORT_ENTRIES];
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t monotonic_ns(void);

/* Notes that the machine reached a moment now; only the first of a name counts. */
void report_mark(struct report *report, const char *name, size_t length);

bool report_has_mark(const struct report *report, const char *name);

/* Notes "name=value"; the last of a name counts. */
void report_stat(struct report *report, const char *text, size_t length);

/* Prints the figures to standard error. */
void report_print(const struct report *report, const struct run_options *options, int status);

/* Writes them as one JSON object. False: a line on standard error said why. */
bool report_write(const struct report *report, const struct run_options *options, int status);
