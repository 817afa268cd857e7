/*
 * sys_signal.c: the signal calls.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/signal/signal.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define SET_SIZE sizeof(uint64_t)

long sys_rt_sigaction(struct call *c)
{
    struct process *p = c->task->process;
    int signal = (int)c->arg[0];
    struct linux_sigaction fresh, old;
    bool set = c->arg[1] != 0;
    uint64_t flags;

    if (!signal_valid(signal) || c->arg[3] != SET_SIZE)
        return ERR_INVALID;
    if (set && (signal == LINUX_SIGKILL || signal == LINUX_SIGSTOP))
        return ERR_INVALID;
    if (set && user_read(&fresh, c->arg[1], sizeof(fresh)) != OK)
        return ERR_FAULT;
    flags = spin_lock_irqsave(&p->lock);
    old = p->actions[signal - 1];
    if (set) {
        fresh.mask &= ~(signal_bit(LINUX_SIGKILL) | signal_bit(LINUX_SIGSTOP));
        p->actions[signal - 1] = fresh;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    if (c->arg[2] != 0 && user_write(c->arg[2], &old, sizeof(old)) != OK)
        return ERR_FAULT;
    return 0;
}

long sys_rt_sigprocmask(struct call *c)
{
    struct task *t = c->task;
    uint64_t old = t->blocked, mask;

    if (c->arg[3] != SET_SIZE)
        return ERR_INVALID;
    if (c->arg[1] != 0) {
        if (user_read(&mask, c->arg[1], sizeof(mask)) != OK)
            return ERR_FAULT;
        switch ((int)c->arg[0]) {
        case LINUX_SIG_BLOCK:
            mask = old | mask;
            break;
        case LINUX_SIG_UNBLOCK:
            mask = old & ~mask;
            break;
        case LINUX_SIG_SETMASK:
            break;
        default:
            return ERR_INVALID;
        }
        signal_set_blocked(t, mask);
    }
    if (c->arg[2] != 0 && user_write(c->arg[2], &old, sizeof(old)) != OK)
        return ERR_FAULT;
    return 0;
}

long sys_rt_sigpending(struct call *c)
{
    const struct task *t = c->task;
    uint64_t set = (t->pending.set | t->process->pending.set) & t->blocked;

    if (c->arg[1] > SET_SIZE)
        return ERR_INVALID;
    return user_write(c->arg[0], &set, c->arg[1]);
}

/* Nothing but a signal ends this wait. */
static long wait_for_signal(void)
{
    struct wait_queue never = WAIT_QUEUE_INIT(never);

    WAIT_UNTIL(&never, false, TIME_NEVER, WAIT_INTERRUPTIBLE);
    return LINUX_RESTART_NO_HANDLER;
}

long sys_pause(struct call *c)
{
    (void)c;
    return wait_for_signal();
}

long sys_rt_sigsuspend(struct call *c)
{
    struct task *t = c->task;
    uint64_t mask;

    if (c->arg[1] != SET_SIZE)
        return ERR_INVALID;
    if (user_read(&mask, c->arg[0], sizeof(mask)) != OK)
        return ERR_FAULT;
    t->saved_blocked = t->blocked;
    t->restore_blocked = true;
    signal_set_blocked(t, mask);
    if (signal_waits(t))
        return LINUX_RESTART_NO_HANDLER;
    return wait_for_signal();
}

static void set_awaited(struct task *t, uint64_t set)
{
    uint64_t flags = spin_lock_irqsave(&t->process->lock);

    t->awaited = set;
    spin_unlock_irqrestore(&t->process->lock, flags);
}

long signal_await(struct task *t, uint64_t set, uint64_t due, struct linux_siginfo *info)
{
    struct wait_queue never = WAIT_QUEUE_INIT(never);
    int waited = OK;
    bool taken;

    set_awaited(t, set);
    for (;;) {
        thread_interrupt_clear(); /* before looking: what comes later ends the wait */
        taken = signal_take(t, set, info);
        if (taken || waited == ERR_TIMED_OUT || signal_waits(t))
            break;
        waited = WAIT_UNTIL(&never, false, due, WAIT_INTERRUPTIBLE);
    }
    set_awaited(t, 0);
    if (taken)
        return info->signo;
    return waited == ERR_TIMED_OUT ? ERR_AGAIN : LINUX_ERRNO(EINTR);
}

