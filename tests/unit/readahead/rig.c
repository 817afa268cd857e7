/*
 * rig.c: see rig.h. One thread: locks are free, and who would sleep fails the test.
 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/reclaim.h>
#include <microlake/thread.h>
#include <microlake/trace.h>

#include "modules/linux/include/linux_fs.h"
#include "modules/linux/mm/trim.h"

#define TOTAL ((uint64_t)RIG_FRAMES * PAGE_SIZE)

uint64_t direct_map;
uint64_t rig_free;
unsigned rig_threads, rig_frames;
int64_t rig_reclaimable;
struct rig *rig_program;
const struct spinlock *rig_locked;

static uint8_t memory[RIG_FRAMES * PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned refs[RIG_FRAMES];
static unsigned locks_held, objects_alive;

/* ---- The nucleus ---- */

paddr_t frame_alloc(unsigned order, unsigned flags)
{
    (void)flags;
    assert_int_equal(order, 0);
    for (unsigned i = 1; i < RIG_FRAMES; i++)
        if (!refs[i]) {
            refs[i] = 1;
            rig_frames++;
            memset(phys_to_virt((paddr_t)i * PAGE_SIZE), 0xee, PAGE_SIZE);
            return (paddr_t)i * PAGE_SIZE;
        }
    return 0;
}

void frame_unref(paddr_t pa)
{
    assert_true(refs[pa / PAGE_SIZE] > 0);
    rig_frames -= --refs[pa / PAGE_SIZE] == 0;
}

void frame_free(paddr_t pa, unsigned order)
{
    assert_int_equal(order, 0);
    frame_unref(pa);
}

void memory_stats(struct memory_stats *out)
{
    *out = (struct memory_stats){.total = TOTAL, .free = rig_free};
}

void *kmalloc(size_t size)
{
    objects_alive++;
    return malloc(size);
}

void *kzalloc(size_t size)
{
    objects_alive++;
    return calloc(1, size);
}

void kfree(void *p)
{
    objects_alive -= p != NULL;
    free(p);
}

void counter_add(const struct counter *c, uint64_t n)
{
    (void)c;
    (void)n;
}

