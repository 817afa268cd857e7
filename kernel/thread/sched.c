/*
 * sched.c: choosing the next thread and switching to it. See sched.h for the rules.
 *
 * The kernel's own list of ready threads (cpu->ready) is the truth; a policy only orders it. Inside a
 * guarded call nothing of the kernel's changes but the answers in struct decision and the queue's
 * count; so when a policy is abandoned in the middle, the default takes the whole list over.
 */
#include "sched.h"
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include "kernel/policy/guard.h"
#include "kernel/policy/policy_internal.h"
#include "kernel/time/time_internal.h"
#include "queue.h"

TRACEPOINT(thread_switch, "from=%u to=%u state=%u");
TRACEPOINT(thread_post, "thread=%u cpu=%u");
COUNTER(context_switches);
COUNTER(thread_steals);

#define SLICE_MIN_NS     (100 * NS_PER_US)
#define SLICE_MAX_NS     (100 * NS_PER_MS)
#define BALANCE_EVERY_NS (20 * NS_PER_MS)
#define ENTITY_SEAL      0x6c61657364656863ull /* mixed with the address */

static bool sched_ops_valid(const void *ops)
{
    const struct sched_ops *o = ops;

    return o->struct_size == sizeof(*o) && o->enqueue && o->dequeue && o->pick && o->charge &&
           o->slice && o->preempts;
}

static bool sched_ops_watch(const void *ops)
{
    return ((const struct sched_ops *)ops)->watch != NULL;
}

struct policy_class sched_class = {
    .name = "sched",
    .objective = "ns from wake-up to CPU, a wake-up of a thread that sleeps longer than it runs",
    .judgement = "wake-ups to a busy CPU: put ahead when the thread ran short, not when it ran long",
    .valid = sched_ops_valid,
    .can_shadow = sched_ops_watch,
    .activate = sched_policy_activate,
};

cpu_mask_t idle_cpus;

void entity_seal(struct sched_entity *e)
{
    e->seal = ENTITY_SEAL ^ (uint64_t)e;
    e->queued_cpu = -1;
    list_init(&e->ready_link);
    list_init(&e->link);
}

static const struct sched_ops *queue_ops(const struct cpu *c)
{
    return c->policy->ops;
}

static struct thread *entity_thread(struct sched_entity *e)
{
    return container_of(e, struct thread, sched);
}

static void ready_add(struct cpu *c, struct sched_entity *e)
{
    e->queued_cpu = (int)c->id;
    list_push_back(&c->ready, &e->ready_link);
}

static void ready_remove(struct sched_entity *e)
{
    e->queued_cpu = -1;
    list_remove(&e->ready_link);
}

/* ---- the policy's side ------------------------------------------------------------------------ */

struct decision {
    uint64_t now;
    struct sched_entity *charge;  /* what ran until now, or NULL */
    uint64_t ran;
    struct list *fresh;           /* the first in cpu->ready that the policy has not been given yet */
    struct sched_entity *current; /* in cpu->ready too when it wants to go on, else NULL */
    bool adopting;                /* the policy is new on this CPU */
    bool keep;                    /* in: current may go on; out: it does */
    struct sched_entity *next;    /* out: checked; NULL: nobody */
    bool nonsense;                /* out */
    uint64_t slice;               /* out: ns */
};

/* Its program chose another policy than the one that orders the queue. A choice whose policy has gone is
 * none. */
static bool entity_is_plain(const struct cpu *c, uint64_t choice)
{
    if (choice == c->policy->number)
        return false;
    return policy_numbered(&sched_class, choice) || c->policy != sched_class.machine;
}

/* A thread that slept, or ran, through a change of policy must not show the new one old data. */
static void entity_own(const struct cpu *c, struct sched_entity *e)
{
    uint64_t choice = entity_thread(e)->policies[sched_class.index];

    e->plain = entity_is_plain(c, choice);
    if (e->owner == c->policy->number)
        return;
    memset(e->data, 0, sizeof(e->data));
    list_init(&e->link);
    e->leads = false;
    e->owner = c->policy->number;
}

static void decision_enqueue(struct cpu *c, struct decision *d)
{
    const struct sched_ops *ops = queue_ops(c);

    for (struct list *it = d->fresh; it != &c->ready; it = it->next) {
        struct sched_entity *e = list_entry(it, struct sched_entity, ready_link);

        if (e == d->current)
            continue;
        entity_own(c, e);
        ops->enqueue(&c->queue, e, d->now);
        c->queue.ready++;
        if (d->keep && ops->preempts(&c->queue, e, d->current))
            d->keep = false;
    }
    if (d->current && !d->keep) {
        entity_own(c, d->current);
        ops->enqueue(&c->queue, d->current, d->now);
        c->queue.ready++;
    }
}

