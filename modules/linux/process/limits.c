/*
 * limits.c: see limits.h; and the calls that tell and change limits.
 */
#include "modules/linux/process/limits.h"

#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define FILES_MAX (1u << 20) /* descriptors: nobody may ask for more */

/* LINUX_RLIM_INFINITY for threads of the kernel too. */
static uint64_t file_size_limit(void)
{
    const struct task *t = task_current();

    return t ? t->process->limits[LINUX_RLIMIT_FSIZE].current : LINUX_RLIM_INFINITY;
}

bool limit_of_files_set(void)
{
    return file_size_limit() != LINUX_RLIM_INFINITY;
}

static int too_large(void)
{
    struct linux_siginfo info = {.signo = LINUX_SIGXFSZ, .code = LINUX_SI_KERNEL};

    signal_send_task(task_current(), &info);
    return LINUX_ERRNO(EFBIG);
}

int limit_file_size(uint64_t size)
{
    return size > file_size_limit() ? too_large() : OK;
}

int limit_file_write(uint64_t from, size_t *size)
{
    uint64_t limit = file_size_limit();

    if (*size == 0)
        return OK;
    if (from >= limit)
        return too_large();
    *size = MIN(*size, limit - from);
    return OK;
}

/* ---- The calls --------------------------------------------------------------------------------
 */

/* Raising the maximum takes a right. */
static long limit_exchange(struct process *p, unsigned which, const struct linux_rlimit *fresh,
                           struct linux_rlimit *old)
{
    bool may_raise = capable(CAP_SYS_RESOURCE);
    uint64_t flags = spin_lock_irqsave(&p->lock);
    long r = OK;

    *old = p->limits[which];
    if (fresh && fresh->maximum > old->maximum && !may_raise)
        r = LINUX_ERRNO(EPERM);
    else if (fresh)
        p->limits[which] = *fresh;
    spin_unlock_irqrestore(&p->lock, flags);
    if (r == OK && fresh && which == LINUX_RLIMIT_CPU)
        r = limit_cpu_changed(p);
    return r;
}

static long change_limit(struct process *p, uint64_t which, vaddr_t fresh_at, vaddr_t old_at)
{
    struct linux_rlimit fresh, old;
    long r;

    if (which >= LINUX_RLIMIT_COUNT)
        return ERR_INVALID;
    if (fresh_at != 0) {
        if (user_read(&fresh, fresh_at, sizeof(fresh)) != OK)
            return ERR_FAULT;
        if (fresh.current > fresh.maximum)
            return ERR_INVALID;
        if (which == LINUX_RLIMIT_NOFILE && fresh.maximum > FILES_MAX)
            return LINUX_ERRNO(EPERM);
    }
    r = limit_exchange(p, (unsigned)which, fresh_at != 0 ? &fresh : NULL, &old);
    if (r != OK)
        return r;
    if (old_at != 0 && user_write(old_at, &old, sizeof(old)) != OK)
        return ERR_FAULT;
    return 0;
}

long sys_prlimit64(struct call *c)
{
    int pid = (int)c->arg[0];
    struct process *p = process_find(pid == 0 ? c->task->process->pid : pid);
    long r;

    if (!p)
        return LINUX_ERRNO(ESRCH);
    r = credentials_same_user(c->task->process, p) ? change_limit(p, c->arg[1], c->arg[2], c->arg[3])
                                             : LINUX_ERRNO(EPERM);
    process_unref(p);
    return r;
}

long sys_getrlimit(struct call *c)
{
    return change_limit(c->task->process, c->arg[0], 0, c->arg[1]);
}

long sys_setrlimit(struct call *c)
{
    if (c->arg[1] == 0)
        return ERR_FAULT;
    return change_limit(c->task->process, c->arg[0], c->arg[1], 0);
}
