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

/* One request; all memory is from kmalloc(). */
struct virtio_9p_request {
    const void *out; /* the message, or its start */
    uint32_t out_size;
    const void *payload; /* its end; NULL: there is none */
    uint32_t payload_size;
    void *in; /* room for the reply */
    uint32_t in_size;
};

/* Sends a request and sleeps until it is answered; *received bytes of the reply came. ERR_LOST: the
 * device does not answer, or makes no sense; it is of no use any more. */
int virtio_9p_call(struct virtio_9p *channel, const struct virtio_9p_request *request,
                   uint32_t *received);