/*
 * A real entity that waits on this CPU, and that the policy has let go of: what stays linked in its
 * lists would be written to when the thread is long gone. Reading nonsense may fault: inside the guard
 * only.
 */
static bool entity_is_ready(const struct cpu *c, const struct sched_entity *e)
{
    return e && e->seal == (ENTITY_SEAL ^ (uint64_t)e) && e->queued_cpu == (int)c->id &&
           list_empty(&e->link);
}

static void policy_decide(struct cpu *c, struct decision *d)
{
    const struct sched_ops *ops = queue_ops(c);

    c->policy->figures.calls++;
    if (d->adopting && ops->start)
        ops->start(&c->queue);
    if (d->charge)
        ops->charge(&c->queue, d->charge, d->ran);
    decision_enqueue(c, d);
    if (d->keep) {
        d->next = d->current;
    } else if (c->queue.ready) {
        d->next = ops->pick(&c->queue, d->now);
        d->nonsense = !entity_is_ready(c, d->next);
        c->queue.ready--;
    }
    if (d->next && !d->nonsense && c->queue.ready)
        d->slice = ops->slice(&c->queue, d->next);
}

static void queue_reset(struct cpu *c, struct policy *p)
{
    c->policy = p;
    memset(c->queue.data, 0, sizeof(c->queue.data));
    list_init(&c->queue.list);
    c->queue.ready = 0;
    list_for_each (it, &c->ready) {
        struct sched_entity *e = list_entry(it, struct sched_entity, ready_link);

        e->owner = 0;
        e->flags = SCHED_ADOPTED;
    }
}

/*
 * Takes over what is active. The number is read first and published last: were the policy alone compared,
 * a CPU that stands still between reading and storing it could take up one that everybody else has left,
 * and that is gone.
 */
static bool policy_adopt(struct cpu *c)
{
    uint64_t switches = __atomic_load_n(&sched_class.switches, __ATOMIC_ACQUIRE);

    if (likely(switches == c->adopted))
        return false;
    queue_reset(c, __atomic_load_n(&sched_class.active, __ATOMIC_ACQUIRE));
    __atomic_store_n(&c->adopted, switches, __ATOMIC_RELEASE);
    return true;
}

/* The default takes all ready threads over and decides again. */
static void decide_by_default(struct cpu *c, struct decision *d)
{
    queue_reset(c, &sched_round_robin);
    d->charge = NULL;
    d->fresh = list_first(&c->ready);
    d->keep = d->nonsense = d->adopting = false;
    d->next = NULL;
    d->slice = 0;
    policy_decide(c, d);
}

static void decide(struct cpu *c, struct decision *d)
{
    struct policy *p = c->policy;
    uint64_t trip;

    if (p == &sched_round_robin) {
        policy_decide(c, d);
        return;
    }
    trip = guard_begin(&c->guard, p, d->now);
    if (!trip) {
        policy_decide(c, d);
        guard_end(&c->guard);
        if (!d->nonsense)
            return;
    }
    policy_misbehaved(&sched_class, p, trip ? (enum policy_fault_kind)(trip - 1) : POLICY_NONSENSE);
    decide_by_default(c, d);
}

/* Takes one entity out of the policy's order. false: the policy went wrong and is gone. */
static bool policy_dequeue(struct cpu *c, struct sched_entity *e)
{
    struct policy *p = c->policy;
    uint64_t trip = 0;

    if (p != &sched_round_robin)
        trip = guard_begin(&c->guard, p, time_now());
    if (!trip) {
        queue_ops(c)->dequeue(&c->queue, e);
        guard_end(&c->guard);
        if (list_empty(&e->link)) {
            c->queue.ready--;
            return true;
        }
        trip = 1 + POLICY_NONSENSE; /* it still holds on to it */
    }
    policy_misbehaved(&sched_class, p, (enum policy_fault_kind)(trip - 1));
    c->need_resched = true; /* schedule() finds the new policy and adopts */
    return false;
}

/* ---- between CPUs ----------------------------------------------------------------------------- */

void cpu_kick(unsigned cpu)
{
    if (!__atomic_exchange_n(&cpus[cpu]->need_resched, 1, __ATOMIC_ACQ_REL) && cpu != this_cpu()->id)
        apic_send(cpu, VECTOR_RESCHEDULE);
}

