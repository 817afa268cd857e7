/*
 * policy.h: decisions that a module may take, and how the kernel stays alive if it takes them badly.
 *
 * A class is a kind of decision with a typed table of operations (struct sched_ops for "sched"). A
 * policy is one implementation. Exactly one policy of a class is active; switching is atomic and
 * loses nothing. Every call into a policy is guarded: if it faults, runs over its budget or answers
 * nonsense, the class goes back to its built-in default, the event is counted and logged, and the
 * machine goes on.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>

#define POLICY_NAME_MAX 32

enum policy_fault_kind {
    POLICY_FAULTED = 0,  /* processor exception */
    POLICY_OVERRAN = 1,  /* over its budget of time */
    POLICY_NONSENSE = 2, /* an answer that is not allowed */
    POLICY_FAULT_KINDS = 3,
};

struct module;

struct policy {
    char name[POLICY_NAME_MAX];
    const void *ops;            /* the class's table */
    struct module *owner;       /* NULL: built in. Set by policy_register from the caller's `ops` */
    struct list link;           /* guarded by the class's lock */
    uint64_t calls;             /* decisions taken; approximate across CPUs */
    uint64_t faults[POLICY_FAULT_KINDS];
    bool retired;               /* it misbehaved: it must be registered again to be used again */
    uint64_t number;            /* tells one registration from every other */
};

struct policy_class;

/* Registers p (caller's memory, until unregistered) for a class. ERR_EXISTS, ERR_NOT_FOUND. */
int policy_register(const char *class_name, struct policy *p);

/* Takes it out; when it is active the default takes over first. On return nobody is inside it. */
void policy_unregister(const char *class_name, struct policy *p);

/* Makes a policy active. ERR_NOT_FOUND: no such class or policy. ERR_ACCESS: it is retired. */
int policy_set(const char *class_name, const char *policy_name);

/* For listing: nth class name, nth policy of a class. ERR_NOT_FOUND at the end. */
int policy_class_name(unsigned nth, char out[POLICY_NAME_MAX]);
struct policy_info {
    char name[POLICY_NAME_MAX];
    bool active, builtin, retired;
    uint64_t calls;
    uint64_t faults[POLICY_FAULT_KINDS];
};
int policy_info(const char *class_name, unsigned nth, struct policy_info *out);
uint64_t policy_switches(const char *class_name); /* switches so far, fallbacks included */

/* ---- The class "sched": which thread next ----------------------------------------------------- */

/* The part of a thread that a scheduler works on. A policy may read it and own `data`. */
struct sched_entity {
    uint32_t weight;       /* share among those of priority 0; 1024 is normal */
    uint32_t priority;     /* 0: by share; 1..99: before everybody with a lower one */
    uint32_t flags;        /* enum sched_flags of the last enqueue */
    uint64_t thread_id;
    uint64_t ran;          /* ns on a CPU, in all */
    uint64_t data[8];      /* the policy's; zeroed when a policy takes the thread over */
    struct list link;      /* the policy's; linked to itself when the policy does not hold the entity */

    /* the kernel's own, not for policies */
    struct list ready_link; /* in the CPU's list of ready threads; touched by the owning CPU */
    uint64_t seal;          /* tells a real entity from nonsense */
    int queued_cpu;         /* CPU whose queue holds it, or -1 */
    uint64_t owner;         /* number of the policy whose `data` it carries; 0: nobody's */
    uint64_t uncharged;     /* ns it ran that `charge` has not been told yet */
};

enum sched_flags {
    SCHED_NEW = 1u << 0,      /* first time */
    SCHED_WAKEUP = 1u << 1,   /* it had blocked */
    SCHED_PREEMPTED = 1u << 2, /* it ran and still wants to */
    SCHED_YIELDED = 1u << 3,
    SCHED_MOVED = 1u << 4,    /* from another CPU, or it ran here without having been picked */
    SCHED_ADOPTED = 1u << 5,  /* this policy has just become active */
};

/* One CPU's queue as the policy sees it. Touched only by that CPU. */
struct sched_queue {
    unsigned cpu;
    unsigned ready;        /* entities enqueued and not picked */
    uint64_t data[8];      /* the policy's; zeroed by the kernel before `start` */
    struct list list;      /* the policy's; emptied likewise */
};

/*
 * All calls for a queue come from its own CPU, with preemption off and interrupts on, never nested.
 * They must not sleep, allocate, or take locks. Times are time_now() values in ns.
 */
struct sched_ops {
    size_t struct_size; /* sizeof(struct sched_ops) */
    void (*start)(struct sched_queue *q); /* the policy becomes active on this CPU; may be NULL */
    void (*enqueue)(struct sched_queue *q, struct sched_entity *e, uint64_t now);
    void (*dequeue)(struct sched_queue *q, struct sched_entity *e); /* it moves to another CPU */
    /* Takes out and returns: an entity that waits in q, its `link` in no list any more. */
    struct sched_entity *(*pick)(struct sched_queue *q, uint64_t now);
    void (*charge)(struct sched_queue *q, struct sched_entity *e, uint64_t ran); /* ns; it ran */
    uint64_t (*slice)(struct sched_queue *q, struct sched_entity *e); /* ns until others may run */
    bool (*preempts)(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running);
};
