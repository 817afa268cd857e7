/*
 * wait.c: wait4 and waitid.
 */
#include "modules/linux/process/wait.h"

#include <microlake/user.h>

#include "modules/linux/abi/fs.h"
#include "modules/linux/process/pidfd.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/usage.h"

/* All threads of a process have the same children, so WNOTHREAD changes nothing. */
#define KIND_OPTIONS (LINUX_WALL | LINUX_WCLONE | LINUX_WNOTHREAD)

/* Which children, and which changes. */
struct wait_request {
    int kind; /* LINUX_P_* */
    int id;
    unsigned options; /* LINUX_W* */
};

/* What was found. */
struct wait_event {
    struct process *child; /* a reference when it was reaped, else only a name */
    int pid;
    int status; /* as wait4() reports it */
    int code;   /* LINUX_CLD_* */
    int value;  /* exit code or signal */
    struct usage usage;
    bool reaped;
};

/* Children whose end is told by another signal than SIGCHLD, or by none, are waited for only on request. */
static bool request_matches(const struct wait_request *w, const struct process *child)
{
    bool other = child->exit_signal != LINUX_SIGCHLD;

    if (!(w->options & LINUX_WALL) && other != ((w->options & LINUX_WCLONE) != 0))
        return false;
    switch (w->kind) {
    case LINUX_P_PID:
        return child->pid == w->id;
    case LINUX_P_PGID:
        return child->group == w->id;
    default:
        return true;
    }
}

/* Takes note of a zombie; process_table_lock is held. */
static void reap_locked(struct process *p, struct process *child, const struct wait_request *w,
                        struct wait_event *out)
{
    bool killed = child->exit_status & 0x7f;

    out->child = child;
    out->status = child->exit_status;
    out->code = killed ? LINUX_CLD_KILLED : LINUX_CLD_EXITED;
    out->value = killed ? child->exit_status & 0x7f : child->exit_status >> 8;
    out->usage = child->gone;
    usage_add(&out->usage, &child->children_usage);
    if (w->options & LINUX_WNOWAIT)
        return;
    out->reaped = true;
    usage_add(&p->children_usage, &out->usage);
    process_leave_table_locked(child);
}

/* A stop or continuation that the parent has not been told of; process_table_lock is held. */
static bool note_stop_locked(struct process *child, const struct wait_request *w,
                             struct wait_event *out)
{
    bool keep = w->options & LINUX_WNOWAIT, found = false;

    spin_lock(&child->lock);
    if ((w->options & LINUX_WUNTRACED) && child->stopped && child->stop_signal != 0) {
        found = true;
        out->status = child->stop_signal << 8 | 0x7f;
        out->code = LINUX_CLD_STOPPED;
        out->value = child->stop_signal;
        if (!keep)
            child->stop_signal = 0;
    } else if ((w->options & LINUX_WCONTINUED) && child->continued) {
        found = true;
        out->status = 0xffff;
        out->code = LINUX_CLD_CONTINUED;
        out->value = LINUX_SIGCONT;
        if (!keep)
            child->continued = false;
    }
    spin_unlock(&child->lock);
    return found;
}

/* Looks at all children once. OK: *out is filled; ERR_AGAIN: nothing yet; ECHILD. */
static int wait_look(struct process *p, const struct wait_request *w, struct wait_event *out)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    int r = LINUX_ERRNO(ECHILD);

    *out = (struct wait_event){0};
    list_for_each (it, &p->children) {
        struct process *child = list_entry(it, struct process, sibling);

        if (!request_matches(w, child))
            continue;
        r = ERR_AGAIN;
        out->pid = child->pid;
        if (child->state == PROCESS_ZOMBIE && (w->options & LINUX_WEXITED)) {
            reap_locked(p, child, w, out);
            r = OK;
            break;
        }
        if (child->state == PROCESS_ALIVE && note_stop_locked(child, w, out)) {
            r = OK;
            break;
        }
    }
    spin_unlock_irqrestore(&process_table_lock, flags);
    if (out->reaped)
        process_unref(out->child); /* the table's reference */
    return r;
}

/* Looks, and sleeps until a child changes when there is nothing yet. Looking takes the event, so it
 * happens exactly once a round. */
static int wait_round(struct process *p, const struct wait_request *w, struct wait_event *out)
{
    struct waiter waiter;
    int r, slept = OK;

    wait_prepare(&p->child_queue, &waiter);
    r = wait_look(p, w, out);
    if (r == ERR_AGAIN)
        slept = wait_sleep(&p->child_queue, &waiter, TIME_NEVER, WAIT_INTERRUPTIBLE);
    wait_finish(&p->child_queue, &waiter);
    return slept != OK ? slept : r;
}

