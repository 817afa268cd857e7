/*
 * virtio_9p.h: channels to 9P servers of the host.
 *
 * The bytes of messages are the caller's business; what comes back is the server's word and must be
 * checked. Thread context, may sleep. Many threads may be inside one channel at once.
 */
#pragma once

#include <microlake/types.h>

#define VIRTIO_9P_TAG_MAX 32u /* with NUL */

struct virtio_9p;

/* The channel whose mount tag this is. It lives as long as the caller's module needs virtio_9p.
 * ERR_NOT_FOUND. */
int virtio_9p_find(const char *tag, struct virtio_9p **out);

/* One request; all memory, its own too, is from kmalloc() and stays until `done`. */
struct virtio_9p_request {
    const void *out; /* the message, or its start */
    uint32_t out_size;
    const void *payload; /* its end; NULL: there is none */
    uint32_t payload_size;
    void *in; /* room for the reply */
    uint32_t in_size;

    /* the channel's */
    uint32_t received; /* bytes of the reply that came; 0: none */
    bool done;         /* written last, with release order: see virtio_9p_done() */
};

/* Sends a request. ERR_LOST: the device does not answer, or makes no sense; it is of no use any more. */
int virtio_9p_send(struct virtio_9p *channel, struct virtio_9p_request *request);

/* Sleeps until a request that was sent is answered. give_up is asked now and then, when that takes long
 * (NULL: never). ERR_LOST; ERR_INTERRUPTED: it said so, and the request is not done yet. */
int virtio_9p_wait(struct virtio_9p *channel, struct virtio_9p_request *request,
                   bool (*give_up)(void));

static inline bool virtio_9p_done(const struct virtio_9p_request *request)
{
    return __atomic_load_n(&request->done, __ATOMIC_ACQUIRE);
}
