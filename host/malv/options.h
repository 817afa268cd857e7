/*
 * options.h: the options of `malv run`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bind.h"

#define ENV_MAX 64u

struct run_options {
    unsigned cpus;
    uint64_t memory;         /* bytes, a multiple of 1 MiB */
    const char *gpu;         /* "auto", "off" or a device's name */
    const char *kernel;      /* path, or NULL: the one beside malv */
    const char *initrd;      /* path, or NULL: the one beside malv */
    const char *append;      /* further options for the guest's kernel, or NULL */
    const char *machine;     /* QEMU's machine type: "microvm" or "q35" */
    const char *accel;       /* "auto", "kvm" or "tcg" */
    const char *kernel_test; /* the suite or case of the kernel's own tests to run, or NULL */
    const char *root;        /* a folder or an image of the host's that is the root, absolute;
                                NULL: the boot archive is */
    bool root_is_image;
    bool read_only; /* programs may change nothing of the root */
    struct bind binds[BIND_MAX];
    unsigned bind_count;
    const char *name;        /* what `malv policy --machine` calls it, or NULL */
    const char *workdir;     /* where the command starts, or NULL: "/" */
    const char *env[ENV_MAX + 1]; /* "NAME=VALUE" each; NULL-terminated */
    const char *gdb;              /* where gdb may connect: a TCP port or a path; NULL: nowhere */
    bool icount; /* count instructions: one is a nanosecond of the machine's time */
    bool tty;    /* the command gets a terminal, this one */
    bool verbose;
    bool stats;
    const char *stats_path; /* write the figures as JSON there, or NULL */
    unsigned timeout;       /* seconds, 0: none */
    char **command;         /* NULL-terminated, at least one word; of kernel tests: "kernel-test" */
};

enum options_result {
    OPTIONS_RUN,  /* go on */
    OPTIONS_HELP, /* help was asked for */
    OPTIONS_BAD,  /* a line on standard error said why */
};

/* Reads the words behind `malv run`. Strings stay the caller's. */
enum options_result options_parse(char **words, struct run_options *out);
