/*
 * frames.c: takes the control channel's byte stream apart.
 */
#include <stdbool.h>
#include <string.h>

#include "frames.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_long(const struct frame_reader *reader)
{
    return reader->header[1] == HOSTCTL_LONG;
}

static size_t header_size(const struct frame_reader *reader)
{
    return reader->header_used > 1 && is_long(reader) ? sizeof(struct hostctl_long_header)
                                                      : sizeof(struct hostctl_header);
}

static size_t payload_size(const struct frame_reader *reader)
{
    uint32_t size = reader->header[1];
    if (is_long(reader))
        memcpy(&size, reader->header + 2, sizeof(size));
    return size;
}

/* Takes what of the payload there is; hands it on where it is enough. */
static size_t payload_take(struct frame_reader *reader, const uint8_t *bytes, size_t count,
                           frame_handler handler, void *context)
{
    size_t whole = payload_size(reader), part = least(count, whole - reader->used);
    uint8_t type = reader->header[0];
    if (!is_long(reader))
        memcpy(reader->payload + reader->used, bytes, part);
    else if (part)
        handler(context, type, bytes, part);
    reader->used += part;
    if (reader->used < whole)
        return part;
    if (!is_long(reader))
        handler(context, type, reader->payload, whole);
    reader->header_used = 0;
    reader->used = 0;
    return part;
}

void frame_reader_feed(struct frame_reader *reader, const uint8_t *bytes, size_t count,
                       frame_handler handler, void *context)
{
    for (size_t at = 0; at < count;) {
        if (reader->header_used < header_size(reader)) {
            reader->header[reader->header_used++] = bytes[at++];
            if (reader->header_used < header_size(reader) || payload_size(reader))
                continue;
        }
        at += payload_take(reader, bytes + at, count - at, handler, context);
    }
}

size_t frame_header_write(uint8_t out[sizeof(struct hostctl_long_header)], uint8_t type,
                          uint32_t length)
{
    out[0] = type;
    out[1] = (uint8_t)length;
    if (length <= HOSTCTL_MAX_PAYLOAD)
        return sizeof(struct hostctl_header);
    out[1] = HOSTCTL_LONG;
    memcpy(out + 2, &length, sizeof(length));
    return sizeof(struct hostctl_long_header);
}
