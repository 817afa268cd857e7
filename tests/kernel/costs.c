/*
 * costs.c: what the kernel's basic operations cost: a figure, not a verdict. The unit is the
 * nanosecond of the machine's clock; in a machine started with -icount shift=0 and one CPU that is
 * one guest instruction. Each case reports host_stat("cost.NAME=N") and says it in its line. The
 * last one reports how the work of one thread compares with that of one thread a CPU.
 */
#include <microlake/aspace.h>
#include <microlake/module.h>
#include <microlake/port.h>
#include "ktest.h"

#define ROUNDS 1000u

/* Keeps the case on one CPU, with its partner. */
static void pin(struct thread *t)
{
    EXPECT(thread_set_affinity(t, 1) == OK);
    thread_yield();
}

static void report(const char *name, uint64_t start, uint64_t end, unsigned count)
{
    uint64_t cost = (end - start + count / 2) / count;
    char text[32];

    host_stat("cost.%s=%lu", name, cost);
    snprintf(text, sizeof(text), ": %lu ns", cost);
    ktest_note(text);
    thread_set_affinity(thread_current(), ~0ull);
}

static struct thread *partner(void (*entry)(void *), void *arg)
{
    struct thread *t = NULL;

    pin(thread_current());
    EXPECT(thread_create("partner", entry, arg, &t) == OK);
    pin(t);
    return t;
}

static void partner_end(struct thread *t)
{
    EXPECT(thread_join(t, TIME_NEVER) == OK);
    thread_unref(t);
}

static void serve(void *arg)
{
    struct message m = {0};

    m.call = 0;
    while (port_reply_receive(arg, m.call, &m, &m, TIME_NEVER, 0) == OK)
        m.words[0]++;
}

static void port_round_trip(void)
{
    struct port *p = NULL;
    struct message m = {0};
    struct thread *t;
    uint64_t start;

    EXPECT(port_create(&p) == OK);
    object_ref(port_object(p));
    t = partner(serve, p);
    for (unsigned i = 0; i < 10; i++)
        EXPECT(port_call(p, &m, &m, TIME_NEVER, 0) == OK);
    m.words[0] = 0;
    start = time_now();
    for (unsigned i = 0; i < ROUNDS; i++)
        port_call(p, &m, &m, TIME_NEVER, 0);
    report("port_round_trip", start, time_now(), ROUNDS);
    EXPECT(m.words[0] == ROUNDS);
    port_close(p);
    partner_end(t);
    object_unref(port_object(p));
}

static bool yielding;

static void yield_back(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&yielding, __ATOMIC_RELAXED))
        thread_yield();
}

/* Two switches are one round. */
static void thread_switch(void)
{
    struct thread *t;
    uint64_t start;

    yielding = true;
    t = partner(yield_back, NULL);
    thread_yield();
    start = time_now();
    for (unsigned i = 0; i < ROUNDS; i++)
        thread_yield();
    report("thread_switch", start, time_now(), 2 * ROUNDS);
    __atomic_store_n(&yielding, false, __ATOMIC_RELAXED);
    partner_end(t);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void thread_create_join(void)
{
    uint64_t start = 0;

    pin(thread_current());
    for (unsigned i = 0; i < ROUNDS + 10; i++) {
        struct thread *t;

        if (i == 10)
            start = time_now();
        EXPECT(thread_create("short", nothing, NULL, &t) == OK);
        thread_join(t, TIME_NEVER);
        thread_unref(t);
    }
    report("thread_create_join", start, time_now(), ROUNDS);
}

/* ---- how long nobody runs when the policy changes ---------------------------------------------- */

#define PAUSE_THREADS 64u
#define PAUSE_ROUNDS  200u

static uint64_t gap_last, gap_longest;
static bool gaps_end;

/* Each notes how long ago any of them ran; they do nothing else, so a pause is the longest gap. */
static void gap_note(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&gaps_end, __ATOMIC_RELAXED)) {
        uint64_t now;

        preempt_disable();
        now = time_now();
        gap_longest = MAX(gap_longest, now - gap_last);
        gap_last = now;
        preempt_enable();
        thread_yield();
    }
}

