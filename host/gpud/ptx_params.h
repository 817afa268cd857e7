/*
 * ptx_params.h: what parameters a kernel takes, read from its PTX text: the driver does not tell.
 * Pure code over text that may be a guest's.
 */
#pragma once

#include <stdint.h>

struct ptx_param {
    uint32_t bytes; /* 1 to VGPGPU_MAX_VALUE */
    uint8_t want;   /* enum device_arg_want */
};

/*
 * Fills `params`, VGPGPU_MAX_ARGS of them, and *count. ERR_INVALID: no such kernel; ERR_LIMIT: too
 * many parameters or too large ones; ERR_UNSUPPORTED: a parameter that is no number or pointer.
 */
uint32_t ptx_params_find(const char *ptx, const char *name, struct ptx_param *params,
                         uint32_t *count);
