/* memory.c: see tensors.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "tensors.h"

#define GUARD_BYTES (64u << 20)

uint64_t trial_seed = 1;
struct device_buffer buffers[BUFFERS + 1];
static uint8_t *all[BUFFERS + 1];   /* ROOM_BYTES between the guards */
static uint8_t *rooms[BUFFERS + 1]; /* what is used of it, at the one end or the other */
static uint32_t room_bytes;
static bool paged; /* buffers begin with a page */
static uint8_t kept[BUFFERS + 1][ROOM_BYTES];

uint64_t random_next(void)
{
    trial_seed ^= trial_seed << 13;
    trial_seed ^= trial_seed >> 7;
    trial_seed ^= trial_seed << 17;
    return trial_seed * 2685821657736338717ull;
}

uint32_t random_below(uint32_t limit)
{
    return limit ? (uint32_t)((random_next() >> 32) * limit >> 32) : 0;
}

bool one_in(uint32_t n)
{
    return random_below(n) == 0;
}

uint64_t random_edge(void)
{
    uint64_t edge = random_below(3) ? 1ull << random_below(64) : random_next();
    return edge + random_below(5) - 2;
}

void memory_open(void)
{
    for (unsigned i = 1; i <= BUFFERS; i++) {
        uint8_t *map = mmap(NULL, ROOM_BYTES + 2 * GUARD_BYTES, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED || mprotect(map + GUARD_BYTES, ROOM_BYTES, PROT_READ | PROT_WRITE))
            abort();
        all[i] = map + GUARD_BYTES;
    }
}

void memory_open_at(uint8_t *place)
{
    for (unsigned i = 1; i <= BUFFERS; i++)
        all[i] = place + (i - 1) * ROOM_BYTES;
    paged = true;
}

static void pattern_fill(uint8_t *bytes)
{
    static const uint8_t patterns[] = {0xff, 0x7f, 0xa5, 0x00};
    memset(bytes, patterns[random_below(4)], room_bytes);
    for (unsigned i = 0; one_in(2) && i < room_bytes; i += 1 + random_below(512))
        bytes[i] = (uint8_t)random_next();
}

void memory_renew(bool large)
{
    room_bytes = large ? ROOM_BYTES : USUAL_ROOM;
    for (unsigned i = 1; i <= BUFFERS; i++) {
        uint32_t bytes = 4 * (1 + random_below(one_in(8) ? 64 : room_bytes / 4));
        bool first = one_in(3);
        rooms[i] = all[i] + (first ? 0 : ROOM_BYTES - room_bytes);
        pattern_fill(rooms[i]);
        buffers[i].size = bytes;
        uint32_t beside = first ? 0 : room_bytes - bytes;
        buffers[i].memory = rooms[i] + (paged ? beside & ~4095u : beside);
    }
}

void memory_keep(void)
{
    for (unsigned i = 1; i <= BUFFERS; i++)
        memcpy(kept[i], rooms[i], room_bytes);
}

bool memory_is_kept(void)
{
    for (unsigned i = 1; i <= BUFFERS; i++)
        if (memcmp(kept[i], rooms[i], room_bytes) != 0)
            return false;
    return true;
}

/* ---- Elements */

static uint8_t *element_at(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    return buffers[tensor->buffer].memory + element_place(tensor, index);
}

static double bytes_get(const uint8_t *at, unsigned type)
{
    uint32_t bits = 0;
    float number;
    memcpy((uint8_t *)&bits + (type == VGPGPU_BF16 ? 2 : 0), at, element_bytes(type));
    memcpy(&number, &bits, sizeof(number));
    return type == VGPGPU_S8 ? (double)(int8_t)*at : type == VGPGPU_S32 ? (double)(int32_t)bits : (double)number;
}

double element_before(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    const uint8_t *at = element_at(tensor, index);
    return bytes_get(kept[tensor->buffer] + (at - rooms[tensor->buffer]), tensor->type);
}

double element_now(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    return bytes_get(element_at(tensor, index), tensor->type);
}

/* BF16 numbers that fit it are cut, the others too. */
void element_set(const struct vgpgpu_tensor *tensor, const uint64_t *index, double value)
{
    float number = (float)value;
    int32_t whole = (int32_t)value;
    uint8_t *at = element_at(tensor, index);
    if (tensor->type == VGPGPU_S8 || tensor->type == VGPGPU_S32)
        memcpy(at, &whole, element_bytes(tensor->type));
    else
        memcpy(at, (uint8_t *)&number + (tensor->type == VGPGPU_BF16 ? 2 : 0), element_bytes(tensor->type));
}

void element_restore(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    uint8_t *at = element_at(tensor, index);
    memcpy(at, kept[tensor->buffer] + (at - rooms[tensor->buffer]), element_bytes(tensor->type));
}
