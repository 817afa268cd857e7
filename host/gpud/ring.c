/* ring.c: see ring.h. */
#include "ring.h"

#include <sched.h>
#include <unistd.h>
#include "log.h"

void ring_init(struct ring *ring)
{
    *ring = (struct ring){.kick = -1, .call = -1, .error = -1};
    pthread_mutex_init(&ring->lock, NULL);
}

void ring_lock_first(struct ring *ring)
{
    atomic_fetch_add(&ring->wanted, 1);
    pthread_mutex_lock(&ring->lock);
    atomic_fetch_sub(&ring->wanted, 1);
}

void ring_lock(struct ring *ring)
{
    while (atomic_load(&ring->wanted))
        sched_yield();
    pthread_mutex_lock(&ring->lock);
}

void ring_unlock(struct ring *ring)
{
    pthread_mutex_unlock(&ring->lock);
}

void eventfd_drain(int fd)
{
    uint64_t count;
    ssize_t got = fd >= 0 ? read(fd, &count, sizeof(count)) : 0;
    (void)got;
}

void eventfd_signal(int fd)
{
    uint64_t one = 1;
    ssize_t put = fd >= 0 ? write(fd, &one, sizeof(one)) : 0;
    (void)put;
}

bool ring_pop_locked(struct ring *ring, struct chain *chain)
{
    bool was_broken = ring->queue.broken;
    if (atomic_load(&ring->stops))
        return false;
    for (;;) {
        switch (virtqueue_pop(&ring->queue, chain)) {
        case VIRTQUEUE_CHAIN:
            return true;
        case VIRTQUEUE_BAD_CHAIN:
            log_guest("%s descriptor chain given back", chain->refused ? "a fatal" : "malformed");
            ring_push_locked(ring, chain->head, 0);
            if (ring_is_wanted(ring)) /* a driver may have such without end */
                return false;
            break;
        case VIRTQUEUE_BROKEN:
            if (!was_broken) {
                log_guest("malformed ring stopped until the driver resets the device");
                eventfd_signal(ring->error);
            }
            return false;
        case VIRTQUEUE_EMPTY:
            return false;
        }
    }
}

void ring_push_locked(struct ring *ring, uint16_t head, uint32_t written)
{
    if (virtqueue_push(&ring->queue, head, written))
        eventfd_signal(ring->call);
}
