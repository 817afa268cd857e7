/*
 * simulator.h: one CPU with tasks, and a policy that orders them, called as the kernel calls it:
 * what ran is charged, who is fresh is enqueued and may preempt, then one is picked and gets a
 * slice.
 */
#pragma once

#include <microlake/policy.h>

#define SIMULATOR_TASKS 128

/* A task runs for `burst` ns, sleeps for `pause` ns, and so on. pause 0: it never sleeps. */
struct task {
    struct sched_entity entity;
    uint64_t burst, pause;
    bool yields; /* instead of sleeping */
    bool inside; /* it is woken by others that compete, not from outside */
    void (*next)(struct task *t); /* sets burst and pause of the next time, unless NULL */
    unsigned turns_taken;         /* for next() */

    /* state */
    bool ready, running;
    uint64_t left;    /* of this burst */
    uint64_t wakes;   /* when it sleeps: until */
    uint64_t woke_at; /* of its last wake-up, until it runs */

    /* results */
    uint64_t ran;
    uint64_t turns;
    uint64_t wait_most, wait_sum, waits; /* from waking to running */
    uint64_t ready_since, starved_most;  /* longest time ready and not running */
};

struct simulator {
    const struct sched_ops *ops;
    struct sched_queue queue;
    struct task tasks[SIMULATOR_TASKS];
    unsigned count;
    uint64_t now;
    struct task *current;
    uint64_t slice_end;
};

void simulator_init(struct simulator *s, const struct sched_ops *ops);
struct task *simulator_task(struct simulator *s, uint32_t weight, uint64_t burst, uint64_t pause);

/* Goes on until `end`; calls look() after every decision unless NULL. */
void simulator_run(struct simulator *s, uint64_t end, void (*look)(struct simulator *s));
