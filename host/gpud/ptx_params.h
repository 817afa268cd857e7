/*
 * ptx_params.h: what parameters a kernel takes, read from its PTX text: drivers before CUDA 12.4 do not tell.
 * Pure code over text that may be a guest's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "uapi/virtio_gpgpu.h"

#define PTX_MOST_ALIGN VGPGPU_MAX_VALUE
/* Of all parameters of a kernel, gaps included. */
#define PTX_MOST_BYTES (VGPGPU_MAX_ARGS * (VGPGPU_MAX_VALUE + PTX_MOST_ALIGN))

struct ptx_param {
    uint32_t offset; /* among the parameters: each is aligned as its type is, or as it says */
    uint32_t bytes;  /* 1 to VGPGPU_MAX_VALUE */
    uint8_t want;    /* enum device_arg_want */
};

/* Whether it begins as PTX must. */
bool ptx_is_text(const char *ptx);

/*
 * Fills `params`, VGPGPU_MAX_ARGS of them, and *count. ERR_INVALID: no such kernel; ERR_LIMIT: too
 * many parameters or too large ones; ERR_UNSUPPORTED: a parameter that is no number or pointer.
 */
uint32_t ptx_params_find(const char *ptx, const char *name, struct ptx_param *params,
                         uint32_t *count);
