/*
 * worker.h: the process that serves one machine. It is born of the broker by fork, shuts itself in,
 * and ends with the connection. Only here is the real device touched.
 */
#pragma once

#include "device.h"

struct worker_settings {
    const struct device_ops *ops;
    const char *selector;
    struct device_info info; /* what the probe found */
    const char *cache;       /* folder for built kernels */
    unsigned time_limit;     /* seconds; 0: none */
    unsigned number;         /* the machine's, for the log */
};

/* Serves the machine at the end of `socket` and does not return. */
_Noreturn void worker_main(int socket, const struct worker_settings *settings);
