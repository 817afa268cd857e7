/*
 * sys_advice.c: the memory calls that change what mapped pages mean, and tell of them: madvise,
 * msync, mincore.
 */
#include <microlake/user.h>

#include "modules/linux/abi/fs.h"
#include "modules/linux/abi/mm.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

/* Makes pages be there, as a read or a write would. */
static int touch_range(struct aspace *as, vaddr_t at, vaddr_t end, unsigned access)
{
    for (; at < end; at += PAGE_SIZE) {
        int r = aspace_fault(as, at, access);

        if (r != OK)
            return r;
        if (task_must_exit(task_current()))
            return ERR_INTERRUPTED;
    }
    return OK;
}

/* Advice for the files that are mapped in the range: they hear of it as from posix_fadvise(), for all who
 * map them. */
static int madvise_files(struct aspace *as, vaddr_t at, vaddr_t end, int advice)
{
    struct aspace_mapping m;

    for (; at < end && aspace_find_ref(as, at, &m) == OK && m.start < end; at = m.end) {
        struct node *n = m.obj ? node_named_by_object(m.obj) : NULL;
        vaddr_t from = MAX(at, m.start);

        if (n && n->ops->advise)
            n->ops->advise(n, NULL, m.offset + (from - m.start), MIN(end, m.end) - from, advice);
        if (n)
            node_unref(n);
        if (m.obj)
            memobj_unref(m.obj);
        if (task_must_exit(task_current()))
            return ERR_INTERRUPTED;
    }
    return OK;
}

static int madvise_populate(struct aspace *as, vaddr_t at, vaddr_t end, unsigned access)
{
    switch (touch_range(as, at, end, access)) {
    case OK:
        return OK;
    case ERR_ACCESS:
        return ERR_INVALID;
    case ERR_IO:
        return ERR_FAULT;
    default:
        return ERR_NO_MEMORY;
    }
}

/* What is locked is not given back before it is unlocked. */
static bool range_is_unlocked(struct aspace *as, vaddr_t at, vaddr_t end)
{
    struct aspace_mapping m;

    for (; at < end && aspace_find(as, at, &m) == OK; at = m.end) {
        if (m.start < end && (m.flags & MAP_LOCKED))
            return false;
    }
    return true;
}

/* Only private zeroed memory can be given back before it is needed. */
static bool range_is_private(struct aspace *as, vaddr_t at, vaddr_t end)
{
    struct aspace_mapping m;

    for (; at < end; at = m.end) {
        if (aspace_find(as, at, &m) != OK || m.start > at || m.obj || !(m.flags & MAP_PRIVATE))
            return false;
    }
    return true;
}

/* Pages of the caller's own go; what is behind them shows again. */
static int madvise_apply(struct aspace *as, vaddr_t at, uint64_t length, int advice)
{
    switch (advice) {
    case LINUX_MADV_FREE:
        return range_is_private(as, at, at + length) && range_is_unlocked(as, at, at + length)
                   ? aspace_discard(as, at, length)
                   : ERR_INVALID;
    case LINUX_MADV_DONTNEED:
        return range_is_unlocked(as, at, at + length) ? aspace_discard(as, at, length) : ERR_INVALID;
    case LINUX_MADV_DONTNEED_LOCKED:
        return aspace_discard(as, at, length);
    case LINUX_MADV_WILLNEED:
        return madvise_files(as, at, at + length, LINUX_FADV_WILLNEED);
    case LINUX_MADV_NORMAL:
        return madvise_files(as, at, at + length, LINUX_FADV_NORMAL);
    case LINUX_MADV_RANDOM:
        return madvise_files(as, at, at + length, LINUX_FADV_RANDOM);
    case LINUX_MADV_SEQUENTIAL:
        return madvise_files(as, at, at + length, LINUX_FADV_SEQUENTIAL);
    case LINUX_MADV_POPULATE_READ:
        return madvise_populate(as, at, at + length, FAULT_READ);
    case LINUX_MADV_POPULATE_WRITE:
        return madvise_populate(as, at, at + length, FAULT_WRITE);
    case LINUX_MADV_HUGEPAGE:
        return aspace_advise_huge(as, at, length, true);
    case LINUX_MADV_NOHUGEPAGE:
        return aspace_advise_huge(as, at, length, false);
    case LINUX_MADV_DONTFORK:
        return aspace_mark(as, at, length, MAP_DONTFORK, 0);
    case LINUX_MADV_DOFORK:
        return aspace_mark(as, at, length, 0, MAP_DONTFORK);
    case LINUX_MADV_WIPEONFORK:
        return aspace_mark(as, at, length, MAP_FORKZERO, 0);
    case LINUX_MADV_KEEPONFORK:
        return aspace_mark(as, at, length, 0, MAP_FORKZERO);
    default: /* hints */
        return OK;
    }
}

