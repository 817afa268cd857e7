/* guest_memory.c: see guest_memory.h. */
#include "guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "checked.h"

/* Mappings that all stitched buffers of a machine may take; Linux grants a process 65,530. */
#define STITCH_LIMIT 49152u

struct guest_region {
    struct guest_region_layout layout;
    uint8_t *host; /* NULL: not mapped */
    int fd;        /* own duplicate, for stitching */
};

struct guest_memory {
    atomic_uint references;
    uint64_t serial;
    unsigned count;
    struct guest_region regions[GUEST_MEMORY_REGIONS];
};

static atomic_uint stitched_mappings;
static _Atomic uint64_t tables; /* made so far */

static bool region_is_sane(const struct guest_region_layout *region)
{
    uint64_t end;
    return region->size != 0 && is_aligned(region->offset, VGPGPU_PAGE) &&
           is_aligned(region->guest, VGPGPU_PAGE) &&
           checked_add(region->guest, region->size, &end) &&
           checked_add(region->user, region->size, &end) &&
           checked_add(region->offset, region->size, &end) && end <= INT64_MAX;
}

static bool regions_overlap(const struct guest_region_layout *a,
                            const struct guest_region_layout *b)
{
    return a->guest < b->guest + b->size && b->guest < a->guest + a->size;
}

static int region_map(struct guest_region *region, const struct guest_region_layout *layout, int fd)
{
    struct stat file;
    if (fstat(fd, &file) < 0)
        return -errno;
    /* A file that ends early would kill the process at the first touch. */
    if (!range_inside(layout->offset, layout->size, (uint64_t)file.st_size))
        return -EINVAL;
    region->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (region->fd < 0)
        return -errno;
    region->layout = *layout;
    void *host = mmap(NULL, layout->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                      region->fd, (off_t)layout->offset);
    if (host == MAP_FAILED)
        return -errno;
    region->host = host;
    return 0;
}

static void memory_unmap(struct guest_memory *memory)
{
    for (unsigned i = 0; i < memory->count; i++) {
        struct guest_region *region = &memory->regions[i];
        if (region->host)
            munmap(region->host, region->layout.size);
        if (region->fd >= 0)
            close(region->fd);
    }
    free(memory);
}

int guest_memory_create(const struct guest_region_layout *layout, const int *fds, unsigned count,
                        struct guest_memory **out)
{
    if (count > GUEST_MEMORY_REGIONS)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        if (!region_is_sane(&layout[i]))
            return -EINVAL;
        for (unsigned j = 0; j < i; j++)
            if (regions_overlap(&layout[i], &layout[j]))
                return -EINVAL;
    }
    struct guest_memory *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return -ENOMEM;
    atomic_init(&memory->references, 1);
    memory->serial = atomic_fetch_add(&tables, 1) + 1;
    for (unsigned i = 0; i < count; i++) {
        memory->regions[i].fd = -1;
        memory->count = i + 1;
        int error = region_map(&memory->regions[i], &layout[i], fds[i]);
        if (error) {
            memory_unmap(memory);
            return error;
        }
    }
    *out = memory;
    return 0;
}

struct guest_memory *guest_memory_hold(struct guest_memory *memory)
{
    atomic_fetch_add(&memory->references, 1);
    return memory;
}

void guest_memory_release(struct guest_memory *memory)
{
    if (memory && atomic_fetch_sub(&memory->references, 1) == 1)
        memory_unmap(memory);
}

uint64_t guest_memory_serial(const struct guest_memory *memory)
{
    return memory->serial;
}

unsigned guest_memory_describe(const struct guest_memory *memory,
                               struct guest_region_layout *layout, int *fds)
{
    for (unsigned i = 0; i < memory->count; i++) {
        layout[i] = memory->regions[i].layout;
        fds[i] = memory->regions[i].fd;
    }
    return memory->count;
}

static struct guest_region *region_of(struct guest_memory *memory, uint64_t address)
{
    for (unsigned i = 0; i < memory->count; i++) {
        struct guest_region *region = &memory->regions[i];
        if (address >= region->layout.guest && address - region->layout.guest < region->layout.size)
            return region;
    }
    return NULL;
}

void *guest_memory_run(struct guest_memory *memory, uint64_t address, uint64_t length,
                       uint64_t *run)
{
    struct guest_region *region = memory ? region_of(memory, address) : NULL;
    if (!region)
        return NULL;
    uint64_t offset = address - region->layout.guest;
    uint64_t rest = region->layout.size - offset;
    *run = length < rest ? length : rest;
    return region->host + offset;
}