long sys_rt_sigtimedwait(struct call *c)
{
    struct linux_siginfo info;
    uint64_t set, ns, due = TIME_NEVER;
    long r;

    if (c->arg[3] != SET_SIZE)
        return ERR_INVALID;
    if (user_read(&set, c->arg[0], sizeof(set)) != OK)
        return ERR_FAULT;
    if (c->arg[2] != 0) {
        r = clock_read_timespec(c->arg[2], &ns);
        if (r != OK)
            return r;
        due = clock_due_in(ns);
    }
    set &= ~(signal_bit(LINUX_SIGKILL) | signal_bit(LINUX_SIGSTOP));
    r = signal_await(c->task, set, due, &info);
    if (r > 0 && c->arg[1] != 0 && user_write(c->arg[1], &info, sizeof(info)) != OK)
        return ERR_FAULT;
    return r;
}

long sys_sigaltstack(struct call *c)
{
    struct task *t = c->task;
    struct linux_stack old = t->alternate_stack, fresh;
    bool set = c->arg[0] != 0;
    bool on = !(old.flags & LINUX_SS_DISABLE) && c->regs->rsp > old.sp &&
              c->regs->rsp - old.sp <= old.size;

    if (set && user_read(&fresh, c->arg[0], sizeof(fresh)) != OK)
        return ERR_FAULT;
    if (set) {
        uint32_t mode = fresh.flags & ~LINUX_SS_AUTODISARM;

        if (on)
            return LINUX_ERRNO(EPERM);
        if (mode != 0 && mode != LINUX_SS_ONSTACK && mode != LINUX_SS_DISABLE)
            return ERR_INVALID;
        if (mode == LINUX_SS_DISABLE)
            fresh = (struct linux_stack){.flags = fresh.flags};
        else if (fresh.size < LINUX_MINSIGSTKSZ || fresh.sp + fresh.size < fresh.sp)
            return ERR_NO_MEMORY;
        fresh.flags &= ~LINUX_SS_ONSTACK;
        fresh.pad = 0;
        t->alternate_stack = fresh;
    }
    if (on)
        old.flags |= LINUX_SS_ONSTACK;
    if (c->arg[1] != 0 && user_write(c->arg[1], &old, sizeof(old)) != OK)
        return ERR_FAULT;
    return 0;
}

static struct linux_siginfo info_from(const struct task *sender, int signal, int code)
{
    struct linux_siginfo info = {.signo = signal, .code = code};

    info.sender.pid = sender->process->pid;
    info.sender.uid = sender->process->credentials.user.real;
    return info;
}

/* kill() to a group or to all: which processes it reaches. */
struct kill_scope {
    int group; /* 0: every process but the first and the sender's */
    struct process *self;
    int signal;
    bool refused; /* there was one that the sender may not reach */
    struct process **found; /* references; NULL: only count */
    unsigned room, count;
};

static void collect(struct process *p, void *context)
{
    struct kill_scope *s = context;
    bool wanted = s->group != 0 ? p->group == s->group : p->pid != 1 && p != s->self;

    if (!wanted || p->state == PROCESS_REAPED)
        return;
    if (!credentials_may_signal(s->self, p, s->signal)) {
        s->refused = true;
        return;
    }
    if (s->count < s->room) {
        process_ref(p);
        s->found[s->count] = p;
    }
    s->count++;
}

static long kill_many(struct kill_scope *s, const struct linux_siginfo *info)
{
    process_for_each(collect, s);
    if (s->count == 0)
        return s->refused ? LINUX_ERRNO(EPERM) : LINUX_ERRNO(ESRCH);
    /* Those that are born meanwhile are missed, as by any sender that comes a moment earlier. */
    s->room = s->count;
    s->count = 0;
    s->found = kmalloc(s->room * sizeof(*s->found));
    if (!s->found)
        return ERR_NO_MEMORY;
    process_for_each(collect, s);
    for (unsigned i = 0; i < MIN(s->count, s->room); i++) {
        if (info->signo != 0)
            signal_send_process(s->found[i], info);
        process_unref(s->found[i]);
    }
    kfree(s->found);
    return OK;
}

