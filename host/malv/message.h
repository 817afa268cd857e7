/*
 * message.h: what malv itself says, one line each on standard error, and its own exit statuses.
 */
#pragma once

#include <stdio.h>

/* Exit statuses that are not the command's; as docker and timeout have them. */
enum malv_status {
    MALV_FAILED = 125,    /* malv or the machine failed: bad option, no QEMU, a panic */
    MALV_TIMED_OUT = 124, /* --timeout ended the machine */
    MALV_SIGNALLED = 128, /* plus the number of the signal that ended malv */
};

/* One line on standard error; a whole one, also where QEMU and gpud write there too. */
#define message(format, ...) fprintf(stderr, "malv: " format "\n", ##__VA_ARGS__)
