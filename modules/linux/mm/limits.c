/*
 * limits.c: what a process's limits allow of its memory: all of it (RLIMIT_AS), what it can write to
 * alone (RLIMIT_DATA), what is locked (RLIMIT_MEMLOCK). Nothing is counted while nothing is limited.
 */
#include "modules/linux/mm/limits.h"

#include <microlake/memory.h>

#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

/* Smaller mappings need no look at how much memory there is. */
#define OBVIOUS_FROM (16ull << 20)

static uint64_t limit_of(const struct task *t, unsigned which)
{
    return t->process->limits[which].current;
}

static bool is_data(const struct aspace_mapping *m)
{
    return (m->flags & MAP_PRIVATE) && (m->prot & PROT_WRITE) && !(m->flags & MAP_GROWSDOWN);
}

static bool is_locked(const struct aspace_mapping *m)
{
    return m->flags & MAP_LOCKED;
}

/* Private memory that a change of protection would make data. */
static bool is_no_data(const struct aspace_mapping *m)
{
    return (m->flags & MAP_PRIVATE) && !(m->prot & PROT_WRITE);
}

/* Bytes of the range in mappings of a kind. */
static uint64_t count(struct aspace *as, vaddr_t at, vaddr_t end,
                      bool (*wanted)(const struct aspace_mapping *m))
{
    struct aspace_mapping m;
    uint64_t sum = 0;

    for (; at < end && aspace_find(as, at, &m) == OK && m.start < end; at = m.end) {
        if (wanted(&m))
            sum += MIN(m.end, end) - MAX(m.start, at);
    }
    return sum;
}

uint64_t limits_locked_memory(struct aspace *as)
{
    return count(as, 0, USER_ADDRESS_END, is_locked);
}

static int check_data(struct task *t, uint64_t more)
{
    uint64_t limit = limit_of(t, LINUX_RLIMIT_DATA);

    if (limit == LINUX_RLIM_INFINITY)
        return OK;
    return count(t->process->mm->as, 0, USER_ADDRESS_END, is_data) + more > limit ? ERR_NO_MEMORY
                                                                                  : OK;
}

int limits_check_growth(struct task *t, uint64_t length, unsigned kind)
{
    uint64_t limit = limit_of(t, LINUX_RLIMIT_AS);
    struct memory_stats memory;
    struct aspace_stats used;

    if (limit != LINUX_RLIM_INFINITY) {
        aspace_stats(t->process->mm->as, &used);
        if (used.mapped + length > limit)
            return ERR_NO_MEMORY;
    }
    if ((kind & GROWTH_DATA) && check_data(t, length) != OK)
        return ERR_NO_MEMORY;
    if (!(kind & GROWTH_MEANT) || length < OBVIOUS_FROM)
        return OK;
    memory_stats(&memory);
    return length > memory.total ? ERR_NO_MEMORY : OK;
}

int limits_check_protect(struct task *t, vaddr_t at, uint64_t length)
{
    if (limit_of(t, LINUX_RLIMIT_DATA) == LINUX_RLIM_INFINITY)
        return OK;
    return check_data(t, count(t->process->mm->as, at, at + length, is_no_data));
}

int limits_may_lock(struct task *t)
{
    return limit_of(t, LINUX_RLIMIT_MEMLOCK) != 0 || capable(CAP_IPC_LOCK) ? OK
                                                                            : LINUX_ERRNO(EPERM);
}

int limits_check_lock(struct task *t, vaddr_t at, uint64_t length)
{
    struct aspace *as = t->process->mm->as;
    uint64_t limit = ALIGN_DOWN(limit_of(t, LINUX_RLIMIT_MEMLOCK), PAGE_SIZE);

    if (capable(CAP_IPC_LOCK))
        return OK;
    return limits_locked_memory(as) + length - count(as, at, at + length, is_locked) > limit
               ? ERR_NO_MEMORY
               : OK;
}
