/*
 * credentials.c: the rules of credentials: inheritance, exec, signals. See credentials.h. The calls
 * that change them are sys_credentials.c's.
 */
#include "modules/linux/process/credentials.h"

#include <microlake/memory.h>

#include "modules/linux/process/process.h"

/* Bits of a program's mode. */
#define SET_USER      04000u
#define SET_GROUP     02000u
#define GROUP_EXECUTE 00010u

void credentials_init(struct credentials *c)
{
    *c = (struct credentials){.permitted = CAP_ALL, .effective = CAP_ALL, .bounding = CAP_ALL};
}

void credentials_inherit(struct credentials *to, const struct credentials *from)
{
    *to = *from;
    if (to->more)
        __atomic_add_fetch(&to->more->refs, 1, __ATOMIC_RELAXED);
}

void credentials_drop(struct credentials *c)
{
    if (c->more && __atomic_sub_fetch(&c->more->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(c->more);
    c->more = NULL;
}

bool capable(enum capability c)
{
    return task_current()->process->credentials.effective & CAP_BIT(c);
}

bool credentials_in_group(struct process *p, uint32_t group)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    const struct group_set *more = p->credentials.more;
    bool found = p->credentials.group.files == group;

    for (uint32_t i = 0; more && i < more->count && !found; i++)
        found = more->groups[i] == group;
    spin_unlock_irqrestore(&p->lock, flags);
    return found;
}

bool credentials_may_signal(struct process *self, struct process *p, int signal)
{
    const struct ids *mine = &self->credentials.user, *theirs = &p->credentials.user;

    if (self == p || (self->credentials.effective & CAP_BIT(CAP_KILL)))
        return true;
    if (signal == LINUX_SIGCONT && self->session == p->session)
        return true;
    return mine->effective == theirs->real || mine->effective == theirs->saved ||
           mine->real == theirs->real || mine->real == theirs->saved;
}

bool credentials_same_user(struct process *self, struct process *p)
{
    const struct ids *user = &p->credentials.user, *group = &p->credentials.group;
    uint32_t uid = self->credentials.user.real, gid = self->credentials.group.real;

    return self == p || (self->credentials.effective & CAP_BIT(CAP_SYS_RESOURCE)) ||
           (uid == user->real && uid == user->effective && uid == user->saved &&
            gid == group->real && gid == group->effective && gid == group->saved);
}

/* Root gets everything that is not taken away for good; others what is theirs across programs. */
static void exec_capabilities(struct credentials *now)
{
    bool root = now->user.real == 0 || now->user.effective == 0;

    if (root) {
        now->permitted = now->bounding | now->inheritable;
        now->effective = now->user.effective == 0 ? now->permitted : 0;
    } else {
        now->permitted = now->effective = now->ambient;
    }
}

bool credentials_exec(struct credentials *now, uint32_t mode, uint32_t uid, uint32_t gid)
{
    bool other_user = now->user.real != now->user.effective;
    bool other_group = now->group.real != now->group.effective;

    if (!now->no_new_privileges) {
        if (mode & SET_USER) {
            other_user |= uid != now->user.real;
            now->user.effective = uid;
        }
        /* Without the group's right to execute the bit means something else. */
        if ((mode & SET_GROUP) && (mode & GROUP_EXECUTE)) {
            other_group |= gid != now->group.real;
            now->group.effective = gid;
        }
    }
    now->user.saved = now->user.files = now->user.effective;
    now->group.saved = now->group.files = now->group.effective;
    if (other_user || other_group)
        now->ambient = 0;
    exec_capabilities(now);
    now->keep = false;
    return other_user || other_group;
}
