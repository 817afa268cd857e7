/*
 * qemu.h: the machine as QEMU's options.
 */
#pragma once

#include <stdbool.h>

#include "child.h"
#include "locate.h"
#include "options.h"

/* Everything that decides the machine. */
struct machine {
    const struct run_options *options;
    const char *kernel; /* path */
    const char *initrd; /* path */
    int gpu_fd;     /* connected to a gpud; -1: no GPU */
    int console_fd; /* QEMU's ends of the two serial lines */
    int control_fd;
    int port_fd;  /* and of the faster line beside the second */
    int owner_fd; /* and of the third, for requests of the owner; -1: there is none */
};

/* Starts QEMU. False: a line on standard error said why. */
bool qemu_start(struct child *child, const struct qemu_program *qemu,
                const struct machine *machine);
