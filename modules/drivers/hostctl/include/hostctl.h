/*
 * hostctl.h: the control channel for other drivers: for those of devices that can carry it faster than
 * the serial port, and for the one that wants to hear of a GPU's end.
 *
 * hostctl loads the first kind when it has much to carry (option hostctl.fast=MODULES). Whoever offers a
 * carrier stays loaded: the host listens to it from then on.
 */
#pragma once

#include <microlake/types.h>

/* Whom to tell, in interrupt context, that whoever served the GPU has died; NULL: nobody any more, and
 * on return nobody is being told. Thread context. */
void hostctl_watch_gpu(void (*lost)(void));

struct hostctl_carrier {
    /* Hands over bytes of frame memory, once sent() has said OK for the ones before; they stay
     * until then. OK, or ERR_LOST: the carrier is of no use any more. Any context. */
    int (*send)(const void *bytes, uint32_t size);
    /* OK: all of it is with the host. ERR_AGAIN: hostctl_sent() will be called. ERR_LOST. Any
     * context. */
    int (*sent)(void);
    /* There may be room for what hostctl_receive() has not taken: offer it again. Any context. */
    void (*resume)(void);
};

/* Moves the channel to a carrier. ERR_EXISTS: it has one. ERR_NO_MEMORY. Thread context. */
int hostctl_carry(const struct hostctl_carrier *carrier);

/* Something that was handed over is with the host. Any context. */
void hostctl_sent(void);

/* Offers bytes from the host, in order and one offer at a time; returns how many were taken. Any
 * context. */
size_t hostctl_receive(const void *bytes, size_t size);
