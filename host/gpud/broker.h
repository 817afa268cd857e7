/* broker.h: takes connections and gives each machine a keeper. */
#pragma once

#include "device.h"

struct broker_settings {
    const char *socket;   /* path */
    const char *selector; /* of the device */
    const char *cache;    /* folder for built kernels shared by all machines, or NULL: one each */
    unsigned time_limit;  /* seconds of a batch or a build; 0: none */
    const struct device_ops *ops;
    int ready_fd; /* told "ready" once connections are taken, then closed; or -1 */
    bool counts;  /* log at each machine's end what was there */
};

/*
 * Finds the device in a child of its own, so that the broker never loads a driver. 0, or -1 with
 * one line in `why`.
 */
int broker_probe(const struct device_ops *ops, const char *selector, struct device_info *info,
                 char *why);

/* Serves until SIGTERM or SIGINT. Returns the exit status. */
int broker_run(const struct broker_settings *settings, const struct device_info *info);
