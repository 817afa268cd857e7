/*
 * store_device.h: what mlctl model and mlctl record share.
 */
#pragma once

/* Opens a device or file of MLaaS, which may still be on its way when the machine has just started.
 * -errno. */
int device_open(const char *path, int flags);
