/*
 * vhost_user.h: the back end's half of vhost-user: takes the front end's messages and keeps the
 * memory table and the rings as they ask. What the rings carry is the owner's business.
 *
 * The messages come from the keeper (relay.h), one at a time, and each has an answer: vhost-user's, or one
 * without a payload that says whether it was done.
 *
 * All functions run in one thread, the connection's. Rings are guarded by their own locks.
 */
#pragma once

#include "ring.h"
#include "vhost_message.h"

#define VHOST_RINGS VGPGPU_QUEUE_COUNT

struct vhost_owner {
    /* A ring or its descriptors changed: whoever serves it looks again. */
    void (*ring_changed)(void *owner, unsigned index);
    /* The front end wants the ring still: what must be answered on it is. -1 ends the connection.
     */
    int (*ring_stopping)(void *owner, unsigned index);
    /* It stands still. After a return of 0 nothing that came over it touches guest memory. */
    int (*ring_stopped)(void *owner, unsigned index);
    /* The driver has reset the device: all it created is gone. */
    void (*device_reset)(void *owner);
    /* A former front has been killed: what it had, ->inflight says. The control ring's lock is held, and
     * no ring runs yet. */
    void (*device_resume)(void *owner);
};

struct vhost_ring_setup {
    unsigned size;
    bool has_addresses;
    bool has_kick;
    bool enabled;
    bool resumes; /* what a former front had in work comes once more */
    uint16_t base;
    struct vhost_ring_address addresses;
};

struct vhost_session {
    int socket;
    const struct vhost_owner *calls;
    void *owner;
    const void *config;
    uint32_t config_bytes;
    uint64_t features;
    bool resumes; /* so do the contexts that a former front had */
    struct guest_memory *memory; /* newest table, or NULL; replaced with all ring locks held */
    struct inflight inflight;
    struct vhost_ring_setup setup[VHOST_RINGS];
    struct ring rings[VHOST_RINGS];
};

void vhost_session_init(struct vhost_session *session, int socket, const struct vhost_owner *calls,
                        void *owner, const void *config, uint32_t config_bytes);

/* Receives and obeys one message. 1: go on; 0: hung up; -1: the machine loses its device. */
int vhost_session_step(struct vhost_session *session);

/* Obeys a message that was received. 0, or -1 when the connection cannot go on. */
int vhost_session_handle(struct vhost_session *session, struct vhost_message *message);

/* Detaches all rings: the connection is over. */
void vhost_session_end(struct vhost_session *session);