static bool advice_is_known(int advice)
{
    switch (advice) {
    case LINUX_MADV_NORMAL:
    case LINUX_MADV_RANDOM:
    case LINUX_MADV_SEQUENTIAL:
    case LINUX_MADV_WILLNEED:
    case LINUX_MADV_DONTNEED:
    case LINUX_MADV_FREE:
    case LINUX_MADV_DONTFORK:
    case LINUX_MADV_DOFORK:
    case LINUX_MADV_HUGEPAGE:
    case LINUX_MADV_NOHUGEPAGE:
    case LINUX_MADV_DONTDUMP:
    case LINUX_MADV_DODUMP:
    case LINUX_MADV_WIPEONFORK:
    case LINUX_MADV_KEEPONFORK:
    case LINUX_MADV_COLD:
    case LINUX_MADV_PAGEOUT:
    case LINUX_MADV_POPULATE_READ:
    case LINUX_MADV_POPULATE_WRITE:
    case LINUX_MADV_DONTNEED_LOCKED:
        return true;
    default:
        return false;
    }
}

long sys_madvise(struct call *c)
{
    struct aspace *as = c->task->process->mm->as;
    vaddr_t at = c->arg[0];
    uint64_t length;

    if (!advice_is_known((int)c->arg[2]) || !mm_decode_range(at, c->arg[1], &length))
        return ERR_INVALID;
    if (length == 0)
        return 0;
    if (!mm_range_is_mapped(as, at, at + length))
        return ERR_NO_MEMORY;
    return madvise_apply(as, at, length, (int)c->arg[2]);
}

/* What a file system keeps in memory alone is there at once; others get what was written. */
long sys_msync(struct call *c)
{
    struct aspace *as = c->task->process->mm->as;
    uint64_t length, flags = c->arg[2];

    if (c->arg[0] & PAGE_MASK)
        return ERR_INVALID;
    if ((flags & ~(uint64_t)(LINUX_MS_ASYNC | LINUX_MS_SYNC | LINUX_MS_INVALIDATE)) ||
        ((flags & LINUX_MS_ASYNC) && (flags & LINUX_MS_SYNC)))
        return ERR_INVALID;
    if (!mm_decode_range(c->arg[0], c->arg[1], &length))
        return ERR_NO_MEMORY;
    if (length == 0)
        return 0;
    if (!(flags & (LINUX_MS_SYNC | LINUX_MS_ASYNC))) /* nobody would write it later */
        return mm_range_is_mapped(as, c->arg[0], c->arg[0] + length) ? OK : ERR_NO_MEMORY;
    return aspace_sync(as, c->arg[0], length);
}

#define MINCORE_AT_ONCE 256u

long sys_mincore(struct call *c)
{
    struct aspace *as = c->task->process->mm->as;
    uint8_t there[MINCORE_AT_ONCE];
    uint64_t length;

    if (c->arg[0] & PAGE_MASK)
        return ERR_INVALID;
    if (!mm_decode_range(c->arg[0], c->arg[1], &length))
        return ERR_NO_MEMORY;
    for (uint64_t done = 0; done < length / PAGE_SIZE;) {
        uint64_t n = MIN(length / PAGE_SIZE - done, MINCORE_AT_ONCE);
        int r = aspace_resident(as, c->arg[0] + done * PAGE_SIZE, n, there);

        if (r != OK)
            return r;
        for (uint64_t i = 0; i < n; i++)
            there[i] &= ASPACE_RESIDENT;
        if (user_write(c->arg[2] + done, there, n) != OK)
            return ERR_FAULT;
        if (task_must_exit(c->task))
            return ERR_INTERRUPTED;
        done += n;
    }
    return 0;
}
