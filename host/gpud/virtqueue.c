/* virtqueue.c: see virtqueue.h. Layouts are those of the virtio standard's split virtqueue. */
#include "virtqueue.h"

#include <errno.h>
#include <string.h>
#include "checked.h"

enum { DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2, DESCRIPTOR_INDIRECT = 4 };
enum { AVAILABLE_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

struct ring_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct ring_available {
    uint16_t flags;
    _Atomic uint16_t index;
    uint16_t ring[];
};

struct ring_used_entry {
    uint32_t head;
    uint32_t written;
};

struct ring_used {
    _Atomic uint16_t flags;
    _Atomic uint16_t index;
    struct ring_used_entry ring[];
};

int virtqueue_attach(struct virtqueue *queue, struct guest_memory *memory, unsigned size,
                     uint64_t descriptors_user, uint64_t available_user, uint64_t used_user,
                     uint16_t next_available)
{
    if (!size || size > VIRTQUEUE_MAX_SIZE || (size & (size - 1)) ||
        !is_aligned(descriptors_user, 16) || !is_aligned(available_user, 2) ||
        !is_aligned(used_user, 4))
        return -EINVAL;
    void *descriptors =
        guest_memory_at_user(memory, descriptors_user, size * sizeof(struct ring_descriptor));
    void *available = guest_memory_at_user(memory, available_user,
                                           sizeof(struct ring_available) + size * sizeof(uint16_t));
    void *used = guest_memory_at_user(
        memory, used_user, sizeof(struct ring_used) + size * sizeof(struct ring_used_entry));
    if (!descriptors || !available || !used)
        return -EFAULT;
    *queue = (struct virtqueue){
        .memory = guest_memory_hold(memory),
        .descriptors = descriptors,
        .available = available,
        .used = used,
        .size = size,
        .next_available = next_available,
    };
    queue->used_index = atomic_load_explicit(&queue->used->index, memory_order_relaxed);
    return 0;
}

void virtqueue_detach(struct virtqueue *queue)
{
    guest_memory_release(queue->memory);
    *queue = (struct virtqueue){.next_available = queue->next_available};
}

/* The oldest last. */
static void again_add(struct virtqueue *queue, uint16_t head)
{
    const struct inflight_descriptor *all = queue->inflight->descriptors;
    unsigned at = queue->again_count++;
    for (; at && all[queue->again[at - 1]].counter < all[head].counter; at--)
        queue->again[at] = queue->again[at - 1];
    queue->again[at] = head;
}

/* What a front that was killed had in work comes once more. */
static void track_resume(struct virtqueue *queue, struct inflight_queue *inflight)
{
    /* Killed between the used ring and its note? */
    if (inflight->used_index != queue->used_index && inflight->last_head < queue->size)
        inflight->descriptors[inflight->last_head].taken = 0;
    inflight->used_index = queue->used_index;
    for (unsigned i = 0; i < queue->size; i++) {
        struct inflight_descriptor *note = &inflight->descriptors[i];
        if (!note->taken)
            continue;
        again_add(queue, (uint16_t)i);
        if (note->in_hand && note->deaths < UINT8_MAX)
            note->deaths++;
        note->in_hand = 0;
    }
    queue->next_available = (uint16_t)(queue->used_index + queue->again_count);
}

void virtqueue_track(struct virtqueue *queue, struct inflight_queue *inflight, bool resume)
{
    queue->inflight = inflight;
    if (!inflight)
        return;
    for (unsigned i = 0; i < queue->size; i++)
        if (inflight->descriptors[i].counter >= queue->counter)
            queue->counter = inflight->descriptors[i].counter + 1;
    if (resume && inflight->version == 1)
        track_resume(queue, inflight);
    inflight->version = 1;
    inflight->size = (uint16_t)queue->size;
}

bool virtqueue_is_empty(const struct virtqueue *queue)
{
    if (queue->again_count && !queue->broken)
        return false;
    return queue->broken || !queue->size ||
           atomic_load_explicit(&queue->available->index, memory_order_acquire) ==
               queue->next_available;
}

uint16_t virtqueue_mark(const struct virtqueue *queue)
{
    return queue->size ? atomic_load_explicit(&queue->available->index, memory_order_acquire) : 0;
}

bool virtqueue_is_past(const struct virtqueue *queue, uint16_t mark)
{
    return queue->broken || !queue->size || (int16_t)(queue->next_available - mark) >= 0;
}

/* Adds the host addresses of one descriptor's bytes to the chain. */
static bool chain_add(struct virtqueue *queue, struct chain *chain,
                      const struct ring_descriptor *descriptor)
{
    bool write = descriptor->flags & DESCRIPTOR_WRITE;
    if (!write && chain->writable)
        return false;
    uint64_t address = descriptor->address, length = descriptor->length, run;
    if (address > UINT64_MAX - length)
        return false;
    for (; length; length -= run, address += run) {
        unsigned count = chain->readable + chain->writable;
        void *host = guest_memory_run(queue->memory, address, length, &run);
        if (!host || count == CHAIN_MAX_PARTS)
            return false;
        chain->parts[count] = (struct iovec){.iov_base = host, .iov_len = run};
        if (write) {
            chain->writable++;
            chain->writable_bytes += run;
        } else {
            chain->readable++;
            chain->readable_bytes += run;
        }
    }
    return chain->readable_bytes + chain->writable_bytes <= CHAIN_MAX_BYTES;
}

/* Follows `next` inside one table. The step count bounds cycles. */
static bool table_walk(struct virtqueue *queue, struct chain *chain,
                       const struct ring_descriptor *table, uint32_t count, uint32_t first,
                       bool indirect);

static bool indirect_walk(struct virtqueue *queue, struct chain *chain,
                          const struct ring_descriptor *descriptor)
{
    uint32_t count = descriptor->length / sizeof(struct ring_descriptor);
    if ((descriptor->flags & (DESCRIPTOR_NEXT | DESCRIPTOR_WRITE)) || !count ||
        descriptor->length % sizeof(struct ring_descriptor) || count > CHAIN_MAX_PARTS ||
        !is_aligned(descriptor->address, 8))
        return false;
    const struct ring_descriptor *table =
        guest_memory_at(queue->memory, descriptor->address, descriptor->length);
    return table && table_walk(queue, chain, table, count, 0, true);
}

static bool table_walk(struct virtqueue *queue, struct chain *chain,
                       const struct ring_descriptor *table, uint32_t count, uint32_t first,
                       bool indirect)
{
    uint32_t index = first;
    for (uint32_t steps = 0; steps < count; steps++) {
        if (index >= count)
            return false;
        struct ring_descriptor descriptor;
        memcpy(&descriptor, &table[index], sizeof(descriptor)); /* checked and used once */
        if (descriptor.flags & DESCRIPTOR_INDIRECT)
            return !indirect && indirect_walk(queue, chain, &descriptor);
        if (!chain_add(queue, chain, &descriptor))
            return false;
        if (!(descriptor.flags & DESCRIPTOR_NEXT))
            return true;
        index = descriptor.next;
    }
    return false;
}

/* Another process may read the notes after this one's death: they are written in this order. */
static void head_note(struct virtqueue *queue, uint16_t head)
{
    struct inflight_descriptor *note = &queue->inflight->descriptors[head];
    note->counter = queue->counter++;
    note->deaths = 0;
    note->in_hand = 1;
    atomic_signal_fence(memory_order_seq_cst);
    note->taken = 1;
}

static enum virtqueue_pop head_take_again(struct virtqueue *queue, struct chain *chain)
{
    struct inflight_descriptor *note;
    chain->head = queue->again[--queue->again_count];
    note = &queue->inflight->descriptors[chain->head];
    chain->again = true;
    chain->refused = note->deaths >= VIRTQUEUE_DEATHS;
    note->in_hand = 1;
    atomic_signal_fence(memory_order_seq_cst);
    return note->deaths > VIRTQUEUE_DEATHS ? VIRTQUEUE_BAD_CHAIN : VIRTQUEUE_CHAIN;
}

static enum virtqueue_pop head_take(struct virtqueue *queue, struct chain *chain)
{
    chain->again = chain->refused = false;
    if (queue->again_count)
        return head_take_again(queue, chain);
    uint16_t index = atomic_load_explicit(&queue->available->index, memory_order_acquire);
    uint16_t waiting = (uint16_t)(index - queue->next_available);
    if (!waiting)
        return VIRTQUEUE_EMPTY;
    chain->head =
        *(volatile uint16_t *)&queue->available->ring[queue->next_available & (queue->size - 1)];
    if (waiting > queue->size || chain->head >= queue->size) {
        queue->broken = true;
        return VIRTQUEUE_BROKEN;
    }
    queue->next_available++;
    if (queue->inflight)
        head_note(queue, chain->head);
    return VIRTQUEUE_CHAIN;
}

/* False: it is malformed, and no part of it is there. */
static bool chain_collect(struct virtqueue *queue, struct chain *chain, uint16_t head)
{
    chain->head = head;
    chain->readable = chain->writable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    if (table_walk(queue, chain, queue->descriptors, queue->size, head, false))
        return true;
    chain->readable = chain->writable = 0;
    return false;
}

enum virtqueue_pop virtqueue_pop(struct virtqueue *queue, struct chain *chain)
{
    if (queue->broken)
        return VIRTQUEUE_BROKEN;
    if (!queue->size)
        return VIRTQUEUE_EMPTY;
    enum virtqueue_pop got = head_take(queue, chain);
    chain->readable = chain->writable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    if (got != VIRTQUEUE_CHAIN)
        return got;
    return chain_collect(queue, chain, chain->head) ? VIRTQUEUE_CHAIN : VIRTQUEUE_BAD_CHAIN;
}

bool virtqueue_peek(struct virtqueue *queue, uint16_t index, struct chain *chain)
{
    uint16_t head = *(volatile uint16_t *)&queue->available->ring[index & (queue->size - 1)];
    return head < queue->size && chain_collect(queue, chain, head);
}

bool virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
    if (!queue->size)
        return false;
    queue->used->ring[queue->used_index & (queue->size - 1)] =
        (struct ring_used_entry){.head = head, .written = written};
    queue->used_index++;
    if (queue->inflight)
        queue->inflight->last_head = head;
    atomic_store_explicit(&queue->used->index, queue->used_index, memory_order_release);
    if (queue->inflight) {
        atomic_signal_fence(memory_order_seq_cst);
        queue->inflight->descriptors[head].taken = 0;
        queue->inflight->descriptors[head].in_hand = 0;
        atomic_signal_fence(memory_order_seq_cst);
        queue->inflight->used_index = queue->used_index;
    }
    /* The driver clears the flag and then looks at the index; here it is the other way round. */
    atomic_thread_fence(memory_order_seq_cst);
    return !(*(volatile uint16_t *)&queue->available->flags & AVAILABLE_NO_INTERRUPT);
}

