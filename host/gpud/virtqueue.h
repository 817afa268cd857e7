/*
 * virtqueue.h: the device's side of a split virtqueue in shared memory.
 *
 * The driver may write anything into its rings at any time. A descriptor chain that is malformed
 * (cycle, too long, an address outside guest memory, readable behind writable) is given back
 * unread; a ring that is malformed itself (a head or an index that cannot be) is broken: it stops
 * until the driver resets the device.
 *
 * No locks inside: the owner calls these with the ring's lock held.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "guest_memory.h"
#include "inflight.h"

#define VIRTQUEUE_MAX_SIZE 1024u /* descriptors of a ring */
#define VIRTQUEUE_DEATHS   2u    /* of fronts, with a chain in hand, and it is refused; one more, and it is not even read */
#define CHAIN_MAX_PARTS    4096u /* pieces of one chain */
#define CHAIN_MAX_BYTES    (1u << 28)

struct virtqueue {
    struct guest_memory *memory; /* reference held while the rings are set */
    const struct ring_descriptor *descriptors;
    struct ring_available *available;
    struct ring_used *used;
    unsigned size;
    uint16_t next_available; /* next entry of the available ring to look at */
    uint16_t used_index;
    bool broken;
    struct inflight_queue *inflight; /* where chains in work are noted; NULL: nowhere */
    uint64_t counter;                /* of chains taken */
    unsigned again_count;            /* heads that a former front had in work, */
    uint16_t again[VIRTQUEUE_MAX_SIZE]; /* the oldest last */
};

/* A chain taken from the ring. The pieces point into guest memory. */
struct chain {
    uint16_t head;
    bool again;        /* a front that was killed has had it in work, */
    bool refused;      /* and so many died with it in hand that it is not to be carried out */
    unsigned readable; /* parts[0 .. readable) */
    unsigned writable; /* parts[readable .. readable + writable) */
    uint64_t readable_bytes;
    uint64_t writable_bytes;
    struct iovec parts[CHAIN_MAX_PARTS];
};

/* Addresses are the front end's own. Returns 0, -EINVAL, or -EFAULT for one outside memory. */
int virtqueue_attach(struct virtqueue *queue, struct guest_memory *memory, unsigned size,
                     uint64_t descriptors_user, uint64_t available_user, uint64_t used_user,
                     uint16_t next_available);
void virtqueue_detach(struct virtqueue *queue);
/* Notes there what is in work from now on. `resume`: what is noted comes once more, first. */
void virtqueue_track(struct virtqueue *queue, struct inflight_queue *inflight, bool resume);

enum virtqueue_pop { VIRTQUEUE_EMPTY, VIRTQUEUE_CHAIN, VIRTQUEUE_BAD_CHAIN, VIRTQUEUE_BROKEN };

/* Takes the next chain. BAD_CHAIN: only chain->head is set, and the owner pushes it back. */
enum virtqueue_pop virtqueue_pop(struct virtqueue *queue, struct chain *chain);
bool virtqueue_is_empty(const struct virtqueue *queue);
/* What stands at an index of a ring that has a size: a look at a chain that may be taken later, or be another by
 * then. False: it is none. */
bool virtqueue_peek(struct virtqueue *queue, uint16_t index, struct chain *chain);
/* The index that the ring has once all that is available now was taken; and whether it got there.
 */
uint16_t virtqueue_mark(const struct virtqueue *queue);
bool virtqueue_is_past(const struct virtqueue *queue, uint16_t mark);

/*
 * Gives a chain back with `written` bytes in its writable part. Returns whether the driver wants to
 * be told: the caller then signals the call descriptor.
 */
bool virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/* It stays in work, but nobody is at it now. */
void virtqueue_put_down(struct virtqueue *queue, uint16_t head);

/* Tells the driver whether kicks are needed. After turning them on, look at the ring once more. */
void virtqueue_want_kicks(struct virtqueue *queue, bool want);

/* Copies out of the readable part; false when `offset + length` leaves it. */
bool chain_read(const struct chain *chain, uint64_t offset, void *target, uint64_t length);
/* Copies into the writable part; false when it has no room. */
bool chain_write(const struct chain *chain, uint64_t offset, const void *source, uint64_t length);
