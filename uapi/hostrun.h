/*
 * hostrun.h: the owner's line between a machine and its launcher (malv on the host): programs of the boot
 * archive that the owner has run while the machine works, mlctl for `malv policy`.
 *
 * A byte stream of frames in both directions, carried by the machine's third serial port, and between
 * malv's processes by a socket. Several requests may be under way; the side that asks gives each a number
 * that is free. Unknown types are skipped by their length. The machine speaks first (HOSTRUN_HELLO): what
 * comes before is lost.
 */
#pragma once

#include <stdint.h>

#define HOSTRUN_PORT         0x3e8u
#define HOSTRUN_LINE         14u /* the port's interrupt */
#define HOSTRUN_REQUESTS     8u  /* at once */
#define HOSTRUN_MAX_PAYLOAD  1024u
#define HOSTRUN_WORDS_BYTES  8192u       /* of a request's words */
#define HOSTRUN_INPUT_BYTES  (16u << 20) /* of its standard input */

struct hostrun_header {
    uint8_t type;
    uint8_t request; /* 0 .. HOSTRUN_REQUESTS - 1 */
    uint8_t length[2]; /* of the payload, little-endian, at most HOSTRUN_MAX_PAYLOAD */
};
_Static_assert(sizeof(struct hostrun_header) == 4, "hostrun_header layout");

enum hostrun_type {
    /* to the machine; a request is words, input, run, in this order */
    HOSTRUN_WORDS = 'w', /* a piece of the words, each with a NUL behind it; the first names a program */
    HOSTRUN_INPUT = 'i', /* a piece of its standard input */
    HOSTRUN_RUN = 'r',   /* nothing: that was all, go */
    HOSTRUN_KILL = 'k',  /* nothing: end it; its HOSTRUN_EXIT comes all the same */
    /* from the machine */
    HOSTRUN_HELLO = 'h',  /* nothing: the machine listens */
    HOSTRUN_STDOUT = 'o', /* bytes of the program's standard output */
    HOSTRUN_STDERR = 'e', /* and error */
    HOSTRUN_EXIT = 'x',   /* 1 byte: its exit status, as a shell has it; the number is free again */
    /* on the socket only */
    HOSTRUN_ASK = 'q',      /* to malv run: who is it? It answers with HOSTRUN_STDOUT and HOSTRUN_EXIT */
    HOSTRUN_ACCEPTED = 'a', /* from malv run: the request has gone to the machine */
};
