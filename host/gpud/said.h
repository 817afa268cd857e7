/*
 * said.h: what a machine's processes say. They write lines into a pipe, one for the fronts and one for the device
 * processes, and their keeper puts them into the log, each as text that no terminal acts on, marked with the
 * machine and with who says it: a guest's kernel, which is machine code in a device process, can write anything
 * there, but no line that looks like another machine's, the front's, the keeper's or the broker's. Each of the two
 * can say SAID_LINES lines at once and one more each second; what is more is dropped, and one line tells how much.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAID_LINES      200u
#define SAID_LINE_BYTES 400u /* a longer line becomes several */

struct said {
    const char *who;
    int read, write;    /* the pipe's two ends */
    unsigned left;      /* lines that may be said now, */
    uint64_t since_ns;  /* and since then one more each second */
    uint64_t lines;     /* dropped, and not told yet */
    uint64_t bytes;     /* of those */
    size_t used;
    char line[SAID_LINE_BYTES + 1]; /* what has come of the next one */
};

/* 0, or -1 with errno. */
int said_make(struct said *said, const char *who);
/* In a process of the machine: from now on its lines go into the pipe, and nothing else that it says anywhere. */
void said_begin(const struct said *said);
/* Takes a bounded amount of what is there. Does not wait. */
void said_take(struct said *said);
/* Nobody writes any more: takes all that is left, and tells what was dropped. */
void said_end(struct said *said);
/* Whether the keeper may say one line more itself, of what a guest can cause as often as it likes. */
bool said_may(struct said *said);