static void threads_note(struct thread **t)
{
    gaps_end = false;
    gap_last = time_now();
    for (unsigned i = 0; i < PAUSE_THREADS; i++) {
        EXPECT(thread_create("gaps", gap_note, NULL, &t[i]) == OK);
        pin(t[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        thread_yield();
}

/*
 * The longest time in which none of 64 ready threads ran, of all changes between two policies: from the
 * last one before the call, which includes the call's own work, to the first one under the new policy.
 */
static void policy_switch_pause(void)
{
    struct thread *t[PAUSE_THREADS];
    char text[40];
    bool had = module_find("sched_fair");

    if (!had)
        EXPECT(module_load("sched_fair") == OK);
    pin(thread_current());
    threads_note(t);
    gap_longest = 0;
    for (unsigned i = 0; i < PAUSE_ROUNDS; i++) {
        EXPECT(policy_set("sched", i % 2 ? "sched_fair" : "round_robin") == OK);
        thread_yield();
        thread_yield();
    }
    __atomic_store_n(&gaps_end, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < PAUSE_THREADS; i++)
        partner_end(t[i]);
    thread_set_affinity(thread_current(), ~0ull);
    host_stat("cost.policy_switch_pause=%lu", gap_longest);
    snprintf(text, sizeof(text), ": %lu ns at most", gap_longest);
    ktest_note(text);
    if (!had)
        EXPECT(module_unload("sched_fair") == OK);
}

/* First touch of pages of zeroed private memory. */
static void page_fault(void)
{
    struct aspace *as = NULL;
    uint64_t start, value = 1;
    vaddr_t at = 0;

    pin(thread_current());
    EXPECT(aspace_create(&as) == OK);
    thread_set_aspace(as);
    EXPECT(aspace_map(as, 0, (ROUNDS + 1) * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, NULL, 0,
                      &at) == OK);
    EXPECT(user_write(at, &value, sizeof(value)) == OK);
    start = time_now();
    for (unsigned i = 1; i <= ROUNDS; i++)
        user_write(at + i * PAGE_SIZE, &value, sizeof(value));
    report("page_fault", start, time_now(), ROUNDS);
    EXPECT(user_read(&value, at + ROUNDS * PAGE_SIZE, sizeof(value)) == OK && value == 1);
    thread_set_aspace(NULL);
    aspace_unref(as);
}

/* ---- a system call that does nothing, from user mode -------------------------------------------
 */

enum { CALL_NOTHING = 1, CALL_DONE = 2, CALL_EXIT = 3 };

static uint64_t call_started, call_ended, calls;

static void call_handle(struct user_regs *regs)
{
    if (regs->error == CALL_NOTHING) {
        calls++;
    } else if (regs->error == CALL_DONE) {
        call_started = call_ended;
        call_ended = time_now();
    } else {
        thread_exit();
    }
}

static void call_fault(struct user_regs *regs, const struct user_fault *fault)
{
    EXPECT(!"the user thread faulted");
    log_error("vector %u at %lx", fault->vector, regs->rip);
    thread_exit();
}

static void call_before_return(struct user_regs *regs)
{
    (void)regs;
}

static const struct user_ops call_ops = {
    .syscall = call_handle, .fault = call_fault, .before_return = call_before_return};

static void null_call(void)
{
    /* mov $2,%eax; syscall; mov $1000,%ebx; 1: mov $1,%eax; syscall; dec %ebx; jnz 1b;
     * mov $2,%eax; syscall; mov $3,%eax; syscall */
    static const uint8_t code[] = {0xb8, 2,    0,    0,    0, 0x0f, 0x05, 0xbb, 0xe8, 3,
                                   0,    0,    0xb8, 1,    0, 0,    0,    0x0f, 0x05, 0xff,
                                   0xcb, 0x75, 0xf5, 0xb8, 2, 0,    0,    0,    0x0f, 0x05,
                                   0xb8, 3,    0,    0,    0, 0x0f, 0x05};
    struct user_regs regs = {0};
    struct memobj *obj = NULL;
    struct aspace *as = NULL;
    struct thread *t = NULL;

    calls = 0;
    EXPECT(aspace_create(&as) == OK && memobj_create_anon(PAGE_SIZE, &obj) == OK);
    EXPECT(memobj_write(obj, 0, code, sizeof(code)) == OK);
    EXPECT(aspace_map(as, 0, PAGE_SIZE, PROT_READ | PROT_EXEC, 0, obj, 0, &regs.rip) == OK);
    EXPECT(thread_create_user("calls", as, &call_ops, NULL, &regs, &t) == OK);
    thread_start(t);
    EXPECT(thread_join(t, time_now() + 20 * NS_PER_SEC) == OK);
    thread_unref(t);
    aspace_unref(as);
    memobj_unref(obj);
    EXPECT(calls == ROUNDS);
    report("null_call", call_started, call_ended, ROUNDS);
}

/* ---- the same work by one thread, and by one thread a CPU --------------------------------------
 */

#define WORK_PROBE 1000000u /* steps */

static uint64_t work_steps;

static void work(void *arg)
{
    uint64_t random = (uint64_t)arg | 1;

    for (uint64_t i = 0; i < work_steps; i++)
        ktest_random(&random);
    EXPECT(random);
}

static uint64_t work_time(unsigned threads)
{
    uint64_t start = time_now();
    struct thread *t[MAX_CPUS];

    for (unsigned i = 0; i < threads; i++)
        EXPECT(thread_create("work", work, (void *)(uint64_t)(i + 1), &t[i]) == OK);
    for (unsigned i = 0; i < threads; i++) {
        EXPECT(thread_join(t[i], TIME_NEVER) == OK);
        thread_unref(t[i]);
    }
    return time_now() - start;
}

/*
 * Round R is reported as "parallel.R=ONE ALL", in microseconds: one thread's time alone, and the
 * time of as many as there are CPUs, each with the same work. The options parallel_ms and
 * parallel_rounds say how long a thread works and how often; the pause keeps rounds apart.
 */
static void parallel(void)
{
    uint64_t ms = boot_option_number("parallel_ms", 2);
    uint64_t rounds = boot_option_number("parallel_rounds", 1);

    work_steps = WORK_PROBE;
    work_time(1);
    work_steps = WORK_PROBE * ms * NS_PER_MS / work_time(1);
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t one = work_time(1), all = work_time(cpu_count());

        host_stat("parallel.%lu=%lu %lu", i, one / NS_PER_US, all / NS_PER_US);
        thread_sleep(time_now() + ms * NS_PER_MS, 0);
    }
}

static const struct ktest_case cases[] = {
    {"port_round_trip", port_round_trip},
    {"thread_switch", thread_switch},
    {"thread_create_join", thread_create_join},
    {"policy_switch_pause", policy_switch_pause},
    {"page_fault", page_fault},
    {"null_call", null_call},
    {"parallel", parallel},
    {NULL, NULL},
};

const struct ktest_suite suite_costs = {.name = "costs", .cases = cases};
