/*
 * names.h: which buffers the commands of a batch name, and what the commands do to them. Pure code; any
 * context. The commands may be anybody's: nothing outside of them is touched, whatever they are.
 */
#pragma once

#include <stdint.h>

#include "uapi/virtio_gpgpu.h"

enum gpucmd_access { GPUCMD_READS = 1, GPUCMD_WRITES = 2 };

struct gpucmd_name {
    uint32_t *id;    /* not 0; may be changed */
    uint16_t *hint;  /* of a launch's argument: where its program says GPUCMD_READS, GPUCMD_WRITES, both, or 0
                        for both, which is 0 on the wire; else NULL. The callee clears it or not */
    unsigned access; /* of that */
    uint64_t whole;  /* so many bytes from the buffer's start on are written, and not read before */
};

enum gpucmd_names_error { GPUCMD_MALFORMED = 1, GPUCMD_UNKNOWN = 2 };

/* 0: go on; negative: the walk ends with that. */
typedef int gpucmd_name_fn(void *arg, const struct gpucmd_name *name);

/* Calls fn for each place that names a buffer, what a command reads before what it writes. 0, what fn
 * ended it with, or enum gpucmd_names_error. `commands` are aligned to 8 bytes. */
int gpucmd_names(void *commands, uint32_t bytes, gpucmd_name_fn *fn, void *arg);
