/*
 * vhost_message.h: vhost-user messages on the wire, as QEMU's vhost-user specification has them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "guest_memory.h"

enum vhost_request {
    VHOST_GET_FEATURES = 1,
    VHOST_SET_FEATURES = 2,
    VHOST_SET_OWNER = 3,
    VHOST_RESET_OWNER = 4,
    VHOST_SET_MEM_TABLE = 5,
    VHOST_SET_VRING_NUM = 8,
    VHOST_SET_VRING_ADDR = 9,
    VHOST_SET_VRING_BASE = 10,
    VHOST_GET_VRING_BASE = 11,
    VHOST_SET_VRING_KICK = 12,
    VHOST_SET_VRING_CALL = 13,
    VHOST_SET_VRING_ERR = 14,
    VHOST_GET_PROTOCOL_FEATURES = 15,
    VHOST_SET_PROTOCOL_FEATURES = 16,
    VHOST_GET_QUEUE_NUM = 17,
    VHOST_SET_VRING_ENABLE = 18,
    VHOST_GET_CONFIG = 24,
    VHOST_SET_CONFIG = 25,
    VHOST_GET_INFLIGHT_FD = 31,
    VHOST_SET_INFLIGHT_FD = 32,
    VHOST_RESET_DEVICE = 34,
    VHOST_REQUEST_LIMIT = 48,
};

#define VHOST_VERSION         0x1u
#define VHOST_VERSION_MASK    0x3u
#define VHOST_FLAG_REPLY      0x4u
#define VHOST_FLAG_NEED_REPLY 0x8u
/* Between gpud's front and its keeper alone (relay.h), in the place of VHOST_FLAG_REPLY. */
#define VHOST_FLAG_DONE       0x100u
#define VHOST_FLAG_REFUSED    0x200u

#define VHOST_CONFIG_BYTES 256u

enum vhost_protocol_feature {
    VHOST_PROTOCOL_MQ = 0,
    VHOST_PROTOCOL_REPLY_ACK = 3,
    VHOST_PROTOCOL_CONFIG = 9,
    VHOST_PROTOCOL_INFLIGHT = 12,
    VHOST_PROTOCOL_RESET_DEVICE = 13,
};

enum vhost_feature {
    VHOST_FEATURE_INDIRECT = 28,
    VHOST_FEATURE_PROTOCOL = 30,
    VHOST_FEATURE_VERSION_1 = 32,
};

/* The low byte of a descriptor message is the ring; this bit says that no descriptor comes. */
#define VHOST_RING_MASK 0xffu
#define VHOST_NO_FD     0x100u

struct vhost_ring_state {
    uint32_t index;
    uint32_t value;
};

struct vhost_ring_address {
    uint32_t index;
    uint32_t flags;
    uint64_t descriptors;
    uint64_t used;
    uint64_t available;
    uint64_t log;
};

struct vhost_memory_table {
    uint32_t count;
    uint32_t padding;
    struct guest_region_layout regions[GUEST_MEMORY_REGIONS];
};

struct vhost_config {
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint8_t bytes[VHOST_CONFIG_BYTES];
};

struct vhost_inflight {
    uint64_t bytes, offset;
    uint16_t queues, size;
    uint32_t padding;
};

#define VHOST_HEADER_BYTES        12u
#define VHOST_CONFIG_HEADER_BYTES 12u

struct vhost_message {
    uint32_t alignment; /* not on the wire: it puts the payload at a multiple of 8 */
    uint32_t request;   /* enum vhost_request */
    uint32_t flags;
    uint32_t size; /* bytes of payload */
    union {
        uint64_t number;
        struct vhost_ring_state state;
        struct vhost_ring_address address;
        struct vhost_memory_table memory;
        struct vhost_config config;
        struct vhost_inflight inflight;
    } payload;
    /* Not on the wire. */
    unsigned fd_count;
    int fds[GUEST_MEMORY_REGIONS];
};

/*
 * Receives one message. 1; 0 when the other side has hung up; -1 for an error or a message that
 * cannot be (too long, wrong version). Descriptors that came belong to the caller.
 */
int vhost_message_receive(int socket, struct vhost_message *message);

enum vhost_take { VHOST_TAKE_PART, VHOST_TAKE_WHOLE, VHOST_TAKE_END, VHOST_TAKE_BAD };

/*
 * The same without waiting: takes a piece of what is there. *got counts what there is of the message
 * in work, 0 before its first piece and after its last. PART: call again when the socket has more.
 */
enum vhost_take vhost_message_take(int socket, struct vhost_message *message, size_t *got);

/* Sends one with its descriptors, which stay the caller's. 0 or -1. */
int vhost_message_send(int socket, const struct vhost_message *message);
/* The same without waiting. 1; 0: there is no room now; -1. */
int vhost_message_offer(int socket, const struct vhost_message *message);
/* Closes the descriptors that nobody took (taken ones are set to -1). */
void vhost_message_close(struct vhost_message *message);
