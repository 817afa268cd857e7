/*
 * gpu_sum.h: what the two files of the module share.
 */
#pragma once

#include <microlake/gpu.h>

#define SUM_BYTES (16ull << 20)

/*
 * Sums the 32-bit words of a guest buffer of SUM_BYTES on the device, to 64 bits. *took: ns from
 * the submission to the moment its fence was seen. Thread context.
 */
int device_sum(struct gpu_context *ctx, uint32_t buffer, uint64_t *sum, uint64_t *took);
