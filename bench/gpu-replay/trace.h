/*
 * trace.h: recorded touches of managed GPU buffers. A trace is text, one event a line:
 *
 *     n BUFFER PROGRAM BYTES   a buffer is made; numbers are not used again
 *     t BUFFER HOW             a batch names it; HOW is r (reads), w (reads and writes) or o (writes all of it
 *                              and reads nothing); each buffer once a batch
 *     b                        the batch ends
 *     f BUFFER                 it is freed
 *     c SORT                   chance has chosen: what follows until the next one is a request of that sort, of which
 *                              all are alike (policies are not told; see informed_run() in replay.h)
 *
 * Lines that begin with # are comments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum trace_kind { TRACE_NEW, TRACE_TOUCH, TRACE_BATCH, TRACE_FREE, TRACE_CHOICE };

struct trace_event {
    uint8_t kind; /* enum trace_kind */
    char how;     /* of a touch */
    uint32_t buffer; /* or sort */
    uint32_t program;
    uint64_t bytes; /* of NEW */
};

struct trace {
    struct trace_event *events;
    size_t count, room;
    uint32_t buffers;     /* highest number + 1 */
    uint64_t largest;     /* bytes of the batch that names most */
    uint64_t working_set; /* most bytes that were alive at once */
    uint64_t touched;     /* bytes, all touches together */
};

/* Reads and checks a trace; false: it is none, and what is wrong has been printed. */
bool trace_read(struct trace *t, FILE *in, const char *name);
void trace_free(struct trace *t);
