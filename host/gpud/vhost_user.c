/* vhost_user.c: see vhost_user.h. */
#include "vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "checked.h"
#include "log.h"

#define BIT(n) (1ull << (n))

static const uint64_t offered_features =
    BIT(VHOST_FEATURE_VERSION_1) | BIT(VHOST_FEATURE_INDIRECT) | BIT(VHOST_FEATURE_PROTOCOL);
static const uint64_t offered_protocol = BIT(VHOST_PROTOCOL_MQ) | BIT(VHOST_PROTOCOL_REPLY_ACK) |
                                         BIT(VHOST_PROTOCOL_CONFIG) | BIT(VHOST_PROTOCOL_INFLIGHT) |
                                         BIT(VHOST_PROTOCOL_RESET_DEVICE);

enum outcome { DONE, REPLIED, REFUSED };

static struct ring *ring_at(struct vhost_session *session, uint32_t index)
{
    return index < VHOST_RINGS ? &session->rings[index] : NULL;
}

static bool ring_should_run(struct vhost_session *session, unsigned index)
{
    const struct vhost_ring_setup *setup = &session->setup[index];
    bool enabled = setup->enabled || !(session->features & BIT(VHOST_FEATURE_PROTOCOL));
    return session->memory && setup->size && setup->has_addresses && setup->has_kick && enabled;
}

/* Starts or stops the ring as its set-up now says; with its lock held. */
static int ring_update_locked(struct vhost_session *session, unsigned index)
{
    struct ring *ring = &session->rings[index];
    struct vhost_ring_setup *setup = &session->setup[index];
    bool runs = ring->queue.size != 0, should = ring_should_run(session, index);
    if (should == runs)
        return 0;
    if (!should) {
        setup->base = ring->queue.next_available;
        virtqueue_detach(&ring->queue);
        return 0;
    }
    int error =
        virtqueue_attach(&ring->queue, session->memory, setup->size, setup->addresses.descriptors,
                         setup->addresses.available, setup->addresses.used, setup->base);
    if (!error) {
        virtqueue_track(&ring->queue, inflight_queue(&session->inflight, index, setup->size),
                        setup->resumes);
        if (setup->resumes)
            eventfd_signal(ring->call); /* the driver may not have been told of what was done */
        setup->resumes = false;
    }
    if (error)
        log_guest("ring %u cannot run where the front end says: %s", index, strerror(-error));
    return error;
}

/* Before anything is taken out of a ring, the contexts that a former front had are there again. */
static void device_resume(struct vhost_session *session)
{
    struct ring *control = &session->rings[VGPGPU_QUEUE_CONTROL];
    session->resumes = false;
    ring_lock_first(control);
    session->calls->device_resume(session->owner);
    ring_unlock(control);
}

static enum outcome ring_update(struct vhost_session *session, unsigned index)
{
    struct ring *ring = &session->rings[index];
    if (session->resumes && ring_should_run(session, index))
        device_resume(session);
    ring_lock_first(ring);
    int error = ring_update_locked(session, index);
    ring_unlock(ring);
    session->calls->ring_changed(session->owner, index);
    return error ? REFUSED : DONE;
}

static enum outcome get_features(struct vhost_session *session, struct vhost_message *message)
{
    (void)session;
    message->payload.number = offered_features;
    return REPLIED;
}

static enum outcome set_features(struct vhost_session *session, struct vhost_message *message)
{
    if (message->payload.number & ~offered_features)
        return REFUSED;
    session->features = message->payload.number;
    return DONE;
}

static enum outcome get_protocol_features(struct vhost_session *session,
                                          struct vhost_message *message)
{
    (void)session;
    message->payload.number = offered_protocol;
    return REPLIED;
}

static enum outcome set_protocol_features(struct vhost_session *session,
                                          struct vhost_message *message)
{
    (void)session; /* what they change is the keeper's to do */
    return message->payload.number & ~offered_protocol ? REFUSED : DONE;
}

static enum outcome get_queue_num(struct vhost_session *session, struct vhost_message *message)
{
    (void)session;
    message->payload.number = VHOST_RINGS;
    return REPLIED;
}

static enum outcome set_owner(struct vhost_session *session, struct vhost_message *message)
{
    (void)session;
    (void)message;
    return DONE;
}

