/*
 * parse.c: see parse.h.
 */
#include "parse.h"

#include <string.h>

#include "uapi/hostctl.h"

#define LEAST(a, b) ((a) < (b) ? (a) : (b))

void byte_ring_put(struct byte_ring *r, const void *bytes, uint32_t size)
{
    uint32_t at = r->head % r->size, first = LEAST(size, r->size - at);

    memcpy(r->bytes + at, bytes, first);
    memcpy(r->bytes, (const uint8_t *)bytes + first, size - first);
    r->head += size;
}

void byte_ring_take(struct byte_ring *r, void *out, uint32_t size)
{
    uint32_t at = r->tail % r->size, first = LEAST(size, r->size - at);

    memcpy(out, r->bytes + at, first);
    memcpy((uint8_t *)out + first, r->bytes, size - first);
    r->tail += size;
}

static void small_put(struct parser *p, const uint8_t *bytes, size_t size)
{
    size_t count = LEAST(size, (size_t)(PARSE_SMALL - p->used));

    memcpy(p->small + p->used, bytes, count);
    p->used = (uint8_t)(p->used + count);
}

static void frame_end(struct parser *p, bool empty, parse_handler handler)
{
    if (p->type != HOSTCTL_STDIN || empty)
        handler(p->type, p->small, p->used);
    p->state = PARSE_TYPE;
}

static void length_known(struct parser *p, uint32_t length, parse_handler handler)
{
    p->left = length;
    p->used = 0;
    p->state = PARSE_PAYLOAD;
    if (length == 0)
        frame_end(p, true, handler);
}

static void length_take(struct parser *p, uint8_t byte, parse_handler handler)
{
    p->used = 0;
    p->state = PARSE_LONG;
    if (byte != HOSTCTL_LONG)
        length_known(p, byte, handler);
}

static void long_length_take(struct parser *p, uint8_t byte, parse_handler handler)
{
    uint32_t length;

    small_put(p, &byte, 1);
    if (p->used < sizeof(length))
        return;
    memcpy(&length, p->small, sizeof(length));
    length_known(p, length, handler);
}

/* Returns how many bytes of the payload were taken. */
static size_t payload_take(struct parser *p, struct byte_ring *input, const uint8_t *bytes,
                           size_t size, parse_handler handler)
{
    uint32_t count = (uint32_t)LEAST(size, (size_t)p->left);

    if (p->type == HOSTCTL_STDIN) {
        count = LEAST(count, byte_ring_room(input));
        byte_ring_put(input, bytes, count);
    } else {
        small_put(p, bytes, count);
    }
    p->left -= count;
    if (p->left == 0)
        frame_end(p, false, handler);
    return count;
}

size_t parse_bytes(struct parser *p, struct byte_ring *input, const uint8_t *bytes, size_t size,
                   parse_handler handler)
{
    size_t at = 0;

    while (at < size) {
        size_t count = 1;

        switch (p->state) {
        case PARSE_TYPE:
            p->type = bytes[at];
            p->state = PARSE_LENGTH;
            break;
        case PARSE_LENGTH:
            length_take(p, bytes[at], handler);
            break;
        case PARSE_LONG:
            long_length_take(p, bytes[at], handler);
            break;
        case PARSE_PAYLOAD:
            count = payload_take(p, input, bytes + at, size - at, handler);
            break;
        }
        if (count == 0)
            break;
        at += count;
    }
    return at;
}
