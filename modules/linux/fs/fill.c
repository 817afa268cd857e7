/*
 * fill.c: see fill.h.
 */
#include "modules/linux/fs/fill.h"

#include <microlake/aspace.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/trace.h>

#include "modules/linux/include/linux_fs.h"

#define WORKERS_MAX   4u /* of a processor */
#define FILLS_MAX     96u /* on their way; then nothing is read ahead */
#define BUFFERS_KEPT  4u
#define LOOK_NS       (100 * NS_PER_MS) /* how often who waits looks whether its program is to end */
#define TRIES_FREE    4u /* a page that others change all the time is then read with them locked out */

COUNTER(file_requests_begun);
COUNTER(file_requests_ended);

struct fill {
    uint32_t refs;
    struct fill_file *file; /* with a reference to its object */
    uint64_t first;
    unsigned count, wanted;
    uint16_t by;
    struct list in_file;  /* guarded by lock */
    struct list in_queue; /* guarded by lock; unlinked: somebody does it */
    struct pool *pool;
    bool ended;           /* atomic */
    struct wait_queue waiters;
};

static struct spinlock lock = SPINLOCK_INIT;
static unsigned fills_count; /* guarded by lock */

/* What a processor's readers left to its threads: most of the work is waiting, and to wake another processor
 * for it costs more than it would spare. Guarded by lock. */
struct pool {
    bool ready;
    struct list wanted, ahead; /* struct fill, by in_queue */
    unsigned queued;
    unsigned workers, idle;
    struct wait_queue work;
};
static struct pool pools[MAX_CPUS];

void fill_file_init(struct fill_file *file, unsigned at_once,
                    long (*read)(void *context, uint64_t offset, void *to, size_t size), void *context)
{
    *file = (struct fill_file){.read = read, .context = context, .at_once = at_once};
    list_init(&file->fills);
    mutex_init(&file->insert_lock);
}

unsigned fill_count(void)
{
    return __atomic_load_n(&fills_count, __ATOMIC_RELAXED);
}

void fill_changed(struct fill_file *file)
{
    mutex_lock(&file->insert_lock);
    __atomic_store_n(&file->generation, file->generation + 1, __ATOMIC_RELEASE);
    mutex_unlock(&file->insert_lock);
}

/* ---- Buffers: a request's bytes lie together, pages do not ---- */

static void *buffers[BUFFERS_KEPT]; /* guarded by lock */

static void *buffer_take(void)
{
    void *b = NULL;

    spin_lock(&lock);
    for (unsigned i = 0; i < BUFFERS_KEPT && !b; i++) {
        b = buffers[i];
        buffers[i] = NULL;
    }
    spin_unlock(&lock);
    return b ? b : kmalloc(FILL_PAGES * PAGE_SIZE);
}

static void buffer_give(void *b)
{
    spin_lock(&lock);
    for (unsigned i = 0; i < BUFFERS_KEPT && b; i++)
        if (!buffers[i]) {
            buffers[i] = b;
            b = NULL;
        }
    spin_unlock(&lock);
    kfree(b);
}

/* ---- Reading ---- */

/* Until `size` bytes or the end of the file; behind that come zeroes. */
static int read_all(const struct fill_file *file, uint64_t offset, uint8_t *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        long n = file->read(file->context, offset + done, to + done, size - done);

        if (n < 0)
            return n == ERR_NO_MEMORY || n == ERR_INTERRUPTED ? (int)n : ERR_IO;
        if (n == 0)
            break;
        done += MIN((size_t)n, size - done);
    }
    memset(to + done, 0, size - done);
    return OK;
}

/* Fills frames with the pages from `first` on. */
static int frames_read(const struct fill_file *file, uint64_t first, const paddr_t *frames, unsigned count)
{
    uint8_t *buffer = count > 1 ? buffer_take() : NULL;
    int r = OK;

    if (buffer) {
        r = read_all(file, first * PAGE_SIZE, buffer, count * PAGE_SIZE);
        for (unsigned i = 0; i < count && r == OK; i++)
            memcpy(phys_to_virt(frames[i]), buffer + i * PAGE_SIZE, PAGE_SIZE);
        buffer_give(buffer);
        return r;
    }
    for (unsigned i = 0; i < count && r == OK; i++)
        r = read_all(file, (first + i) * PAGE_SIZE, phys_to_virt(frames[i]), PAGE_SIZE);
    return r;
}

/* How many there were; what nobody wants now takes from nobody. */
static unsigned frames_take(paddr_t *frames, unsigned count, unsigned wanted)
{
    unsigned n = 0;

    cache_make_room(count);
    while (n < count && (frames[n] = frame_alloc(0, n < wanted ? 0 : FRAME_NOWAIT)))
        n++;
    return n;
}

