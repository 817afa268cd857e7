/*
 * soak.c: everything at once for `ktest.seconds=N`: threads, mutexes, timers, wake-ups, address
 * spaces with faults, forks and copies, frames, heap, mappings, ports, modules that come and go,
 * policies that change and misbehave. Each worker checks what it does and counts; one that stands
 * still for long is a failure, and so is memory that is not there again at the end (ktest.c looks).
 */
#include "crew.h"
#include <microlake/aspace.h>
#include <microlake/module.h>
#include <microlake/port.h>
#include <microlake/time.h>

#define STILL_S    60            /* an emulated CPU on a busy host may stand still for seconds */
#define PAGE_SLACK (384ul << 10) /* per-CPU caches of the heap, surplus stacks */
#define HEAP_SLACK 1024ul
#define RW         (PROT_READ | PROT_WRITE)

static struct crew crew;

struct worker {
    const char *name;
    void (*round)(struct worker *w); /* one piece of work */
    unsigned copies;
    uint64_t rounds; /* atomic, of all copies */
    uint64_t seen, seen_at;
};

static uint64_t worker_random(void)
{
    static uint64_t seed = 1;
    uint64_t state = __atomic_fetch_add(&seed, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED) | 1;

    return ktest_random(&state);
}

static void nap(uint64_t us)
{
    thread_sleep(time_now() + us * NS_PER_US, 0);
}

/* ---- mutexes and wake-ups ---------------------------------------------------------------------
 */

static struct mutex pair_lock = MUTEX_INIT(pair_lock);
static uint64_t pair[2]; /* equal but inside pair_lock */

static void round_mutex(struct worker *w)
{
    (void)w;
    mutex_lock(&pair_lock);
    EXPECT(pair[0] == pair[1]);
    pair[0]++;
    if (worker_random() % 32 == 0)
        thread_yield();
    pair[1]++;
    mutex_unlock(&pair_lock);
}

/* Players take a ball in turns; who waits for long looks again, but never needs to. */
static struct wait_queue ball_queue = WAIT_QUEUE_INIT(ball_queue);
static uint64_t ball; /* atomic: balls in the air */