/* What has been taken out of it is answered before it stops, and nothing more is taken meanwhile. */
static enum outcome ring_stop(struct vhost_session *session, unsigned index)
{
    struct ring *ring = &session->rings[index];
    atomic_store(&ring->stops, true);
    if (session->calls->ring_stopping(session->owner, index)) {
        atomic_store(&ring->stops, false);
        return REFUSED;
    }
    session->setup[index].has_kick = false;
    ring_update(session, index);
    atomic_store(&ring->stops, false);
    return session->calls->ring_stopped(session->owner, index) ? REFUSED : DONE;
}

/* The driver has reset the device: nothing is there, nor noted as in work on rings that stand
 * still. */
static void device_reset(struct vhost_session *session)
{
    session->calls->device_reset(session->owner);
    if (session->resumes)
        inflight_contexts_forget(&session->inflight);
    session->resumes = false;
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        if (session->rings[i].queue.size)
            continue;
        inflight_ring_forget(&session->inflight, i);
        session->setup[i].resumes = false;
    }
}

static enum outcome reset_device(struct vhost_session *session, struct vhost_message *message)
{
    (void)message;
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        if (ring_stop(session, i) != DONE)
            return REFUSED;
        session->setup[i] = (struct vhost_ring_setup){0};
    }
    device_reset(session);
    return DONE;
}

/* Running rings move over to the new table; what else points into the old one holds it. */
static enum outcome set_mem_table(struct vhost_session *session, struct vhost_message *message)
{
    struct vhost_memory_table *table = &message->payload.memory;
    struct guest_memory *memory, *old = session->memory;
    if (table->count > GUEST_MEMORY_REGIONS || message->fd_count != table->count ||
        message->size <
            offsetof(struct vhost_memory_table, regions) + table->count * sizeof(table->regions[0]))
        return REFUSED;
    struct guest_region_layout regions[GUEST_MEMORY_REGIONS];
    memcpy(regions, table->regions, sizeof(regions));
    int error = guest_memory_create(regions, message->fds, table->count, &memory);
    if (error) {
        log_line("the front end's memory cannot be mapped: %s", strerror(-error));
        return REFUSED;
    }
    for (unsigned i = 0; i < VHOST_RINGS; i++)
        ring_lock_first(&session->rings[i]);
    session->memory = memory;
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        struct ring *ring = &session->rings[i];
        if (ring->queue.size) {
            session->setup[i].base = ring->queue.next_available;
            virtqueue_detach(&ring->queue);
            error |= ring_update_locked(session, i);
        }
    }
    for (unsigned i = 0; i < VHOST_RINGS; i++)
        ring_unlock(&session->rings[i]);
    guest_memory_release(old);
    return error ? REFUSED : DONE;
}

static enum outcome set_vring_num(struct vhost_session *session, struct vhost_message *message)
{
    struct vhost_ring_state state = message->payload.state;
    if (state.index >= VHOST_RINGS || state.value > VIRTQUEUE_MAX_SIZE ||
        session->rings[state.index].queue.size)
        return REFUSED;
    session->setup[state.index].size = state.value;
    return DONE;
}

static enum outcome set_vring_addr(struct vhost_session *session, struct vhost_message *message)
{
    struct vhost_ring_address address = message->payload.address;
    if (address.index >= VHOST_RINGS)
        return REFUSED;
    struct vhost_ring_setup *setup = &session->setup[address.index];
    setup->addresses = address;
    setup->has_addresses = true;
    return ring_update(session, address.index);
}

/*
 * A paused machine goes on where its rings stopped. A control ring that starts over at 0 belongs to
 * a driver that has reset the device.
 */
static enum outcome set_vring_base(struct vhost_session *session, struct vhost_message *message)
{
    struct vhost_ring_state state = message->payload.state;
    if (state.index >= VHOST_RINGS || session->rings[state.index].queue.size)
        return REFUSED;
    session->setup[state.index].base = (uint16_t)state.value;
    if (state.index == VGPGPU_QUEUE_CONTROL && (uint16_t)state.value == 0)
        device_reset(session);
    return DONE;
}

