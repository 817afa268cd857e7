/*
 * request.c: what other modules call. The device takes the whole steps in the middle of a request;
 * the few bytes before and behind them, and whatever the device did not do, are the processor's.
 */
#include <microlake/memory.h>

#include "crc.h"

/* Memory that a request is about. */
struct span {
    const struct vgpgpu_segment *segments;
    uint32_t count;
};

/* The processor's way through `bytes` from byte `offset` of the segments on. */
static uint32_t span_register(const struct span *s, uint64_t offset, uint64_t bytes, uint32_t reg)
{
    for (uint32_t i = 0; i < s->count && bytes; i++) {
        uint64_t length = s->segments[i].length;

        if (offset < length) {
            const uint8_t *at = phys_to_virt(s->segments[i].address);
            uint64_t part = MIN(bytes, length - offset);

            reg = processor_register(reg, at + offset, part);
            bytes -= part;
            offset += part;
        }
        offset -= length;
    }
    return reg;
}

/* The whole steps on the device. False: it has not done it, and *reg is as it was. */
static bool middle_on_device(const struct span *s, uint64_t offset, uint64_t bytes, uint32_t *reg,
                             enum gpu_crc_way way)
{
    struct crc_device *d = way == GPU_CRC_PROCESSOR ? NULL : keeper_borrow(bytes, way);
    uint32_t of_middle;
    int r;

    if (!d)
        return false;
    r = crc_device_register(d, s->segments, s->count, offset, bytes, &of_middle);
    keeper_return(d, r);
    if (r == OK)
        *reg = crc32c_move(&crc_tables, *reg, bytes) ^ of_middle;
    return r == OK;
}

static uint32_t span_crc(const struct span *s, uint64_t offset, uint64_t bytes, uint32_t crc,
                         enum gpu_crc_way way)
{
    uint64_t head = MIN(bytes, -offset % DEVICE_ALIGN);
    uint64_t middle = (bytes - head) & ~(uint64_t)(DEVICE_ALIGN - 1);
    uint64_t tail = bytes - head - middle;
    uint32_t reg = span_register(s, offset, head, ~crc);

    if (middle && !middle_on_device(s, offset + head, middle, &reg, way))
        reg = span_register(s, offset + head, middle, reg);
    return ~span_register(s, offset + head + middle, tail, reg);
}

uint32_t gpu_crc(uint32_t crc, const void *data, size_t bytes, enum gpu_crc_way way)
{
    paddr_t at = virt_to_phys(data), first = at & ~(PAGE_SIZE - 1);
    const struct vgpgpu_segment segment = {first, ALIGN_UP(at + bytes, PAGE_SIZE) - first};
    const struct span s = {&segment, 1};

    return span_crc(&s, at - first, bytes, crc, way);
}

int gpu_crc_segments(uint32_t *crc, const struct vgpgpu_segment *segments, uint32_t count,
                     uint64_t offset, uint64_t bytes, enum gpu_crc_way way)
{
    const struct span s = {segments, count};
    uint64_t all = 0, end;

    for (uint32_t i = 0; i < count; i++)
        if (__builtin_add_overflow(all, segments[i].length, &all))
            return ERR_RANGE;
    if (__builtin_add_overflow(offset, bytes, &end) || end > all)
        return ERR_RANGE;
    *crc = span_crc(&s, offset, bytes, *crc, way);
    return OK;
}

uint32_t gpu_crc_combine(uint32_t first, uint32_t second, uint64_t second_bytes)
{
    return crc32c_combine(&crc_tables, first, second, second_bytes);
}

void gpu_crc_figures(struct gpu_crc_figures *out)
{
    keeper_figures(out);
}
