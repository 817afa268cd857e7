/*
 * thread.h: threads of the kernel and of user programs.
 *
 * A thread is reference counted: thread_create_*() returns one reference for the caller, the running
 * thread holds its own.
 */
#pragma once

#include <microlake/cpu.h>
#include <microlake/list.h>
#include <microlake/policy.h>
#include <microlake/types.h>
#include <microlake/user.h>
#include <microlake/wait.h>

#define THREAD_NAME_MAX 24
#define THREAD_CPU_UNTOLD MAX_CPUS

struct aspace;

enum thread_state {
    THREAD_NEW,
    THREAD_READY,   /* in a run queue, or on its way to one */
    THREAD_RUNNING,
    THREAD_BLOCKED, /* in a wait */
    THREAD_DEAD,
};

struct thread {
    /* scheduling (kernel/thread) */
    struct sched_entity sched; /* touched by the owning CPU only */
    enum thread_state state;   /* guarded by wake_lock */
    struct spinlock wake_lock;
    unsigned cpu;              /* CPU that runs it or ran it last */
    bool on_cpu;               /* its registers are live on `cpu` */
    cpu_mask_t affinity;
    uint64_t stack_pointer;    /* saved while it does not run */
    uint8_t *stack;            /* lowest usable byte */
    uint64_t woke_at;          /* when it last woke another, until it blocks; 0: not lately */
    unsigned sync_score;       /* how surely it blocks right after waking another */
    struct thread *wake_next;  /* link in a CPU's list of posted wake-ups */

    /* who it is */
    uint64_t id;
    char name[THREAD_NAME_MAX];
    uint32_t refs;
    struct list all_link;      /* guarded by the thread table's lock */

    /* waiting */
    bool dead;                 /* it has ended; set before exit_queue is woken */
    bool interrupted;          /* thread_interrupt() was called; cleared by thread_interrupt_clear() */
    bool wait_interruptible;   /* guarded by wake_lock */
    struct wait_queue exit_queue;

    /* a user thread's other half; NULL for kernel threads */
    struct aspace *aspace;        /* address space now loaded; a reference */
    const struct user_ops *user;  /* the personality */
    void *personality;            /* the personality's own data */
    uint64_t policies[POLICY_CLASSES_MAX]; /* thread_policy() */
    bool user_work;               /* call user->before_return before the next return to user mode */
    int seen_cpu;                 /* the CPU that the program was told it is on: before_return() comes when
                                     it is another, or the thread was away in the middle of user code.
                                     THREAD_CPU_UNTOLD: none yet; -1: nobody wants to know */
    struct user_regs *regs;       /* its saved user registers, on its kernel stack */
    void *vector_state;           /* XSAVE area */
    uint64_t fs_base, gs_base;

    /* tests: this many allocations from now, one fails (0: none does) */
    uint64_t fail_allocation;

    /* figures */
    uint64_t cpu_time;            /* ns; the owning CPU writes */
    uint64_t switches;

    void (*entry)(void *arg);
    void *entry_arg;
};

/* The running thread. Any context (in an interrupt: the interrupted one). */
struct thread *thread_current(void);

/*
 * Creates a kernel thread that runs entry(arg) and ends when that returns; it starts at once.
 * ERR_NO_MEMORY. Thread context.
 */
int thread_create(const char *name, void (*entry)(void *), void *arg, struct thread **out);

/*
 * Creates a user thread: it enters user mode with *regs in address space `as` (takes a reference of
 * its own). Does not start it: thread_start() does. Thread context.
 */
int thread_create_user(const char *name, struct aspace *as, const struct user_ops *ops,
                       void *personality, const struct user_regs *regs, struct thread **out);
void thread_start(struct thread *t);

/* ns on CPUs, the time since it last got one included. Any context. */
uint64_t thread_cpu_time(const struct thread *t);

/* Ends the calling thread. User threads: call from syscall/fault/before_return context. */
void thread_exit(void) __noreturn;

/* Waits until t has ended. Thread context. */
int thread_join(struct thread *t, uint64_t due);

void thread_ref(struct thread *t);
void thread_unref(struct thread *t);

/* Gives up the CPU for others that are ready. Thread context. */
void thread_yield(void);

/* Sleeps until time_now() >= due. OK or ERR_INTERRUPTED (with WAIT_INTERRUPTIBLE). */
int thread_sleep(uint64_t due, unsigned flags);

/*
 * Asks a thread to come to attention: interruptible waits end, and a user thread's personality gets
 * before_return() soon, wherever the thread runs. Any context.
 */
void thread_interrupt(struct thread *t);
void thread_interrupt_clear(void); /* of the calling thread */

/* Restricts to CPUs; a thread that runs on another moves at its next switch. */
int thread_set_affinity(struct thread *t, cpu_mask_t mask);

/* Scheduling weight as policies see it, 1..65536; 1024 is normal. */
void thread_set_weight(struct thread *t, uint32_t weight);

/* Scheduling priority: 0 is ordinary; a ready thread of 1..99 runs before all lower ones, and equals
 * take turns. Takes effect when the thread next becomes ready. */
void thread_set_priority(struct thread *t, uint32_t priority);

/* Replaces the calling user thread's address space (exec); takes a reference, drops the old one. */
void thread_set_aspace(struct aspace *as);

/* Sets the calling thread's FS base (TLS of user space), now and at each switch. */
void thread_set_fs_base(uint64_t base);

/*
 * Returns when every CPU has been through the scheduler: what any was in the middle of with preemption
 * disabled, it has left. So memory that is read only with preemption disabled may go, once nobody can find
 * it any more. Thread context, may sleep.
 */
void cpus_pass(void);

/* Calls fn for every thread, under the thread table's lock: fn must not sleep. */
void thread_for_each(void (*fn)(struct thread *t, void *ctx), void *ctx);
