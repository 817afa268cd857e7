/*
 * crc.h: what the files of gpu_crc share.
 *
 *     request.c  cuts a request into what the device takes and what not; keeper.c lends it the
 * device keeper.c   a thread that opens the device, measures it, and opens it anew when it was lost
 *     device.c   one context on the device
 *     processor.c  the processor's way
 */
#pragma once

#include <microlake/gpu.h>

#include "include/gpu_crc.h"
#include "lib/crc32c/crc32c.h"

#define DEVICE_ALIGN 8u /* the device takes whole steps of as many bytes, from such a place on */

extern struct crc32c_tables crc_tables; /* constant after init */

/* ---- processor.c ---- */

void processor_init(void);
uint32_t processor_register(uint32_t reg, const void *data, size_t bytes);

/* ---- device.c ---- */

struct crc_device;

/* Opens the first device, and builds the program. ERR_NOT_FOUND: this machine has none; others. */
int crc_device_open(struct crc_device **out);
/* Nobody is inside any more. */
void crc_device_close(struct crc_device *d);

/*
 * The register of `bytes` from byte `offset` of the segments on, which began as 0. Both are
 * multiples of DEVICE_ALIGN, and the segments are long enough. On an error the device has let go of
 * the memory too.
 */
int crc_device_register(struct crc_device *d, const struct vgpgpu_segment *segments, uint32_t count,
                        uint64_t offset, uint64_t bytes, uint32_t *reg);

/* Requests that have a lane of it. */
unsigned crc_device_in_work(const struct crc_device *d);

/* Work has failed on it: it is to be closed, when nobody is inside any more. */
bool crc_device_failed(const struct crc_device *d);

/* ---- keeper.c ---- */

int keeper_start(void);
void keeper_stop(void);

/* The device for a request of `bytes`, to be given back; NULL: the processor is to do it. */
struct crc_device *keeper_borrow(uint64_t bytes, enum gpu_crc_way way);
/* `result`: of crc_device_register(). */
void keeper_return(struct crc_device *d, int result);
void keeper_figures(struct gpu_crc_figures *out);