static enum outcome get_vring_base(struct vhost_session *session, struct vhost_message *message)
{
    uint32_t index = message->payload.state.index;
    if (index >= VHOST_RINGS || ring_stop(session, index) != DONE)
        return REFUSED;
    message->payload.state.value = session->setup[index].base;
    message->size = sizeof(message->payload.state);
    return REPLIED;
}

/* Puts the message's descriptor, or none, in the place of `*slot`. */
static bool descriptor_take(struct ring *ring, int *slot, struct vhost_message *message)
{
    bool none = message->payload.number & VHOST_NO_FD;
    if (message->fd_count != (none ? 0u : 1u))
        return false;
    int fd = none ? -1 : message->fds[0];
    if (!none) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        message->fds[0] = -1;
    }
    ring_lock_first(ring);
    int old = *slot;
    *slot = fd;
    ring_unlock(ring);
    if (old >= 0)
        close(old);
    return true;
}

static enum outcome set_vring_kick(struct vhost_session *session, struct vhost_message *message)
{
    uint32_t index = message->payload.number & VHOST_RING_MASK;
    struct ring *ring = ring_at(session, index);
    if (!ring || !descriptor_take(ring, &ring->kick, message))
        return REFUSED;
    session->setup[index].has_kick = true;
    return ring_update(session, index);
}

static enum outcome set_vring_call(struct vhost_session *session, struct vhost_message *message)
{
    struct ring *ring = ring_at(session, message->payload.number & VHOST_RING_MASK);
    return ring && descriptor_take(ring, &ring->call, message) ? DONE : REFUSED;
}

static enum outcome set_vring_err(struct vhost_session *session, struct vhost_message *message)
{
    struct ring *ring = ring_at(session, message->payload.number & VHOST_RING_MASK);
    return ring && descriptor_take(ring, &ring->error, message) ? DONE : REFUSED;
}

static enum outcome set_vring_enable(struct vhost_session *session, struct vhost_message *message)
{
    struct vhost_ring_state state = message->payload.state;
    if (state.index >= VHOST_RINGS)
        return REFUSED;
    session->setup[state.index].enabled = state.value != 0;
    return ring_update(session, state.index);
}

/* A reply of size 0 is how vhost-user refuses this one. */
static enum outcome get_config(struct vhost_session *session, struct vhost_message *message)
{
    struct vhost_config *config = &message->payload.config;
    if (!range_inside(config->offset, config->size, session->config_bytes) ||
        message->size != VHOST_CONFIG_HEADER_BYTES + config->size) {
        message->size = 0;
        return REPLIED;
    }
    memcpy(config->bytes, (const uint8_t *)session->config + config->offset, config->size);
    return REPLIED;
}

/* The configuration space is read-only: a write is ignored, as the standard asks. */
static enum outcome set_config(struct vhost_session *session, struct vhost_message *message)
{
    (void)session;
    (void)message;
    return DONE;
}

/* Then notes are being made. */
static bool ring_runs(const struct vhost_session *session)
{
    for (unsigned i = 0; i < VHOST_RINGS; i++)
        if (session->rings[i].queue.size)
            return true;
    return false;
}

static enum outcome get_inflight(struct vhost_session *session, struct vhost_message *message)
{
    struct vhost_inflight *wish = &message->payload.inflight;
    if (ring_runs(session) || !wish->queues || wish->queues > VHOST_RINGS || !wish->size ||
        wish->size > VIRTQUEUE_MAX_SIZE || message->fd_count)
        return REFUSED;
    int fd = inflight_make(&session->inflight, wish->queues, wish->size);
    if (fd < 0)
        return REFUSED;
    wish->bytes = session->inflight.bytes;
    wish->offset = 0;
    message->fds[0] = fd;
    message->fd_count = 1;
    return REPLIED;
}

/* Of a former front, or what this one has just made, once more. */
static enum outcome set_inflight(struct vhost_session *session, struct vhost_message *message)
{
    const struct vhost_inflight *given = &message->payload.inflight;
    if (ring_runs(session) || message->fd_count != 1 || !given->queues || given->queues > VHOST_RINGS || !given->size ||
        given->size > VIRTQUEUE_MAX_SIZE ||
        inflight_adopt(&session->inflight, message->fds[0], given->bytes, given->offset,
                       given->queues, given->size))
        return REFUSED;
    session->resumes = true;
    for (unsigned i = 0; i < VHOST_RINGS; i++)
        session->setup[i].resumes = true;
    return DONE;
}

