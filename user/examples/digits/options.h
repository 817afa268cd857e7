/*
 * options.h: the command line.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *model;
    const char *data;
    const char *device; /* NULL: the usual one */
    const char *midway; /* NULL: none */
    uint32_t batch;     /* images */
    uint32_t rounds;
    uint32_t cpu_threads;
    bool quiet;
};

enum options_outcome {
    OPTIONS_RUN,
    OPTIONS_HELP,  /* the help was printed: exit with 0 */
    OPTIONS_WRONG, /* a message was printed: exit with 2 */
};

/* Reads the command line; what it does not name gets its default. */
enum options_outcome options_parse(struct options *options, int argc, char **argv);
