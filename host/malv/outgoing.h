/*
 * outgoing.h: frames on their way to the machine (uapi/hostctl.h), one at a time: no more is read
 * from standard input while the machine has not taken the last. Starts zeroed but for stdin_open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/hostctl.h"

struct outgoing {
    bool stdin_open; /* there may be more to forward */
    bool move_due;   /* the machine has moved to the faster line: so must we */
    bool moving;     /* the frame that says so is on its way */
    bool moved;
    uint8_t closed_due; /* a bit for each stream whose end the machine must hear of */
    bool gpu_lost_due;  /* the machine must hear that its GPU is gone */
    bool size_due;      /* the machine must hear of the terminal's size */
    struct hostctl_size size;
    size_t at, end; /* of bytes */
    uint8_t bytes[sizeof(struct hostctl_long_header) + HOSTCTL_MAX_LONG];
};

/* True while a frame waits to be written. */
bool outgoing_pending(const struct outgoing *o);

/* Where no frame waits, takes up the next that is due, if any. */
void outgoing_next(struct outgoing *o);

/* Makes a frame of what standard input has, or of its end. Only where no frame waits. */
void outgoing_read_stdin(struct outgoing *o);

/* Writes what the line takes: the faster one where `moved` says so. */
void outgoing_write(struct outgoing *o, int fd);
