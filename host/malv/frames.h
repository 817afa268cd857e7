/*
 * frames.h: takes the control channel's byte stream apart (uapi/hostctl.h).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "uapi/hostctl.h"

/* Called for each whole frame, and for each piece of a long one; the payload is valid during the
 * call. */
typedef void (*frame_handler)(void *context, uint8_t type, const uint8_t *payload, size_t length);

struct frame_reader {
    uint8_t header[sizeof(struct hostctl_long_header)];
    size_t header_used;
    size_t used; /* bytes of payload so far */
    uint8_t payload[HOSTCTL_LONG];
};

/* Feeds bytes from the machine. Starts from a zeroed reader. */
void frame_reader_feed(struct frame_reader *reader, const uint8_t *bytes, size_t count,
                       frame_handler handler, void *context);

/* Writes a frame's header, the long form where `length` needs it; returns the header's bytes. */
size_t frame_header_write(uint8_t out[sizeof(struct hostctl_long_header)], uint8_t type,
                          uint32_t length);
