/*
 * world.c: the nucleus around the GPU's code, for one thread: an allocator that sanitizers see through, a time that
 * jumps, and waits in which the device works. A wait that nothing could end fails the test.
 */
#include "tests/unit/nucleus/stand_ins.h"

#include <arch/x86.h>
#include <microlake/aspace.h>
#include <microlake/boot.h>
#include <microlake/gpu.h>
#include <microlake/log.h>
#include <microlake/module.h>
#include <microlake/thread.h>
#include <microlake/trace.h>
#include <microlake/wait.h>

#include "kernel/gpu/residency.h"
#include "modules/drivers/hostctl/include/hostctl.h"
#include "world.h"

#define TICK_NS    200u
#define STEP_EVERY 64u /* looks at the clock, by chance */
#define STEPS_MAX  100000u
#define THREAD_NS  (7200 * NS_PER_SEC)

bool (*world_step)(void);
const char *world_what;
uint64_t world_lives, world_seed;
unsigned world_fails;

struct kmod_manifest *manifests[8];
unsigned manifest_count;

static uint64_t now = 1, ends; /* when the thread that runs must have ended */

/* ---- The other side ---------------------------------------------------------------------------- */

/* An interrupt may come: no lock is held. */
static bool step(void)
{
    static bool inside;
    bool any;

    if (inside || !world_step || !interrupts_are_on() || running_cpu->preempt_count)
        return false;
    inside = true;
    any = world_step();
    inside = false;
    return any;
}

uint64_t time_now(void)
{
    now += TICK_NS;
    if (random_below(STEP_EVERY) == 0)
        step();
    return now;
}

/* ---- Waiting ----------------------------------------------------------------------------------- */

void wait_queue_init(struct wait_queue *q)
{
    *q = (struct wait_queue){.waiters = LIST_INIT(q->waiters)};
}

void wait_prepare(struct wait_queue *q, struct waiter *w)
{
    w->woken = false;
    list_push_back(&q->waiters, &w->link);
}

unsigned wait_wake(struct wait_queue *q, unsigned n)
{
    unsigned woken = 0;
    struct list *link;

    while (woken < n && (link = list_pop_front(&q->waiters))) {
        list_entry(link, struct waiter, link)->woken = true;
        woken++;
    }
    return woken;
}

int wait_sleep(struct wait_queue *q, struct waiter *w, uint64_t due, unsigned flags)
{
    (void)q, (void)flags;
    for (unsigned i = 0; !w->woken && i < STEPS_MAX && step(); i++)
        now += TICK_NS;
    if (w->woken)
        return OK;
    if (due == TIME_NEVER || now > ends)
        fail_msg("a thread waits for ever");
    now = MAX(now, due);
    return ERR_TIMED_OUT;
}

bool wait_finish(struct wait_queue *q, struct waiter *w)
{
    (void)q;
    if (!w->woken)
        list_remove(&w->link);
    return w->woken;
}

void mutex_init(struct mutex *m)
{
    *m = (struct mutex){0};
}

void mutex_lock(struct mutex *m)
{
    assert_int_equal(m->held, 0); /* else it would wait for itself */
    m->held = 1;
}

void mutex_unlock(struct mutex *m)
{
    assert_int_equal(m->held, 1);
    m->held = 0;
}

int thread_sleep(uint64_t due, unsigned flags)
{
    (void)flags;
    step();
    now = MAX(now, due);
    return ERR_TIMED_OUT;
}

void thread_yield(void)
{
}

/* A thread runs to its end before the next; but the device's, which is stepped. */
int thread_create(const char *name, void (*entry)(void *), void *arg, struct thread **out)
{
    *out = NULL;
    ends = now + THREAD_NS;
    if (strcmp(name, "hostile_gpu"))
        entry(arg);
    return OK;
}

int thread_join(struct thread *t, uint64_t due)
{
    (void)t, (void)due;
    return OK;
}

void thread_unref(struct thread *t)
{
    (void)t;
}

/* ---- Memory ------------------------------------------------------------------------------------ */

static bool fails(void)
{
    return world_fails && random_below(world_fails) == 0;
}

static paddr_t lowest = UINT64_MAX, highest; /* of all memory that was given out */

static void *given(void *p, size_t size)
{
    if (p) {
        lowest = MIN(lowest, (paddr_t)p);
        highest = MAX(highest, (paddr_t)p + size);
    }
    return p;
}