void thread_post(struct thread *t, unsigned cpu)
{
    struct cpu *c = cpus[cpu];
    struct thread *head = __atomic_load_n(&c->posted, __ATOMIC_RELAXED);

    TRACE(thread_post, t->id, cpu, 0);
    do
        t->wake_next = head;
    while (!__atomic_compare_exchange_n(&c->posted, &head, t, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    cpu_kick(cpu);
}

/* Moves posted threads to the ready list, oldest post first; returns the first of them. */
static struct list *posts_take(struct cpu *c)
{
    struct thread *t = __atomic_exchange_n(&c->posted, NULL, __ATOMIC_ACQUIRE), *next;
    struct list *last = c->ready.prev;

    for (; t; t = next) {
        next = t->wake_next;
        /* A thread that still leaves another CPU is posted there (sched_wake), so this is short. */
        while (t != c->current && __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE))
            cpu_relax();
        t->sched.queued_cpu = (int)c->id;
        list_add_between(&t->sched.ready_link, last, last->next);
    }
    return last->next;
}

static unsigned cpu_load(unsigned i)
{
    return __atomic_load_n(&cpus[i]->queue.ready, __ATOMIC_RELAXED) + !(idle_cpus >> i & 1);
}

static unsigned cpu_least_loaded(cpu_mask_t mask)
{
    unsigned best = ~0u;

    for (unsigned i = 0; i < cpu_count(); i++)
        if ((mask >> i & 1) && (best == ~0u || cpu_load(i) < cpu_load(best)))
            best = i;
    return best == ~0u ? 0 : best;
}

/*
 * A thread that usually blocks right after it woke another (a caller, a producer) is best followed on
 * its own CPU: waking another CPU costs more than the moment until this one is free.
 */
#define SYNC_NS   (100 * NS_PER_US)
#define SYNC_SURE 4
#define SYNC_MOST 8

static void sync_learn(struct thread *t, uint64_t now)
{
    bool late = now - t->woke_at >= SYNC_NS;

    if (!t->woke_at || (!late && t->state != THREAD_BLOCKED))
        return;
    if (late)
        t->sync_score /= 2;
    else if (t->sync_score < SYNC_MOST)
        t->sync_score++;
    t->woke_at = 0;
}

static bool waker_makes_room(struct cpu *c, const struct thread *t)
{
    struct thread *waker = c->current;

    if (c->in_interrupt || waker == c->idle)
        return false;
    waker->woke_at = time_now();
    return waker->sync_score >= SYNC_SURE && (t->affinity >> c->id & 1) && !c->queue.ready && !c->posted;
}

unsigned cpu_choose(const struct thread *t)
{
    cpu_mask_t idle = __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED) & t->affinity;

    if (waker_makes_room(this_cpu(), t))
        return this_cpu()->id;
    if (idle >> t->cpu & 1)
        return t->cpu;
    if (idle)
        return (unsigned)__builtin_ctzll(idle);
    if ((t->affinity >> t->cpu & 1) && t->state != THREAD_NEW)
        return t->cpu;
    return cpu_least_loaded(t->affinity);
}

/* Gives waiting threads to the CPUs that asked. */
static void steals_serve(struct cpu *c)
{
    cpu_mask_t asked = __atomic_exchange_n(&c->steal_requests, 0, __ATOMIC_ACQ_REL);

    for (; asked; asked &= asked - 1) {
        unsigned to = (unsigned)__builtin_ctzll(asked);

        for (struct list *it = c->ready.prev; it != &c->ready; it = it->prev) {
            struct sched_entity *e = list_entry(it, struct sched_entity, ready_link);
            struct thread *t = entity_thread(e);

            if (t->on_cpu || !(t->affinity >> to & 1))
                continue;
            if (!policy_dequeue(c, e))
                return;
            ready_remove(e);
            e->flags = SCHED_MOVED;
            thread_post(t, to);
            COUNT(thread_steals, 1);
            break;
        }
    }
}

static void steal_ask(struct cpu *c)
{
    unsigned victim = c->id, most = 0;

    for (unsigned i = 0; i < cpu_count(); i++) {
        unsigned ready = __atomic_load_n(&cpus[i]->queue.ready, __ATOMIC_RELAXED);

        if (i != c->id && ready > most) {
            most = ready;
            victim = i;
        }
    }
    if (victim == c->id)
        return;
    __atomic_fetch_or(&cpus[victim]->steal_requests, 1ull << c->id, __ATOMIC_ACQ_REL);
    cpu_kick(victim);
}

