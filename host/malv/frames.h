/*
 * frames.h: takes the control channel's byte stream apart (uapi/hostctl.h).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "uapi/hostctl.h"

/* Called for each whole frame; the payload is valid during the call. */
typedef void frame_handler(void *context, uint8_t type, const uint8_t *payload, size_t length);

struct frame_reader {
    struct hostctl_header header;
    size_t used; /* bytes of header and payload so far */
    uint8_t payload[256];
};

/* Feeds bytes from the machine. Starts from a zeroed reader. */
void frame_reader_feed(struct frame_reader *reader, const uint8_t *bytes, size_t count,
                       frame_handler *handler, void *context);