static const struct {
    uint32_t least_bytes; /* of payload */
    uint32_t reply_bytes; /* of a reply of fixed size */
    enum outcome (*handle)(struct vhost_session *session, struct vhost_message *message);
} requests[VHOST_REQUEST_LIMIT] = {
    [VHOST_GET_FEATURES] = {0, 8, get_features},
    [VHOST_SET_FEATURES] = {8, 0, set_features},
    [VHOST_SET_OWNER] = {0, 0, set_owner},
    [VHOST_RESET_OWNER] = {0, 0, reset_device},
    [VHOST_SET_MEM_TABLE] = {8, 0, set_mem_table},
    [VHOST_SET_VRING_NUM] = {8, 0, set_vring_num},
    [VHOST_SET_VRING_ADDR] = {40, 0, set_vring_addr},
    [VHOST_SET_VRING_BASE] = {8, 0, set_vring_base},
    [VHOST_GET_VRING_BASE] = {8, 8, get_vring_base},
    [VHOST_SET_VRING_KICK] = {8, 0, set_vring_kick},
    [VHOST_SET_VRING_CALL] = {8, 0, set_vring_call},
    [VHOST_SET_VRING_ERR] = {8, 0, set_vring_err},
    [VHOST_GET_PROTOCOL_FEATURES] = {0, 8, get_protocol_features},
    [VHOST_SET_PROTOCOL_FEATURES] = {8, 0, set_protocol_features},
    [VHOST_GET_QUEUE_NUM] = {0, 8, get_queue_num},
    [VHOST_SET_VRING_ENABLE] = {8, 0, set_vring_enable},
    [VHOST_GET_CONFIG] = {VHOST_CONFIG_HEADER_BYTES, 0, get_config},
    [VHOST_SET_CONFIG] = {VHOST_CONFIG_HEADER_BYTES, 0, set_config},
    [VHOST_GET_INFLIGHT_FD] = {20, 24, get_inflight},
    [VHOST_SET_INFLIGHT_FD] = {20, 0, set_inflight},
    [VHOST_RESET_DEVICE] = {0, 0, reset_device},
};

void vhost_session_init(struct vhost_session *session, int socket, const struct vhost_owner *calls,
                        void *owner, const void *config, uint32_t config_bytes)
{
    *session = (struct vhost_session){.socket = socket,
                                      .calls = calls,
                                      .owner = owner,
                                      .config = config,
                                      .config_bytes = config_bytes};
    for (unsigned i = 0; i < VHOST_RINGS; i++)
        ring_init(&session->rings[i]);
}

int vhost_session_handle(struct vhost_session *session, struct vhost_message *message)
{
    static const uint32_t flags[] = {
        [DONE] = VHOST_FLAG_DONE, [REPLIED] = VHOST_FLAG_REPLY, [REFUSED] = VHOST_FLAG_REFUSED};
    uint32_t request = message->request;
    enum outcome outcome = REFUSED;
    if (request < VHOST_REQUEST_LIMIT && requests[request].handle &&
        message->size >= requests[request].least_bytes)
        outcome = requests[request].handle(session, message);
    if (outcome != REPLIED || request != VHOST_GET_INFLIGHT_FD)
        vhost_message_close(message); /* what nobody took */
    if (outcome != REPLIED)
        message->size = 0;
    else if (requests[request].reply_bytes)
        message->size = requests[request].reply_bytes;
    message->flags = VHOST_VERSION | flags[outcome];
    int sent = vhost_message_send(session->socket, message);
    vhost_message_close(message);
    return sent;
}

int vhost_session_step(struct vhost_session *session)
{
    struct vhost_message message;
    int got = vhost_message_receive(session->socket, &message);
    if (got <= 0)
        return got;
    return vhost_session_handle(session, &message) ? -1 : 1;
}

void vhost_session_end(struct vhost_session *session)
{
    for (unsigned i = 0; i < VHOST_RINGS; i++) {
        struct ring *ring = &session->rings[i];
        ring_lock_first(ring);
        if (ring->queue.size)
            virtqueue_detach(&ring->queue);
        ring_unlock(ring);
    }
}