void *guest_memory_at(struct guest_memory *memory, uint64_t address, uint64_t length)
{
    uint64_t run;
    void *host = guest_memory_run(memory, address, length, &run);
    return host && run == length ? host : NULL;
}

void *guest_memory_at_user(struct guest_memory *memory, uint64_t user, uint64_t length)
{
    for (unsigned i = 0; memory && i < memory->count; i++) {
        struct guest_region *region = &memory->regions[i];
        if (user >= region->layout.user &&
            range_inside(user - region->layout.user, length, region->layout.size))
            return region->host + (user - region->layout.user);
    }
    return NULL;
}

/* Adds up the segments; on success *in_place says whether they already are one stretch. */
static uint32_t segments_measure(struct guest_memory *memory, const struct vgpgpu_segment *segments,
                                 unsigned count, uint64_t *total, void **first, bool *in_place)
{
    struct guest_region *region = NULL; /* of the first one: mappings of two are not one, though they may touch */
    uint8_t *expected = NULL;
    *total = 0;
    *in_place = true;
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = segments[i].address, length = segments[i].length, run;
        if (!length || !is_aligned(address, VGPGPU_PAGE) || !is_aligned(length, VGPGPU_PAGE))
            return VGPGPU_ERR_INVALID;
        if (!checked_add(*total, length, total) || address > UINT64_MAX - length)
            return VGPGPU_ERR_RANGE;
        for (; length; length -= run, address += run) {
            uint8_t *host = guest_memory_run(memory, address, length, &run);
            if (!host || !is_aligned(run, VGPGPU_PAGE))
                return VGPGPU_ERR_RANGE;
            if (!expected)
                *first = host;
            else if (host != expected || region != region_of(memory, address))
                *in_place = false;
            region = region_of(memory, address);
            expected = host + run;
        }
    }
    return VGPGPU_OK;
}

uint32_t guest_segments_check(struct guest_memory *memory, const struct vgpgpu_segment *segments,
                              unsigned count, uint64_t *total)
{
    void *first;
    bool in_place;
    return segments_measure(memory, segments, count, total, &first, &in_place);
}

/* Maps one run of pages of a region at `target`. */
static bool run_map(struct guest_memory *memory, uint64_t address, uint64_t length, uint8_t *target)
{
    struct guest_region *region = region_of(memory, address);
    off_t offset = (off_t)(region->layout.offset + (address - region->layout.guest));
    return mmap(target, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
                region->fd, offset) != MAP_FAILED;
}

static bool segments_map(struct guest_memory *memory, const struct vgpgpu_segment *segments,
                         unsigned count, uint8_t *target)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = segments[i].address, length = segments[i].length, run;
        for (; length; length -= run, address += run, target += run) {
            if (!guest_memory_run(memory, address, length, &run) ||
                !run_map(memory, address, run, target))
                return false;
        }
    }
    return true;
}

uint32_t guest_span_create(struct guest_memory *memory, const struct vgpgpu_segment *segments,
                           unsigned count, struct guest_span *out)
{
    uint64_t total;
    void *address = NULL;
    bool in_place;
    uint32_t status = segments_measure(memory, segments, count, &total, &address, &in_place);
    if (status)
        return status;
    unsigned mappings = in_place ? 0 : count;
    if (!in_place) {
        if (atomic_fetch_add(&stitched_mappings, mappings) + mappings > STITCH_LIMIT)
            address = MAP_FAILED;
        else
            address =
                mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (address != MAP_FAILED && !segments_map(memory, segments, count, address)) {
            munmap(address, total);
            address = MAP_FAILED;
        }
        if (address == MAP_FAILED) {
            atomic_fetch_sub(&stitched_mappings, mappings);
            return VGPGPU_ERR_NO_MEMORY;
        }
    }
    *out = (struct guest_span){.memory = guest_memory_hold(memory),
                               .address = address,
                               .bytes = total,
                               .stitched = !in_place,
                               .mappings = mappings};
    return VGPGPU_OK;
}

void guest_span_destroy(struct guest_span *span)
{
    if (span->stitched) {
        munmap(span->address, span->bytes);
        atomic_fetch_sub(&stitched_mappings, span->mappings);
    }
    guest_memory_release(span->memory);
    span->memory = NULL;
}

unsigned guest_span_mappings(void)
{
    return atomic_load(&stitched_mappings);
}