void log_line(enum log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

int reclaimer_register(struct reclaimer *r)
{
    assert_non_null(r->reclaim);
    return OK;
}

void reclaimable_add(int64_t frames)
{
    rig_reclaimable += frames;
}

void spin_lock(struct spinlock *lock)
{
    (void)lock;
    locks_held++;
}

void spin_unlock(struct spinlock *lock)
{
    (void)lock;
    assert_true(locks_held-- > 0);
}

/* Where the tests look at single locks: whether this one is free. */
bool spin_trylock(struct spinlock *lock)
{
    if (lock == rig_locked)
        return false;
    locks_held++;
    return true;
}

void mutex_init(struct mutex *m)
{
    m->held = 0;
}

void mutex_lock(struct mutex *m)
{
    assert_int_equal(m->held, 0);
    assert_int_equal(locks_held, 0);
    m->held = 1;
}

void mutex_unlock(struct mutex *m)
{
    assert_int_equal(m->held, 1);
    m->held = 0;
}

void wait_queue_init(struct wait_queue *q)
{
    (void)q;
}

void wait_prepare(struct wait_queue *q, struct waiter *w)
{
    (void)q;
    (void)w;
    fail_msg("nobody would wake this thread");
}

int wait_sleep(struct wait_queue *q, struct waiter *w, uint64_t due, unsigned flags)
{
    (void)q;
    (void)w;
    (void)due;
    (void)flags;
    return OK;
}

bool wait_finish(struct wait_queue *q, struct waiter *w)
{
    (void)q;
    (void)w;
    return true;
}

unsigned wait_wake(struct wait_queue *q, unsigned n)
{
    (void)q;
    (void)n;
    return 0;
}

int thread_create(const char *name, void (*entry)(void *), void *arg, struct thread **out)
{
    (void)name;
    (void)entry;
    (void)arg;
    (void)out;
    rig_threads++;
    return ERR_NO_MEMORY;
}

int thread_set_affinity(struct thread *t, cpu_mask_t mask)
{
    (void)t;
    (void)mask;
    return OK;
}

void thread_unref(struct thread *t)
{
    (void)t;
}

unsigned cpu_id(void)
{
    return 0;
}

uint64_t time_now(void)
{
    static uint64_t now;

    return now += 100 * NS_PER_MS;
}

int trim_start(void)
{
    return OK;
}

/* Programs have stuck pages. */
uint64_t trim_own(uint64_t pages)
{
    uint64_t n = 0;

    for (uint64_t i = 0; rig_program && i < rig_program->object.size && n < pages; i++) {
        n += rig_program->object.stuck[i];
        rig_program->object.stuck[i] = false;
    }
    return n;
}

void trim_owed(void)
{
}

void trim_want(uint64_t pages)
{
    (void)pages;
}

bool trim_await(uint64_t pages)
{
    return trim_own(pages) > 0;
}

bool linux_fs_caller_ends(void)
{
    return false;
}

/* ---- Memory objects ---- */

void memobj_ref(struct memobj *obj)
{
    obj->refs++;
}

void memobj_unref(struct memobj *obj)
{
    assert_true(obj->refs-- > 0);
}

uint64_t memobj_present(struct memobj *obj, uint64_t first, uint64_t count)
{
    uint64_t n = 0;

    while (n < count && first + n < obj->size && obj->frames[first + n])
        n++;
    return n;
}

int memobj_insert(struct memobj *obj, uint64_t index, paddr_t frame)
{
    if (index >= obj->size)
        return ERR_RANGE;
    if (obj->frames[index])
        return ERR_EXISTS;
    obj->frames[index] = frame;
    cache_came(&obj->file->cache, index, frame);
    return OK;
}

paddr_t memobj_evict(struct memobj *obj, uint64_t index)
{
    paddr_t frame = index < obj->size && !obj->stuck[index] ? obj->frames[index] : 0;

    if (frame) {
        obj->frames[index] = 0;
        frame_unref(frame);
    }
    return frame;
}

/* ---- The file ---- */

static long read_bytes(void *context, uint64_t offset, void *to, size_t size)
{
    struct rig *r = context;
    uint8_t *bytes = to;

    r->reads++;
    if (r->changes)
        fill_changed(&r->file);
    if (offset >= r->bytes)
        return 0;
    size = MIN(MIN(size, r->bytes - offset), 5 * PAGE_SIZE); /* short reads are usual */
    if (r->bad_page >= offset / PAGE_SIZE && r->bad_page < (offset + size + PAGE_SIZE - 1) / PAGE_SIZE)
        return ERR_IO;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((offset + i) / PAGE_SIZE);
    return (long)size;
}

void rig_start(struct rig *r, uint64_t pages)
{
    if (!direct_map)
        direct_map = (uint64_t)memory;
    memset(r, 0, sizeof(*r));
    fill_file_init(&r->file, FILL_PAGES, read_bytes, r);
    r->object = (struct memobj){.file = &r->file, .size = pages, .refs = 1};
    r->file.cache.pages = &r->object;
    r->bytes = pages * PAGE_SIZE;
    r->bad_page = UINT64_MAX;
    rig_free = TOTAL;
    rig_threads = 0;
    rig_program = NULL;
}

void rig_end(struct rig *r)
{
    for (uint64_t i = 0; i < r->object.size; i++) {
        if (r->object.frames[i]) {
            cache_left(r->object.frames[i]);
            frame_unref(r->object.frames[i]);
        }
    }
    assert_int_equal(r->file.cache.resident, 0);
    assert_int_equal(r->object.refs, 1);
    assert_int_equal(fill_count(), 0);
    assert_int_equal(rig_frames, 0);
    assert_int_equal(rig_reclaimable, 0);
    assert_int_equal(locks_held, 0);
}

void rig_read(struct rig *r, uint64_t first, uint64_t count)
{
    const struct fill_order order = {.first = first, .count = count, .wanted = count};

    fill_start(&r->file, &order, true);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *bytes;

        assert_int_equal(fill_page(&r->file, first + i), OK);
        bytes = phys_to_virt(r->object.frames[first + i]);
        assert_int_equal(bytes[0], (uint8_t)(first + i));
        assert_int_equal(bytes[PAGE_SIZE - 1], (uint8_t)(first + i));
        cache_used(r->object.frames[first + i], CACHE_NORMAL);
    }
}

bool rig_there(const struct rig *r, uint64_t page)
{
    return r->object.frames[page] != 0;
}
