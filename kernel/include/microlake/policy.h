/*
 * policy.h: decisions that a module may take, and how the kernel stays alive if it takes them badly.
 *
 * A class is a kind of decision with a typed table of operations (struct sched_ops for "sched"). A
 * policy is one implementation. The machine's owner sets one policy of each class for the machine, and
 * may choose others for single programs; switching is atomic and loses nothing. A second policy of a class
 * may run in the shadow: it answers the same questions, its answers are judged, and nobody uses them.
 *
 * Every call into a policy is guarded: if it faults, runs over its budget or answers nonsense, it is
 * retired and the policy that it extends, or the class's built-in one, takes over; the event is counted
 * and logged, and the machine goes on.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>

#define POLICY_NAME_MAX    32
#define POLICY_REASON_MAX  96
#define POLICY_CLASSES_MAX 8
#define POLICIES_MAX       16 /* of a class */

enum policy_fault_kind {
    POLICY_FAULTED = 0,  /* processor exception */
    POLICY_OVERRAN = 1,  /* over its budget of time */
    POLICY_NONSENSE = 2, /* an answer that is not allowed */
    POLICY_FAULT_KINDS = 3,
};

struct module;
struct thread;

/* What a policy did since it was registered. Counted without locks: approximate across CPUs. */
struct policy_figures {
    uint64_t calls;         /* decisions taken */
    uint64_t timed, ns;     /* some of them were timed: how many, and how long these took in all */
    uint64_t right, judged; /* of what was judged afterwards, what turned out right; also in the shadow */
    uint64_t cost, work;    /* of the class's objective, while the policy decided for the machine */
    uint64_t faults[POLICY_FAULT_KINDS];
};

struct policy {
    char name[POLICY_NAME_MAX];
    const void *ops;      /* the class's table */
    const char *extends;  /* the policy that takes over when this one goes wrong, and, in a class whose
                             policies share a queue, the one it can stand in for; NULL: the built-in one */
    struct module *owner; /* NULL: built in. Set by policy_register from the caller's `ops` */
    uint64_t number;      /* tells one registration from every other; 0 is none's */
    bool retired;         /* it misbehaved: it must be registered again to be used again */
    struct policy_figures figures;
};

/* ---- For policies and for who chooses among them. Thread context. ----------------------------- */

/* Registers p (caller's memory, until unregistered) for a class. ERR_EXISTS, ERR_NOT_FOUND, ERR_LIMIT,
 * ERR_INVALID: the class refuses its table. */
int policy_register(const char *class_name, struct policy *p);

/* Takes it out; another takes over first where it is in use. On return nobody is inside it. */
void policy_unregister(const char *class_name, struct policy *p);

/* Makes a policy the machine's. ERR_NOT_FOUND: no such class or policy. ERR_ACCESS: it is retired. */
int policy_set(const char *class_name, const char *policy_name);

/* Lets a policy answer in the shadow; NULL: none. Errors as policy_set; ERR_UNSUPPORTED: the class's
 * policies, or this one, can't. */
int policy_shadow(const char *class_name, const char *policy_name);

/* Goes back to what the machine's policy of the class extends (the built-in one if nothing), when the
 * machine's is still `policy_name`. The reason is logged and shown. ERR_NOT_FOUND. */
int policy_fall_back(const char *class_name, const char *policy_name, const char *reason);

/*
 * A policy for single programs: *number is what their threads are given with thread_set_policy(). In a
 * class whose policies share a queue ("sched") it must be the machine's, or one of the two must extend
 * the other; the one that extends then orders the queue and treats the rest as the other one would.
 * ERR_NOT_FOUND; ERR_ACCESS: retired; ERR_UNSUPPORTED: neither extends the other; ERR_BUSY: another one
 * that extends the machine's is chosen for some program.
 */
int policy_choose(const char *class_name, const char *policy_name, uint64_t *number);

/* No program has this choice any more: a policy that was there beside the machine's leaves the shared
 * queue. Where there is none, and for another one's number, nothing happens. */
void policy_choose_end(const char *class_name, uint64_t number);

/* The policy that a thread has of its own for the nth class, 0: the machine's. A new user thread has its
 * maker's. A number whose policy has gone counts as 0. Any context. */
void thread_set_policy(struct thread *t, unsigned nth_class, uint64_t number);
uint64_t thread_policy(const struct thread *t, unsigned nth_class);

struct policy_class_info {
    char name[POLICY_NAME_MAX];
    const char *objective;  /* what `cost` by `work` of the figures is, with its unit; less is better */
    const char *judgement;  /* what `right` of `judged` is */
    uint64_t switches;      /* so far, fallbacks included */
    uint64_t fallbacks;     /* of these, how many nobody asked for */
    char reason[POLICY_REASON_MAX]; /* of the last fallback: "POLICY: why"; empty: none yet */
    char shadow[POLICY_NAME_MAX];   /* empty: none */
};

/* The nth class, the nth policy of a class. ERR_NOT_FOUND at the end. */
int policy_class_info(unsigned nth, struct policy_class_info *out);
struct policy_info {
    char name[POLICY_NAME_MAX];
    char extends[POLICY_NAME_MAX]; /* empty: nothing */
    bool machine;                  /* it is what was set for the machine */
    bool active;                   /* it decides for the machine; in "sched" this may be one that extends it */
    bool builtin, retired;
    const struct module *owner;    /* NULL: built in; to compare only */
    uint64_t number;
    struct policy_figures figures;
};
int policy_info(const char *class_name, unsigned nth, struct policy_info *out);
uint64_t policy_switches(const char *class_name); /* of policy_class_info(); 0: no such class */

