/*
 * sched_rig.c: see sched_rig.h.
 */
#include "sched_rig.h"

#include <microlake/module.h>

#include "kernel/policy/guard.h"
#include "kernel/time/time_internal.h"

struct thread rig_threads[RIG_THREADS];
uint64_t rig_clock;

static struct thread idle_threads[TEST_CPUS];

/* ---- around the scheduler ---------------------------------------------------------------------
 */

uint64_t time_now(void)
{
    return rig_clock += 100;
}

void timer_cpu_init(struct cpu *c)
{
    c->timer_programmed = TIME_NEVER;
}

void timer_program(uint64_t due)
{
    assert_false(interrupts_are_on());
    this_cpu()->timer_programmed = MIN(due, this_cpu()->timer_programmed);
}

/* Only sched_policy_activate() sleeps here: it waits until every CPU has changed. */
int thread_sleep(uint64_t due, unsigned flags)
{
    (void)flags;
    rig_clock = MAX(rig_clock, due);
    rig_settle();
    return OK;
}

void apic_send(unsigned cpu, unsigned vector)
{
    assert_int_equal(vector, VECTOR_RESCHEDULE);
    assert_int_not_equal(cpu, this_cpu()->id);
    assert_true(cpus[cpu]->need_resched);
}

struct thread *thread_current(void)
{
    return current_thread();
}

/* The other thread "goes on" where this call returns, as all wait in the same one. */
void context_switch(uint64_t *save_rsp, uint64_t load_rsp)
{
    (void)save_rsp, (void)load_rsp;
    assert_false(interrupts_are_on());
}

void thread_switch_state(struct thread *from, struct thread *to)
{
    assert_ptr_not_equal(from, to);
}

void thread_switched_out(struct thread *t)
{
    fail_msg("thread %lu is not dead", t->id);
}

/* Nobody else runs, so nobody waits. */
void mutex_lock(struct mutex *m)
{
    assert_int_equal(m->held, 0);
    m->held = 1;
}

void mutex_unlock(struct mutex *m)
{
    m->held = 0;
}

struct module *module_of_address(const void *address)
{
    (void)address;
    return NULL;
}

bool module_ref(struct module *m)
{
    return m;
}

/* Whoever unregisters a policy waits for all CPUs: here nothing runs beside it. */
void cpus_pass(void)
{
    rig_settle();
}

void guard_prepare(struct guard *g, struct policy *p, uint64_t now)
{
    this_cpu()->timer_programmed = MIN(now + GUARD_LOOK_NS, this_cpu()->timer_programmed);
    assert_false(g->active);
    assert_true(interrupts_are_on());
    assert_true(this_cpu()->preempt_count > 0);
    g->policy = p;
    g->active = true;
}

/* ---- threads and CPUs -------------------------------------------------------------------------
 */

static void threads_start(void)
{
    memset(rig_threads, 0, sizeof(rig_threads));
    for (unsigned i = 0; i < RIG_THREADS; i++) {
        struct thread *t = &rig_threads[i];

        t->id = t->sched.thread_id = i + 1;
        t->affinity = ~0ull;
        t->sched.weight = 1024;
        entity_seal(&t->sched);
    }
}

void sched_rig_start(unsigned cpu_total)
{
    static bool class_added;

    if (!class_added)
        sched_class_init();
    class_added = true;
    rig_clock = 1000000;
    cpus_reset(cpu_total);
    memset(idle_threads, 0, sizeof(idle_threads));
    idle_cpus = (1ull << cpu_total) - 1;
    for (unsigned i = 0; i < cpu_total; i++) {
        struct thread *t = &idle_threads[i];

        sched_cpu_init(cpus[i]);
        entity_seal(&t->sched);
        t->state = THREAD_RUNNING;
        t->cpu = i;
        t->on_cpu = true;
        t->affinity = 1ull << i;
        cpus[i]->idle = cpus[i]->current = t;
    }
    threads_start();
    subject_arm(ON_START, 0, SUBJECT_FAULT);
    log_forget();
    assert_int_equal(policy_register("sched", &subject), OK);
}

void sched_rig_stop(void)
{
    policy_unregister("sched", &subject);
    sched_rig_check();
    machine_check_idle();
}

bool rig_idle(unsigned cpu)
{
    return cpus[cpu]->current == cpus[cpu]->idle;
}