/* Now and then, a busy CPU offers a thread to one that has at least two less. */
static void balance(struct cpu *c, uint64_t now)
{
    unsigned to;

    if (!c->queue.ready || now - c->balanced_at < BALANCE_EVERY_NS)
        return;
    c->balanced_at = now;
    to = cpu_least_loaded(~(1ull << c->id));
    if (to != c->id && cpu_load(to) + 1 <= c->queue.ready)
        __atomic_fetch_or(&c->steal_requests, 1ull << to, __ATOMIC_ACQ_REL);
}

/* ---- switching -------------------------------------------------------------------------------- */

static void switch_finish(void)
{
    struct cpu *c = this_cpu();
    struct thread *prev = c->switched_from;

    c->switched_from = NULL;
    if (c->switched_away) { /* it may not run here any more */
        c->switched_away = false;
        prev->sched.flags = SCHED_MOVED;
        __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
        thread_post(prev, cpu_least_loaded(prev->affinity));
        return;
    }
    if (prev->state == THREAD_DEAD) {
        thread_switched_out(prev);
        return;
    }
    __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
}

static void switch_to(struct cpu *c, struct thread *prev, struct thread *next)
{
    uint64_t bit = 1ull << c->id;

    interrupts_off();
    COUNT(context_switches, 1);
    TRACE(thread_switch, prev->id, next->id, prev->state);
    next->switches++;
    next->state = THREAD_RUNNING;
    next->cpu = c->id;
    next->on_cpu = true;
    c->current = next;
    c->switched_from = prev;
    if (next == c->idle)
        __atomic_fetch_or(&idle_cpus, bit, __ATOMIC_ACQ_REL);
    else if (prev == c->idle)
        __atomic_fetch_and(&idle_cpus, ~bit, __ATOMIC_ACQ_REL);
    thread_switch_state(prev, next);
    context_switch(&prev->stack_pointer, next->stack_pointer);
    switch_finish();
    interrupts_on();
}

void sched_thread_begin(void)
{
    switch_finish();
    interrupts_on();
    preempt_enable();
}

static void slice_set(struct cpu *c, const struct decision *d)
{
    if (!d->slice) {
        if (!d->keep)
            c->slice_end = TIME_NEVER;
        return;
    }
    if (d->keep && c->slice_end != TIME_NEVER)
        return;
    interrupts_off();
    c->slice_end = d->now + MIN(MAX(d->slice, SLICE_MIN_NS), SLICE_MAX_NS);
    timer_program(c->slice_end);
    interrupts_on();
}

static void account(struct cpu *c, struct thread *prev, uint64_t now)
{
    uint64_t ran = now - c->run_started;

    c->run_started = now;
    prev->cpu_time += ran;
    prev->sched.ran += ran;
    prev->sched.ran_until = now;
    prev->sched.uncharged += ran;
}

uint64_t thread_cpu_time(const struct thread *t)
{
    const struct cpu *c;
    uint64_t ns, started, now;

    preempt_disable();
    ns = __atomic_load_n(&t->cpu_time, __ATOMIC_RELAXED);
    c = cpus[t->cpu];
    started = __atomic_load_n(&c->run_started, __ATOMIC_RELAXED);
    now = time_now();
    if (__atomic_load_n(&c->current, __ATOMIC_RELAXED) == t && now > started)
        ns += now - started;
    preempt_enable();
    return ns;
}

static void charge_prepare(struct cpu *c, struct thread *prev, struct decision *d)
{
    d->ran = prev->sched.uncharged;
    prev->sched.uncharged = 0;
    if (prev != c->idle && prev->sched.owner == c->policy->number)
        d->charge = &prev->sched;
}

