/*
 * sys_credentials.c: the calls that tell and change credentials. Each works on a copy and puts it
 * in place whole, under the process's lock.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define GROUPS_MAX 65536u
#define KEPT       UINT32_MAX /* a number that is not to change */

/* What goes and comes with the file user, as capabilities(7) lists them. */
#define CAP_FILES                                                                                  \
    (CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) |               \
     CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(9) | CAP_BIT(27) | CAP_BIT(32))

static const struct credentials *mine(const struct call *c)
{
    return &c->task->process->credentials;
}

long sys_getuid(struct call *c)
{
    return mine(c)->user.real;
}

long sys_geteuid(struct call *c)
{
    return mine(c)->user.effective;
}

long sys_getgid(struct call *c)
{
    return mine(c)->group.real;
}

long sys_getegid(struct call *c)
{
    return mine(c)->group.effective;
}

static long write_ids(const struct call *c, const struct ids *ids)
{
    const uint32_t values[3] = {ids->real, ids->effective, ids->saved};

    for (unsigned i = 0; i < 3; i++) {
        if (user_write(c->arg[i], &values[i], sizeof(values[i])) != OK)
            return ERR_FAULT;
    }
    return 0;
}

long sys_getresuid(struct call *c)
{
    return write_ids(c, &mine(c)->user);
}

long sys_getresgid(struct call *c)
{
    return write_ids(c, &mine(c)->group);
}

/* Capabilities follow the user: without root they go, unless they are to be kept. */
static void user_changed(struct credentials *now, const struct ids *old)
{
    bool was_root = old->real == 0 || old->effective == 0 || old->saved == 0;
    bool is_root = now->user.real == 0 || now->user.effective == 0 || now->user.saved == 0;

    if (was_root && !is_root) {
        if (!now->keep)
            now->permitted = now->effective = 0;
        now->ambient = 0;
    }
    if (old->effective == 0 && now->user.effective != 0)
        now->effective = 0;
    if (old->effective != 0 && now->user.effective == 0)
        now->effective = now->permitted;
    if (old->files == 0 && now->user.files != 0)
        now->effective &= ~CAP_FILES;
    if (old->files != 0 && now->user.files == 0)
        now->effective |= now->permitted & CAP_FILES;
}

/* What a change of numbers asks for; KEPT: that one stays. */
struct ids_request {
    bool groups;
    uint32_t real, effective, saved;
    bool saved_follows; /* setreuid(): the saved one becomes the effective one when... */
};

static bool is_one_of(uint32_t id, const struct ids *ids, bool saved_too)
{
    return id == KEPT || id == ids->real || id == ids->effective || (saved_too && id == ids->saved);
}

/* One that may not choose freely can only trade what it has. */
static bool ids_allowed(const struct ids_request *r, const struct ids *old)
{
    if (r->saved_follows)
        return is_one_of(r->real, old, false) && is_one_of(r->effective, old, true);
    return is_one_of(r->real, old, true) && is_one_of(r->effective, old, true) &&
           is_one_of(r->saved, old, true);
}

