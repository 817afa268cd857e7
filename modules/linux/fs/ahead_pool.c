/*
 * ahead_pool.c: see ahead_pool.h. Whoever looks for a piece goes through all of them: some hundreds, and rarely.
 */
#include "modules/linux/fs/ahead_pool.h"

#include <microlake/memory.h>

static struct pool_piece *piece_at(const struct pool *pool, unsigned n)
{
    unsigned each = POOL_CHUNK / (unsigned)pool->size;

    return (struct pool_piece *)(pool->memory[n / each] + n % each * pool->size);
}

static unsigned piece_count(const struct pool *pool)
{
    return pool->chunks * (POOL_CHUNK / (unsigned)pool->size);
}

static struct pool_piece *find_free_locked(struct pool *pool)
{
    for (unsigned n = 0; n < piece_count(pool); n++)
        if (!piece_at(pool, n)->place)
            return piece_at(pool, n);
    return NULL;
}

static bool grow_locked(struct pool *pool)
{
    uint8_t *more = pool->chunks < POOL_CHUNKS ? kzalloc(POOL_CHUNK) : NULL;

    if (more)
        pool->memory[pool->chunks++] = more;
    return more;
}

/* The oldest whose holder is not at work. */
static struct pool_piece *find_oldest_locked(struct pool *pool)
{
    struct pool_piece *oldest = NULL;

    for (unsigned n = 0; n < piece_count(pool); n++) {
        struct pool_piece *piece = piece_at(pool, n);

        if (oldest && oldest->used <= piece->used)
            continue;
        if (!spin_trylock(piece->lock))
            continue;
        if (oldest)
            spin_unlock(oldest->lock);
        oldest = piece;
    }
    if (oldest) {
        *oldest->place = NULL;
        spin_unlock(oldest->lock);
        pool->recycled++;
    }
    return oldest;
}

void *pool_take(struct pool *pool, struct spinlock *lock, void **place)
{
    struct pool_piece *piece;

    spin_lock(&pool->lock);
    piece = find_free_locked(pool);
    if (!piece)
        piece = grow_locked(pool) ? find_free_locked(pool) : find_oldest_locked(pool);
    if (piece) {
        memset(piece, 0, pool->size);
        *piece = (struct pool_piece){lock, place, ++pool->time};
        *place = piece;
    }
    spin_unlock(&pool->lock);
    return piece;
}

void pool_drop(struct pool *pool, void **place)
{
    spin_lock(&pool->lock);
    if (*place)
        ((struct pool_piece *)*place)->place = NULL;
    *place = NULL;
    spin_unlock(&pool->lock);
}