/* Waits for an event. OK with out->pid 0: WNOHANG, and nothing yet. */
static int wait_for(struct process *p, const struct wait_request *w, struct wait_event *out)
{
    int r;

    if (w->options & LINUX_WNOHANG) {
        r = wait_look(p, w, out);
        if (r == ERR_AGAIN)
            *out = (struct wait_event){0};
        return r == ERR_AGAIN ? OK : r;
    }
    do {
        r = wait_round(p, w, out);
    } while (r == ERR_AGAIN);
    return r;
}

long sys_wait4(struct call *c)
{
    struct process *p = c->task->process;
    int pid = (int)c->arg[0];
    unsigned options = (unsigned)c->arg[2];
    struct wait_request w = {.kind = LINUX_P_ALL, .options = options | LINUX_WEXITED};
    struct wait_event event;
    int32_t status;
    int r;

    if (options & ~(LINUX_WNOHANG | LINUX_WUNTRACED | LINUX_WCONTINUED | KIND_OPTIONS))
        return ERR_INVALID;
    if (pid > 0)
        w = (struct wait_request){LINUX_P_PID, pid, w.options};
    else if (pid != -1)
        w = (struct wait_request){LINUX_P_PGID, pid == 0 ? p->group : -pid, w.options};
    r = wait_for(p, &w, &event);
    if (r != OK)
        return r;
    status = event.status;
    if (event.pid != 0 && c->arg[1] != 0 && user_write(c->arg[1], &status, sizeof(status)) != OK)
        return ERR_FAULT;
    if (event.pid != 0 && c->arg[3] != 0 && usage_write(c->arg[3], &event.usage) != OK)
        return ERR_FAULT;
    return event.pid;
}

/* Makes a number of the descriptor; one with O_NONBLOCK does not wait. */
static int by_descriptor(struct task *t, struct wait_request *w)
{
    struct process *child;
    uint32_t flags;
    int r;

    if (w->id < 0)
        return ERR_INVALID;
    r = pidfd_get(t, w->id, &child, &flags);
    if (r != OK)
        return r;
    /* The number is the child's until it is reaped, and then it is no child any more. */
    if (__atomic_load_n(&child->state, __ATOMIC_ACQUIRE) == PROCESS_REAPED)
        r = LINUX_ERRNO(ECHILD);
    w->kind = LINUX_P_PID;
    w->id = child->pid;
    if (flags & LINUX_O_NONBLOCK)
        w->options |= LINUX_WNOHANG;
    process_unref(child);
    return r;
}

long sys_waitid(struct call *c)
{
    struct process *p = c->task->process;
    struct wait_request w = {(int)c->arg[0], (int)c->arg[1], (unsigned)c->arg[3]};
    struct linux_siginfo info = {0};
    struct wait_event event;
    bool again = false; /* a descriptor that is not to wait: say so */
    int r;

    if (w.kind < LINUX_P_ALL || w.kind > LINUX_P_PIDFD)
        return ERR_INVALID;
    if (!(w.options & (LINUX_WEXITED | LINUX_WUNTRACED | LINUX_WCONTINUED)) ||
        (w.options & ~(unsigned)(LINUX_WNOHANG | LINUX_WUNTRACED | LINUX_WEXITED |
                                 LINUX_WCONTINUED | LINUX_WNOWAIT | KIND_OPTIONS)))
        return ERR_INVALID;
    if (w.kind == LINUX_P_PGID && w.id == 0)
        w.id = p->group;
    if (w.kind == LINUX_P_PIDFD) {
        again = !(w.options & LINUX_WNOHANG);
        r = by_descriptor(c->task, &w);
        if (r != OK)
            return r;
        again = again && (w.options & LINUX_WNOHANG);
    }
    r = wait_for(p, &w, &event);
    if (r != OK)
        return r;
    if (again && event.pid == 0)
        return ERR_AGAIN;
    if (event.pid != 0) {
        info.signo = LINUX_SIGCHLD;
        info.code = event.code;
        info.child.pid = event.pid;
        info.child.status = event.value;
    }
    if (c->arg[2] != 0 && user_write(c->arg[2], &info, sizeof(info)) != OK)
        return ERR_FAULT;
    if (event.pid != 0 && c->arg[4] != 0 && usage_write(c->arg[4], &event.usage) != OK)
        return ERR_FAULT;
    return 0;
}
