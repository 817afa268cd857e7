/*
 * rseq.c: restartable sequences and membarrier. See rseq.h.
 *
 * The kernel asks for attention (thread->seen_cpu) when a thread with an area comes back on another
 * CPU, or was away in the middle of user code; a thread that only waited in a call is not looked
 * at.
 */
#include "modules/linux/process/rseq.h"

#include <microlake/aspace.h>
#include <microlake/cpu.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>

#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

/* The section's description, checked; the caller knows that there is one. */
static bool section_read(const struct task *t, vaddr_t at, struct linux_rseq_cs *out)
{
    uint32_t signature;

    if (at >= USER_ADDRESS_END || user_read(out, at, sizeof(*out)) != OK)
        return false;
    if (out->version != 0 || out->start >= USER_ADDRESS_END || out->length >= USER_ADDRESS_END ||
        out->start + out->length >= USER_ADDRESS_END || out->abort >= USER_ADDRESS_END)
        return false;
    if (out->abort - out->start < out->length) /* it would start over inside itself */
        return false;
    if (out->abort < sizeof(signature) ||
        user_read(&signature, out->abort - sizeof(signature), sizeof(signature)) != OK)
        return false;
    return signature == t->rseq.signature;
}

/* Leaves the critical section that the registers are in, if any. */
static bool section_leave(struct task *t, struct user_regs *regs)
{
    vaddr_t field = t->rseq.at + offsetof(struct linux_rseq, critical_section);
    struct linux_rseq_cs section;
    uint64_t at, none = 0;
    uint32_t flags;
    bool inside;

    if (user_read(&at, field, sizeof(at)) != OK)
        return false;
    if (at == 0)
        return true;
    if (!section_read(t, at, &section))
        return false;
    inside = regs->rip - section.start < section.length;
    if (inside) {
        vaddr_t flags_at = t->rseq.at + offsetof(struct linux_rseq, flags);

        /* Ways not to start over were taken out of the interface: flags are an error. */
        if (section.flags != 0 || user_read(&flags, flags_at, sizeof(flags)) != OK || flags != 0)
            return false;
    }
    if (user_write(field, &none, sizeof(none)) != OK)
        return false;
    if (inside) {
        regs->rip = section.abort;
        regs->vector = 0; /* no call: all registers are restored */
    }
    return true;
}

/* mm_cid is the CPU's number: no two threads that run have the same, and none is beyond the CPUs.
 */
static bool numbers_write(const struct task *t, uint32_t start, uint32_t cpu, uint32_t cid)
{
    uint32_t first[2] = {start, cpu}, last[2] = {0, cid};

    return user_write(t->rseq.at, first, sizeof(first)) == OK &&
           user_write(t->rseq.at + offsetof(struct linux_rseq, node_id), last, sizeof(last)) == OK;
}

bool rseq_attend(struct task *t, struct user_regs *regs)
{
    struct thread *self = thread_current();
    uint32_t cpu;
    bool told;

    /* A section is entered with the number read, so it is left before the number changes. */
    if (!section_leave(t, regs))
        return false;
    preempt_disable();
    cpu = cpu_id();
    told = self->seen_cpu == (int)cpu;
    self->seen_cpu = (int)cpu; /* if the thread moves from here on, it comes here again */
    preempt_enable();
    return told || numbers_write(t, cpu, cpu, cpu);
}

void rseq_forget(struct task *t)
{
    t->rseq = (struct rseq){0};
    thread_current()->seen_cpu = -1;
}

static long unregister(struct task *t, vaddr_t at, uint32_t size, uint32_t signature)
{
    if (t->rseq.at == 0 || t->rseq.at != at || t->rseq.size != size)
        return ERR_INVALID;
    if (t->rseq.signature != signature)
        return LINUX_ERRNO(EPERM);
    if (!numbers_write(t, 0, LINUX_RSEQ_UNINITIALIZED, 0))
        return ERR_FAULT;
    rseq_forget(t);
    return 0;
}

