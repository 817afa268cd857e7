/*
 * vring.c: see vring.h.
 *
 * The rule that keeps it safe: nothing is ever read back from the descriptor table. Chains, free
 * list and lengths live in `slots`, where the device cannot write; of the device's own words only
 * the used index and the used elements are read, once each, and compared with those records.
 */
#include "lib/vring/vring.h"

#define PAGE       4096u
#define USED_ALIGN 4u

bool vring_size_valid(uint32_t size)
{
    return size >= 2 && size <= VRING_SIZE_MAX && (size & (size - 1)) == 0;
}

void vring_layout(uint16_t size, struct vring_layout *layout)
{
    size_t end;

    layout->desc = 0;
    layout->avail = sizeof(struct vring_desc) * size;
    end = layout->avail + sizeof(uint16_t) * (3u + size);
    layout->used = (end + USED_ALIGN - 1) & ~(size_t)(USED_ALIGN - 1);
    end = layout->used + sizeof(uint16_t) * 3 + sizeof(struct vring_used_element) * size;
    layout->tables = (end + sizeof(struct vring_desc) - 1) & ~(sizeof(struct vring_desc) - 1);
    end = layout->tables + sizeof(struct vring_desc) * VRING_CHAIN_MAX * size;
    layout->total = (end + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* ---- The words shared with the device ----------------------------------------------------------
 */

static volatile uint16_t *avail_ring(struct vring *v, uint16_t index)
{
    return &v->avail[2 + (index & (v->size - 1))];
}

static volatile uint16_t *avail_used_event(struct vring *v)
{
    return &v->avail[2 + v->size];
}

static const volatile struct vring_used_element *used_element(const struct vring *v, uint16_t index)
{
    const volatile struct vring_used_element *ring = (const volatile void *)&v->used[2];

    return &ring[index & (v->size - 1)];
}

static uint16_t used_avail_event(const struct vring *v)
{
    const volatile struct vring_used_element *ring = (const volatile void *)&v->used[2];
    const volatile uint16_t *event = (const volatile void *)&ring[v->size];

    return *event;
}

static uint16_t used_published(const struct vring *v)
{
    return __atomic_load_n(&v->used[1], __ATOMIC_ACQUIRE);
}

/* ---- Set-up -------------------------------------------------------------------------------------
 */

int vring_init(struct vring *v, uint16_t size, bool event_idx, bool indirect, void *memory,
               uint64_t address, struct vring_slot *slots)
{
    struct vring_layout layout;

    if (!vring_size_valid(size))
        return VRING_INVALID;
    vring_layout(size, &layout);
    *v = (struct vring){
        .size = size,
        .event_idx = event_idx,
        .indirect = indirect,
        .free_count = size,
        .desc = (void *)((uint8_t *)memory + layout.desc),
        .avail = (void *)((uint8_t *)memory + layout.avail),
        .used = (void *)((uint8_t *)memory + layout.used),
        .tables = (void *)((uint8_t *)memory + layout.tables),
        .tables_address = address + layout.tables,
        .slots = slots,
    };
    for (uint16_t i = 0; i < size; i++)
        slots[i] = (struct vring_slot){.next = (uint16_t)(i + 1)};
    vring_interrupts_disable(v);
    return VRING_OK;
}

/* ---- Adding
 * -------------------------------------------------------------------------------------- */

static bool buffers_valid(const struct vring_buffer *buffers, unsigned count, uint32_t *writable)
{
    bool writes = false;
    uint64_t total = 0;

    if (count == 0 || count > VRING_CHAIN_MAX)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (buffers[i].length == 0 || (writes && !buffers[i].device_writes))
            return false;
        writes = buffers[i].device_writes;
        if (writes)
            total += buffers[i].length;
    }
    *writable = (uint32_t)total;
    return total <= UINT32_MAX;
}

static struct vring_desc buffer_desc(const struct vring_buffer *b, bool more, uint16_t next)
{
    uint16_t flags = (b->device_writes ? VRING_DESC_WRITE : 0) | (more ? VRING_DESC_NEXT : 0);

    return (struct vring_desc){b->address, b->length, flags, more ? next : 0};
}

/* Fills descriptors from the free list, one a buffer. */
static void chain_fill(struct vring *v, uint16_t head, const struct vring_buffer *buffers,
                       unsigned count)
{
    uint16_t at = head;

    for (unsigned i = 0; i < count; i++) {
        v->desc[at] = buffer_desc(&buffers[i], i + 1 < count, v->slots[at].next);
        at = v->slots[at].next;
    }
    v->free_head = at;
}

/* Fills the head's own table and lets one descriptor point to it. */
static void table_fill(struct vring *v, uint16_t head, const struct vring_buffer *buffers,
                       unsigned count)
{
    size_t first = (size_t)head * VRING_CHAIN_MAX;

    for (unsigned i = 0; i < count; i++)
        v->tables[first + i] = buffer_desc(&buffers[i], i + 1 < count, (uint16_t)(i + 1));
    v->desc[head] = (struct vring_desc){
        .address = v->tables_address + first * sizeof(struct vring_desc),
        .length = (uint32_t)(count * sizeof(struct vring_desc)),
        .flags = VRING_DESC_INDIRECT,
    };
    v->free_head = v->slots[head].next;
}

int vring_add(struct vring *v, const struct vring_buffer *buffers, unsigned count, void *token)
{
    bool table = v->indirect && count > 1;
    uint16_t taken = table ? 1 : (uint16_t)count, head = v->free_head;
    uint32_t writable;

    if (v->broken)
        return VRING_BROKEN;
    if (!token || !buffers_valid(buffers, count, &writable) || taken > v->size)
        return VRING_INVALID;
    if (taken > v->free_count)
        return VRING_FULL;
    if (table)
        table_fill(v, head, buffers, count);
    else
        chain_fill(v, head, buffers, count);
    v->slots[head].token = token;
    v->slots[head].writable = writable;
    v->slots[head].count = taken;
    v->free_count -= taken;
    v->requests++;
    *avail_ring(v, v->avail_index) = head;
    v->avail_index++;
    __atomic_store_n(&v->avail[1], v->avail_index, __ATOMIC_RELEASE);
    return VRING_OK;
}

bool vring_notify_needed(struct vring *v)
{
    uint16_t added = (uint16_t)(v->avail_index - v->notified_index);

    if (v->broken || added == 0)
        return false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    v->notified_index = v->avail_index;
    if (!v->event_idx)
        return !(v->used[0] & VRING_USED_NO_NOTIFY);
    /* The device waits for the index to step over its event; see virtio 1.2, section 2.7.10. */
    return (uint16_t)(v->avail_index - used_avail_event(v) - 1) < added;
}

/* ---- Taking back
 * --------------------------------------------------------------------------------- */

bool vring_pending(const struct vring *v)
{
    return !v->broken && used_published(v) != v->used_index;
}

/* Returns a request's descriptors to the free list and its token. */
static void *request_release(struct vring *v, uint16_t head)
{
    struct vring_slot *slot = &v->slots[head];
    void *token = slot->token;
    uint16_t last = head;

    for (uint16_t i = 1; i < slot->count; i++)
        last = v->slots[last].next;
    v->slots[last].next = v->free_head;
    v->free_head = head;
    v->free_count += slot->count;
    v->requests--;
    slot->token = NULL;
    return token;
}

int vring_take(struct vring *v, void **token, uint32_t *written)
{
    uint16_t ahead = (uint16_t)(used_published(v) - v->used_index);
    const volatile struct vring_used_element *element = used_element(v, v->used_index);
    uint32_t id, length;

    if (v->broken)
        return VRING_BROKEN;
    if (ahead == 0)
        return VRING_EMPTY;
    id = element->id;
    length = element->length;
    if (ahead > v->requests || id >= v->size || !v->slots[id].token ||
        length > v->slots[id].writable) {
        v->broken = true;
        return VRING_BROKEN;
    }
    *token = request_release(v, (uint16_t)id);
    *written = length;
    v->used_index++;
    if (v->event_idx && v->interrupts)
        *avail_used_event(v) = v->used_index;
    return VRING_OK;
}

void *vring_reclaim(struct vring *v)
{
    for (uint16_t i = 0; i < v->size; i++)
        if (v->slots[i].token)
            return request_release(v, i);
    return NULL;
}

/* ---- Interrupts
 * ----------------------------------------------------------------------------------- */

bool vring_interrupts_enable(struct vring *v)
{
    v->interrupts = true;
    v->avail[0] = 0;
    *avail_used_event(v) = v->used_index;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return vring_pending(v);
}

void vring_interrupts_disable(struct vring *v)
{
    v->interrupts = false;
    v->avail[0] = v->event_idx ? 0 : VRING_AVAIL_NO_INTERRUPT;
    /* With event indexes: the one just passed, which comes again only after 2^16 requests. */
    *avail_used_event(v) = (uint16_t)(v->used_index - 1);
}
