/*
 * hostile.h: a 9P server that lies, in the place of module virtio_9p: below the root's folder bin it
 * serves the boot archive's program honestly, everything else it makes up, and most of its answers about
 * that are damaged.
 */
#pragma once

#include <microlake/types.h>

enum thing { THING_ROOT, THING_BIN, THING_PROGRAM, THING_FILE, THING_FOLDER, THING_LINK };

/* A reply that is being made. Writers stop at the end of its room. */
struct reply {
    uint8_t *bytes;
    uint32_t size, room;
};

/* A request's body that is being read; zeroes behind its end. */
struct request {
    const uint8_t *bytes;
    uint32_t size, at;
    uint8_t type;
    uint16_t tag;
};

/* What is made up is one file, the same each time, as tests/readahead-file makes them. */
extern bool hostile_constant;

uint64_t hostile_random(void);
uint64_t request_get(struct request *r, unsigned bytes);

/* The honest reply to a request, header included. True: it is about something that is made up. */
bool reply_make(struct request *request, struct reply *reply);
