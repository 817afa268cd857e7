/*
 * bytes.c: see bytes.h.
 */
#include "modules/linux/tty/bytes.h"

#include <microlake/memory.h>

#define CHUNK_BYTES 1000u

/* The empty queue has none, so an idle terminal costs nothing. */
struct chunk {
    struct list link;
    uint16_t from, to;
    uint8_t bytes[CHUNK_BYTES];
};
_Static_assert(sizeof(struct chunk) <= 1024, "a chunk is a block of the heap");

void byte_queue_init(struct byte_queue *q)
{
    list_init(&q->chunks);
    q->count = 0;
}

static void count_set(struct byte_queue *q, size_t count)
{
    __atomic_store_n(&q->count, (uint32_t)count, __ATOMIC_RELAXED);
}

/* The last chunk when it has room, else a new one; NULL: no memory. */
static struct chunk *chunk_with_room(struct byte_queue *q)
{
    struct chunk *c = list_entry(q->chunks.prev, struct chunk, link);

    if (!list_empty(&q->chunks) && c->to < CHUNK_BYTES)
        return c;
    c = kmalloc(sizeof(*c));
    if (!c)
        return NULL;
    c->from = c->to = 0;
    list_push_back(&q->chunks, &c->link);
    return c;
}

size_t byte_queue_put(struct byte_queue *q, const uint8_t *bytes, size_t count, uint32_t limit)
{
    size_t done = 0;

    count = MIN(count, limit - MIN(limit, q->count));
    while (done < count) {
        struct chunk *c = chunk_with_room(q);
        size_t n;

        if (!c)
            break;
        n = MIN(count - done, (size_t)(CHUNK_BYTES - c->to));
        memcpy(c->bytes + c->to, bytes + done, n);
        c->to = (uint16_t)(c->to + n);
        done += n;
    }
    count_set(q, q->count + done);
    return done;
}

const uint8_t *byte_queue_peek(const struct byte_queue *q, size_t *count)
{
    const struct chunk *c = list_entry(q->chunks.next, struct chunk, link);

    *count = list_empty(&q->chunks) ? 0 : (size_t)(c->to - c->from);
    return *count > 0 ? c->bytes + c->from : NULL;
}

void byte_queue_drop(struct byte_queue *q, size_t count)
{
    count_set(q, q->count - count);
    while (count > 0) {
        struct chunk *c = list_entry(q->chunks.next, struct chunk, link);
        size_t n = MIN(count, (size_t)(c->to - c->from));

        c->from = (uint16_t)(c->from + n);
        count -= n;
        if (c->from == c->to) {
            list_remove(&c->link);
            kfree(c);
        }
    }
}

void byte_queue_clear(struct byte_queue *q)
{
    byte_queue_drop(q, q->count);
}
