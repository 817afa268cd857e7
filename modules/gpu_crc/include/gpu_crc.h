/*
 * gpu_crc.h: checksums (CRC32C) of large memory, by the GPU where it is faster. What module gpu_crc
 * offers to other modules: name modules/gpu_crc in NEEDS and gpu_crc in the manifest's needs.
 *
 * The device reads the memory in place. Small memory, and all memory while there is no device, is
 * the processor's: an answer never depends on the device. The module measures from which size on
 * the device is faster, when it starts and whenever a device comes back; the option
 * gpu_crc.crossing=BYTES sets it.
 *
 * Thread context, may sleep. The memory must not change meanwhile.
 */
#pragma once

#include <microlake/types.h>
#include "uapi/virtio_gpgpu.h"

enum gpu_crc_way {
    GPU_CRC_FASTEST,
    GPU_CRC_PROCESSOR,
    GPU_CRC_DEVICE, /* even where the processor is faster; which still answers when there is no
                       device */
};

/*
 * Continues the checksum `crc` (0: a new one) with `bytes` at `data`, an address of the direct map:
 * what kmalloc(), frame_alloc() and gpu_buffer_at() give.
 */
uint32_t gpu_crc(uint32_t crc, const void *data, size_t bytes, enum gpu_crc_way way);

/*
 * The same for memory in pieces, whole pages one after the other: `bytes` from byte `offset` of it
 * on. ERR_RANGE: the segments end before.
 */
int gpu_crc_segments(uint32_t *crc, const struct vgpgpu_segment *segments, uint32_t count,
                     uint64_t offset, uint64_t bytes, enum gpu_crc_way way);

/* The checksum of two messages one after the other, from theirs. */
uint32_t gpu_crc_combine(uint32_t first, uint32_t second, uint64_t second_bytes);

struct gpu_crc_figures {
    bool ready;         /* there is a device that works */
    uint64_t crossing;  /* bytes from which on it is faster; UINT64_MAX: never */
    uint64_t on_device; /* requests the device has answered */
    uint64_t on_processor;
    uint64_t given_up; /* requests that failed on the device; the processor answered those, too */
    unsigned in_work;  /* requests that are on the device now */
};

/* Any context. */
void gpu_crc_figures(struct gpu_crc_figures *out);
