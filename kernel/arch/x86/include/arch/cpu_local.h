/*
 * cpu_local.h: what belongs to one processor. GS points at the running CPU's struct cpu while the
 * kernel runs. Fields are touched by their own CPU only, unless a comment says otherwise.
 */
#pragma once

#include <microlake/cpu.h>
#include <microlake/policy.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/trace.h>
#include "kernel/time/time_internal.h"
#include "lib/treap/treap.h"

/* Registers to come back to when a guarded call goes wrong (kernel/policy/guard). */
struct guard {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip; /* order is entry.S's */
    struct policy *policy; /* whose call it is */
    bool active;
    uint32_t preempt_count;
    uint64_t looked; /* time_now() of the last look, or of the start */
    unsigned looks;  /* looks that found the same call still running */
};

#define GDT_KERNEL_CODE 0x08
#define GDT_KERNEL_DATA 0x10
#define GDT_USER_DATA   0x1b
#define GDT_USER_CODE   0x23
#define GDT_TSS         0x28 /* two entries */
#define GDT_CPU_NUMBER  0x38 /* programs use 0x3b */

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map;
} __attribute__((packed));

struct cpu {
    struct cpu *self;
    struct thread *current;
    uint64_t kernel_rsp; /* top of the current thread's kernel stack: system calls start there */
    uint64_t user_rsp;   /* scratch of the system call entry */
    uint32_t preempt_count;
    uint32_t need_resched; /* any CPU sets it before an interrupt to this one */
    uint32_t id;
    uint32_t apic_id;
    uint64_t counters[COUNTERS_MAX]; /* its cells of all counters; others read them */

    uint64_t gdt[8];
    struct tss tss;

    /* scheduling */
    struct thread *idle;
    struct sched_queue queue;
    struct list ready;            /* sched_entity.ready_link, oldest first */
    struct policy *policy;        /* the policy this CPU's queue obeys */
    uint64_t adopted;             /* the class's switches as of then; others read it */
    struct thread *posted;        /* threads woken for this CPU; any CPU pushes */
    cpu_mask_t steal_requests;    /* idle CPUs that want a thread; any CPU sets */
    uint64_t run_started;         /* time_now() when current got the CPU */
    uint64_t slice_end;
    uint64_t balanced_at;
    uint64_t wakes_seen;          /* every so many, one is judged */
    bool slice_expired;
    bool in_interrupt; /* a handler runs: current is not who wakes */
    bool handed_over;             /* current got the CPU from another thread, not from the policy */
    struct thread *switched_from; /* during a switch: whom it left */
    bool switched_away;           /* and that one may not run here any more */
    struct guard guard;

    /* memory */
    struct aspace *aspace; /* whose page tables are loaded; NULL: the kernel's */
    uint64_t fs_base, gs_base; /* user bases now in the registers */

    /* timers */
    struct spinlock timer_lock;
    struct treap timers;       /* guarded by timer_lock */
    uint64_t timer_programmed; /* what the one-shot timer is set to, or TIME_NEVER */
    struct timer_span timer_span;
    struct timer *timer_running; /* guarded by timer_lock */
};

extern struct cpu *cpus[MAX_CPUS];

static inline struct cpu *this_cpu(void)
{
    struct cpu *c;

    __asm__ volatile("movq %%gs:0, %0" : "=r"(c));
    return c;
}

static inline struct thread *current_thread(void)
{
    struct thread *t;

    __asm__ volatile("movq %%gs:8, %0" : "=r"(t));
    return t;
}

/* Is it a policy that runs here, and not an interrupt? One instruction tells, where the thread may
 * change its CPU; in a guarded call it may not. */
static inline bool guard_is_inside(void)
{
    bool inside;

    __asm__ volatile("cmpb $0, %%gs:%c1" : "=@ccne"(inside) : "i"(offsetof(struct cpu, guard.active)));
    return unlikely(inside) && !this_cpu()->in_interrupt;
}
