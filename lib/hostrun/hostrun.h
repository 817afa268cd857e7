/*
 * hostrun.h: takes the byte stream of uapi/hostrun.h apart, and makes frames of it. Pure code; the
 * caller serialises. What comes from the other side is checked: a frame longer than is allowed is
 * skipped, and so is one with a request's number that can't be.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "uapi/hostrun.h"

/* Called for each whole frame; the payload is valid during the call. */
typedef void (*hostrun_handler)(void *context, uint8_t type, uint8_t request, const uint8_t *payload,
                                size_t length);

/* Starts zeroed. */
struct hostrun_reader {
    uint8_t header[sizeof(struct hostrun_header)];
    size_t header_used;
    size_t used; /* bytes of payload so far */
    uint8_t payload[HOSTRUN_MAX_PAYLOAD];
};

void hostrun_feed(struct hostrun_reader *reader, const uint8_t *bytes, size_t count,
                  hostrun_handler handler, void *context);

#define HOSTRUN_FRAME_MAX (sizeof(struct hostrun_header) + HOSTRUN_MAX_PAYLOAD)

/* Writes one frame of at most HOSTRUN_MAX_PAYLOAD bytes of payload; returns its bytes. */
size_t hostrun_frame(uint8_t out[HOSTRUN_FRAME_MAX], uint8_t type, uint8_t request,
                     const void *payload, size_t length);