static bool ball_catch(void)
{
    uint64_t n = __atomic_load_n(&ball, __ATOMIC_ACQUIRE);

    return n &&
           __atomic_compare_exchange_n(&ball, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void round_throw(struct worker *w)
{
    (void)w;
    __atomic_fetch_add(&ball, 1, __ATOMIC_ACQ_REL);
    wait_wake(&ball_queue, 1);
    nap(worker_random() % 200);
}

static void round_catch(struct worker *w)
{
    (void)w;
    WAIT_UNTIL(&ball_queue, __atomic_load_n(&ball, __ATOMIC_ACQUIRE), time_now() + 5 * NS_PER_MS,
               WAIT_INTERRUPTIBLE);
    ball_catch();
}

/* ---- timers -----------------------------------------------------------------------------------
 */

struct soak_timer {
    struct timer timer;
    uint64_t fired;
};

static void soak_timer_fired(struct timer *t)
{
    __atomic_fetch_add(&container_of(t, struct soak_timer, timer)->fired, 1, __ATOMIC_RELEASE);
}

/* Each is either cancelled or has fired, and not before its time. */
static void round_timers(struct worker *w)
{
    struct soak_timer timers[16];

    (void)w;
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        timers[i].fired = 0;
        timer_init(&timers[i].timer, soak_timer_fired);
        timer_arm(&timers[i].timer, time_now() + worker_random() % NS_PER_MS);
    }
    nap(worker_random() % 1000);
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        uint64_t cancelled = timer_cancel(&timers[i].timer);

        EXPECT(cancelled + __atomic_load_n(&timers[i].fired, __ATOMIC_ACQUIRE) == 1);
    }
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static void round_frames(struct worker *w)
{
    paddr_t block[32];
    unsigned order[32];

    (void)w;
    for (unsigned i = 0; i < ARRAY_SIZE(block); i++) {
        order[i] = worker_random() % 5;
        block[i] = frame_alloc(order[i], i % 2 ? FRAME_ZERO : 0);
        EXPECT(block[i]);
        if (block[i])
            *(paddr_t *)phys_to_virt(block[i]) = block[i];
    }
    for (unsigned i = ARRAY_SIZE(block); i-- > 0;) {
        EXPECT(!block[i] || *(paddr_t *)phys_to_virt(block[i]) == block[i]);
        if (block[i])
            frame_free(block[i], order[i]);
    }
}

#define SHELF 128

/* Objects lie on a shelf that all share, so that one CPU frees what another has allocated. */
struct thing {
    size_t size;
    uint8_t bytes[];
};

static struct thing *shelf[SHELF]; /* atomic */

static void thing_check_and_free(struct thing *o)
{
    EXPECT(!o || o->bytes[o->size - 1] == (uint8_t)o->size);
    kfree(o);
}

static void round_heap(struct worker *w)
{
    size_t size = 1 + worker_random() % (worker_random() % 16 ? 600 : 20000);
    struct thing *o = kmalloc(sizeof(*o) + size);

    (void)w;
    EXPECT(o);
    if (o) {
        o->size = size;
        o->bytes[size - 1] = (uint8_t)size;
    }
    thing_check_and_free(__atomic_exchange_n(&shelf[worker_random() % SHELF], o, __ATOMIC_ACQ_REL));
}

static void shelf_clear(void)
{
    for (unsigned i = 0; i < SHELF; i++) {
        thing_check_and_free(shelf[i]);
        shelf[i] = NULL;
    }
}

static void round_mappings(struct worker *w)
{
    uint64_t stamp = worker_random();
    paddr_t pa = frame_alloc(0, 0);
    volatile uint64_t *p = pa ? kmap_range(pa, PAGE_SIZE, KMAP_WRITE) : NULL;

    (void)w;
    EXPECT(p);
    if (p) {
        *p = stamp;
        thread_yield();
        EXPECT(*(uint64_t *)phys_to_virt(pa) == stamp);
        kunmap((void *)p, PAGE_SIZE);
    }
    if (pa)
        frame_free(pa, 0);
}

/* ---- address spaces ---------------------------------------------------------------------------
 */

#define SPACE_PAGES 48

static void pages_write(vaddr_t at, uint64_t stamp)
{
    for (unsigned i = 0; i < SPACE_PAGES; i += 1 + worker_random() % 3) {
        uint64_t value = stamp + i;

        EXPECT(user_write(at + i * PAGE_SIZE, &value, sizeof(value)) == OK);
    }
}

static void pages_check(vaddr_t at, uint64_t stamp)
{
    for (unsigned i = 0; i < SPACE_PAGES; i++) {
        uint64_t value = 0;

        EXPECT(user_read(&value, at + i * PAGE_SIZE, sizeof(value)) == OK);
        EXPECT(value == 0 || value == stamp + i);
    }
}

/* Parent and child write the same pages after a fork and see only their own. */
static void space_fork(struct aspace *as, vaddr_t at, uint64_t stamp)
{
    struct aspace *child = NULL;

    EXPECT(aspace_fork(as, &child) == OK);
    if (!child)
        return;
    thread_set_aspace(child);
    pages_check(at, stamp);
    EXPECT(aspace_discard(child, at, SPACE_PAGES * PAGE_SIZE) == OK);
    pages_write(at, ~stamp);
    pages_check(at, ~stamp);
    thread_set_aspace(as);
    aspace_unref(child);
    pages_check(at, stamp);
}

static void round_spaces(struct worker *w)
{
    uint64_t stamp = worker_random() | 1;
    vaddr_t at = 0, other = 0;
    struct aspace *as = NULL;

    (void)w;
    EXPECT(aspace_create(&as) == OK);
    if (!as)
        return;
    thread_set_aspace(as);
    EXPECT(aspace_map(as, 0, SPACE_PAGES * PAGE_SIZE, RW, MAP_PRIVATE, NULL, 0, &at) == OK);
    pages_write(at, stamp);
    space_fork(as, at, stamp);
    EXPECT(aspace_protect(as, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, PROT_READ) == OK);
    EXPECT(user_zero(at + 9 * PAGE_SIZE, 8) == ERR_FAULT);
    EXPECT(aspace_unmap(as, at + 20 * PAGE_SIZE, 4 * PAGE_SIZE) == OK);
    EXPECT(aspace_map(as, at + 20 * PAGE_SIZE, 4 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, NULL, 0,
                      &other) == OK);
    pages_check(at, stamp);
    thread_set_aspace(NULL);
    aspace_unref(as);
}

/* One space and one object for all copies of this worker: each round has a page of its own. */
static struct aspace *shared_space;
static struct memobj *shared_object;
static uint64_t shared_taken; /* atomic; bit n: page n is somebody's */

static unsigned shared_page_take(void)
{
    for (unsigned n = 0;; n = (n + 1) % 63)
        if (!(__atomic_fetch_or(&shared_taken, 1ull << n, __ATOMIC_ACQ_REL) >> n & 1))
            return n;
}

static void round_shared_space(struct worker *w)
{
    unsigned page = shared_page_take();
    uint64_t mine = page * PAGE_SIZE, stamp = worker_random(), value = 0;
    uint32_t old;
    vaddr_t at = 0;

    (void)w;
    thread_set_aspace(shared_space);
    EXPECT(aspace_map(shared_space, 0, 64 * PAGE_SIZE, RW, 0, shared_object, 0, &at) == OK);
    EXPECT(user_write(at + mine, &stamp, sizeof(stamp)) == OK);
    EXPECT(user_read(&value, at + mine, sizeof(value)) == OK && value == stamp);
    EXPECT(user_fetch_op32(at + 64 * PAGE_SIZE - 4, USER_OP_ADD, 1, &old) == OK);
    EXPECT(aspace_unmap(shared_space, at, 64 * PAGE_SIZE) == OK);
    thread_set_aspace(NULL);
    __atomic_fetch_and(&shared_taken, ~(1ull << page), __ATOMIC_ACQ_REL);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

static void child_run(void *arg)
{
    uint64_t *sum = arg;

    if (worker_random() % 4 == 0)
        nap(worker_random() % 300);
    __atomic_fetch_add(sum, 1, __ATOMIC_RELEASE);
}

static void round_threads(struct worker *w)
{
    struct thread *children[8];
    unsigned count = 1 + worker_random() % ARRAY_SIZE(children);
    uint64_t sum = 0;

    (void)w;
    for (unsigned i = 0; i < count; i++) {
        EXPECT(thread_create("soak.child", child_run, &sum, &children[i]) == OK);
        thread_set_weight(children[i], 1 + worker_random() % 4096);
        thread_set_affinity(children[i], (cpu_mask_t)1 << worker_random() % cpu_count());
        if (worker_random() % 4 == 0)
            thread_interrupt(children[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        EXPECT(thread_join(children[i], TIME_NEVER) == OK);
        thread_unref(children[i]);
    }
    EXPECT(__atomic_load_n(&sum, __ATOMIC_ACQUIRE) == count);
}

static void round_hops(struct worker *w)
{
    unsigned cpu = (unsigned)(worker_random() % cpu_count());

    (void)w;
    EXPECT(thread_set_affinity(thread_current(), (cpu_mask_t)1 << cpu) == OK);
    nap(worker_random() % 100);
}

/* ---- ports ------------------------------------------------------------------------------------
 */

#define BELL 2u

static struct port *port;
static uint64_t bells; /* atomic: notifications seen */

static void round_serve(struct worker *w)
{
    uint8_t bytes[64];
    struct message m = {.room = bytes, .room_bytes = sizeof(bytes)};
    int r = port_receive(port, &m, time_now() + 5 * NS_PER_MS, 0);

    (void)w;
    EXPECT(r == OK || r == ERR_TIMED_OUT);
    if (r != OK)
        return;
    if (!m.call) {
        EXPECT(m.label == BELL);
        __atomic_fetch_add(&bells, 1, __ATOMIC_RELAXED);
        return;
    }
    m.label++;
    m.data = bytes;
    m.data_bytes = m.received_bytes;
    r = port_reply(port, m.call, &m);
    EXPECT(r == OK || r == ERR_LOST); /* its caller has given up */
}

/* Now and then a caller has no patience. Servers may end before callers do. */
static void round_call(struct worker *w)
{
    uint64_t sent[2] = {worker_random(), worker_random()}, got[2] = {0};
    bool hasty = sent[0] % 16 == 0;
    struct message m = {.label = sent[0], .data = sent, .room = got, .room_bytes = sizeof(got)};
    int r;

    (void)w;
    m.data_bytes = sizeof(sent);
    r = port_call(port, &m, &m, time_now() + (hasty ? 30 * NS_PER_US : 5 * NS_PER_SEC), 0);
    EXPECT(r == OK || (r == ERR_TIMED_OUT && (hasty || crew_stops(&crew))));
    EXPECT(r != OK || (m.label == sent[0] + 1 && !memcmp(sent, got, sizeof(got))));
    if (hasty)
        port_notify(port, BELL);
}

/* ---- modules and policies ---------------------------------------------------------------------
 */

static void round_modules(struct worker *w)
{
    const char *name = w->rounds % 4 ? "template" : "sched_fair";

    if (module_find(name))
        EXPECT(module_unload(name) == OK);
    EXPECT(module_load(name) == OK);
    nap(worker_random() % 2000);
}

/* sched_fair comes and goes meanwhile, so both answers are right. */
static void round_policies(struct worker *w)
{
    int r = policy_set("sched", worker_random() % 2 ? "sched_fair" : "round_robin");

    EXPECT(r == OK || r == ERR_NOT_FOUND || r == ERR_ACCESS);
    nap(worker_random() % 5000);
    if (w->rounds % 16 == 0)
        ktest_policy_misbehave((unsigned)(w->rounds / 16));
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static struct worker workers[] = {
    {.name = "mutex", .round = round_mutex, .copies = 4},
    {.name = "throw", .round = round_throw, .copies = 2},
    {.name = "catch", .round = round_catch, .copies = 4},
    {.name = "timers", .round = round_timers, .copies = 3},
    {.name = "frames", .round = round_frames, .copies = 2},
    {.name = "heap", .round = round_heap, .copies = 3},
    {.name = "mappings", .round = round_mappings, .copies = 3},
    {.name = "spaces", .round = round_spaces, .copies = 3},
    {.name = "shared_space", .round = round_shared_space, .copies = 3},
    {.name = "threads", .round = round_threads, .copies = 2},
    {.name = "serve", .round = round_serve, .copies = 2},
    {.name = "call", .round = round_call, .copies = 3},
    {.name = "hops", .round = round_hops, .copies = 2},
    {.name = "modules", .round = round_modules, .copies = 1},
    {.name = "policies", .round = round_policies, .copies = 1},
};

static void worker_run(void *arg)
{
    struct worker *w = arg;

    while (!crew_stops(&crew)) {
        w->round(w);
        __atomic_fetch_add(&w->rounds, 1, __ATOMIC_RELAXED);
    }
}

/* `ktest.only=WORKER` (several times: several), to narrow a failure down. */
static bool worker_wanted(const struct worker *w)
{
    const char *name;

    for (unsigned nth = 0; (name = boot_option("ktest.only", nth)); nth++)
        if (!strcmp(name, w->name))
            return true;
    return !boot_option("ktest.only", 0);
}

/* False: somebody has done nothing for long. */
static bool workers_move(uint64_t now)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
        struct worker *w = &workers[i];
        uint64_t rounds = __atomic_load_n(&w->rounds, __ATOMIC_RELAXED);

        if (rounds != w->seen || !w->seen_at || !worker_wanted(w)) {
            w->seen = rounds;
            w->seen_at = now;
        } else if (now - w->seen_at > STILL_S * NS_PER_SEC) {
            log_error("soak: worker %s stands still after %lu rounds", w->name, rounds);
            ktest_fail(__FILE__, __LINE__, w->name);
            return false;
        }
    }
    return true;
}

static void workers_start(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workers); i++) {
        workers[i].rounds = workers[i].seen = workers[i].seen_at = 0;
        if (worker_wanted(&workers[i]))
            crew_add(&crew, workers[i].name, worker_run, &workers[i], workers[i].copies);
    }
}

/* As the boot archive left it. */
static void modules_restore(bool had_fair)
{
    if (module_find("template"))
        EXPECT(module_unload("template") == OK);
    if (module_find("sched_fair"))
        EXPECT(module_unload("sched_fair") == OK);
    if (had_fair)
        EXPECT(module_load("sched_fair") == OK);
}

static void workers_report(uint64_t seconds)
{
    host_stat("soak.seconds=%lu", seconds);
    host_stat("soak.cpus=%u", cpu_count());
    for (unsigned i = 0; i < ARRAY_SIZE(workers); i++)
        host_stat("soak.%s=%lu", workers[i].name, workers[i].rounds);
}

static void soak_run(uint64_t seconds)
{
    uint64_t end = time_now() + seconds * NS_PER_SEC;
    bool moves = true;

    EXPECT(aspace_create(&shared_space) == OK);
    EXPECT(memobj_create_anon(64 * PAGE_SIZE, &shared_object) == OK);
    EXPECT(port_create(&port) == OK);
    workers_start();
    while (moves && time_now() < end) {
        nap(200000);
        moves = workers_move(time_now());
    }
    if (!crew_end(&crew, STILL_S))
        return;
    port_close(port);
    shelf_clear();
    memobj_unref(shared_object);
    aspace_unref(shared_space);
}

/* The first second fills caches and free lists; after it memory must not shrink, however long it
 * goes. */
static void everything(void)
{
    uint64_t seconds = boot_option_number("ktest.seconds", 10);
    bool had_fair = module_find("sched_fair");
    struct memory_stats before, after;

    soak_run(1);
    modules_restore(had_fair);
    memory_stats(&before);
    soak_run(seconds);
    modules_restore(had_fair);
    memory_stats(&after);
    workers_report(seconds);
    host_stat("soak.bytes_lost=%ld", (long)(before.free - after.free));
    host_stat("soak.heap_bytes_lost=%ld", (long)(after.heap - before.heap));
    EXPECT(pair[0] == pair[1]);
    EXPECT(after.free + PAGE_SLACK >= before.free);
    EXPECT(after.heap <= before.heap + HEAP_SLACK);
}

static const struct ktest_case cases[] = {
    {"everything", everything},
    {NULL, NULL},
};

const struct ktest_suite suite_soak = {.name = "soak", .cases = cases};
