/*
 * hostrun.h: what the files of module hostrun share. The machine's owner has programs of the boot archive
 * run from the host, mlctl for `malv policy`: as root, over a serial line of their own, so that standard
 * input that nobody reads holds nothing up.
 */
#pragma once

#include <microlake/types.h>

#include "lib/hostrun/hostrun.h"

/* ---- line.c: the third serial port, a 16550 ---------------------------------------------------- */

/* ERR_NOT_FOUND: there is none. */
int line_start(void);

/* Waits for bytes from the host; how many. One thread reads. */
size_t line_receive(uint8_t *out, size_t size);

/* Sends one frame, however long the host takes. Thread context; callers take turns. */
void line_send(uint8_t type, uint8_t request, const void *payload, size_t length);

/* ---- request.c --------------------------------------------------------------------------------- */

/* Takes a frame; of the reader's thread alone. */
void request_take(void *context, uint8_t type, uint8_t number, const uint8_t *payload, size_t length);
