/*
 * trap.c: what happens after entry.S: exceptions, interrupts, system calls, and the way back to user
 * mode. Entered with interrupts off for traps and on for system calls; left with interrupts off.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>
#include <microlake/trace.h>
#include "kernel/mm/mm.h"
#include "kernel/policy/guard.h"
#include "kernel/thread/sched.h"

TRACEPOINT(irq_entry, "vector=%u at=%p");
TRACEPOINT(page_fault, "address=%x access=%u at=%p");
COUNTER(page_faults_user);
COUNTER(page_faults_kernel);

void trap_dispatch(struct user_regs *regs);
void trap_paranoid_dispatch(struct user_regs *regs);
int syscall_dispatch(struct user_regs *regs);

enum { TRAP_NMI = 2, TRAP_DOUBLE_FAULT = 8, TRAP_GENERAL = 13, TRAP_PAGE = 14 };

static const char *const trap_names[32] = {
    [0] = "divide error",   [1] = "debug",           [3] = "breakpoint",
    [4] = "overflow",       [5] = "bound range",     [6] = "invalid opcode",
    [7] = "no coprocessor", [8] = "double fault",    [10] = "invalid TSS",
    [11] = "no segment",    [12] = "stack segment",  [13] = "general protection",
    [14] = "page fault",    [16] = "x87 exception",  [17] = "alignment check",
    [18] = "machine check", [19] = "SIMD exception", [21] = "control protection",
};

static const char *trap_name(unsigned vector)
{
    return vector < 32 && trap_names[vector] ? trap_names[vector] : "unknown trap";
}

extern const char user_access_start[], user_access_end[], user_access_fault[];

static bool in_user_access(uint64_t rip)
{
    return rip >= (uint64_t)user_access_start && rip < (uint64_t)user_access_end;
}

static void regs_print(const struct user_regs *r)
{
    log_error("rip %016lx rsp %016lx rflags %08lx cs %02lx", r->rip, r->rsp, r->rflags, r->cs);
    log_error("rax %016lx rbx %016lx rcx %016lx rdx %016lx", r->rax, r->rbx, r->rcx, r->rdx);
    log_error("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", r->rsi, r->rdi, r->rbp, r->r8);
    log_error("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", r->r9, r->r10, r->r11, r->r12);
    log_error("r13 %016lx r14 %016lx r15 %016lx cr2 %016lx", r->r13, r->r14, r->r15, cr2_read());
}

static void kernel_trap_fatal(struct user_regs *regs, uint64_t address) __noreturn;
static void kernel_trap_fatal(struct user_regs *regs, uint64_t address)
{
    unsigned vector = (unsigned)regs->vector;
    bool stack = vector == TRAP_DOUBLE_FAULT || vector == TRAP_PAGE;

    regs_print(regs);
    backtrace_print(LOG_ERROR, BACKTRACE_MAX, regs->rip, regs->rbp);
    if (stack && kstack_is_guard(address))
        panic("kernel stack overflow of thread '%s' at %016lx", current_thread()->name, address);
    if (vector == TRAP_PAGE)
        panic("kernel %s of address %016lx at %016lx (error %lx)",
              regs->error & 16 ? "execution" : regs->error & 2 ? "write" : "read", address,
              regs->rip, regs->error);
    panic("%s in the kernel at %016lx (error %lx)", trap_name(vector), regs->rip, regs->error);
}

static unsigned fault_access(uint64_t error)
{
    if (error & 16)
        return FAULT_EXEC;
    return error & 2 ? FAULT_WRITE : FAULT_READ;
}

/* A fault in kernel mode: of user memory on a user's behalf, of a guarded policy, or fatal. */
static void kernel_trap(struct user_regs *regs)
{
    uint64_t address = regs->vector == TRAP_PAGE ? cr2_read() : 0;
    struct thread *t = current_thread();

    if (in_user_access(regs->rip)) {
        if (regs->vector == TRAP_PAGE && t->aspace && this_cpu()->preempt_count == 0 &&
            address < USER_ADDRESS_END) {
            int r;

            COUNT(page_faults_kernel, 1);
            TRACE(page_fault, address, fault_access(regs->error), regs->rip);
            interrupts_on();
            r = aspace_fault(t->aspace, address, fault_access(regs->error));
            if (r == ERR_NO_MEMORY && t->user && t->user->starved && t->user->starved())
                r = OK;
            interrupts_off();
            if (r == OK)
                return;
        }
        regs->rip = (uint64_t)user_access_fault;
        return;
    }
    if (guard_trip(regs, POLICY_FAULTED))
        return;
    kernel_trap_fatal(regs, address);
}

static void user_trap(struct user_regs *regs)
{
    struct thread *t = current_thread();
    struct user_fault fault = {.vector = (unsigned)regs->vector, .address = regs->rip};

    if (regs->vector == TRAP_PAGE) {
        fault.address = cr2_read();
        fault.access = fault_access(regs->error);
        COUNT(page_faults_user, 1);
        TRACE(page_fault, fault.address, fault.access, regs->rip);
        interrupts_on();
        fault.status = aspace_fault(t->aspace, fault.address, fault.access);
        if (fault.status == OK)
            return;
    }
    interrupts_on();
    t->user->fault(regs, &fault);
}

void user_return_work(struct user_regs *regs)
{
    struct thread *t = current_thread();

    for (;;) {
        interrupts_off();
        if (__atomic_load_n(&this_cpu()->need_resched, __ATOMIC_RELAXED)) {
            interrupts_on();
            sched_preempt();
        } else if (t->user_work) {
            t->user_work = false;
            interrupts_on();
            t->user->before_return(regs);
        } else {
            return;
        }
    }
}

void trap_dispatch(struct user_regs *regs)
{
    bool from_user = regs->cs & 3;
    struct cpu *c = this_cpu();

    cpu_user_access_end();
    if (from_user)
        current_thread()->regs = regs;
    if (regs->vector >= 32) {
        uint64_t entered = c->guard.active ? time_now() : 0;

        c->preempt_count++;
        TRACE(irq_entry, regs->vector, regs->rip, 0);
        c->in_interrupt = true;
        irq_dispatch((unsigned)regs->vector);
        c->in_interrupt = false;
        if (entered)
            guard_check_budget(regs, entered);
        c->preempt_count--;
        if (!from_user && c->preempt_count == 0 && c->need_resched && (regs->rflags & RFLAGS_IF))
            sched_preempt_interrupted();
    } else if (from_user) {
        user_trap(regs);
    } else {
        kernel_trap(regs);
    }
    if (from_user)
        user_return_work(regs);
}

void trap_paranoid_dispatch(struct user_regs *regs)
{
    if (regs->vector == TRAP_NMI)
        return;
    kernel_trap_fatal(regs, cr2_read());
}

/* Returns 1 when SYSRET may be used, 0 when all registers must be restored. */
int syscall_dispatch(struct user_regs *regs)
{
    struct thread *t = current_thread();

    t->regs = regs;
    t->user->syscall(regs);
    user_return_work(regs);
    return regs->rcx == regs->rip && regs->r11 == regs->rflags && regs->rip < USER_ADDRESS_END &&
           !(regs->rflags & RFLAGS_TF) && regs->cs == GDT_USER_CODE && regs->ss == GDT_USER_DATA;
}
