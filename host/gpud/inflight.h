/*
 * inflight.h: memory that outlives this process: which chains were taken out of the rings and not
 * given back (the layout is vhost-user's, for split virtqueues), and behind it which contexts there
 * were. The front end keeps it, and gives it to the next front when this one has been killed.
 *
 * What is in it is checked before it is used: it comes from the front end like any message.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "uapi/virtio_gpgpu.h"

#define INFLIGHT_CONTEXTS 256u

/* `in_hand` and `deaths` are this back end's own, in what the layout leaves free. */
struct inflight_descriptor {
    uint8_t taken;   /* the chain that starts here is in work, */
    uint8_t in_hand; /* and a thread of the front is at it now */
    uint8_t deaths;  /* of fronts that had it in hand */
    uint8_t padding[3];
    uint16_t next;
    uint64_t counter; /* in which order */
};

struct inflight_queue {
    uint64_t features;
    uint16_t version; /* 1; 0: fresh */
    uint16_t size;    /* descriptors */
    uint16_t last_head; /* given back last */
    uint16_t used_index; /* then what the used ring's was to become */
    struct inflight_descriptor descriptors[];
};
_Static_assert(sizeof(struct inflight_queue) == 16 && sizeof(struct inflight_descriptor) == 16,
               "vhost-user's layout");

/* A context's fence page, or 0: there is none. */
struct inflight_context {
    _Atomic uint64_t fence_page; /* and 1 */
    _Atomic uint64_t submitted[VGPGPU_QUEUES_PER_CONTEXT];
};

struct inflight {
    uint8_t *memory; /* NULL: none */
    size_t bytes;
    unsigned queues, size;
};

/* A file of the right size, all zero: nothing is noted. Its descriptor, or -1. */
int inflight_file(unsigned queues, unsigned size, uint64_t *bytes);
/* Makes it. The descriptor, which is the caller's, or -1. */
int inflight_make(struct inflight *inflight, unsigned queues, unsigned size);
/* Takes over what a former front has made. 0 or -1. */
int inflight_adopt(struct inflight *inflight, int fd, uint64_t bytes, uint64_t offset,
                   unsigned queues, unsigned size);
/* NULL: none, or not for a ring of that size. */
struct inflight_queue *inflight_queue(const struct inflight *inflight, unsigned index,
                                      unsigned size);
/* NULL: there is no table. */
struct inflight_context *inflight_context(const struct inflight *inflight, uint32_t id);
/* A ring that starts anew has nothing in work. */
void inflight_ring_forget(const struct inflight *inflight, unsigned index);
/* Nor has a device that was reset any context. */
void inflight_contexts_forget(const struct inflight *inflight);
