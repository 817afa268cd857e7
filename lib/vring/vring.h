/*
 * vring.h: the driver's side of a virtio split virtqueue (virtio 1.2, section 2.7), pure ring code.
 *
 * It owns no memory and knows no device: the caller gives zeroed memory that the device can reach,
 * carries notifications, and serialises calls on one ring. Everything that the device writes is
 * checked against the driver's own records; a device that lies makes the ring `broken`, after which
 * every call fails without touching anything. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VRING_SIZE_MAX  1024u
#define VRING_CHAIN_MAX 4u /* buffers of one request */

enum vring_result {
    VRING_OK = 0,
    VRING_FULL = -1,    /* no room until the device gives something back */
    VRING_EMPTY = -2,   /* nothing came back */
    VRING_BROKEN = -3,  /* the device wrote nonsense; reset it */
    VRING_INVALID = -4, /* the caller's arguments make no sense */
};

/* The layout that the device sees. Little-endian; every field naturally aligned. */
struct vring_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags; /* enum vring_desc_flags */
    uint16_t next;
};

enum vring_desc_flags {
    VRING_DESC_NEXT = 1u << 0,
    VRING_DESC_WRITE = 1u << 1, /* the device writes */
    VRING_DESC_INDIRECT = 1u << 2,
};

struct vring_used_element {
    uint32_t id;
    uint32_t length; /* bytes that the device wrote */
};

#define VRING_AVAIL_NO_INTERRUPT 1u /* avail flags: the driver wants no interrupts */
#define VRING_USED_NO_NOTIFY     1u /* used flags: the device wants no notifications */

/* Where the parts lie in the caller's memory, in bytes from its start. */
struct vring_layout {
    size_t desc, avail, used, tables;
    size_t total;
};

/* The driver's private record of one descriptor; never shared with the device. */
struct vring_slot {
    void *token;       /* the caller's; NULL while the descriptor heads no request */
    uint32_t writable; /* bytes that the device may write in this request */
    uint16_t count;    /* descriptors of the ring that the request takes */
    uint16_t next;     /* next free descriptor, or next of the request */
};

struct vring {
    uint16_t size; /* descriptors, a power of two */
    bool event_idx, indirect;
    bool broken;
    bool interrupts;         /* the driver asked for them */
    uint16_t free_head;      /* first free descriptor */
    uint16_t free_count;     /* free descriptors */
    uint16_t requests;       /* requests that the device holds */
    uint16_t avail_index;    /* as last published */
    uint16_t notified_index; /* avail_index at the last answer of vring_notify_needed() */
    uint16_t used_index;     /* next used element to look at */
    struct vring_desc *desc;
    volatile uint16_t *avail;  /* flags, index, ring[size], used_event */
    volatile uint16_t *used;   /* flags, index, elements[size], avail_event */
    struct vring_desc *tables; /* VRING_CHAIN_MAX entries a slot */
    uint64_t tables_address;   /* as the device sees `tables` */
    struct vring_slot *slots;  /* size entries */
};

struct vring_buffer {
    uint64_t address; /* as the device sees it */
    uint32_t length;  /* bytes, not 0 */
    bool device_writes;
};

/* True when a ring may have this many descriptors. */
bool vring_size_valid(uint32_t size);

/* The memory a ring needs: layout->total bytes, zeroed, page-aligned, contiguous for the device. */
void vring_layout(uint16_t size, struct vring_layout *layout);

/*
 * Sets up a ring over `memory` (seen by the device at `address`) and `slots` (size entries, the
 * driver's own). Interrupts start switched off. VRING_INVALID: a size that is not allowed.
 */
int vring_init(struct vring *v, uint16_t size, bool event_idx, bool indirect, void *memory,
               uint64_t address, struct vring_slot *slots);

/*
 * Queues one request of 1..VRING_CHAIN_MAX buffers, those that the device reads first. `token` is
 * not NULL and comes back from vring_take(). VRING_FULL, VRING_BROKEN, VRING_INVALID.
 */
int vring_add(struct vring *v, const struct vring_buffer *buffers, unsigned count, void *token);

/* True when the device must be notified of what was added since the last call. */
bool vring_notify_needed(struct vring *v);

/* True when the device has given something back that vring_take() would return. */
bool vring_pending(const struct vring *v);

/* Takes one finished request: its token, and how many bytes the device wrote (checked against what
 * it may write). VRING_EMPTY, VRING_BROKEN. */
int vring_take(struct vring *v, void **token, uint32_t *written);

/* Asks for an interrupt when the next request comes back. True: one is back already, take it. */
bool vring_interrupts_enable(struct vring *v);
void vring_interrupts_disable(struct vring *v);

/*
 * After the device was reset: takes back one request that it still held, in no order. NULL: none
 * left.
 */
void *vring_reclaim(struct vring *v);
