/*
 * direct.h: CUDA called directly, as a program on the host would, for figures beside gpud's. One thread uses it.
 * Functions end the program with a line when something fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "host/gpud/cuda_api.h"

enum { DIRECT_BUFFERS = 3 };

/* Starts the driver on its first device. False, with a line in `why`: there is none. */
bool direct_open(char *why);
void direct_close(void);

/* Three buffers of the device, and as many of registered memory of the host, of `bytes` each. */
void direct_buffers(size_t bytes);
/* Of the three: the host's side, to be written and read while nothing is under way. */
void *direct_memory(unsigned which);

void direct_launches(unsigned count);
void direct_callback(void);
/* c = a * b, square; device: in its memory, and not in the host's. */
void direct_gemm(bool bf16, unsigned side, bool device);
void direct_upload(unsigned which, size_t bytes);
void direct_download(unsigned which, size_t bytes);
void direct_copy(size_t bytes); /* from the device's first to its second */
void direct_fill(size_t bytes); /* words of the device's first */
