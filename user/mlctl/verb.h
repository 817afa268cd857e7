/*
 * verb.h: what mlctl can do is a table of verbs. Each prints to standard output, explains failures in
 * one line on standard error, and its run() returns the program's exit status. A new verb is a file
 * with a struct verb, a declaration here, and a line in verbs.c's table.
 */
#pragma once

#include <stdbool.h>

enum exit_status { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct verb {
    const char *name;
    const char *usage;   /* what stands behind "mlctl", a line each */
    const char *summary; /* one line for the table of verbs */
    const char *help;    /* the rest of `mlctl NAME --help` */
    int (*run)(int count, char **words); /* the words behind the verb; words[count] is NULL */
};

extern const struct verb verb_list, verb_load, verb_unload, verb_set, verb_shadow, verb_guard,
    verb_pilot, verb_stats, verb_watch, verb_profile, verb_run, verb_model, verb_record;

/* The whole program; returns its exit status. */
int mlctl(int argc, char **argv);

/* One line on standard error; returns STATUS_FAILED. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same about the command line, with what to do; returns STATUS_USAGE. */
int complain_usage(const struct verb *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "CLASS=POLICY" or two words. Cuts words[0] at the sign. False: it is neither. */
bool words_split(int count, char **words, const char **class, const char **policy);
