/*
 * control.c: whose controlling terminal a terminal is, and who is in its foreground. See tty.h.
 *
 * A session has at most one; it is found by the session's number. All of it is guarded by
 * process_table_lock.
 */
#include "modules/linux/abi/signal.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/job.h"
#include "modules/linux/process/process.h"
#include "modules/linux/tty/tty.h"

/* Terminals with a session; guarded by process_table_lock. */
static struct list controlling = LIST_INIT(controlling);

static struct tty *terminal_of_locked(const struct process *p)
{
    if (p->detached)
        return NULL;
    list_for_each (it, &controlling) {
        struct tty *t = list_entry(it, struct tty, controlling);

        if (t->session == p->session)
            return t;
    }
    return NULL;
}

static int release_locked(struct tty *t, int *group)
{
    int session = t->session;

    *group = t->group;
    t->session = t->group = 0;
    list_remove(&t->controlling);
    return session;
}

struct tty *control_terminal(void)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct tty *t = terminal_of_locked(task_current()->process);

    if (t && !tty_ref_live(t))
        t = NULL;
    spin_unlock_irqrestore(&process_table_lock, flags);
    return t;
}

static int attach_locked(struct tty *t, struct process *p, bool steal)
{
    bool leader = p->session == p->pid;
    int group;

    if (leader && t->session == p->session)
        return OK;
    if (!leader || terminal_of_locked(p) || (t->session != 0 && !steal))
        return LINUX_ERRNO(EPERM);
    if (t->session != 0)
        release_locked(t, &group);
    t->session = p->session;
    t->group = p->group;
    p->detached = false;
    list_push_back(&controlling, &t->controlling);
    return OK;
}

int control_attach(struct tty *t, struct process *p, bool steal)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    int r = attach_locked(t, p, steal);

    spin_unlock_irqrestore(&process_table_lock, flags);
    return r;
}

int control_release(struct tty *t, int *group)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    int session = release_locked(t, group);

    spin_unlock_irqrestore(&process_table_lock, flags);
    return session;
}

int control_detach(struct tty *t)
{
    struct process *p = task_current()->process;
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    bool ours = terminal_of_locked(p) == t, leader = p->session == p->pid;
    int group = 0;

    if (ours && leader)
        release_locked(t, &group);
    p->detached |= ours && !leader;
    spin_unlock_irqrestore(&process_table_lock, flags);
    if (group != 0) {
        group_signal(group, LINUX_SIGHUP);
        group_signal(group, LINUX_SIGCONT);
    }
    return ours ? OK : LINUX_ERRNO(ENOTTY);
}

/* The foreground group of a session whose leader ends, and 0 from then on. */
static int take_foreground(const struct process *leader)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct tty *t = terminal_of_locked(leader);
    int group = 0;

    if (t)
        release_locked(t, &group);
    spin_unlock_irqrestore(&process_table_lock, flags);
    return group;
}

void control_leader_ended(const struct process *leader)
{
    int group = take_foreground(leader);

    if (group != 0) {
        group_signal(group, LINUX_SIGHUP);
    } else if (leader->hung_group != 0) {
        group_signal(leader->hung_group, LINUX_SIGHUP);
        group_signal(leader->hung_group, LINUX_SIGCONT);
    }
}

int control_check(struct tty *t, int signal)
{
    struct task *task = task_current();
    const struct process *p = task->process;
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    bool background = terminal_of_locked(p) == t && t->group != 0 && t->group != p->group;
    bool orphaned = background && group_is_orphaned_locked(p->group, NULL);
    bool ignored = background && (p->actions[signal - 1].handler == LINUX_SIG_IGN ||
                                  (task->blocked & signal_bit(signal)));

    spin_unlock_irqrestore(&process_table_lock, flags);
    if (!background || (ignored && signal != LINUX_SIGTTIN))
        return OK;
    if (ignored || orphaned)
        return LINUX_ERRNO(EIO);
    group_signal(p->group, signal);
    return ERR_INTERRUPTED;
}

long control_get(struct tty *t, bool session, bool own)
{
    const struct process *p = task_current()->process;
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    bool there = (!own || terminal_of_locked(p) == t) && (!session || t->session != 0);
    long r = !there ? LINUX_ERRNO(ENOTTY) : session ? t->session : t->group;

    spin_unlock_irqrestore(&process_table_lock, flags);
    return r;
}

static int set_group_locked(struct tty *t, const struct process *p, int group)
{
    int session;

    if (terminal_of_locked(p) != t)
        return LINUX_ERRNO(ENOTTY);
    if (group < 0)
        return ERR_INVALID;
    session = group_session_locked(group);
    if (session == 0)
        return LINUX_ERRNO(ESRCH);
    if (session != p->session)
        return LINUX_ERRNO(EPERM);
    t->group = group;
    return OK;
}

int control_set_group(struct tty *t, int group)
{
    int r = control_check(t, LINUX_SIGTTOU);
    uint64_t flags;

    if (r != OK)
        return r == LINUX_ERRNO(EIO) ? LINUX_ERRNO(ENOTTY) : r;
    flags = spin_lock_irqsave(&process_table_lock);
    r = set_group_locked(t, task_current()->process, group);
    spin_unlock_irqrestore(&process_table_lock, flags);
    return r;
}

void control_signal(struct tty *t, int signal)
{
    int group = __atomic_load_n(&t->group, __ATOMIC_RELAXED);

    if (group != 0)
        group_signal(group, signal);
}

void control_describe(const struct process *p, uint32_t *device, int *group)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    const struct tty *t = terminal_of_locked(p);

    *device = t ? t->device : 0;
    *group = t ? t->group : -1;
    spin_unlock_irqrestore(&process_table_lock, flags);
}

/* /dev/tty is whatever terminal the caller has. */
static int control_node_open(struct node *node, struct file *f)
{
    struct tty *t = control_terminal();
    int r;

    (void)node;
    if (!t)
        return LINUX_ERRNO(ENXIO);
    f->flags |= LINUX_O_NOCTTY;
    r = tty_open(t, f);
    tty_unref(t);
    return r;
}

const struct node_ops control_node_ops = {.open = control_node_open};
