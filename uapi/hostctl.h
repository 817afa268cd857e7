/*
 * hostctl.h: the control channel between a machine and its launcher (malv on the host).
 *
 * A byte stream of frames in both directions, carried by the machine's second serial port. Unknown
 * types are skipped by their length. The guest never waits for the host to read.
 */
#pragma once

#include <stdint.h>

#define HOSTCTL_MAX_PAYLOAD 240u

/* type, then length of the payload (0..HOSTCTL_MAX_PAYLOAD), then the payload. */
struct hostctl_header {
    uint8_t type;
    uint8_t length;
};

enum hostctl_type {
    /* guest to host */
    HOSTCTL_STDOUT = 'o', /* bytes of the command's standard output */
    HOSTCTL_STDERR = 'e', /* bytes of its standard error */
    HOSTCTL_EXIT = 'x',   /* 1 byte: the command's exit status; the machine powers off next */
    HOSTCTL_MARK = 'm',   /* text: a moment to time-stamp, e.g. "first-user" */
    HOSTCTL_STAT = 's',   /* text: "name=value", one figure of the machine's summary */
    /* host to guest */
    HOSTCTL_STDIN = 'i', /* bytes for the command's standard input; length 0: end of file */
    HOSTCTL_SIZE = 'w',  /* struct hostctl_size: the host's terminal has another size */
};

/* The terminal that a command runs on. Little-endian. */
struct hostctl_size {
    uint16_t rows;
    uint16_t columns;
};
_Static_assert(sizeof(struct hostctl_size) == 4, "hostctl_size layout");