/* As wait.c does it. */
void rig_wake(unsigned from_cpu, unsigned thread)
{
    struct thread *t = &rig_threads[thread];
    uint64_t flags;
    unsigned to;

    cpu_run_on(from_cpu);
    assert_true(t->state == THREAD_NEW || t->state == THREAD_BLOCKED);
    flags = interrupts_disable();
    to = t->on_cpu ? t->cpu : cpu_choose(t);
    t->sched.flags = t->state == THREAD_NEW ? SCHED_NEW : SCHED_WAKEUP;
    t->state = THREAD_READY;
    thread_post(t, to);
    interrupts_restore(flags);
}

void rig_block(unsigned cpu)
{
    cpu_run_on(cpu);
    assert_false(rig_idle(cpu));
    current_thread()->state = THREAD_BLOCKED;
    preempt_disable();
    sched_block();
    preempt_enable();
}

void rig_hand_off(unsigned cpu, unsigned thread)
{
    cpu_run_on(cpu);
    assert_false(rig_idle(cpu));
    assert_int_equal(rig_threads[thread].state, THREAD_BLOCKED);
    rig_threads[thread].state = THREAD_READY;
    current_thread()->state = THREAD_BLOCKED;
    preempt_disable();
    sched_hand_off(&rig_threads[thread]);
    preempt_enable();
}

void rig_yield(unsigned cpu)
{
    cpu_run_on(cpu);
    assert_false(rig_idle(cpu));
    thread_yield();
}

void rig_slice_end(unsigned cpu)
{
    cpu_run_on(cpu);
    this_cpu()->slice_end = this_cpu()->timer_programmed = TIME_NEVER;
    this_cpu()->slice_expired = true;
    this_cpu()->need_resched = true;
    rig_interrupt(cpu);
}

void rig_interrupt(unsigned cpu)
{
    cpu_run_on(cpu);
    if (this_cpu()->need_resched)
        sched_preempt();
}

void rig_settle(void)
{
    unsigned before = this_cpu()->id;
    bool again = true;

    for (unsigned round = 0; again; round++) {
        assert_true(round < 100); /* CPUs kick each other for ever */
        again = false;
        for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
            again |= cpus[cpu]->need_resched != 0;
            rig_interrupt(cpu);
        }
    }
    cpu_run_on(before);
}

/* ---- checks -----------------------------------------------------------------------------------
 */

static unsigned places[RIG_THREADS];

static void place_note(const struct thread *t)
{
    assert_true(t >= rig_threads && t < rig_threads + RIG_THREADS);
    assert_true(t->state == THREAD_READY || t->state == THREAD_RUNNING);
    places[t - rig_threads]++;
}

static void cpu_check(struct cpu *c)
{
    unsigned ready = 0, ordered = 0;

    assert_false(c->guard.active);
    for (struct thread *t = c->posted; t; t = t->wake_next)
        place_note(t);
    list_for_each (it, &c->ready) {
        struct sched_entity *e = list_entry(it, struct sched_entity, ready_link);

        assert_int_equal(e->queued_cpu, c->id);
        place_note(container_of(e, struct thread, sched));
        ready++;
    }
    assert_int_equal(c->queue.ready, ready);
    if (c->policy == &sched_round_robin)
        list_for_each (it, &c->queue.list)
            ordered++;
    else
        ordered = ready;
    assert_int_equal(ordered, ready);
    if (c->current == c->idle)
        assert_int_equal(ready, 0); /* nobody waits for a CPU that does nothing */
    else
        place_note(c->current);
    assert_int_equal(c->current == c->idle, idle_cpus >> c->id & 1);
    assert_true(c->current->on_cpu);
    assert_int_equal(c->current->cpu, c->id);
}

void sched_rig_check(void)
{
    memset(places, 0, sizeof(places));
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        cpu_check(cpus[cpu]);
    for (unsigned i = 0; i < RIG_THREADS; i++) {
        bool waits = rig_threads[i].state == THREAD_BLOCKED || rig_threads[i].state == THREAD_NEW;

        if (places[i] != !waits)
            fail_msg("thread %u (state %d) is in %u places", i, rig_threads[i].state, places[i]);
    }
}

void sched_rig_check_progress(void)
{
    uint64_t before[RIG_THREADS];

    for (unsigned i = 0; i < RIG_THREADS; i++)
        before[i] = rig_threads[i].cpu_time;
    for (unsigned round = 0; round < 4 * RIG_THREADS; round++) {
        for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
            rig_slice_end(cpu);
        rig_clock += NS_PER_MS;
    }
    rig_settle();
    for (unsigned i = 0; i < RIG_THREADS; i++)
        if (rig_threads[i].state == THREAD_READY && rig_threads[i].cpu_time == before[i])
            fail_msg("thread %u starves", i);
}

