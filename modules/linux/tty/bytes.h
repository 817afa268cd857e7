/*
 * bytes.h: a queue of bytes that takes memory only for what is in it. The caller locks; no function
 * sleeps.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>

struct byte_queue {
    struct list chunks;
    uint32_t count; /* bytes in it; may be looked at without the lock */
};

void byte_queue_init(struct byte_queue *q);

/* Puts in what fits below `limit` bytes and into memory. Returns how many. */
size_t byte_queue_put(struct byte_queue *q, const uint8_t *bytes, size_t count, uint32_t limit);

/* The oldest bytes that stand together; *count is 0 when there are none. They stay in. */
const uint8_t *byte_queue_peek(const struct byte_queue *q, size_t *count);

/* Takes out the oldest `count` bytes, which are there. */
void byte_queue_drop(struct byte_queue *q, size_t count);

void byte_queue_clear(struct byte_queue *q);

static inline uint32_t byte_queue_count(const struct byte_queue *q)
{
    return __atomic_load_n(&q->count, __ATOMIC_RELAXED);
}
