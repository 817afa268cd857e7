/*
 * thread.c: threads: creation, start, end, and what is switched with them.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include "kernel/mm/mm.h"
#include "queue.h"

#define WEIGHT_NORMAL 1024
#define WEIGHT_MAX    65536
#define PRIORITY_MAX  99

static struct list all_threads = LIST_INIT(all_threads);
static struct spinlock all_lock; /* guards all_threads and next_id */
static uint64_t next_id = 1;

void thread_main(void) __noreturn;

struct thread *thread_current(void)
{
    return current_thread();
}

static void thread_fill(struct thread *t, const char *name, uint8_t *stack)
{
    uint64_t flags;

    strlcpy(t->name, name, sizeof(t->name));
    t->stack = stack;
    t->refs = 1;
    t->affinity = ~0ull;
    t->seen_cpu = -1;
    t->sched.weight = WEIGHT_NORMAL;
    t->sched.flags = SCHED_NEW;
    wait_queue_init(&t->exit_queue);
    entity_seal(&t->sched);
    flags = spin_lock_irqsave(&all_lock);
    t->id = t->sched.thread_id = next_id++;
    list_push_back(&all_threads, &t->all_link);
    spin_unlock_irqrestore(&all_lock, flags);
}

/* Lays out the stack so that the first context_switch() to it returns to thread_first_entry. */
static uint64_t *thread_stack_prepare(struct thread *t)
{
    uint64_t *top = (uint64_t *)(t->stack + KSTACK_SIZE);

    /* Room for user registers lies at the very top: traps from user mode push them there. */
    uint64_t *sp = top - sizeof(struct user_regs) / 8 - 2;

    *--sp = (uint64_t)thread_first_entry;
    sp -= 6; /* callee-saved registers */
    memset(sp, 0, 6 * sizeof(*sp));
    t->stack_pointer = (uint64_t)sp;
    return top;
}

static struct thread *thread_new(const char *name, void (*entry)(void *), void *arg)
{
    struct thread *t = kzalloc(sizeof(*t));
    uint8_t *stack = kstack_alloc();

    if (!t || !stack) {
        kfree(t);
        if (stack)
            kstack_free(stack);
        return NULL;
    }
    t->entry = entry;
    t->entry_arg = arg;
    thread_fill(t, name, stack);
    thread_stack_prepare(t);
    return t;
}

void thread_main(void)
{
    struct thread *t = current_thread();

    sched_thread_begin();
    t->entry(t->entry_arg);
    thread_exit();
}

int thread_create(const char *name, void (*entry)(void *), void *arg, struct thread **out)
{
    struct thread *t = thread_new(name, entry, arg);

    if (!t)
        return ERR_NO_MEMORY;
    *out = t;
    thread_start(t);
    return OK;
}

static void user_thread_entry(void *arg)
{
    struct thread *t = current_thread();

    (void)arg;
    user_return_work(t->regs);
    user_enter(t->regs);
}

int thread_create_user(const char *name, struct aspace *as, const struct user_ops *ops, void *personality,
                       const struct user_regs *regs, struct thread **out)
{
    struct thread *t = thread_new(name, user_thread_entry, NULL);

    if (!t)
        return ERR_NO_MEMORY;
    t->vector_state = kmalloc(ALIGN_UP(vector_state_size(), 64));
    if (!t->vector_state) {
        thread_unref(t);
        return ERR_NO_MEMORY;
    }
    vector_state_init(t->vector_state);
    t->regs = (struct user_regs *)(t->stack + KSTACK_SIZE) - 1;
    *t->regs = *regs;
    t->regs->cs = GDT_USER_CODE;
    t->regs->ss = GDT_USER_DATA;
    t->regs->rflags = (regs->rflags & 0xcd5) | RFLAGS_IF | 2; /* arithmetic flags and DF */
    aspace_ref(as);
    t->aspace = as;
    t->user = ops;
    t->personality = personality;
    memcpy(t->policies, current_thread()->policies, sizeof(t->policies));
    *out = t;
    return OK;
}

void thread_start(struct thread *t)
{
    thread_ref(t); /* the running thread's own */
    sched_wake(t);
}

