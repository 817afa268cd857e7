/*
 * keeper.h: the process behind one machine's two: it starts the front and, when the front asks, a
 * device process; ends what they leave; and removes the machine's folder. It hands the front end's
 * messages on (relay.h), so that a front that is killed can be followed by another; it reads nothing that
 * a guest can write. Born of the broker, it lives on when that dies: its machine notices nothing. When the
 * machine loses its device the keeper ends: the front end's connection says so.
 */
#pragma once

#include "device.h"

struct keeper_settings {
    const struct device_ops *ops;
    const char *selector;
    struct device_info info; /* what the probe found */
    const char *cache;       /* folder for built kernels; NULL: one of its own */
    unsigned time_limit;     /* seconds; 0: none */
    unsigned number;         /* the machine's, for the log */
    bool counts;             /* tell at the machine's end what was there */
};

#define KEEPER_DEVICES 9u /* device processes of a machine at a time */

/* What a front and its keeper say to each other: of which device process. */
struct keeper_message {
    char what;
    uint8_t device; /* below KEEPER_DEVICES */
};

/* The front. */
#define KEEPER_START 'S' /* a device process: there is none */
#define KEEPER_KILL  'K' /* end it */
/* The keeper. */
#define KEEPER_STARTED 'E' /* here is its socket, a descriptor */
#define KEEPER_GONE    'G' /* it has ended, with all that it started */

/* Keeps the machine at the end of `socket` and does not return. */
_Noreturn void keeper_main(int socket, const struct keeper_settings *settings);
