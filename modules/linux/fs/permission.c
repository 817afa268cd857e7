/*
 * permission.c: owners, modes and capabilities, as path_resolution(7) and capabilities(7) have
 * them. See permission.h.
 */
#include "modules/linux/fs/permission.h"

#define STICKY    01000u
#define SET_GROUP 02000u

static bool has(const struct process *p, enum capability c)
{
    return p->credentials.effective & CAP_BIT(c);
}

/* In the name of a user, a group and whoever the further groups are, with these capabilities. */
static int check_as(const struct node *n, unsigned wanted, uint32_t user, uint32_t group,
                    uint64_t capabilities)
{
    struct process *p = task_current()->process;
    bool folder = node_is_folder(n);
    uint32_t bits = n->mode;

    if (user == n->uid)
        bits >>= 6;
    else if (group == n->gid || credentials_in_group(p, n->gid))
        bits >>= 3;
    if ((bits & wanted) == wanted)
        return OK;
    if ((capabilities & CAP_BIT(CAP_DAC_OVERRIDE)) &&
        (!(wanted & PERMIT_EXECUTE) || folder || (n->mode & 0111)))
        return OK;
    if ((capabilities & CAP_BIT(CAP_DAC_READ_SEARCH)) &&
        (folder ? !(wanted & PERMIT_WRITE) : wanted == PERMIT_READ))
        return OK;
    return ERR_ACCESS;
}

int permission_check_slowly(const struct node *n, unsigned wanted)
{
    const struct credentials *c = &task_current()->process->credentials;

    return check_as(n, wanted, c->user.files, c->group.files, c->effective);
}

int permission_check_real(const struct node *n, unsigned wanted)
{
    const struct credentials *c = &task_current()->process->credentials;

    return check_as(n, wanted, c->user.real, c->group.real, c->user.real == 0 ? c->permitted : 0);
}

bool permission_owns(const struct node *n)
{
    const struct task *t = task_current();

    return !t || t->process->credentials.user.files == n->uid || has(t->process, CAP_FOWNER);
}

int permission_remove(const struct node *folder, const struct node *child)
{
    const struct task *t = task_current();
    int r = permission_check(folder, PERMIT_WRITE | PERMIT_EXECUTE);

    if (r != OK || !(folder->mode & STICKY) || !t ||
        t->process->credentials.user.files == folder->uid || permission_owns(child))
        return r;
    return LINUX_ERRNO(EPERM);
}

int permission_set_mode(const struct node *n, uint32_t *mode)
{
    struct process *p = task_current()->process;

    if (!permission_owns(n))
        return LINUX_ERRNO(EPERM);
    if ((n->seals & LINUX_F_SEAL_EXEC) && ((*mode ^ n->mode) & 0111))
        return LINUX_ERRNO(EPERM);
    if (!has(p, CAP_FSETID) && !node_is_folder(n) && !credentials_in_group(p, n->gid))
        *mode &= ~SET_GROUP;
    return OK;
}

int permission_set_owner(const struct node *n, uint32_t uid, uint32_t gid)
{
    struct process *p = task_current()->process;
    bool own = p->credentials.user.files == n->uid;

    if (has(p, CAP_CHOWN))
        return OK;
    if (uid != NODE_KEEP_ID && !(own && uid == n->uid))
        return LINUX_ERRNO(EPERM);
    if (gid != NODE_KEEP_ID && !(own && (gid == n->gid || credentials_in_group(p, gid))))
        return LINUX_ERRNO(EPERM);
    return OK;
}

void permission_own(const struct node *folder, struct node *made)
{
    const struct task *t = task_current();
    uint32_t uid, gid, mode = made->mode;

    if (!t)
        return;
    uid = t->process->credentials.user.files;
    gid = folder->mode & SET_GROUP ? folder->gid : t->process->credentials.group.files;
    if (uid == made->uid && gid == made->gid)
        return;
    if (uid == 0 && made->uid != 0) /* a server that is not root: asking is of no use */
        return;
    /* A server that gives nothing away has made it its own: so it stays. */
    if (node_set_owner(made, uid, gid) != OK)
        return;
    if ((folder->mode & SET_GROUP) && node_is_folder(made))
        mode |= SET_GROUP;
    if (mode != made->mode) /* giving it away has cost it these bits */
        node_set_mode(made, mode);
}
