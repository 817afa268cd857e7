/*
 * job.c: see job.h. And the calls about groups and sessions.
 */
#include "modules/linux/process/job.h"

#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/syscall.h"

static bool is_member(const struct process *p, int group)
{
    return p->group == group && p->state != PROCESS_REAPED;
}

/* The member with the lowest number above `after`; process_table_lock is held. */
struct search {
    int group, after;
    struct process *found;
};

static void search_next(struct process *p, void *context)
{
    struct search *s = context;

    if (is_member(p, s->group) && p->pid > s->after && (!s->found || p->pid < s->found->pid))
        s->found = p;
}

/* The same with a reference and without the lock; NULL: there is no further one. */
static struct process *member_next(int group, int after)
{
    struct search s = {group, after, NULL};
    uint64_t flags = spin_lock_irqsave(&process_table_lock);

    process_for_each_locked(search_next, &s);
    if (s.found)
        process_ref(s.found);
    spin_unlock_irqrestore(&process_table_lock, flags);
    return s.found;
}

void group_signal(int group, int signal)
{
    struct process *p;

    for (int after = 0; (p = member_next(group, after)); after = p->pid, process_unref(p))
        signal_send_simple(p, signal, LINUX_SI_KERNEL, 0);
}

/* ---- Orphaned groups
 * ------------------------------------------------------------------------------- */

struct orphan_check {
    int group;
    const struct process *ignored;
    bool kept;             /* a member's parent can continue it */
    struct process *still; /* a member that stands still */
};

static void check_member(struct process *p, void *context)
{
    struct orphan_check *o = context;
    const struct process *parent = p->parent;

    if (!is_member(p, o->group))
        return;
    if (p->state == PROCESS_ALIVE && __atomic_load_n(&p->stopped, __ATOMIC_RELAXED))
        o->still = p;
    if (p == o->ignored || p->state != PROCESS_ALIVE || !parent)
        return;
    o->kept |= parent->group != o->group && parent->session == p->session;
}

bool group_is_orphaned_locked(int group, const struct process *ignored)
{
    struct orphan_check o = {.group = group, .ignored = ignored};

    process_for_each_locked(check_member, &o);
    return !o.kept;
}

bool group_is_orphaned(int group)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    bool orphaned = group_is_orphaned_locked(group, NULL);

    spin_unlock_irqrestore(&process_table_lock, flags);
    return orphaned;
}

static uint32_t stranded; /* processes so noted; guarded by process_table_lock */

/* When the tie between p's group and its parent was the last, and a member stands still, notes that
 * member. */
static void note_stranded(const struct process *p, const struct process *parent,
                          const struct process *ignored)
{
    struct orphan_check o = {.group = p->group, .ignored = ignored};

    if (!parent || parent->group == p->group || parent->session != p->session)
        return;
    process_for_each_locked(check_member, &o);
    if (o.kept || !o.still || o.still->stranded)
        return;
    o.still->stranded = true;
    stranded++;
}

void job_note_exit_locked(const struct process *p)
{
    note_stranded(p, p->parent, p);
}

void job_note_child_locked(const struct process *p, const struct process *child)
{
    note_stranded(child, p, NULL);
}

static void search_stranded(struct process *p, void *context)
{
    if (p->stranded)
        *(struct process **)context = p;
}

/* A group to hang up, or 0. */
static int take_stranded(void)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct process *p = NULL;
    int group = 0;

    if (stranded > 0)
        process_for_each_locked(search_stranded, &p);
    if (p) {
        p->stranded = false;
        group = p->group;
        stranded--;
    } else {
        stranded = 0; /* they have ended meanwhile */
    }
    spin_unlock_irqrestore(&process_table_lock, flags);
    return group;
}

void job_settle_exit(struct process *p)
{
    int group;

    while (__atomic_load_n(&stranded, __ATOMIC_RELAXED) > 0 && (group = take_stranded()) != 0) {
        group_signal(group, LINUX_SIGHUP);
        group_signal(group, LINUX_SIGCONT);
    }
    if (p->session == p->pid)
        control_leader_ended(p);
}

void session_hang_up(int session, int group)
{
    struct process *leader = process_find(session);

    if (!leader)
        return;
    leader->hung_group = group;
    signal_send_simple(leader, LINUX_SIGHUP, LINUX_SI_KERNEL, 0);
    signal_send_simple(leader, LINUX_SIGCONT, LINUX_SI_KERNEL, 0);
    process_unref(leader);
}

/* ---- Calls
 * ------------------------------------------------------------------------------------------ */

struct session_search {
    int group, session;
};

static void search_session(struct process *p, void *context)
{
    struct session_search *s = context;

    if (is_member(p, s->group))
        s->session = p->session;
}

int group_session_locked(int group)
{
    struct session_search s = {group, 0};

    process_for_each_locked(search_session, &s);
    return s.session;
}

static long group_of(struct call *c, int pid, bool session)
{
    struct process *p = pid == 0 ? c->task->process : process_find(pid);
    long r;

    if (!p)
        return LINUX_ERRNO(ESRCH);
    r = session ? p->session : p->group;
    if (pid != 0)
        process_unref(p);
    return r;
}

long sys_getpgid(struct call *c)
{
    return group_of(c, (int)c->arg[0], false);
}

long sys_getpgrp(struct call *c)
{
    return c->task->process->group;
}

long sys_getsid(struct call *c)
{
    return group_of(c, (int)c->arg[0], true);
}

/* May the caller put p, itself or a child, into that group? */
static int check_group_locked(const struct process *self, const struct process *p, int group)
{
    if (p->parent == self) {
        if (p->session != self->session)
            return LINUX_ERRNO(EPERM);
        if (p->executed)
            return LINUX_ERRNO(EACCES);
    } else if (p != self) {
        return LINUX_ERRNO(ESRCH);
    }
    if (p->session == p->pid)
        return LINUX_ERRNO(EPERM);
    if (group != p->pid && group_session_locked(group) != self->session)
        return LINUX_ERRNO(EPERM);
    return OK;
}

long sys_setpgid(struct call *c)
{
    struct process *self = c->task->process, *p;
    int pid = (int)c->arg[0], group = (int)c->arg[1];
    uint64_t flags;
    int r;

    if (group < 0)
        return ERR_INVALID;
    p = process_find(pid == 0 ? self->pid : pid);
    if (!p)
        return LINUX_ERRNO(ESRCH);
    group = group == 0 ? p->pid : group;
    flags = spin_lock_irqsave(&process_table_lock);
    r = check_group_locked(self, p, group);
    if (r == OK)
        p->group = group;
    spin_unlock_irqrestore(&process_table_lock, flags);
    process_unref(p);
    return r;
}

/* A new session has no terminal: it is found by its number. */
long sys_setsid(struct call *c)
{
    struct process *p = c->task->process;
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    bool taken = p->session == p->pid || group_session_locked(p->pid) != 0;

    if (!taken) {
        p->group = p->session = p->pid;
        p->detached = false;
        p->hung_group = 0;
    }
    spin_unlock_irqrestore(&process_table_lock, flags);
    return taken ? LINUX_ERRNO(EPERM) : p->pid;
}
