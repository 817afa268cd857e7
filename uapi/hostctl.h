/*
 * hostctl.h: the control channel between a machine and its launcher (malv on the host).
 *
 * A byte stream of frames in both directions, carried by the machine's second serial port. Unknown
 * types are skipped by their length.
 *
 * A machine that has much to say moves to the faster line, a port of a virtio console: its frame
 * HOSTCTL_MOVE is the last one on the serial port, and all after it come through the other. The host
 * then does the same in its direction. Only where the faster line fails do frames come through the
 * serial port again.
 */
#pragma once

#include <stdint.h>

#define HOSTCTL_MAX_PAYLOAD 240u

/* The name of the faster line among the ports of the console. */
#define HOSTCTL_PORT_NAME "malv.control"

/* type, then length of the payload (0..HOSTCTL_MAX_PAYLOAD), then the payload. */
struct hostctl_header {
    uint8_t type;
    uint8_t length;
};

/*
 * A frame of a standard stream may be longer, on the faster line: its length is HOSTCTL_LONG, and the
 * real one, at most HOSTCTL_MAX_LONG, comes before the payload.
 */
#define HOSTCTL_LONG     255u
#define HOSTCTL_MAX_LONG 32768u

struct hostctl_long_header {
    uint8_t type;
    uint8_t length; /* HOSTCTL_LONG */
    uint8_t size[4]; /* little-endian */
};
_Static_assert(sizeof(struct hostctl_long_header) == 6, "hostctl_long_header layout");

enum hostctl_type {
    /* guest to host */
    HOSTCTL_STDOUT = 'o', /* bytes of the command's standard output */
    HOSTCTL_STDERR = 'e', /* bytes of its standard error */
    HOSTCTL_EXIT = 'x',   /* 1 byte: the command's exit status; the machine powers off next */
    HOSTCTL_MARK = 'm',   /* text: a moment to time-stamp, e.g. "first-user" */
    HOSTCTL_STAT = 's',   /* text: "name=value", one figure of the machine's summary */
    /* both ways */
    HOSTCTL_MOVE = 'c', /* nothing: the last frame on this line */
    /* host to guest */
    HOSTCTL_STDIN = 'i', /* bytes for the command's standard input; length 0: end of file */
    HOSTCTL_SIZE = 'w',  /* struct hostctl_size: the host's terminal has another size */
    HOSTCTL_GPU_LOST = 'g', /* nothing: whoever served the GPU has died */
    HOSTCTL_CLOSED = 'p', /* 1 byte: nobody reads this stream (1 or 2) any more; writing fails */
};

/* The terminal that a command runs on. Little-endian. */
struct hostctl_size {
    uint16_t rows;
    uint16_t columns;
};
_Static_assert(sizeof(struct hostctl_size) == 4, "hostctl_size layout");
