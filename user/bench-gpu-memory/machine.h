/*
 * machine.h: what the program reads and sets of the machine it runs in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

void quota_set(uint64_t bytes);

/* A figure of /sys/kernel/malv/gpu. Ends the program where there is none. */
uint64_t gpu_figure(const char *name);

/* Writes a line to a file, or copies one to stdout; false: it can't. */
bool file_write(const char *path, const char *text);
bool file_print(const char *path);