void *kmalloc(size_t size)
{
    return size > 2u << 20 || fails() ? NULL : given(malloc(size), size);
}

void *kzalloc(size_t size)
{
    return size > 2u << 20 || fails() ? NULL : given(calloc(1, size), size);
}

void kfree(void *p)
{
    free(p);
}

paddr_t frame_alloc(unsigned order, unsigned flags)
{
    void *frames = fails() ? NULL : aligned_alloc(PAGE_SIZE << order, PAGE_SIZE << order);

    if (frames && flags & FRAME_ZERO)
        memset(frames, 0, PAGE_SIZE << order);
    return (paddr_t)given(frames, PAGE_SIZE << order);
}

void frame_free(paddr_t pa, unsigned order)
{
    (void)order;
    free((void *)pa);
}

bool frame_is_ram(paddr_t pa)
{
    return pa >= lowest && pa < highest;
}

void memory_stats(struct memory_stats *out)
{
    *out = (struct memory_stats){.total = 1ull << 30, .free = 1ull << 29};
}

struct memobj {
    const struct pager_ops *ops;
    void *pager;
};

int memobj_create_pager(uint64_t size, const struct pager_ops *ops, void *pager, struct memobj **out)
{
    (void)size;
    *out = kmalloc(sizeof(**out));
    if (!*out)
        return ERR_NO_MEMORY;
    **out = (struct memobj){ops, pager};
    return OK;
}

void memobj_unref(struct memobj *obj)
{
    obj->ops->closed(obj->pager);
    free(obj);
}

/* ---- The rest of the nucleus ------------------------------------------------------------------- */

struct tracepoint *const tracepoints_start[1], *const tracepoints_end[1];
struct counter *const counters_start[1], *const counters_end[1];

int trace_register(struct trace_set *set)
{
    (void)set;
    return OK;
}

void trace_unregister(struct trace_set *set)
{
    (void)set;
}

struct module *module_of_address(const void *address)
{
    (void)address;
    return NULL;
}

bool module_ref(struct module *m)
{
    (void)m;
    return true;
}

void module_unref(struct module *m)
{
    (void)m;
}

const char *boot_option(const char *name, unsigned nth)
{
    return strcmp(name, "hostile") || nth ? NULL : world_what;
}

uint64_t boot_option_number(const char *name, uint64_t fallback)
{
    if (!strcmp(name, "gpu.patience"))
        return 2;
    return !strcmp(name, "hostile.lives") ? world_lives : !strcmp(name, "hostile.seed") ? world_seed : fallback;
}

void boot_set_main(int (*run)(void))
{
    (void)run;
}

static long say(unsigned stream, const void *text, size_t bytes)
{
    (void)stream;
    return strncmp(text, "ok", 2) ? (long)fwrite(text, 1, bytes, stderr) : 0;
}

const struct host_channel *host_channel(void)
{
    static const struct host_channel channel = {.write = say};

    return &channel;
}

const char *status_name(int status)
{
    (void)status;
    return "a status";
}

void hostctl_watch_gpu(void (*lost)(void))
{
    (void)lost;
}

/* ---- Decisions: the first that can leaves ------------------------------------------------------ */

struct gpu_managed *gpu_memory_victim(struct gpu_residency *r, struct gpu_managed *incoming, bool optional)
{
    list_for_each (it, &r->buffers) {
        struct gpu_managed *m = list_entry(it, struct gpu_managed, link);

        if (m != incoming && m->device_id && m->view.resident && !m->pins && !m->wanted && !optional)
            return m;
    }
    return NULL;
}

struct gpu_managed *gpu_memory_prefetch(struct gpu_residency *r)
{
    (void)r;
    return NULL;
}

void gpu_memory_touched(struct gpu_residency *r, struct gpu_managed *m, struct gpu_memory_touch *t)
{
    (void)r, (void)m, (void)t;
}

void gpu_memory_moved(struct gpu_managed *m, bool copied)
{
    (void)m, (void)copied;
}

void gpu_memory_freed(struct gpu_residency *r, struct gpu_managed *m)
{
    (void)r, (void)m;
}

void gpu_memory_measure(uint64_t moved, uint64_t touched)
{
    (void)moved, (void)touched;
}
