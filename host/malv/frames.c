/*
 * frames.c: takes the control channel's byte stream apart.
 */
#include "frames.h"

void frame_reader_feed(struct frame_reader *reader, const uint8_t *bytes, size_t count,
                       frame_handler *handler, void *context)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = reader->used++;
        if (at == 0)
            reader->header.type = bytes[i];
        else if (at == 1)
            reader->header.length = bytes[i];
        else
            reader->payload[at - 2] = bytes[i];
        if (reader->used < 2 || reader->used < 2u + reader->header.length)
            continue;
        handler(context, reader->header.type, reader->payload, reader->header.length);
        reader->used = 0;
    }
}