/* ---- the policy under test --------------------------------------------------------------------
 */

static enum subject_call arm_call;
static enum subject_fault arm_fault;
static unsigned arm_left;
static bool went_wrong;

void subject_arm(enum subject_call call, unsigned nth, enum subject_fault fault)
{
    arm_call = call;
    arm_left = nth;
    arm_fault = fault;
    went_wrong = false;
}

bool subject_went_wrong(void)
{
    return went_wrong;
}

/* Returns true when the call is to answer nonsense; does not return when it is to be abandoned. */
static bool subject_enter(enum subject_call call)
{
    struct guard *g = &this_cpu()->guard;

    assert_true(g->active);
    assert_ptr_equal(g->policy->ops, subject.ops);
    if (call != arm_call || arm_left == 0 || --arm_left > 0)
        return false;
    went_wrong = true;
    if (arm_fault > SUBJECT_OVERRUN)
        return true;
    g->active = false;
    longjmp(guard_jump, 1 + (arm_fault == SUBJECT_FAULT ? POLICY_FAULTED : POLICY_OVERRAN));
}

static void subject_start(struct sched_queue *q)
{
    for (unsigned i = 0; i < ARRAY_SIZE(q->data); i++)
        assert_int_equal(q->data[i], 0);
    assert_true(list_empty(&q->list));
    subject_enter(ON_START);
}

static void subject_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
    (void)now;
    subject_enter(ON_ENQUEUE);
    assert_true(list_empty(&e->link));
    list_push_back(&q->list, &e->link);
    assert_true(e->data[0] == 0 || e->data[0] == subject.number); /* of no former registration */
    e->data[0] = subject.number;
}

static void subject_dequeue(struct sched_queue *q, struct sched_entity *e)
{
    (void)q;
    if (!subject_enter(ON_DEQUEUE))
        list_remove(&e->link);
}

static struct sched_entity *nonsense(const struct sched_queue *q)
{
    static struct sched_entity forged;

    for (unsigned i = 0; i < RIG_THREADS && arm_fault != SUBJECT_NOBODY; i++) {
        struct thread *t = &rig_threads[i];

        if ((arm_fault == SUBJECT_RUNNING && t->on_cpu && t->cpu != q->cpu) ||
            (arm_fault == SUBJECT_BLOCKED && t->state == THREAD_BLOCKED && !t->on_cpu) ||
            (arm_fault == SUBJECT_ELSEWHERE && t->sched.queued_cpu >= 0 &&
             t->sched.queued_cpu != (int)q->cpu))
            return &t->sched;
    }
    forged.queued_cpu = (int)q->cpu;
    return arm_fault == SUBJECT_FORGED ? &forged : NULL;
}

static struct sched_entity *subject_pick(struct sched_queue *q, uint64_t now)
{
    (void)now;
    if (subject_enter(ON_PICK))
        return arm_fault == SUBJECT_KEPT
                   ? list_entry(list_first(&q->list), struct sched_entity, link)
                   : nonsense(q);
    assert_true(q->ready > 0);
    return list_entry(list_pop_front(&q->list), struct sched_entity, link);
}

static void subject_charge(struct sched_queue *q, struct sched_entity *e, uint64_t ran)
{
    (void)q, (void)ran;
    assert_int_equal(e->owner, subject.number);
    subject_enter(ON_CHARGE);
}

static uint64_t subject_slice(struct sched_queue *q, struct sched_entity *e)
{
    (void)q, (void)e;
    subject_enter(ON_SLICE);
    return random_below(3) ? NS_PER_MS : random_below(2) ? 0 : UINT64_MAX;
}

static bool subject_preempts(struct sched_queue *q, struct sched_entity *fresh,
                             struct sched_entity *running)
{
    (void)q, (void)fresh, (void)running;
    subject_enter(ON_PREEMPTS);
    return random_below(2);
}

static const struct sched_ops subject_ops = {
    .struct_size = sizeof(subject_ops),
    .start = subject_start,
    .enqueue = subject_enqueue,
    .dequeue = subject_dequeue,
    .pick = subject_pick,
    .charge = subject_charge,
    .slice = subject_slice,
    .preempts = subject_preempts,
};

struct policy subject = {.name = "subject", .ops = &subject_ops};
