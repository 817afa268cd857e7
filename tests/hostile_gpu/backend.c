/*
 * backend.c: hostile_gpud SOCKET WHAT: a liar (liar.h) as a vhost-user back end. It serves one front end after the
 * other, in one thread; messages it answers honestly, so that the lies reach the machine's driver and not only QEMU.
 * What QEMU does not let a back end say (NEEDS_RESET) becomes a change of the configuration space.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/gpud/vhost_message.h"
#include "liar.h"

#define SET_BACKEND_FD 21u /* vhost-user messages that gpud does not know */
#define CONFIG_CHANGE  2u
#define PROTOCOL_BACKEND_REQUEST 5u

struct ring_setup {
    uint16_t size, base;
    struct vhost_ring_address address;
    int kick, call; /* or -1 */
};

struct session {
    int socket, backend; /* or -1 */
    struct guest_memory *memory;
    struct ring_setup rings[VGPGPU_QUEUE_COUNT];
    struct liar liar;
    bool died;
};

/* ---- What the liar needs ----------------------------------------------------------------------- */

static void *memory(void *owner, uint64_t address, uint64_t bytes)
{
    struct session *s = owner;
    return s->memory ? guest_memory_at(s->memory, address, bytes) : NULL;
}

static void interrupt(void *owner, unsigned queue)
{
    struct session *s = owner;
    const uint64_t one = 1;
    if (s->rings[queue].call >= 0 && write(s->rings[queue].call, &one, sizeof(one)) < 0)
        s->rings[queue].call = -1;
}

static void config_changed(void *owner, bool needs_reset)
{
    struct session *s = owner;
    struct vhost_message message = {.request = CONFIG_CHANGE, .flags = VHOST_VERSION};
    (void)needs_reset;
    if (s->backend >= 0)
        vhost_message_send(s->backend, &message);
}

static void die(void *owner)
{
    struct session *s = owner;
    s->died = true;
}

static const struct liar_calls calls = {memory, interrupt, config_changed, die};

/* ---- Messages ---------------------------------------------------------------------------------- */

static void ring_start(struct session *s, unsigned index)
{
    struct ring_setup *r = &s->rings[index];
    uint64_t size = r->size;
    void *desc = guest_memory_at_user(s->memory, r->address.descriptors, size * sizeof(struct vring_desc)),
         *avail = guest_memory_at_user(s->memory, r->address.available, 6 + size * sizeof(uint16_t)),
         *used = guest_memory_at_user(s->memory, r->address.used, 6 + size * sizeof(struct vring_used_element));
    if (desc && avail && used)
        liar_ring_start(&s->liar, index, r->size, r->base, desc, avail, used);
}

static void descriptor_take(struct vhost_message *message, int *slot)
{
    if (*slot >= 0)
        close(*slot);
    *slot = message->fd_count ? message->fds[0] : -1;
    if (message->fd_count)
        message->fds[0] = -1;
}

static void memory_set(struct session *s, struct vhost_message *message)
{
    struct guest_region_layout regions[GUEST_MEMORY_REGIONS];
    struct guest_memory *fresh = NULL;
    memcpy(regions, message->payload.memory.regions, sizeof(regions));
    guest_memory_create(regions, message->fds, message->fd_count, &fresh);
    guest_memory_release(s->memory);
    s->memory = fresh;
}

static void config_get(struct session *s, struct vhost_message *message)
{
    struct vhost_config *config = &message->payload.config;
    uint8_t all[VHOST_CONFIG_BYTES] = {0};
    _Static_assert(sizeof(struct vgpgpu_config) <= VHOST_CONFIG_BYTES, "room");
    liar_config(&s->liar, (struct vgpgpu_config *)(void *)all);
    for (uint32_t i = 0; i < config->size && i < VHOST_CONFIG_BYTES && config->offset + i < VHOST_CONFIG_BYTES; i++)
        config->bytes[i] = all[config->offset + i];
}

