/*
 * ahead_pool.h: memory that streams share: pieces of one size, at most POOL_BYTES of them together. When all are
 * taken, the stream that used its piece longest ago loses it. A holder has a lock, under which it takes and uses its
 * piece; a piece is taken from a holder only while that lock is free.
 */
#pragma once

#include <microlake/spinlock.h>

#define POOL_BYTES  65536u
#define POOL_CHUNK  4096u
#define POOL_CHUNKS (POOL_BYTES / POOL_CHUNK)

/* At the start of each piece. */
struct pool_piece {
    struct spinlock *lock; /* the holder's */
    void **place;          /* where the holder notes the piece; NULL: it is nobody's */
    uint64_t used;         /* when it was last used, in the pool's own time */
};

struct pool {
    size_t size;     /* bytes of a piece */
    struct spinlock lock;
    uint64_t time;   /* counted without the lock: about */
    unsigned chunks; /* guarded by lock, as all that follows */
    uint8_t *memory[POOL_CHUNKS];
    uint64_t recycled;
};

/* A piece for a holder whose lock the caller has, zeroed behind the header, and noted at *place. NULL: there is
 * none just now. Any context. */
void *pool_take(struct pool *pool, struct spinlock *lock, void **place);

/* It is being used. The holder's lock is held. */
static inline void pool_use(struct pool *pool, struct pool_piece *piece)
{
    piece->used = ++pool->time;
}

/* Gives back what is noted at *place, if anything. On return nobody touches the holder on the pool's behalf. */
void pool_drop(struct pool *pool, void **place);