/* Preemption disabled once, interrupts on. The caller's state says whether it goes on. */
static void schedule(bool yielding)
{
    struct cpu *c = this_cpu();
    struct thread *prev = c->current, *next;
    bool runs = prev->state == THREAD_RUNNING && prev != c->idle;
    struct decision d = {.now = time_now()};

    __atomic_store_n(&c->need_resched, 0, __ATOMIC_SEQ_CST);
    account(c, prev, d.now);
    sync_learn(prev, d.now);
    if (prev->state == THREAD_BLOCKED)
        verdict_end(&prev->sched);
    charge_prepare(c, prev, &d);
    if (runs && !(prev->affinity >> c->id & 1)) {
        c->switched_away = true;
        runs = false;
    }
    d.adopting = policy_adopt(c);
    if (d.adopting)
        d.charge = NULL; /* the new policy does not know it yet */
    d.fresh = posts_take(c);
    if (d.adopting)
        d.fresh = list_first(&c->ready);
    if (runs) {
        d.keep = !yielding && !c->slice_expired && !d.adopting && prev->sched.owner == c->policy->number;
        prev->sched.flags = d.adopting ? SCHED_ADOPTED : yielding ? SCHED_YIELDED : SCHED_PREEMPTED;
        if (c->handed_over)
            prev->sched.flags |= SCHED_MOVED;
        d.current = &prev->sched;
        ready_add(c, d.current);
        if (d.fresh == &c->ready)
            d.fresh = &d.current->ready_link;
    }
    c->slice_expired = false;
    decide(c, &d);
    verdicts_begin(c, d.fresh, d.next, runs ? d.current : NULL, d.now);
    if (!d.keep)
        c->handed_over = false;
    if (d.next)
        ready_remove(d.next);
    balance(c, d.now);
    if (c->steal_requests)
        steals_serve(c);
    slice_set(c, &d);
    next = d.next ? entity_thread(d.next) : c->idle;
    verdict_runs(&next->sched, d.now);
    if (next == c->idle)
        steal_ask(c);
    else if (!(next->affinity >> c->id & 1))
        c->need_resched = true; /* its affinity changed while it waited: it leaves at once */
    if (next != prev)
        switch_to(c, prev, next);
    else
        prev->state = THREAD_RUNNING; /* it may have been woken before it was away */
}

void sched_preempt(void)
{
    do {
        this_cpu()->preempt_count++;
        schedule(false);
        this_cpu()->preempt_count--;
    } while (this_cpu()->need_resched);
}

void sched_preempt_interrupted(void)
{
    do {
        this_cpu()->preempt_count++;
        interrupts_on();
        schedule(false);
        interrupts_off();
        this_cpu()->preempt_count--;
    } while (this_cpu()->need_resched);
}

/* Nobody wants the CPU, and nothing else is to be decided: yielding it changes nothing. */
static bool nobody_waits(const struct cpu *c)
{
    return !c->queue.ready && !__atomic_load_n(&c->posted, __ATOMIC_RELAXED) &&
           !__atomic_load_n(&c->need_resched, __ATOMIC_RELAXED) &&
           c->adopted == __atomic_load_n(&sched_class.switches, __ATOMIC_ACQUIRE);
}

void thread_yield(void)
{
    guard_forbid();
    preempt_disable();
    if (!nobody_waits(this_cpu()))
        schedule(true);
    preempt_enable();
}

void sched_block(void)
{
    schedule(false);
}

void sched_hand_off(struct thread *next)
{
    struct cpu *c = this_cpu();

    account(c, c->current, time_now());
    c->handed_over = true;
    switch_to(c, c->current, next);
}

/* ---- start and policy changes ----------------------------------------------------------------- */

void sched_class_init(void)
{
    policy_class_register(&sched_class, &sched_round_robin);
}

void sched_cpu_init(struct cpu *c)
{
    list_init(&c->ready);
    list_init(&c->queue.list);
    c->policy = &sched_round_robin;
    c->slice_end = TIME_NEVER;
    timer_cpu_init(c);
}

static bool has_adopted(unsigned cpu)
{
    return __atomic_load_n(&cpus[cpu]->adopted, __ATOMIC_ACQUIRE) ==
           __atomic_load_n(&sched_class.switches, __ATOMIC_ACQUIRE);
}

/* Has all CPUs that still obey another policy look. False: there are none. */
static bool adoption_hurry(bool *here)
{
    bool any = false;

    preempt_disable();
    for (unsigned i = 0; i < cpu_count(); i++)
        if (!has_adopted(i)) {
            any = true;
            cpu_kick(i);
        }
    *here = has_adopted(this_cpu()->id);
    preempt_enable();
    return any;
}

void sched_policy_activate(struct policy *p)
{
    bool here;

    (void)p;
    while (adoption_hurry(&here)) {
        if (!here)
            thread_yield();
        else /* the others need a moment */
            thread_sleep(time_now() + 50 * NS_PER_US, 0);
    }
}

void sched_idle_loop(void)
{
    struct cpu *c = this_cpu();

    for (;;) {
        interrupts_off();
        if (__atomic_load_n(&c->need_resched, __ATOMIC_ACQUIRE)) {
            interrupts_on();
            sched_preempt();
        } else {
            __asm__ volatile("sti; hlt" ::: "memory");
        }
    }
}