/* The object takes what it has not; the rest is given back. */
static int pages_insert(const struct fill *f, paddr_t *frames, unsigned count)
{
    int result = OK;

    for (unsigned i = 0; i < count; i++) {
        int r = memobj_insert(f->file->cache.pages, f->first + i, frames[i]);

        if (r == OK)
            cache_mark(frames[i], i < f->wanted ? 0 : CACHE_AHEAD, f->by);
        if (r != OK)
            frame_free(frames[i], 0);
        if (r != OK && r != ERR_EXISTS)
            result = r;
    }
    return result;
}

/* ERR_AGAIN: what was read is old. */
static int fill_read(struct fill *f, bool alone)
{
    paddr_t frames[FILL_PAGES];
    unsigned count = frames_take(frames, f->count, f->wanted);
    uint64_t generation;
    int r = count ? OK : ERR_NO_MEMORY;

    if (alone)
        mutex_lock(&f->file->insert_lock);
    generation = __atomic_load_n(&f->file->generation, __ATOMIC_ACQUIRE);
    if (r == OK)
        r = frames_read(f->file, f->first, frames, count);
    if (!alone)
        mutex_lock(&f->file->insert_lock);
    if (r == OK && generation != f->file->generation)
        r = ERR_AGAIN;
    if (r == OK) {
        r = pages_insert(f, frames, count);
        count = 0;
    }
    mutex_unlock(&f->file->insert_lock);
    for (unsigned i = 0; i < count; i++)
        frame_free(frames[i], 0);
    return r;
}

static void fill_unref(struct fill *f)
{
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(f);
}

/* Takes it off the way: who waits looks again. The last use of the caller's reference. */
static void fill_end(struct fill *f)
{
    struct memobj *pages = f->file->cache.pages;

    spin_lock(&lock);
    list_remove(&f->in_file);
    fills_count--;
    COUNT(file_requests_ended, 1);
    spin_unlock(&lock);
    __atomic_store_n(&f->ended, true, __ATOMIC_RELEASE);
    wait_wake_all(&f->waiters);
    fill_unref(f);
    memobj_unref(pages); /* the file may go with it */
}

/* Does a fill that the caller took out of its queue. */
static int fill_run(struct fill *f, bool alone)
{
    int r = fill_read(f, alone);

    fill_end(f);
    return r;
}

/* ---- In the background ---- */

static struct fill *queue_pop_locked(struct pool *pool)
{
    struct list *l = list_pop_front(&pool->wanted);

    if (!l)
        l = list_pop_front(&pool->ahead);
    pool->queued -= l != NULL;
    return l ? list_entry(l, struct fill, in_queue) : NULL;
}

static void worker(void *arg)
{
    struct pool *pool = arg;

    for (;;) {
        struct fill *f;

        spin_lock(&lock);
        pool->idle--;
        f = queue_pop_locked(pool);
        pool->idle += !f;
        spin_unlock(&lock);
        if (!f) {
            WAIT_UNTIL(&pool->work, __atomic_load_n(&pool->queued, __ATOMIC_RELAXED), TIME_NEVER, 0);
            continue;
        }
        fill_run(f, false);
        spin_lock(&lock);
        pool->idle++;
        spin_unlock(&lock);
    }
}

/* One more thread where all that there are have work. */
static void worker_wake(struct pool *pool)
{
    struct thread *t;
    bool more;

    spin_lock(&lock);
    more = pool->queued > pool->idle && pool->workers < WORKERS_MAX;
    pool->workers += more;
    pool->idle += more;
    spin_unlock(&lock);
    if (more && thread_create("readahead", worker, pool, &t) == OK) {
        thread_set_affinity(t, 1ull << (pool - pools));
        thread_unref(t);
    } else if (more) {
        spin_lock(&lock);
        pool->workers--;
        pool->idle--;
        spin_unlock(&lock);
    }
    wait_wake(&pool->work, 1);
}

/* The caller's processor's. The lock is held. */
static struct pool *pool_here_locked(void)
{
    struct pool *pool = &pools[cpu_id()];

    if (!pool->ready) {
        list_init(&pool->wanted);
        list_init(&pool->ahead);
        wait_queue_init(&pool->work);
        pool->ready = true;
    }
    return pool;
}

/* ---- Orders ---- */

/* The fill that brings page `index`; NULL: none. The lock is held. */
static struct fill *fill_of_locked(const struct fill_file *file, uint64_t index)
{
    list_for_each (it, &file->fills) {
        struct fill *f = list_entry(it, struct fill, in_file);

        if (index - f->first < f->count)
            return f;
    }
    return NULL;
}

/* Cuts a run of pages where some are on their way; false: the first is, with *count of those behind it. */
static bool clear_of_others_locked(const struct fill_file *file, uint64_t first, unsigned *count)
{
    list_for_each (it, &file->fills) {
        struct fill *f = list_entry(it, struct fill, in_file);

        if (first - f->first < f->count) {
            *count = (unsigned)(f->first + f->count - first);
            return false;
        }
        if (f->first > first && f->first - first < *count)
            *count = (unsigned)(f->first - first);
    }
    return true;
}