/* Of rings. Returns whether the message is answered with its payload. */
static bool ring_message(struct session *s, struct vhost_message *message)
{
    unsigned index = message->payload.state.index & VHOST_RING_MASK;
    struct ring_setup *r = &s->rings[index % VGPGPU_QUEUE_COUNT];
    switch (message->request) {
    case VHOST_SET_VRING_NUM:
        r->size = (uint16_t)message->payload.state.value;
        break;
    case VHOST_SET_VRING_BASE:
        r->base = (uint16_t)message->payload.state.value;
        break;
    case VHOST_SET_VRING_ADDR:
        r->address = message->payload.address;
        break;
    case VHOST_SET_VRING_CALL:
        descriptor_take(message, &r->call);
        break;
    case VHOST_SET_VRING_KICK:
        descriptor_take(message, &r->kick);
        ring_start(s, index % VGPGPU_QUEUE_COUNT);
        break;
    case VHOST_GET_VRING_BASE:
        message->payload.state.value = s->liar.rings[index % VGPGPU_QUEUE_COUNT].seen;
        liar_ring_stop(&s->liar, index % VGPGPU_QUEUE_COUNT);
        return true;
    }
    return false;
}

static bool number_answer(struct vhost_message *message, uint64_t value)
{
    message->payload.number = value;
    message->size = sizeof(value);
    return true;
}

static bool message_obey(struct session *s, struct vhost_message *message)
{
    switch (message->request) {
    case VHOST_GET_FEATURES:
        return number_answer(message, 1ull << VHOST_FEATURE_INDIRECT | 1ull << VHOST_FEATURE_PROTOCOL |
                                          1ull << VHOST_FEATURE_VERSION_1);
    case VHOST_GET_PROTOCOL_FEATURES:
        return number_answer(message, 1u << VHOST_PROTOCOL_MQ | 1u << VHOST_PROTOCOL_REPLY_ACK |
                                          1u << PROTOCOL_BACKEND_REQUEST | 1u << VHOST_PROTOCOL_CONFIG);
    case VHOST_GET_QUEUE_NUM:
        return number_answer(message, VGPGPU_QUEUE_COUNT);
    case VHOST_SET_MEM_TABLE:
        memory_set(s, message);
        return false;
    case VHOST_GET_CONFIG:
        config_get(s, message);
        return true;
    case SET_BACKEND_FD:
        descriptor_take(message, &s->backend);
        return false;
    default:
        return ring_message(s, message);
    }
}

/* False: the front end has gone. */
static bool message_step(struct session *s)
{
    struct vhost_message message;
    bool wants, answers;
    if (vhost_message_receive(s->socket, &message) <= 0)
        return false;
    wants = message.flags & VHOST_FLAG_NEED_REPLY;
    answers = message_obey(s, &message);
    vhost_message_close(&message);
    if (!answers && wants)
        answers = number_answer(&message, 0);
    message.flags = VHOST_VERSION | VHOST_FLAG_REPLY;
    return !answers || vhost_message_send(s->socket, &message) == 0;
}

/* ---- One front end after the other ------------------------------------------------------------- */

static void session_end(struct session *s)
{
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++) {
        if (s->rings[i].kick >= 0)
            close(s->rings[i].kick);
        if (s->rings[i].call >= 0)
            close(s->rings[i].call);
    }
    if (s->backend >= 0)
        close(s->backend);
    guest_memory_release(s->memory);
    close(s->socket);
}

/* False: the liar has died, and takes the process with it. */
static bool serve(int socket, const char *what)
{
    struct session s = {.socket = socket, .backend = -1};
    bool busy = false;
    liar_init(&s.liar, what, &calls, &s);
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
        s.rings[i].kick = s.rings[i].call = -1;
    while (!s.died) {
        struct pollfd fds[1 + VGPGPU_QUEUE_COUNT] = {{.fd = s.socket, .events = POLLIN}};
        uint64_t kicks;
        for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
            fds[1 + i] = (struct pollfd){.fd = s.rings[i].kick, .events = POLLIN};
        poll(fds, 1 + VGPGPU_QUEUE_COUNT, busy ? 0 : 1000);
        for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
            if (fds[1 + i].revents & POLLIN && read(s.rings[i].kick, &kicks, sizeof(kicks)) < 0 && errno != EAGAIN)
                s.rings[i].kick = -1;
        if (fds[0].revents && !message_step(&s))
            break;
        busy = liar_step(&s.liar);
    }
    session_end(&s);
    return !s.died;
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), socket;
    struct liar liar;
    if (argc != 3 || strlen(argv[1]) >= sizeof(address.sun_path) || !liar_init(&liar, argv[2], &calls, NULL)) {
        fprintf(stderr, "usage: hostile_gpud SOCKET LIE[@PLACE[+N]]|random:SEED\n");
        return 2;
    }
    strcpy(address.sun_path, argv[1]);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 4)) {
        perror(argv[1]);
        return 1;
    }
    while ((socket = accept(listener, NULL, NULL)) >= 0 && serve(socket, argv[2]))
        ;
    return 0;
}