long sys_rseq(struct call *c)
{
    struct task *t = c->task;
    vaddr_t at = c->arg[0];
    uint32_t size = (uint32_t)c->arg[1], flags = (uint32_t)c->arg[2];
    uint32_t signature = (uint32_t)c->arg[3];

    if (flags & LINUX_RSEQ_UNREGISTER)
        return flags == LINUX_RSEQ_UNREGISTER ? unregister(t, at, size, signature) : ERR_INVALID;
    if (flags != 0)
        return ERR_INVALID;
    if (t->rseq.at != 0) {
        if (t->rseq.at != at || t->rseq.size != size)
            return ERR_INVALID;
        return t->rseq.signature != signature ? LINUX_ERRNO(EPERM) : ERR_BUSY;
    }
    if (size < RSEQ_ALIGN || at % RSEQ_ALIGN != 0)
        return ERR_INVALID;
    if (at >= USER_ADDRESS_END || size > USER_ADDRESS_END - at)
        return ERR_FAULT;
    if (at == 0)
        return ERR_FAULT;
    t->rseq = (struct rseq){at, size, signature};
    t->thread->seen_cpu = THREAD_CPU_UNTOLD;
    t->thread->user_work = true; /* the numbers are there before it goes on */
    return 0;
}

/* ---- membarrier -------------------------------------------------------------------------------
 */

#define EXPEDITED(command) ((command) << 1) /* what registers for a command */

#define PRIVATE_COMMANDS                                                                           \
    (LINUX_MEMBARRIER_PRIVATE_EXPEDITED | LINUX_MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE |           \
     LINUX_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ)
#define REGISTER_COMMANDS (EXPEDITED(PRIVATE_COMMANDS) | LINUX_MEMBARRIER_REGISTER_GLOBAL_EXPEDITED)
#define ALL_COMMANDS                                                                               \
    (LINUX_MEMBARRIER_GLOBAL | LINUX_MEMBARRIER_GLOBAL_EXPEDITED | PRIVATE_COMMANDS |              \
     REGISTER_COMMANDS | LINUX_MEMBARRIER_GET_REGISTRATIONS)

/* All threads of the process that are in a critical section start over. */
static void sections_end(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);

    list_for_each (it, &p->tasks) {
        struct task *t = list_entry(it, struct task, link);

        if (t->thread && t->rseq.at != 0)
            __atomic_store_n(&t->thread->user_work, true, __ATOMIC_SEQ_CST);
    }
    spin_unlock_irqrestore(&p->lock, flags);
}

static long private_barrier(struct process *p, unsigned command)
{
    if (!(__atomic_load_n(&p->mm->barriers, __ATOMIC_ACQUIRE) & EXPEDITED(command)))
        return LINUX_ERRNO(EPERM); /* not registered */
    if (command == LINUX_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ)
        sections_end(p);
    aspace_barrier(p->mm->as); /* coming back from an interrupt also serializes a CPU's fetches */
    return 0;
}

static bool is_one_of(unsigned command, unsigned set)
{
    return (command & set) && (command & (command - 1)) == 0;
}

long sys_membarrier(struct call *c)
{
    struct process *p = c->task->process;
    unsigned command = (unsigned)c->arg[0], flags = (unsigned)c->arg[1];

    /* Naming one CPU is a hint: more are interrupted than asked for. */
    if (flags != 0 && !(command == LINUX_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ && flags == 1))
        return ERR_INVALID;
    if (command == LINUX_MEMBARRIER_QUERY)
        return ALL_COMMANDS;
    if (is_one_of(command, PRIVATE_COMMANDS))
        return private_barrier(p, command);
    if (is_one_of(command, REGISTER_COMMANDS)) {
        __atomic_fetch_or(&p->mm->barriers, command, __ATOMIC_ACQ_REL);
        return 0;
    }
    switch (command) {
    case LINUX_MEMBARRIER_GLOBAL:
    case LINUX_MEMBARRIER_GLOBAL_EXPEDITED:
        aspace_barrier(NULL);
        return 0;
    case LINUX_MEMBARRIER_GET_REGISTRATIONS:
        return __atomic_load_n(&p->mm->barriers, __ATOMIC_ACQUIRE);
    default:
        return ERR_INVALID;
    }
}
