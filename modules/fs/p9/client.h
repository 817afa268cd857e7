/*
 * client.h: requests to a 9P server, one call for each: a request is begun, its body written with
 * lib/p9, sent, the reply's body read, and the call ended. Thread context, may sleep.
 */
#pragma once

#include <microlake/wait.h>

#include "lib/p9/p9.h"
#include "modules/drivers/virtio_9p/include/virtio_9p.h"

#define CLIENT_SLOTS   8u /* requests outstanding at once; others wait */
#define CLIENT_MESSAGE (64u * 1024)
#define CLIENT_PAYLOAD (60u * 1024) /* bytes of one read or write: whole pages */

/*
 * Memory of one request; the slot's number is the request's tag. Who is to end does not wait for an
 * answer: it asks the server to forget the request (Tflush) and goes. Until the server has said that it
 * did, and has given the request's memory back, neither slot nor tag serve another.
 */
struct client_slot {
    bool busy;      /* guarded by the client's lock */
    bool given_up;  /* busy, and nobody waits; guarded by the client's lock */
    void *out, *in; /* CLIENT_MESSAGE bytes each; made when the slot is first used */
    struct virtio_9p_request request, flush;
    uint8_t flush_out[P9_FLUSH_SIZE], flush_in[P9_FLUSH_SIZE];
};

struct client {
    struct virtio_9p *channel;
    uint32_t message;  /* bytes, as agreed with the server */
    uint32_t last_fid; /* atomic */
    struct spinlock lock;
    struct wait_queue waiters; /* for a slot */
    struct client_slot slots[CLIENT_SLOTS];
};

struct client_call {
    struct client *client;
    struct client_slot *slot;
    enum p9_type type;
    uint16_t tag;
    bool given_up;
    struct p9_writer out;
    struct p9_reader in;
};

/* ERR_NO_MEMORY: then there is no call to end. */
int call_begin(struct client_call *call, struct client *client, enum p9_type type);

/* Sends what was written. OK: call->in is at the start of the reply's body. A status, or the
 * server's error number as LINUX_ERRNO(). ERR_INTERRUPTED: the caller's program is to end. */
int call_run(struct client_call *call);
void call_end(struct client_call *call);

/* The status for a reply whose body was read: ERR_IO when it was malformed. */
int call_finish(struct client_call *call);

/* Agrees on version and message size. ERR_UNSUPPORTED: the server speaks no 9P2000.L. */
int client_start(struct client *client, struct virtio_9p *channel);

/* Of one that did not start, or has no fids: nobody uses it. */
void client_free(struct client *client);
uint32_t client_new_fid(struct client *client);

/* New fid for what `name` below fid is; name NULL: for fid itself. */
int client_walk(struct client *client, uint32_t fid, const char *name, uint32_t *out);
void client_clunk(struct client *client, uint32_t fid);
int client_close(struct client *client, uint32_t fid); /* the same, where it can fail */

/* Bytes of an open fid, at most CLIENT_PAYLOAD: how many were moved. */
long client_read(struct client *client, uint32_t fid, uint64_t offset, void *to, size_t size);
long client_write(struct client *client, uint32_t fid, uint64_t offset, const void *from,
                  size_t size);
