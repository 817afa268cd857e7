/*
 * guest_memory.h: a machine's memory as the front end shares it, and pieces of it used in place.
 *
 * A memory table never changes once made; a new table from the front end is a new object. Whoever
 * keeps an address inside a table keeps a reference to it: the mapping goes with the last one.
 * The guest writes to this memory at any time: read what must be checked once, into a copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "uapi/virtio_gpgpu.h"

#define GUEST_MEMORY_REGIONS 8u /* vhost-user's limit without memory slots */

/* One region as the front end describes it. */
struct guest_region_layout {
    uint64_t guest;  /* guest-physical address */
    uint64_t size;   /* bytes */
    uint64_t user;   /* the front end's own address of it */
    uint64_t offset; /* of the region in its file, bytes */
};

struct guest_memory;

/*
 * Maps `count` regions, region i from fds[i], which stay the caller's. Returns 0, or -EINVAL for a
 * layout that cannot be (overlap, overflow, longer than its file), or mmap's error.
 */
int guest_memory_create(const struct guest_region_layout *layout, const int *fds, unsigned count,
                        struct guest_memory **out);
struct guest_memory *guest_memory_hold(struct guest_memory *memory);
void guest_memory_release(struct guest_memory *memory); /* NULL is fine */

/* A number that no other table of this process has or had; never 0. */
uint64_t guest_memory_serial(const struct guest_memory *memory);
/* What the table was made of; the descriptors stay its own. Returns how many regions. */
unsigned guest_memory_describe(const struct guest_memory *memory,
                               struct guest_region_layout *layout, int *fds);

/*
 * The host address of guest-physical `address`, and how many of `length` bytes follow it there
 * without a break in *run. NULL when the address is no guest memory.
 */
void *guest_memory_run(struct guest_memory *memory, uint64_t address, uint64_t length,
                       uint64_t *run);
/* The host address of all `length` bytes at guest-physical `address`, or NULL. */
void *guest_memory_at(struct guest_memory *memory, uint64_t address, uint64_t length);
/* The same for an address of the front end's own, as vhost-user names rings. */
void *guest_memory_at_user(struct guest_memory *memory, uint64_t user, uint64_t length);

/* Whether segments can be a buffer, and their bytes together. An enum vgpgpu_status. */
uint32_t guest_segments_check(struct guest_memory *memory, const struct vgpgpu_segment *segments,
                              unsigned count, uint64_t *total);

/* Guest memory as one stretch of host addresses. */
struct guest_span {
    struct guest_memory *memory; /* reference held */
    void *address;
    uint64_t bytes;
    bool stitched; /* a mapping of its own, not part of the table's */
    unsigned mappings;
};

/*
 * Makes one stretch of `count` segments that the caller has copied out of guest memory. When they
 * do not follow each other in host memory, their pages are mapped anew, side by side: no byte is
 * copied. Returns an enum vgpgpu_status.
 */
uint32_t guest_span_create(struct guest_memory *memory, const struct vgpgpu_segment *segments,
                           unsigned count, struct guest_span *out);
void guest_span_destroy(struct guest_span *span);
/* Mappings that all scattered spans of this process take. */
unsigned guest_span_mappings(void);