void virtqueue_put_down(struct virtqueue *queue, uint16_t head)
{
    if (queue->size && queue->inflight)
        queue->inflight->descriptors[head].in_hand = 0;
}

void virtqueue_want_kicks(struct virtqueue *queue, bool want)
{
    if (!queue->size)
        return;
    atomic_store_explicit(&queue->used->flags, want ? 0 : USED_NO_NOTIFY, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

bool chain_read(const struct chain *chain, uint64_t offset, void *target, uint64_t length)
{
    if (!range_inside(offset, length, chain->readable_bytes))
        return false;
    uint8_t *out = target;
    for (unsigned i = 0; i < chain->readable && length; i++) {
        const struct iovec *part = &chain->parts[i];
        if (offset >= part->iov_len) {
            offset -= part->iov_len;
            continue;
        }
        uint64_t step = part->iov_len - offset < length ? part->iov_len - offset : length;
        memcpy(out, (uint8_t *)part->iov_base + offset, step);
        out += step;
        length -= step;
        offset = 0;
    }
    return true;
}

bool chain_write(const struct chain *chain, uint64_t offset, const void *source, uint64_t length)
{
    if (!range_inside(offset, length, chain->writable_bytes))
        return false;
    const uint8_t *in = source;
    for (unsigned i = chain->readable; i < chain->readable + chain->writable && length; i++) {
        const struct iovec *part = &chain->parts[i];
        if (offset >= part->iov_len) {
            offset -= part->iov_len;
            continue;
        }
        uint64_t step = part->iov_len - offset < length ? part->iov_len - offset : length;
        memcpy((uint8_t *)part->iov_base + offset, in, step);
        in += step;
        length -= step;
        offset = 0;
    }
    return true;
}
