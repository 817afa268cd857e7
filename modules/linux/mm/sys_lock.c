/*
 * sys_lock.c: mlock and its relatives. Only pages of files are ever taken away from a program, and never from
 * mappings that are marked as locked (trim.c); limits count what is locked.
 */
#include <microlake/user.h>

#include "modules/linux/abi/mm.h"
#include "modules/linux/mm/limits.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

/* Brings the pages of a range in, as far as they can be read. */
static int touch(struct task *t, vaddr_t at, vaddr_t end)
{
    for (; at < end; at += PAGE_SIZE) {
        int r = aspace_fault(t->process->mm->as, at, FAULT_READ);

        if (r == ERR_NO_MEMORY)
            return ERR_AGAIN;
        if (r != OK)
            return ERR_NO_MEMORY;
        if (task_must_exit(t))
            return ERR_INTERRUPTED;
    }
    return OK;
}

/* The range to whole pages. ERR_INVALID. */
static int decode(const struct call *c, vaddr_t *at, uint64_t *length)
{
    *at = ALIGN_DOWN(c->arg[0], PAGE_SIZE);
    return mm_decode_range(*at, c->arg[1] + (c->arg[0] & PAGE_MASK), length) ? OK : ERR_INVALID;
}

static long lock(struct call *c, bool bring_in)
{
    struct mm *mm = c->task->process->mm;
    uint64_t length;
    vaddr_t at;
    int r = limits_may_lock(c->task);

    if (r == OK)
        r = decode(c, &at, &length);
    if (r != OK || length == 0)
        return r;
    mutex_lock(&mm->lock);
    r = limits_check_lock(c->task, at, length);
    if (r == OK)
        r = aspace_mark(mm->as, at, length, MAP_LOCKED, 0);
    mutex_unlock(&mm->lock);
    return r == OK && bring_in ? touch(c->task, at, at + length) : r;
}

long sys_mlock(struct call *c)
{
    return lock(c, true);
}

long sys_mlock2(struct call *c)
{
    if (c->arg[2] & ~(uint64_t)LINUX_MLOCK_ONFAULT)
        return ERR_INVALID;
    return lock(c, !(c->arg[2] & LINUX_MLOCK_ONFAULT));
}

long sys_munlock(struct call *c)
{
    uint64_t length;
    vaddr_t at;
    int r = decode(c, &at, &length);

    return r != OK || length == 0 ? r : aspace_mark(c->task->process->mm->as, at, length, 0, MAP_LOCKED);
}

/* Marks all there is, or takes the marks away. What can't be read is left as it is. */
static void mark_all(struct task *t, bool locked, bool bring_in)
{
    struct aspace *as = t->process->mm->as;
    struct aspace_mapping m;

    for (vaddr_t at = 0; aspace_find(as, at, &m) == OK && !task_must_exit(t); at = m.end) {
        aspace_mark(as, m.start, m.end - m.start, locked ? MAP_LOCKED : 0, locked ? 0 : MAP_LOCKED);
        if (bring_in)
            touch(t, m.start, m.end);
    }
}

long sys_mlockall(struct call *c)
{
    uint64_t flags = c->arg[0], all = LINUX_MCL_CURRENT | LINUX_MCL_FUTURE | LINUX_MCL_ONFAULT;
    struct mm *mm = c->task->process->mm;
    int r = flags == 0 || (flags & ~all) || flags == LINUX_MCL_ONFAULT ? ERR_INVALID
                                                                       : limits_may_lock(c->task);
    struct aspace_stats stats;

    if (r != OK)
        return r;
    aspace_stats(mm->as, &stats);
    if ((flags & LINUX_MCL_CURRENT) && !capable(CAP_IPC_LOCK) &&
        stats.mapped > c->task->process->limits[LINUX_RLIMIT_MEMLOCK].current)
        return ERR_NO_MEMORY;
    mm->lock_future = flags & LINUX_MCL_FUTURE;
    if (flags & LINUX_MCL_CURRENT)
        mark_all(c->task, true, !(flags & LINUX_MCL_ONFAULT));
    return OK;
}

long sys_munlockall(struct call *c)
{
    c->task->process->mm->lock_future = false;
    mark_all(c->task, false, false);
    return OK;
}
