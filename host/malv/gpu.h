/*
 * gpu.h: the device side of the machine's GPU: a gpud that serves many machines, where one is found,
 * or one of its own, reached through a socket in a temporary folder.
 */
#pragma once

#include <stdbool.h>
#include "child.h"

struct gpu {
    struct child gpud;
    int line_fd;     /* connected to who serves the device, which hangs up when it is lost; -1: it was */
    char folder[64]; /* "": there is none */
    char socket[108];
};

#define GPU_SHARED_SOCKET "/run/gpud.sock" /* where a gpud for all machines is looked for */

/*
 * For "auto", finds a gpud that serves at GPUD_SOCKET of the environment, or at GPU_SHARED_SOCKET;
 * else, and for a name, starts one for `device` and waits until it listens. Then it connects for QEMU, which
 * inherits ->line_fd. Gives up when cancel_fd, a signalfd that is left unread, becomes readable. False: it said
 * why, or it was cancelled.
 */
bool gpu_start(struct gpu *gpu, const char *device, int cancel_fd);

/* The device is lost: the line says no more. Safe to call again. */
void gpu_line_close(struct gpu *gpu);

/* Ends gpud and removes what is left. Safe to call when nothing was started. */
void gpu_stop(struct gpu *gpu);