void thread_ref(struct thread *t)
{
    __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

void thread_unref(struct thread *t)
{
    uint64_t flags;

    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
        return;
    flags = spin_lock_irqsave(&all_lock);
    list_remove(&t->all_link);
    spin_unlock_irqrestore(&all_lock, flags);
    if (t->aspace) /* never started: a thread that ran has dropped it in thread_exit() */
        aspace_unref(t->aspace);
    kfree(t->vector_state);
    kstack_free(t->stack);
    kfree(t);
}

void thread_exit(void)
{
    struct thread *t = current_thread();
    void *vectors = t->vector_state;
    uint64_t flags;

    if (t->user && t->user->exited)
        t->user->exited(t->personality);
    thread_set_aspace(NULL);
    preempt_disable();
    t->vector_state = NULL;
    kfree(vectors);
    __atomic_store_n(&t->dead, true, __ATOMIC_RELEASE);
    wait_wake_all(&t->exit_queue);
    /* Who woke it last, or started it, may hold the lock still: only then may the thread be freed. */
    flags = spin_lock_irqsave(&t->wake_lock);
    t->state = THREAD_DEAD;
    spin_unlock_irqrestore(&t->wake_lock, flags);
    sched_block();
    panic("thread '%s' ran after its end", t->name);
}

/* On the CPU it ran on, right after the switch away from it, interrupts off. */
void thread_switched_out(struct thread *t)
{
    t->on_cpu = false;
    thread_unref(t);
}

int thread_join(struct thread *t, uint64_t due)
{
    return WAIT_UNTIL(&t->exit_queue, __atomic_load_n(&t->dead, __ATOMIC_ACQUIRE), due, 0);
}

int thread_set_affinity(struct thread *t, cpu_mask_t mask)
{
    if (!(mask & ((cpu_present() < 64 ? 1ull << cpu_present() : 0) - 1)))
        return ERR_INVALID;
    __atomic_store_n(&t->affinity, mask, __ATOMIC_RELEASE);
    preempt_disable();
    cpu_kick(t->cpu);
    preempt_enable();
    return OK;
}

void thread_set_weight(struct thread *t, uint32_t weight)
{
    t->sched.weight = MIN(MAX(weight, 1u), (uint32_t)WEIGHT_MAX);
}

void thread_set_priority(struct thread *t, uint32_t priority)
{
    t->sched.priority = MIN(priority, (uint32_t)PRIORITY_MAX);
}

void thread_set_aspace(struct aspace *as)
{
    struct thread *t = current_thread();
    struct aspace *old = t->aspace;
    uint64_t flags;

    if (as)
        aspace_ref(as);
    flags = interrupts_disable();
    t->aspace = as;
    if (as)
        aspace_activate(this_cpu(), as);
    interrupts_restore(flags);
    if (old)
        aspace_unref(old);
}

void thread_set_fs_base(uint64_t base)
{
    uint64_t flags = interrupts_disable();

    current_thread()->fs_base = base;
    this_cpu()->fs_base = base;
    msr_write(MSR_FS_BASE, base);
    interrupts_restore(flags);
}

void aspace_activate(struct cpu *c, struct aspace *as)
{
    struct aspace *old = c->aspace;

    if (old == as)
        return;
    aspace_cpu_enter(as, c->id);
    paging_load(aspace_root(as));
    c->aspace = as;
    if (old)
        aspace_cpu_leave(old, c->id);
}

/* Interrupts off. What the next thread's user half needs; kernel threads leave things as they are. */
void thread_switch_state(struct thread *from, struct thread *to)
{
    struct cpu *c = this_cpu();

    if (from->vector_state)
        vector_save(from->vector_state);
    c->kernel_rsp = (uint64_t)to->stack + KSTACK_SIZE;
    c->tss.rsp[0] = c->kernel_rsp;
    if (!to->aspace)
        return;
    aspace_activate(c, to->aspace);
    if (to->seen_cpu >= 0 &&
        (to->seen_cpu != (int)c->id || to->regs->vector != USER_VECTOR_SYSCALL))
        to->user_work = true;
    if (to->vector_state)
        vector_load(to->vector_state);
    if (c->fs_base != to->fs_base) {
        c->fs_base = to->fs_base;
        msr_write(MSR_FS_BASE, to->fs_base);
    }
    if (c->gs_base != to->gs_base) {
        c->gs_base = to->gs_base;
        msr_write(MSR_KERNEL_GS_BASE, to->gs_base);
    }
}

void thread_for_each(void (*fn)(struct thread *t, void *ctx), void *ctx)
{
    uint64_t flags = spin_lock_irqsave(&all_lock);

    list_for_each (it, &all_threads)
        fn(list_entry(it, struct thread, all_link), ctx);
    spin_unlock_irqrestore(&all_lock, flags);
}

/* ---- the first threads of each CPU ---- */

int sched_prepare_cpu(struct cpu *c, uint64_t *stack_top)
{
    c->idle = thread_new("idle", NULL, NULL); /* it is entered by sched_start() */
    if (!c->idle)
        return ERR_NO_MEMORY;
    sched_cpu_init(c);
    *stack_top = (uint64_t)c->idle->stack + KSTACK_SIZE;
    return OK;
}

/* What runs now becomes the boot CPU's idle thread, on the boot stack. */
void sched_init(void)
{
    extern uint8_t boot_stack[]; /* start.S, KSTACK_SIZE bytes */
    static struct thread boot_idle;
    struct cpu *c = this_cpu();

    sched_cpu_init(c);
    thread_fill(&boot_idle, "idle", boot_stack);
    c->idle = c->current = &boot_idle;
    sched_class_init();
    c->kernel_rsp = c->tss.rsp[0] = (uint64_t)boot_stack + KSTACK_SIZE;
}

void sched_start(struct cpu *c)
{
    c->current = c->idle;
    c->idle->state = THREAD_RUNNING;
    c->idle->on_cpu = true;
    c->idle->cpu = c->id;
    c->run_started = time_now();
    __atomic_fetch_or(&idle_cpus, 1ull << c->id, __ATOMIC_ACQ_REL);
    c->need_resched = true;
    c->preempt_count = 0;
    sched_idle_loop();
}
