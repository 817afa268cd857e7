/*
 * machine.h: what the files of module hostile_gpu share: inside one machine a device that lies is plugged in, kernel
 * code works with it as any would, and it is taken out; that is a life. Nothing may be left over then.
 */
#pragma once

#include <microlake/gpu.h>
#include <microlake/types.h>

#include "liar.h"

/* Plugs a device in. `what`: as liar_init(), or a lie of the transport. False: there is no such lie. */
bool plug(const char *what);
void unplug(void);
const struct liar *plugged(void);

/* ---- drive.c: users of the device. Any error will do, as long as it comes in time. */

/* Works for `rounds` with everything there is, another thread beside it. False: they hang. */
bool drive(unsigned rounds);
extern unsigned drive_failures; /* work that its fence called failed, of the last drive */

/* Notes what is wrong; the first counts. "": nothing is. */
void wrong(const char *file, int line, const char *what, long value);
const char *wrong_first(void);
void wrong_clear(void);

#define CHECK(condition, value)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            wrong(__FILE__, __LINE__, #condition, (long)(value));                                                      \
    } while (0)

/* ---- misuse.c: calls that kernel code should not make, on a device that is honest. */
void misuse(void);
