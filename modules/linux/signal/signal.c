/*
 * signal.c: sending signals, and what a task does with those that wait for it. See signal.h.
 */
#include "modules/linux/signal/signal.h"

#include <microlake/log.h>

#include "modules/linux/event/event.h"
#include "modules/linux/process/job.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/wait.h"
#include "modules/linux/syscall.h"

#define SYSCALL_INSTRUCTION_SIZE 2

/* Signals that can be neither blocked, caught nor ignored. */
#define UNBLOCKABLE (1ull << (LINUX_SIGKILL - 1) | 1ull << (LINUX_SIGSTOP - 1))

enum default_action { ACTION_END, ACTION_IGNORE, ACTION_STOP, ACTION_CONTINUE };

static enum default_action default_action(int signal)
{
    switch (signal) {
    case LINUX_SIGCHLD:
    case LINUX_SIGURG:
    case LINUX_SIGWINCH:
        return ACTION_IGNORE;
    case LINUX_SIGSTOP:
    case LINUX_SIGTSTP:
    case LINUX_SIGTTIN:
    case LINUX_SIGTTOU:
        return ACTION_STOP;
    case LINUX_SIGCONT:
        return ACTION_CONTINUE;
    default:
        return ACTION_END;
    }
}

static bool is_ignored_locked(const struct process *p, int signal)
{
    uint64_t handler = p->actions[signal - 1].handler;

    if (signal == LINUX_SIGKILL || signal == LINUX_SIGSTOP)
        return false;
    return handler == LINUX_SIG_IGN ||
           (handler == LINUX_SIG_DFL && default_action(signal) == ACTION_IGNORE);
}

static bool task_wants(const struct task *t, int signal)
{
    return (~t->blocked | t->awaited) & signal_bit(signal);
}

/* Stops and continuations take back each other; p->lock is held. */
static void prepare_locked(struct process *p, int signal)
{
    uint64_t stops = signal_bit(LINUX_SIGSTOP) | signal_bit(LINUX_SIGTSTP) |
                     signal_bit(LINUX_SIGTTIN) | signal_bit(LINUX_SIGTTOU);
    uint64_t discard = 0;

    if (signal == LINUX_SIGCONT || signal == LINUX_SIGKILL) {
        discard = signal == LINUX_SIGCONT ? stops : 0;
        if (p->stopped) {
            p->stopped = false;
            p->continued = signal == LINUX_SIGCONT;
            wait_wake_all(&p->stop_queue);
        }
    } else if (default_action(signal) == ACTION_STOP) {
        discard = signal_bit(LINUX_SIGCONT);
    }
    if (discard == 0)
        return;
    signal_queue_discard(&p->pending, discard);
    list_for_each (it, &p->tasks) {
        signal_queue_discard(&list_entry(it, struct task, link)->pending, discard);
    }
}

/* A signal that ends the process whatever its tasks do needs no queue; p->lock is held. */
static bool end_at_once_locked(struct process *p, int signal)
{
    if (signal != LINUX_SIGKILL)
        return false;
    process_begin_exit_locked(p, status_of_signal(signal));
    return true;
}

/* Ignored signals vanish, unless they are blocked (they may be wanted later) or awaited. */
static bool vanishes_locked(const struct process *p, const struct task *t, int signal)
{
    if (!is_ignored_locked(p, signal))
        return false;
    if (t)
        return !((t->blocked | t->awaited) & signal_bit(signal));
    list_for_each (it, &p->tasks) {
        const struct task *any = list_entry(it, struct task, link);

        if ((any->blocked | any->awaited) & signal_bit(signal))
            return false;
    }
    return true;
}