static struct fill *fill_create(struct fill_file *file, const struct fill_order *order)
{
    struct fill *f = kzalloc(sizeof(*f));

    if (!f)
        return NULL;
    f->refs = 1;
    f->file = file;
    f->by = order->by;
    list_init(&f->in_file);
    list_init(&f->in_queue);
    wait_queue_init(&f->waiters);
    return f;
}

static void fill_enter_locked(struct fill *f, bool queue)
{
    list_push_back(&f->file->fills, &f->in_file);
    fills_count++;
    COUNT(file_requests_begun, 1);
    memobj_ref(f->file->cache.pages);
    if (!queue)
        return;
    f->pool = pool_here_locked();
    list_push_back(f->wanted ? &f->pool->wanted : &f->pool->ahead, &f->in_queue);
    f->pool->queued++;
}

/* Puts a fill for [first, first + *count) on its way, or for as many as are free of others'; the caller does
 * *own then, or, where that is NULL, wakes one of *pool. ERR_BUSY: the
 * first *count are on their way. ERR_LIMIT: too much is. ERR_NO_MEMORY. */
static int fill_post(struct fill_file *file, const struct fill_order *order, uint64_t first, unsigned *count,
                     struct fill **own, struct pool **pool)
{
    uint64_t wanted_end = order->first + order->wanted;
    struct fill *f = fill_create(file, order);
    bool wanted = first < wanted_end;
    int r = OK;

    if (!f)
        return ERR_NO_MEMORY;
    spin_lock(&lock);
    if (!wanted && fills_count >= FILLS_MAX)
        r = ERR_LIMIT;
    else if (!clear_of_others_locked(file, first, count))
        r = ERR_BUSY;
    if (r == OK) {
        f->first = first;
        f->count = *count;
        f->wanted = wanted ? (unsigned)MIN(wanted_end - first, *count) : 0;
        fill_enter_locked(f, !own);
        if (own)
            *own = f;
        else
            *pool = f->pool; /* the fill may be over soon */
    }
    spin_unlock(&lock);
    if (r != OK)
        kfree(f);
    return r;
}

/* How many pages from `first` on are missing, up to one request's. */
static unsigned missing_run(const struct fill_file *file, uint64_t first, uint64_t count)
{
    unsigned n = 1;

    while (n < MIN(count, file->at_once) && !memobj_present(file->cache.pages, first + n, 1))
        n++;
    return n;
}

void fill_start(struct fill_file *file, const struct fill_order *order, bool run)
{
    uint64_t end = order->first + order->count;
    struct fill *own = NULL;

    for (uint64_t at = order->first; at < end;) {
        bool mine = run && !own;
        struct pool *pool;
        unsigned n;

        at += memobj_present(file->cache.pages, at, end - at);
        if (at >= end)
            break;
        n = missing_run(file, at, end - at);
        if (fill_post(file, order, at, &n, mine ? &own : NULL, &pool) == OK && !mine)
            worker_wake(pool);
        at += n;
    }
    if (own)
        fill_run(own, false);
}

/* Waits for a fill on which the caller has a reference, or does it. */
static int fill_await(struct fill *f)
{
    int r = OK;

    while (!__atomic_load_n(&f->ended, __ATOMIC_ACQUIRE)) {
        WAIT_UNTIL(&f->waiters, __atomic_load_n(&f->ended, __ATOMIC_ACQUIRE), time_now() + LOOK_NS, 0);
        if (!__atomic_load_n(&f->ended, __ATOMIC_ACQUIRE) && linux_fs_caller_ends()) {
            r = ERR_INTERRUPTED;
            break;
        }
    }
    fill_unref(f);
    return r;
}

/* Waits for another thread's fill of this page, or does it where it only queues. */
static int join(struct fill_file *file, uint64_t index)
{
    struct fill *f;
    bool queued = false;

    spin_lock(&lock);
    f = fill_of_locked(file, index);
    if (f) {
        f->refs++;
        queued = !list_empty(&f->in_queue);
        list_remove(&f->in_queue);
        if (queued)
            f->pool->queued--;
    }
    spin_unlock(&lock);
    if (!f) /* it has just ended */
        return OK;
    if (queued)
        fill_run(f, false);
    return fill_await(f);
}

int fill_page(struct fill_file *file, uint64_t index)
{
    const struct fill_order order = {index, 1, 1, 0};
    int r = OK;

    for (unsigned tries = 0; r == OK || r == ERR_AGAIN; tries++) {
        struct fill *f;
        unsigned n = 1;

        if (memobj_present(file->cache.pages, index, 1))
            return OK;
        r = fill_post(file, &order, index, &n, &f, NULL);
        if (r == OK)
            r = fill_run(f, tries >= TRIES_FREE);
        else if (r == ERR_BUSY)
            r = join(file, index);
    }
    return r;
}