static long change_ids(struct call *c, const struct ids_request *r)
{
    struct process *p = c->task->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct credentials *now = &p->credentials;
    struct ids *ids = r->groups ? &now->group : &now->user, old = *ids;
    bool free_choice = now->effective & CAP_BIT(r->groups ? CAP_SETGID : CAP_SETUID);
    long result = OK;

    if (free_choice || ids_allowed(r, &old)) {
        ids->real = r->real != KEPT ? r->real : old.real;
        ids->effective = r->effective != KEPT ? r->effective : old.effective;
        ids->saved = r->saved != KEPT ? r->saved : old.saved;
        if (r->saved_follows &&
            (r->real != KEPT || (r->effective != KEPT && r->effective != old.real)))
            ids->saved = ids->effective;
        ids->files = ids->effective;
        if (!r->groups)
            user_changed(now, &old);
    } else {
        result = LINUX_ERRNO(EPERM);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return result;
}

/* setuid(): with the capability all three, else only the effective one. */
static long set_one(struct call *c, bool groups)
{
    uint32_t id = (uint32_t)c->arg[0];
    bool all = capable(groups ? CAP_SETGID : CAP_SETUID);
    struct ids_request r = {
        .groups = groups, .real = all ? id : KEPT, .effective = id, .saved = all ? id : KEPT};
    const struct ids *old = groups ? &mine(c)->group : &mine(c)->user;

    if (id == KEPT)
        return ERR_INVALID;
    if (!all && id != old->real && id != old->saved)
        return LINUX_ERRNO(EPERM);
    return change_ids(c, &r);
}

long sys_setuid(struct call *c)
{
    return set_one(c, false);
}

long sys_setgid(struct call *c)
{
    return set_one(c, true);
}

static long set_two(struct call *c, bool groups)
{
    struct ids_request r = {.groups = groups,
                            .real = (uint32_t)c->arg[0],
                            .effective = (uint32_t)c->arg[1],
                            .saved = KEPT,
                            .saved_follows = true};

    return change_ids(c, &r);
}

long sys_setreuid(struct call *c)
{
    return set_two(c, false);
}

long sys_setregid(struct call *c)
{
    return set_two(c, true);
}

static long set_three(struct call *c, bool groups)
{
    struct ids_request r = {.groups = groups,
                            .real = (uint32_t)c->arg[0],
                            .effective = (uint32_t)c->arg[1],
                            .saved = (uint32_t)c->arg[2]};

    return change_ids(c, &r);
}

long sys_setresuid(struct call *c)
{
    return set_three(c, false);
}

long sys_setresgid(struct call *c)
{
    return set_three(c, true);
}

/* The number for files alone. The result is the old one, whether it changed or not. */
static long set_files(struct call *c, bool groups)
{
    struct process *p = c->task->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct credentials *now = &p->credentials;
    struct ids *ids = groups ? &now->group : &now->user, old = *ids;
    uint32_t id = (uint32_t)c->arg[0];
    bool free_choice = now->effective & CAP_BIT(groups ? CAP_SETGID : CAP_SETUID);

    if (id != KEPT && (free_choice || id == old.files || is_one_of(id, &old, true))) {
        ids->files = id;
        if (!groups)
            user_changed(now, &old);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return old.files;
}

long sys_setfsuid(struct call *c)
{
    return set_files(c, false);
}

long sys_setfsgid(struct call *c)
{
    return set_files(c, true);
}

/* ---- Further groups ---------------------------------------------------------------------------
 */

/* The process's set with a reference; NULL: it is empty. */
static struct group_set *groups_get(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct group_set *set = p->credentials.more;

    if (set)
        __atomic_add_fetch(&set->refs, 1, __ATOMIC_RELAXED);
    spin_unlock_irqrestore(&p->lock, flags);
    return set;
}

static void groups_put(struct group_set *set)
{
    struct credentials holder = {.more = set};

    credentials_drop(&holder);
}

long sys_getgroups(struct call *c)
{
    struct group_set *set = groups_get(c->task->process);
    uint32_t count = set ? set->count : 0;
    long r = count;

    if ((int32_t)c->arg[0] < 0 || ((int32_t)c->arg[0] != 0 && (uint32_t)c->arg[0] < count))
        r = ERR_INVALID;
    else if (c->arg[0] != 0 && count != 0 &&
             user_write(c->arg[1], set->groups, count * sizeof(set->groups[0])) != OK)
        r = ERR_FAULT;
    groups_put(set);
    return r;
}

long sys_setgroups(struct call *c)
{
    struct process *p = c->task->process;
    uint32_t count = (uint32_t)c->arg[0];
    struct group_set *set = NULL, *old;
    uint64_t flags;

    if (!capable(CAP_SETGID))
        return LINUX_ERRNO(EPERM);
    if (count > GROUPS_MAX)
        return ERR_INVALID;
    if (count > 0) {
        set = kmalloc(sizeof(*set) + count * sizeof(set->groups[0]));
        if (!set)
            return ERR_NO_MEMORY;
        set->refs = 1;
        set->count = count;
        if (user_read(set->groups, c->arg[1], count * sizeof(set->groups[0])) != OK) {
            kfree(set);
            return ERR_FAULT;
        }
    }
    flags = spin_lock_irqsave(&p->lock);
    old = p->credentials.more;
    p->credentials.more = set;
    spin_unlock_irqrestore(&p->lock, flags);
    groups_put(old);
    return 0;
}

/* ---- Capabilities -----------------------------------------------------------------------------
 */

#define CAPABILITY_VERSION_1 0x19980330u
#define CAPABILITY_VERSION_2 0x20071026u
#define CAPABILITY_VERSION_3 0x20080522u

struct capability_header {
    uint32_t version;
    int32_t pid;
};
struct capability_data {
    uint32_t effective, permitted, inheritable;
};

/* How many words a set has in the caller's version; 0: unknown, and it is told ours. */
static int read_header(vaddr_t at, struct capability_header *h, unsigned *words)
{
    if (user_read(h, at, sizeof(*h)) != OK)
        return ERR_FAULT;
    *words = h->version == CAPABILITY_VERSION_1                                         ? 1
             : h->version == CAPABILITY_VERSION_2 || h->version == CAPABILITY_VERSION_3 ? 2
                                                                                        : 0;
    h->version = CAPABILITY_VERSION_3;
    if (*words == 0 && user_write(at, &h->version, sizeof(h->version)) != OK)
        return ERR_FAULT;
    return OK;
}

long sys_capget(struct call *c)
{
    struct capability_header h;
    struct capability_data data[2];
    struct credentials now;
    struct process *p;
    unsigned words;
    uint64_t flags;
    int r = read_header(c->arg[0], &h, &words);

    if (r != OK)
        return r;
    if (words == 0)
        return c->arg[1] == 0 ? OK : ERR_INVALID;
    if (h.pid < 0)
        return ERR_INVALID;
    p = process_find(h.pid == 0 ? c->task->process->pid : h.pid);
    if (!p)
        return LINUX_ERRNO(ESRCH);
    flags = spin_lock_irqsave(&p->lock);
    now = p->credentials;
    spin_unlock_irqrestore(&p->lock, flags);
    process_unref(p);
    for (unsigned i = 0; i < words; i++)
        data[i] = (struct capability_data){(uint32_t)(now.effective >> 32 * i),
                                           (uint32_t)(now.permitted >> 32 * i),
                                           (uint32_t)(now.inheritable >> 32 * i)};
    if (c->arg[1] != 0 && user_write(c->arg[1], data, words * sizeof(data[0])) != OK)
        return ERR_FAULT;
    return OK;
}

/* May the caller have these sets? */
static bool sets_allowed(const struct credentials *now, uint64_t permitted, uint64_t effective,
                         uint64_t inheritable)
{
    uint64_t more = inheritable & ~now->inheritable;

    if (permitted & ~now->permitted)
        return false;
    if (effective & ~permitted)
        return false;
    if ((more & ~now->permitted) && !(now->effective & CAP_BIT(CAP_SETPCAP)))
        return false;
    return !(more & ~now->bounding & ~now->permitted);
}

long sys_capset(struct call *c)
{
    struct process *p = c->task->process;
    struct credentials *now = &p->credentials;
    struct capability_header h;
    struct capability_data data[2] = {0};
    uint64_t permitted, effective, inheritable, flags;
    unsigned words;
    int r = read_header(c->arg[0], &h, &words);

    if (r != OK)
        return r;
    if (words == 0)
        return ERR_INVALID;
    if (h.pid != 0 && h.pid != c->task->tid)
        return LINUX_ERRNO(EPERM);
    if (user_read(data, c->arg[1], words * sizeof(data[0])) != OK)
        return ERR_FAULT;
    permitted = (data[0].permitted | (uint64_t)data[1].permitted << 32) & CAP_ALL;
    effective = (data[0].effective | (uint64_t)data[1].effective << 32) & CAP_ALL;
    inheritable = (data[0].inheritable | (uint64_t)data[1].inheritable << 32) & CAP_ALL;
    flags = spin_lock_irqsave(&p->lock);
    if (sets_allowed(now, permitted, effective, inheritable)) {
        now->permitted = permitted;
        now->effective = effective;
        now->inheritable = inheritable;
        now->ambient &= permitted & inheritable;
    } else {
        r = LINUX_ERRNO(EPERM);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return r;
}

static long drop_bounding(struct process *p, uint64_t which)
{
    uint64_t flags;

    if (which > CAP_LAST)
        return ERR_INVALID;
    if (!capable(CAP_SETPCAP))
        return LINUX_ERRNO(EPERM);
    flags = spin_lock_irqsave(&p->lock);
    p->credentials.bounding &= ~CAP_BIT(which);
    spin_unlock_irqrestore(&p->lock, flags);
    return 0;
}

static long ambient(struct process *p, uint64_t command, uint64_t which)
{
    struct credentials *now = &p->credentials;
    uint64_t bit = which <= CAP_LAST ? CAP_BIT(which) : 0, flags;
    long r = 0;

    if (command == LINUX_PR_CAP_AMBIENT_CLEAR_ALL ? which != 0 : bit == 0)
        return ERR_INVALID;
    flags = spin_lock_irqsave(&p->lock);
    switch (command) {
    case LINUX_PR_CAP_AMBIENT_IS_SET:
        r = !!(now->ambient & bit);
        break;
    case LINUX_PR_CAP_AMBIENT_RAISE:
        if (!(now->permitted & now->inheritable & bit))
            r = LINUX_ERRNO(EPERM);
        else
            now->ambient |= bit;
        break;
    case LINUX_PR_CAP_AMBIENT_LOWER:
        now->ambient &= ~bit;
        break;
    case LINUX_PR_CAP_AMBIENT_CLEAR_ALL:
        now->ambient = 0;
        break;
    default:
        r = ERR_INVALID;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return r;
}

bool credentials_prctl(struct call *c, long *result)
{
    struct process *p = c->task->process;
    bool rest = c->arg[2] | c->arg[3] | c->arg[4];

    switch ((int)c->arg[0]) {
    case LINUX_PR_GET_KEEPCAPS:
        *result = mine(c)->keep;
        return true;
    case LINUX_PR_SET_KEEPCAPS:
        *result = c->arg[1] > 1 ? ERR_INVALID : OK;
        if (c->arg[1] <= 1)
            p->credentials.keep = c->arg[1];
        return true;
    case LINUX_PR_CAPBSET_READ:
        *result = c->arg[1] > CAP_LAST ? ERR_INVALID : (long)(mine(c)->bounding >> c->arg[1] & 1);
        return true;
    case LINUX_PR_CAPBSET_DROP:
        *result = drop_bounding(p, c->arg[1]);
        return true;
    case LINUX_PR_GET_SECUREBITS:
        *result = 0;
        return true;
    case LINUX_PR_CAP_AMBIENT:
        *result = c->arg[3] | c->arg[4] ? ERR_INVALID : ambient(p, c->arg[1], c->arg[2]);
        return true;
    case LINUX_PR_SET_NO_NEW_PRIVS:
        *result = c->arg[1] != 1 || rest ? ERR_INVALID : OK;
        if (*result == OK)
            p->credentials.no_new_privileges = true; /* for good */
        return true;
    case LINUX_PR_GET_NO_NEW_PRIVS:
        *result = c->arg[1] || rest ? ERR_INVALID : mine(c)->no_new_privileges;
        return true;
    default:
        return false;
    }
}