void signal_send_process(struct process *p, const struct linux_siginfo *info)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    bool was_stopped = p->stopped;

    prepare_locked(p, info->signo);
    if (!end_at_once_locked(p, info->signo) && !vanishes_locked(p, NULL, info->signo)) {
        signal_queue_add(&p->pending, info);
        list_for_each (it, &p->tasks) {
            struct task *t = list_entry(it, struct task, link);

            if (t->thread && task_wants(t, info->signo)) {
                thread_interrupt(t->thread);
                break;
            }
        }
    }
    was_stopped = was_stopped && p->continued;
    spin_unlock_irqrestore(&p->lock, flags);
    signalfd_notify();
    if (was_stopped)
        process_notify_parent(p, LINUX_CLD_CONTINUED, LINUX_SIGCONT);
}

void signal_send_task(struct task *t, const struct linux_siginfo *info)
{
    struct process *p = t->process;
    uint64_t flags;

    if (info->signo == LINUX_SIGKILL || info->signo == LINUX_SIGCONT) {
        signal_send_process(p, info);
        return;
    }
    flags = spin_lock_irqsave(&p->lock);
    prepare_locked(p, info->signo);
    if (!vanishes_locked(p, t, info->signo)) {
        signal_queue_add(&t->pending, info);
        if (t->thread && task_wants(t, info->signo))
            thread_interrupt(t->thread);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    signalfd_notify();
}

void signal_send_simple(struct process *p, int signal, int code, int sender)
{
    struct linux_siginfo info = {.signo = signal, .code = code};

    info.sender.pid = sender;
    signal_send_process(p, &info);
}

void signal_force(struct task *t, const struct linux_siginfo *info)
{
    struct process *p = t->process;
    struct linux_sigaction *action = &p->actions[info->signo - 1];
    uint64_t flags = spin_lock_irqsave(&p->lock);

    if ((t->blocked & signal_bit(info->signo)) || action->handler == LINUX_SIG_IGN) {
        action->handler = LINUX_SIG_DFL;
        t->blocked &= ~signal_bit(info->signo);
    }
    signal_queue_discard(&t->pending, signal_bit(info->signo));
    signal_queue_add(&t->pending, info);
    spin_unlock_irqrestore(&p->lock, flags);
}

void signal_force_segv(struct task *t)
{
    struct linux_siginfo info = {.signo = LINUX_SIGSEGV, .code = LINUX_SI_KERNEL};

    signal_force(t, &info);
}

bool signal_ends(struct task *t)
{
    struct process *p = t->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    uint64_t set = (t->pending.set | p->pending.set) & ~t->blocked;
    bool ends = task_must_exit(t);

    for (int signal = 1; signal <= LINUX_SIGNALS && !ends; signal++) {
        if (set & signal_bit(signal))
            ends = p->actions[signal - 1].handler == LINUX_SIG_DFL &&
                   default_action(signal) == ACTION_END;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return ends;
}

bool signal_waits(const struct task *t)
{
    const struct process *p = t->process;
    uint64_t set = __atomic_load_n(&t->pending.set, __ATOMIC_ACQUIRE) |
                   __atomic_load_n(&p->pending.set, __ATOMIC_ACQUIRE);

    return (set & ~t->blocked) || task_must_exit(t) ||
           __atomic_load_n(&p->stopped, __ATOMIC_ACQUIRE);
}

bool signal_take(struct task *t, uint64_t wanted, struct linux_siginfo *out)
{
    struct process *p = t->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    bool taken =
        signal_queue_take(&t->pending, wanted, out) || signal_queue_take(&p->pending, wanted, out);

    spin_unlock_irqrestore(&p->lock, flags);
    return taken;
}

void signal_set_blocked(struct task *t, uint64_t mask)
{
    struct process *p = t->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    uint64_t newly_blocked;

    mask &= ~UNBLOCKABLE;
    newly_blocked = mask & ~t->blocked;
    t->blocked = mask;
    /* A signal of the process that this task was prodded for may be another's business now. */
    if (p->pending.set & newly_blocked) {
        list_for_each (it, &p->tasks) {
            struct task *other = list_entry(it, struct task, link);

            if (other != t && other->thread && (p->pending.set & newly_blocked & ~other->blocked))
                thread_interrupt(other->thread);
        }
    }
    spin_unlock_irqrestore(&p->lock, flags);
}

void signal_reset_handlers(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);

    for (int i = 0; i < LINUX_SIGNALS; i++) {
        uint64_t handler = p->actions[i].handler;

        p->actions[i] = (struct linux_sigaction){
            .handler = handler == LINUX_SIG_IGN ? LINUX_SIG_IGN : LINUX_SIG_DFL};
    }
    spin_unlock_irqrestore(&p->lock, flags);
}

/* The process stops: all tasks wait until it continues or ends. */
static void stop_process(struct task *t, int signal)
{
    struct process *p = t->process;
    uint64_t flags;

    if (signal != LINUX_SIGSTOP && group_is_orphaned(p->group))
        return; /* nobody would continue it */
    flags = spin_lock_irqsave(&p->lock);
    if (p->exiting || (p->pending.set & signal_bit(LINUX_SIGCONT))) {
        spin_unlock_irqrestore(&p->lock, flags);
        return;
    }
    p->stopped = true;
    p->stop_signal = signal;
    p->continued = false;
    list_for_each (it, &p->tasks) {
        struct task *other = list_entry(it, struct task, link);

        if (other != t && other->thread)
            thread_interrupt(other->thread);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    process_notify_parent(p, LINUX_CLD_STOPPED, signal);
}

static void wait_while_stopped(struct task *t)
{
    struct process *p = t->process;

    WAIT_UNTIL(&p->stop_queue, !__atomic_load_n(&p->stopped, __ATOMIC_ACQUIRE) || task_must_exit(t),
               TIME_NEVER, 0);
}

static void report_death(const struct task *t, const struct user_regs *regs,
                         const struct linux_siginfo *info)
{
    static const char *const names[] = {
        [LINUX_SIGILL] = "illegal instruction",
        [LINUX_SIGTRAP] = "trap",
        [LINUX_SIGBUS] = "bus error",
        [LINUX_SIGFPE] = "arithmetic error",
        [LINUX_SIGSEGV] = "invalid memory access",
    };
    const char *name = (size_t)info->signo < ARRAY_SIZE(names) ? names[info->signo] : NULL;

    if (name && info->code > 0)
        log_error("linux: %s (pid %d, thread %d): %s at address 0x%lx, instruction 0x%lx: ended by "
                  "signal %d",
                  t->process->name, t->process->pid, t->tid, name, info->fault.address, regs->rip,
                  info->signo);
    else
        log_debug("linux: %s (pid %d) ended by signal %d", t->process->name, t->process->pid,
                  info->signo);
}

/* Takes the next signal that the task does not block, with the action that is set for it. */
static bool next_signal(struct task *t, struct linux_siginfo *info, struct linux_sigaction *action)
{
    struct process *p = t->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    uint64_t wanted = ~t->blocked;
    bool found = signal_queue_take(&t->pending, wanted, info) ||
                 signal_queue_take(&p->pending, wanted, info);

    if (found) {
        struct linux_sigaction *set = &p->actions[info->signo - 1];

        *action = *set;
        if (action->handler > LINUX_SIG_IGN && (action->flags & LINUX_SA_RESETHAND))
            set->handler = LINUX_SIG_DFL;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return found;
}

/* Makes the system call that a signal ended happen again. */
static void restart_call(struct user_regs *regs)
{
    regs->rax = regs->error;
    regs->rip -= SYSCALL_INSTRUCTION_SIZE;
}

/* Enters the handler. The frame keeps the mask to go back to. */
static void run_handler(struct task *t, struct user_regs *regs, const struct linux_siginfo *info,
                        const struct linux_sigaction *action)
{
    uint64_t back = t->restore_blocked ? t->saved_blocked : t->blocked;
    uint64_t blocked = t->blocked | action->mask;

    t->restore_blocked = false;
    t->sleep_due = 0;
    if (t->rseq.at != 0 && !rseq_attend(t, regs))
        signal_force_segv(t); /* taken next, before the handler runs */
    if (!(action->flags & LINUX_SA_NODEFER))
        blocked |= signal_bit(info->signo);
    if (!signal_frame_enter(t, regs, info, action, back)) {
        log_error("linux: %s (pid %d): no room on the stack for the handler of signal %d: ended",
                  t->process->name, t->process->pid, info->signo);
        process_exit(t, status_of_signal(LINUX_SIGSEGV));
    }
    signal_set_blocked(t, blocked);
}

/* Carries out one signal. true: a handler was entered. */
static bool take_action(struct task *t, struct user_regs *regs, const struct linux_siginfo *info,
                        const struct linux_sigaction *action, long *result)
{
    if (action->handler > LINUX_SIG_IGN) {
        if (*result == ERR_INTERRUPTED && (action->flags & LINUX_SA_RESTART))
            restart_call(regs);
        *result = 0;
        run_handler(t, regs, info, action);
        return true;
    }
    if (action->handler == LINUX_SIG_IGN)
        return false;
    switch (default_action(info->signo)) {
    case ACTION_END:
        report_death(t, regs, info);
        process_exit(t, status_of_signal(info->signo));
    case ACTION_STOP:
        stop_process(t, info->signo);
        return false;
    case ACTION_IGNORE:
    case ACTION_CONTINUE:
        return false;
    }
    return false;
}

void signal_attend(struct task *t, struct user_regs *regs, long result)
{
    bool handled = false;
    struct linux_siginfo info;
    struct linux_sigaction action;

    thread_interrupt_clear();
    for (;;) {
        if (task_must_exit(t))
            task_exit(t, t->process->exit_status);
        if (__atomic_load_n(&t->process->stopped, __ATOMIC_ACQUIRE))
            wait_while_stopped(t);
        else if (next_signal(t, &info, &action))
            handled |= take_action(t, regs, &info, &action, &result);
        else
            break;
    }
    if (!handled && result != 0)
        restart_call(regs);
    if (!handled && t->restore_blocked) {
        t->restore_blocked = false;
        signal_set_blocked(t, t->saved_blocked);
    }
}

static int fault_signal(const struct user_fault *fault, int *code)
{
    switch (fault->vector) {
    case 0:
        *code = LINUX_FPE_INTDIV;
        return LINUX_SIGFPE;
    case 1:
        *code = LINUX_TRAP_TRACE;
        return LINUX_SIGTRAP;
    case 3:
        *code = LINUX_SI_KERNEL;
        return LINUX_SIGTRAP;
    case 6:
        *code = LINUX_ILL_ILLOPN;
        return LINUX_SIGILL;
    case 14:
        *code = fault->status == ERR_ACCESS ? LINUX_SEGV_ACCERR : LINUX_SEGV_MAPERR;
        if (fault->status == ERR_IO || fault->status == ERR_RANGE) {
            *code = LINUX_BUS_ADRERR;
            return LINUX_SIGBUS;
        }
        return LINUX_SIGSEGV;
    case 16:
    case 19:
        *code = LINUX_FPE_FLTINV;
        return LINUX_SIGFPE;
    case 17:
        *code = LINUX_BUS_ADRALN;
        return LINUX_SIGBUS;
    default: /* protection and the like: the processor does not say which address */
        *code = LINUX_SI_KERNEL;
        return LINUX_SIGSEGV;
    }
}

void signal_fault(struct task *t, struct user_regs *regs, const struct user_fault *fault)
{
    struct linux_siginfo info = {0};
    int code;

    if (fault->vector == 14 && fault->status == ERR_NO_MEMORY) {
        oom_relieve(t);
        signal_attend(t, regs, 0); /* the instruction runs again, unless the task ends here */
        return;
    }
    info.signo = fault_signal(fault, &code);
    info.code = code;
    info.fault.address = code == LINUX_SI_KERNEL ? 0 : fault->address;
    signal_force(t, &info);
    signal_attend(t, regs, 0);
}
