/*
 * exit.c: how tasks and processes end, and what their parents learn of it.
 */
#include <microlake/log.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/job.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/process/wait.h"
#include "modules/linux/syscall.h"

bool task_must_exit(const struct task *t)
{
    const struct process *p = t->process;
    const struct task *exec = __atomic_load_n(&p->exec_task, __ATOMIC_ACQUIRE);

    return __atomic_load_n(&p->exiting, __ATOMIC_ACQUIRE) || (exec && exec != t);
}

/* Prods every task of p but `except`; p->lock is held. */
static void interrupt_tasks_locked(struct process *p, const struct task *except)
{
    list_for_each (it, &p->tasks) {
        struct task *t = list_entry(it, struct task, link);

        if (t != except && t->thread)
            thread_interrupt(t->thread);
    }
}

/* p->lock is held. The first status counts. */
void process_begin_exit_locked(struct process *p, int status)
{
    if (!p->exiting) {
        p->exit_status = status;
        __atomic_store_n(&p->exiting, true, __ATOMIC_RELEASE);
    }
    interrupt_tasks_locked(p, NULL);
    wait_wake_all(&p->stop_queue);
}

bool process_end_other_tasks(struct task *t)
{
    struct process *p = t->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    bool ours = !p->exiting && !p->exec_task;

    if (ours) {
        __atomic_store_n(&p->exec_task, t, __ATOMIC_RELEASE);
        interrupt_tasks_locked(p, t);
        wait_wake_all(&p->stop_queue);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    if (!ours)
        return false;
    WAIT_UNTIL(&p->tasks_queue, __atomic_load_n(&p->task_count, __ATOMIC_ACQUIRE) == 1, TIME_NEVER,
               0);
    flags = spin_lock_irqsave(&p->lock);
    p->exec_task = NULL;
    ours = !p->exiting;
    spin_unlock_irqrestore(&p->lock, flags);
    return ours;
}

void process_release_mm(struct process *p)
{
    if (!p->borrowed_mm)
        return;
    __atomic_store_n(&p->borrowed_mm, false, __ATOMIC_RELEASE);
    wait_wake_all(&p->release_queue);
}

/* The parent does not want to hear of its children's ends. */
static bool parent_ignores(struct process *parent, int signal)
{
    const struct linux_sigaction *action;
    bool ignores;

    if (signal != LINUX_SIGCHLD)
        return false;
    spin_lock(&parent->lock);
    action = &parent->actions[LINUX_SIGCHLD - 1];
    ignores = action->handler == LINUX_SIG_IGN || (action->flags & LINUX_SA_NOCLDWAIT);
    spin_unlock(&parent->lock);
    return ignores;
}

/* Who inherits p's children: the next of its forebears that wants to, or the first process. */
static struct process *heir_of_locked(const struct process *p)
{
    for (struct process *at = p->parent; at; at = at->parent) {
        if (at->subreaper && at->state == PROCESS_ALIVE)
            return at;
    }
    return process_first();
}

/* Gives p's children to its heir, or frees them when they are zombies that nobody will ask for.
 * process_table_lock is held. Zombies to drop go to `orphans`. Returns the heir, with a reference,
 * when it got zombies: it is to hear of them. */
static struct process *leave_children_locked(struct process *p, struct list *orphans)
{
    struct process *heir = heir_of_locked(p);
    bool zombies = false;

    list_for_each_safe (it, &p->children) {
        struct process *child = list_entry(it, struct process, sibling);

        list_remove(&child->sibling);
        /* Continuing a process tells its parent, which takes the lock that is held here. */
        if (child->death_signal != 0 && child->death_signal != LINUX_SIGCONT &&
            child->state == PROCESS_ALIVE)
            signal_send_simple(child, child->death_signal, LINUX_SI_USER, p->pid);
        if (heir && heir != p && heir->state == PROCESS_ALIVE) {
            child->parent = heir;
            child->exit_signal = LINUX_SIGCHLD; /* the heir knows of no other agreement */
            list_push_back(&heir->children, &child->sibling);
            zombies |= child->state == PROCESS_ZOMBIE;
            job_note_child_locked(p, child);
            continue;
        }
        child->parent = NULL;
        job_note_child_locked(p, child);
        if (child->state == PROCESS_ZOMBIE) {
            process_leave_table_locked(child);
            list_push_back(orphans, &child->sibling);
        }
    }
    if (!zombies)
        return NULL;
    process_ref(heir);
    return heir;
}

static void drop_orphans(struct list *orphans)
{
    for (;;) {
        struct list *it = list_pop_front(orphans);

        if (!it)
            return;
        process_unref(list_entry(it, struct process, sibling));
    }
}

void process_fill_child_info(struct process *p, int code, int status, struct linux_siginfo *out)
{
    *out = (struct linux_siginfo){.signo = LINUX_SIGCHLD, .code = code};
    out->child.pid = p->pid;
    out->child.uid = p->credentials.user.real;
    out->child.status = status;
    out->child.user_time = (int64_t)(process_cpu_time(p) / (NS_PER_SEC / LINUX_TICKS_PER_SECOND));
}

/* The parent of p, with a reference, or NULL. */
static struct process *parent_of(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct process *parent = p->parent;

    if (parent)
        process_ref(parent);
    spin_unlock_irqrestore(&process_table_lock, flags);
    return parent;
}

void process_notify_parent(struct process *p, int code, int status)
{
    struct process *parent = parent_of(p);
    struct linux_siginfo info;

    if (!parent)
        return;
    process_fill_child_info(p, code, status, &info);
    if (!(parent->actions[LINUX_SIGCHLD - 1].flags & LINUX_SA_NOCLDSTOP))
        signal_send_process(parent, &info);
    wait_wake_all(&parent->child_queue);
    process_unref(parent);
}

/* Signals a child's end, unless it has no signal for that, and gives the reference back. */
static void tell_parent(struct process *parent, const struct linux_siginfo *info)
{
    if (info->signo != 0)
        signal_send_process(parent, info);
    wait_wake_all(&parent->child_queue);
    process_unref(parent);
}

/* The last task has left: the process becomes a zombie, or vanishes at once. */
static void process_finish(struct process *p)
{
    struct list orphans = LIST_INIT(orphans);
    int status = p->exit_status;
    struct process *parent, *heir;
    struct linux_siginfo info;
    bool reaped;
    uint64_t flags;

    process_stop_timers(p);
    process_drop_resources(p);
    process_release_mm(p);
    process_fill_child_info(p, status & 0x7f ? LINUX_CLD_KILLED : LINUX_CLD_EXITED,
                            status & 0x7f ? status & 0x7f : status >> 8, &info);
    flags = spin_lock_irqsave(&process_table_lock);
    job_note_exit_locked(p);
    heir = leave_children_locked(p, &orphans);
    parent = p->parent;
    info.signo = p->exit_signal;
    reaped = !parent ? p != process_first() : parent_ignores(parent, info.signo);
    if (parent)
        process_ref(parent);
    p->state = PROCESS_ZOMBIE;
    if (reaped)
        process_leave_table_locked(p);
    spin_unlock_irqrestore(&process_table_lock, flags);
    poll_notify(&p->end_source, LINUX_POLLIN);
    drop_orphans(&orphans);
    job_settle_exit(p);
    if (parent)
        tell_parent(parent, &info);
    if (heir) {
        info.signo = LINUX_SIGCHLD;
        tell_parent(heir, &info);
    }
    wait_wake_all(&p->tasks_queue);
    if (reaped)
        process_unref(p);
}

void task_settle_memory(struct task *t)
{
    uint32_t zero = 0;

    futex_exit_robust_list(t);
    if (t->clear_tid != 0) {
        user_write(t->clear_tid, &zero, sizeof(zero));
        futex_wake_address(t->process->mm, t->clear_tid, 1);
    }
}

void task_exit(struct task *t, int status)
{
    struct process *p = t->process;
    uint64_t flags;
    bool last;

    t->leaving = true;
    task_settle_memory(t);
    flags = spin_lock_irqsave(&p->lock);
    if (!p->exiting)
        p->exit_status = status; /* counts when no other task ends after this one */
    spin_unlock_irqrestore(&p->lock, flags);
    process_ref(p);
    last = task_leave_table(t) == 0;
    task_unref(t); /* the table's; the thread's goes in linux_user_ops.exited */
    if (last) {
        thread_set_aspace(NULL); /* so that its memory is free before anybody learns of the end */
        process_finish(p);
    }
    process_unref(p);
    thread_exit();
}

void process_exit(struct task *t, int status)
{
    struct process *p = t->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);

    process_begin_exit_locked(p, status);
    spin_unlock_irqrestore(&p->lock, flags);
    task_exit(t, status);
}

long sys_exit(struct call *c)
{
    task_exit(c->task, status_of_exit((unsigned)c->arg[0]));
}

long sys_exit_group(struct call *c)
{
    process_exit(c->task, status_of_exit((unsigned)c->arg[0]));
}