long sys_kill(struct call *c)
{
    int pid = (int)c->arg[0], signal = (int)c->arg[1];
    struct linux_siginfo info = info_from(c->task, signal, LINUX_SI_USER);
    struct kill_scope scope = {.self = c->task->process, .signal = signal};
    struct process *p;
    long r = OK;

    if (signal != 0 && !signal_valid(signal))
        return ERR_INVALID;
    if (pid <= 0) {
        scope.group = pid == 0 ? c->task->process->group : pid == -1 ? 0 : -pid;
        return kill_many(&scope, &info);
    }
    p = process_find(pid);
    if (!p)
        return LINUX_ERRNO(ESRCH);
    if (!credentials_may_signal(scope.self, p, signal))
        r = LINUX_ERRNO(EPERM);
    else if (signal != 0)
        signal_send_process(p, &info);
    process_unref(p);
    return r;
}

static long kill_task(struct call *c, int pid, int tid, int signal)
{
    struct linux_siginfo info = info_from(c->task, signal, LINUX_SI_TKILL);
    struct task *t;
    long r = OK;

    if (tid <= 0 || (signal != 0 && !signal_valid(signal)))
        return ERR_INVALID;
    t = task_find(tid);
    if (!t)
        return LINUX_ERRNO(ESRCH);
    if (pid != 0 && t->process->pid != pid)
        r = LINUX_ERRNO(ESRCH);
    else if (!credentials_may_signal(c->task->process, t->process, signal))
        r = LINUX_ERRNO(EPERM);
    else if (signal != 0)
        signal_send_task(t, &info);
    task_unref(t);
    return r;
}

long sys_tgkill(struct call *c)
{
    if ((int)c->arg[0] <= 0)
        return ERR_INVALID;
    return kill_task(c, (int)c->arg[0], (int)c->arg[1], (int)c->arg[2]);
}

long sys_tkill(struct call *c)
{
    return kill_task(c, 0, (int)c->arg[0], (int)c->arg[1]);
}

/* sigqueue(): a program makes the siginfo itself; to others (to: whose number) it can't claim to be
 * the kernel or kill(). */
static int read_queued(struct call *c, vaddr_t at, int signal, int to, struct linux_siginfo *info)
{
    if (user_read(info, at, sizeof(*info)) != OK)
        return ERR_FAULT;
    if ((info->code >= 0 || info->code == LINUX_SI_TKILL) && to != c->task->process->pid)
        return LINUX_ERRNO(EPERM);
    if (!signal_valid(signal))
        return ERR_INVALID;
    info->signo = signal;
    return OK;
}

long sys_rt_sigqueueinfo(struct call *c)
{
    struct linux_siginfo info;
    struct process *p;
    int r = read_queued(c, c->arg[2], (int)c->arg[1], (int)c->arg[0], &info);

    if (r != OK)
        return r;
    p = process_find((int)c->arg[0]);
    if (!p)
        return LINUX_ERRNO(ESRCH);
    if (credentials_may_signal(c->task->process, p, info.signo))
        signal_send_process(p, &info);
    else
        r = LINUX_ERRNO(EPERM);
    process_unref(p);
    return r;
}

long sys_rt_tgsigqueueinfo(struct call *c)
{
    struct linux_siginfo info;
    struct task *t;
    int r = read_queued(c, c->arg[3], (int)c->arg[2], (int)c->arg[0], &info);

    if (r != OK)
        return r;
    t = task_find((int)c->arg[1]);
    if (!t)
        return LINUX_ERRNO(ESRCH);
    if (t->process->pid != (int)c->arg[0])
        r = LINUX_ERRNO(ESRCH);
    else if (!credentials_may_signal(c->task->process, t->process, info.signo))
        r = LINUX_ERRNO(EPERM);
    else
        signal_send_task(t, &info);
    task_unref(t);
    return r;
}
