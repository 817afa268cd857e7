/*
 * gpu.h: the device side of the machine's GPU: a gpud that serves many machines, where one is found,
 * or one of its own, reached through a socket in a temporary folder.
 */
#pragma once

#include <stdbool.h>
#include "child.h"

struct gpu {
    struct child gpud;
    int notice_fd;   /* our own gpud's lines to us, non-blocking; -1: it says no more */
    char folder[64]; /* "": there is none */
    char socket[108];
};

#define GPU_SHARED_SOCKET "/run/gpud.sock" /* where a gpud for all machines is looked for */

/*
 * For "auto", finds a gpud that serves at GPUD_SOCKET of the environment, or at GPU_SHARED_SOCKET;
 * else, and for a name, starts one for `device` and waits until it listens. Gives up when cancel_fd,
 * a signalfd that is left unread, becomes readable. False: it said why, or it was cancelled.
 */
bool gpu_start(struct gpu *gpu, const char *device, int cancel_fd);

/* Removes socket and folder; QEMU needs them only to connect. Safe to call again. */
void gpu_hide(struct gpu *gpu);

/* Reads what gpud has to say. True: the machine has lost its GPU. */
bool gpu_notice(struct gpu *gpu);

/* Ends gpud and removes what is left. Safe to call on a zeroed gpu. */
void gpu_stop(struct gpu *gpu);
