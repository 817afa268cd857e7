/*
 * parse.h: takes frames of the host's apart, in any pieces: standard input goes into a ring, small
 * frames to their handler. The caller serialises. Pure code; any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that wait for a reader: `head` counts what was put in, `tail` what was taken out. */
struct byte_ring {
    uint8_t *bytes;
    uint32_t size; /* a power of two */
    uint32_t head, tail;
};

static inline uint32_t byte_ring_count(const struct byte_ring *r)
{
    return r->head - r->tail;
}

static inline uint32_t byte_ring_room(const struct byte_ring *r)
{
    return r->size - byte_ring_count(r);
}

void byte_ring_put(struct byte_ring *r, const void *bytes, uint32_t size);
void byte_ring_take(struct byte_ring *r, void *out, uint32_t size);

#define PARSE_SMALL 16u /* bytes of a small frame that its handler sees */

struct parser {
    enum { PARSE_TYPE, PARSE_LENGTH, PARSE_LONG, PARSE_PAYLOAD } state;
    uint8_t type;
    uint32_t left;              /* bytes of payload to come */
    uint8_t used;               /* of small */
    uint8_t small[PARSE_SMALL]; /* a long length, or the start of a small frame's payload */
};

/* Called for each whole frame but those of standard input with a payload. */
typedef void (*parse_handler)(uint8_t type, const uint8_t *payload, size_t size);

/* Returns how many bytes were taken: fewer when the ring is full. Starts from a zeroed parser. */
size_t parse_bytes(struct parser *p, struct byte_ring *input, const uint8_t *bytes, size_t size,
                   parse_handler handler);
