/*
 * ring.h: one virtqueue with its descriptors for kicks and calls, shared by two threads: the one
 * that serves it, and the vhost-user thread, which sets it up, stops it and goes first.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "virtqueue.h"

struct ring {
    pthread_mutex_t lock;
    atomic_uint wanted;     /* the vhost-user thread waits for the lock: the server lets go */
    struct virtqueue queue; /* lock; has a size while the ring runs */
    atomic_bool stops;      /* nothing more is taken out of it */
    int kick;               /* lock; or -1 */
    int call;               /* lock; or -1 */
    int error;              /* lock; or -1 */
};

void ring_init(struct ring *ring);

/* For the vhost-user thread. */
void ring_lock_first(struct ring *ring);
/* For the thread that serves the ring. */
void ring_lock(struct ring *ring);
void ring_unlock(struct ring *ring);
static inline bool ring_is_wanted(struct ring *ring)
{
    return atomic_load_explicit(&ring->wanted, memory_order_relaxed) != 0;
}

/*
 * Takes the next chain that is well formed, with the lock held. Others are given back here, until the lock is
 * wanted, and a broken ring is reported to the front end once. False: there is none, or not now.
 */
bool ring_pop_locked(struct ring *ring, struct chain *chain);
/* Gives a chain back and calls the driver if it wants to know; with the lock held. */
void ring_push_locked(struct ring *ring, uint16_t head, uint32_t written);

/* Empties an eventfd. */
void eventfd_drain(int fd);
void eventfd_signal(int fd);