/* Who shows the classes hears of new ones: fn is called for those there are, and after each that is
 * added; it looks for itself what is new, and must not wait for who adds one. One listener; NULL: none any
 * more, and nobody is inside fn on return. */
void policy_classes_watch(void (*fn)(void));

/* ---- For who owns a class --------------------------------------------------------------------- */

struct policy_class {
    const char *name;
    const char *objective, *judgement; /* as in struct policy_class_info; NULL: it has none */
    bool (*valid)(const void *ops);    /* is this table complete and of this version? */
    bool (*can_shadow)(const void *ops); /* NULL: no policy of the class can */
    /* The policies share one queue: p is active now, on return nobody is inside another. NULL: they are
     * called through policy_call(). */
    void (*activate)(struct policy *p);

    /* the registry's */
    struct policy *table[POLICIES_MAX]; /* changed under the registry's lock, read with preemption off */
    struct policy *builtin;             /* constant */
    struct policy *machine;             /* the owner's choice; as `table` */
    struct policy *active;              /* who decides; atomic */
    struct policy *extension;           /* chosen for programs beside the machine's; as `table` */
    struct policy *shadow;              /* atomic */
    uint64_t switches;                  /* atomic; changes right after `active` does */
    uint64_t fallbacks;
    char reason[POLICY_REASON_MAX]; /* written by whoever counts a fallback; a torn text does no harm */
    unsigned index;
};

/* Adds a class, for good, with its built-in policy, which becomes active. A module that does stays loaded.
 * Thread context. ERR_LIMIT, ERR_EXISTS. */
int policy_class_register(struct policy_class *class, struct policy *builtin);

/*
 * One decision. fn calls the operation and looks at its answer, both inside the guard: false is nonsense.
 * What fn writes must be of the owner's own (`arg`) and whole only when fn returns, because fn may be
 * abandoned anywhere; then it is called again with the built-in policy, unguarded. choice:
 * thread_policy() of whom the decision is for. *number tells who answered, for policy_judge() and for
 * memory that the policy keeps with the owner. fn must not sleep, allocate or take locks. Thread context.
 */
typedef bool policy_call_fn(const struct policy *p, void *arg);
void policy_call(struct policy_class *class, uint64_t choice, policy_call_fn *fn, void *arg,
                 uint64_t *number);

/* Asks the shadow the same; false: there is none, or it has just been retired. */
bool policy_call_shadow(struct policy_class *class, policy_call_fn *fn, void *arg, uint64_t *number);

/* Of `judged` things decided by registration `number`, `right` turned out right. Any context. */
void policy_judge(struct policy_class *class, uint64_t number, uint64_t right, uint64_t judged);

/* The class's objective as measured, to the credit of the machine's policy. Any context. */
void policy_measure(struct policy_class *class, uint64_t cost, uint64_t work);

/* ---- The class "sched": which thread next ----------------------------------------------------- */

#define SCHED_SHADOW_WORDS 8

/* The part of a thread that a scheduler works on. A policy may read it and own `data`. */
struct sched_entity {
    uint32_t weight;       /* share among those of priority 0; 1024 is normal */
    uint32_t priority;     /* 0: by share; 1..99: before everybody with a lower one */
    uint32_t flags;        /* enum sched_flags of the last enqueue */
    uint64_t thread_id;
    uint64_t ran;          /* ns on a CPU, in all */
    uint64_t ran_until;    /* time of the last of it; while it waits or sleeps: when it stopped */
    bool plain;            /* its program chose the policy that this one extends: treat it as that would;
                              set at each enqueue */
    bool outside;          /* of the last wake-up: by an interrupt, or by a thread that leads */
    bool leads;            /* the policy's, as `data`: whom it wakes is woken from outside as well */
    uint64_t data[16];     /* the policy's; zeroed when a policy takes the thread over */
    struct list link;      /* the policy's; linked to itself when the policy does not hold the entity */

    /* the kernel's own, not for policies */
    struct list ready_link; /* in the CPU's list of ready threads; touched by the owning CPU */
    uint64_t seal;          /* tells a real entity from nonsense */
    int queued_cpu;         /* CPU whose queue holds it, or -1 */
    uint64_t owner;         /* number of the policy whose `data` it carries; 0: nobody's */
    uint64_t uncharged;     /* ns it ran that `charge` has not been told yet */
    uint64_t shadow[SCHED_SHADOW_WORDS]; /* the shadow's */
    uint64_t shadow_owner;               /* number of the policy whose `shadow` it is */
    struct sched_verdict {  /* a wake-up that will be judged when the thread blocks again */
        uint64_t number;    /* of the policy that decided; 0: none will */
        uint64_t shadow;    /* of the one in the shadow; 0: none */
        bool busy;          /* another thread wanted to go on */
        bool ahead, shadow_ahead; /* it went, or would have gone, ahead of that one */
        uint64_t woke, slept, waited; /* time of waking; ns of sleep before; ns until it ran */
        uint64_t ran;       /* of the entity, then */
    } verdict;
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
    uint64_t data[16];     /* the policy's; zeroed by the kernel before `start` */
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
    /*
     * In the shadow, of each wake-up: would e, which has just woken, go ahead of an ordinary running thread?
     * memory: SCHED_SHADOW_WORDS of the thread's that are the shadow's, zeroed when another takes them over.
     * It must touch nothing else. NULL: it can't be in the shadow.
     */
    bool (*watch)(uint64_t *memory, const struct sched_entity *e, uint64_t now);
};
