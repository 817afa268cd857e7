/*
 * hostrun.c: see hostrun.h.
 */
#include "lib/hostrun/hostrun.h"

#include <string.h>

static size_t length_of(const uint8_t *header)
{
    return (size_t)header[2] | (size_t)header[3] << 8;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void frame_end(struct hostrun_reader *r, hostrun_handler handler, void *context)
{
    size_t length = length_of(r->header);

    if (length <= HOSTRUN_MAX_PAYLOAD && r->header[1] < HOSTRUN_REQUESTS)
        handler(context, r->header[0], r->header[1], r->payload, length);
    r->header_used = 0;
    r->used = 0;
}

/* Bytes of the payload that were taken. */
static size_t payload_take(struct hostrun_reader *r, const uint8_t *bytes, size_t count)
{
    size_t part = least(count, length_of(r->header) - r->used);

    if (r->used < HOSTRUN_MAX_PAYLOAD)
        memcpy(r->payload + r->used, bytes, least(part, HOSTRUN_MAX_PAYLOAD - r->used));
    r->used += part;
    return part;
}

void hostrun_feed(struct hostrun_reader *r, const uint8_t *bytes, size_t count,
                  hostrun_handler handler, void *context)
{
    for (size_t at = 0; at < count;) {
        if (r->header_used < sizeof(r->header))
            r->header[r->header_used++] = bytes[at++];
        else
            at += payload_take(r, bytes + at, count - at);
        if (r->header_used == sizeof(r->header) && r->used == length_of(r->header))
            frame_end(r, handler, context);
    }
}

size_t hostrun_frame(uint8_t out[HOSTRUN_FRAME_MAX], uint8_t type, uint8_t request,
                     const void *payload, size_t length)
{
    out[0] = type;
    out[1] = request;
    out[2] = (uint8_t)length;
    out[3] = (uint8_t)(length >> 8);
    if (length)
        memcpy(out + sizeof(struct hostrun_header), payload, length);
    return sizeof(struct hostrun_header) + length;
}
