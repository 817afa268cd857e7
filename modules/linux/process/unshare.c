/*
 * unshare.c: what a process has in common with others becomes its own. Threads have all in common: a
 * process with several can't take one of them out.
 */
#include "modules/linux/fs/file.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/syscall.h"

/* What a thread shares with a child of clone() at most. */
#define KNOWN                                                                                      \
    (LINUX_CLONE_FILES | LINUX_CLONE_FS | LINUX_CLONE_SYSVSEM | LINUX_CLONE_THREAD |               \
     LINUX_CLONE_SIGHAND | LINUX_CLONE_VM)

int process_own_files(struct process *p)
{
    struct fd_table *own, *shared = p->files;
    uint64_t flags;
    int r = fd_table_copy(shared, &own);

    if (r != OK)
        return r;
    flags = spin_lock_irqsave(&p->lock);
    p->files = own;
    spin_unlock_irqrestore(&p->lock, flags);
    fd_table_unref(shared);
    return OK;
}

static int own_fs(struct process *p)
{
    struct fs_context *own, *shared = p->fs;
    uint64_t flags;
    int r = fs_context_copy(shared, &own);

    if (r != OK)
        return r;
    flags = spin_lock_irqsave(&p->lock);
    p->fs = own;
    spin_unlock_irqrestore(&p->lock, flags);
    fs_context_unref(shared);
    return OK;
}

bool process_is_alone(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    bool alone = p->task_count == 1;

    spin_unlock_irqrestore(&p->lock, flags);
    return alone;
}

long sys_unshare(struct call *c)
{
    struct process *p = c->task->process;
    uint64_t flags = c->arg[0];
    long r = OK;

    if (flags & ~(uint64_t)KNOWN)
        return ERR_INVALID;
    if ((flags & ~(uint64_t)LINUX_CLONE_SYSVSEM) && !process_is_alone(p))
        return ERR_INVALID;
    if (flags & LINUX_CLONE_FILES)
        r = process_own_files(p);
    if (r == OK && (flags & LINUX_CLONE_FS))
        r = own_fs(p);
    return r;
}
