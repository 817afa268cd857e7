/*
 * sys_mm.c: the memory calls: mmap and its relatives.
 */
#include <microlake/user.h>

#include "modules/linux/abi/mm.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

static unsigned prot_of_linux(uint64_t prot)
{
    return (prot & LINUX_PROT_READ ? PROT_READ : 0u) | (prot & LINUX_PROT_WRITE ? PROT_WRITE : 0u) |
           (prot & LINUX_PROT_EXEC ? PROT_EXEC : 0u);
}

/* A range as programs give it, to whole pages; false: it makes no sense. */
static bool decode_range(vaddr_t at, uint64_t size, uint64_t *length)
{
    *length = ALIGN_UP(size, PAGE_SIZE);
    return !(at & PAGE_MASK) && *length >= size && at <= USER_ADDRESS_END &&
           *length <= USER_ADDRESS_END - at;
}

/* mmap()'s arguments, checked. */
struct map_request {
    vaddr_t at;
    uint64_t length;
    unsigned prot;
    unsigned flags;
    bool shared, anonymous;
    int fd;
    uint64_t offset;
};

static int decode_map(const struct call *c, struct map_request *m)
{
    uint64_t flags = c->arg[3], type = flags & LINUX_MAP_TYPE;
    bool fixed = flags & (LINUX_MAP_FIXED | LINUX_MAP_FIXED_NOREPLACE);

    *m = (struct map_request){.at = c->arg[0], .fd = (int)c->arg[4], .offset = c->arg[5]};
    m->prot = prot_of_linux(c->arg[2]);
    m->anonymous = flags & LINUX_MAP_ANONYMOUS;
    m->shared = type == LINUX_MAP_SHARED || type == LINUX_MAP_SHARED_VALIDATE;
    if (!m->shared && type != LINUX_MAP_PRIVATE)
        return ERR_INVALID;
    if (c->arg[1] == 0 || (m->offset & PAGE_MASK) || (fixed && (m->at & PAGE_MASK)))
        return ERR_INVALID;
    m->at = ALIGN_DOWN(m->at, PAGE_SIZE);
    m->length = ALIGN_UP(c->arg[1], PAGE_SIZE);
    if (m->length < c->arg[1] || m->length > USER_ADDRESS_END)
        return ERR_NO_MEMORY;
    if (m->offset + m->length < m->offset)
        return LINUX_ERRNO(EOVERFLOW);
    if (fixed && m->at > USER_ADDRESS_END - m->length)
        return ERR_NO_MEMORY;
    if (fixed && m->at < USER_ADDRESS_MIN)
        return LINUX_ERRNO(EPERM);
    if (flags & LINUX_MAP_HUGETLB)
        return ERR_NO_MEMORY; /* no pages are set aside for it */
    m->flags = m->shared ? 0 : MAP_PRIVATE;
    if (flags & LINUX_MAP_FIXED_NOREPLACE)
        m->flags |= MAP_NOREPLACE;
    else if (flags & LINUX_MAP_FIXED)
        m->flags |= MAP_FIXED;
    if (flags & LINUX_MAP_32BIT)
        m->flags |= MAP_LOW;
    if (flags & LINUX_MAP_GROWSDOWN)
        m->flags |= MAP_GROWSDOWN;
    if (flags & (LINUX_MAP_POPULATE | LINUX_MAP_LOCKED))
        m->flags |= MAP_POPULATE;
    return OK;
}

/* The object behind a file mapping, with a reference. */
static int file_object(struct task *t, const struct map_request *m, struct memobj **object,
                       uint64_t *offset)
{
    struct file *f = fd_get(t->process->files, m->fd);
    int r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (!file_readable(f) || (m->shared && (m->prot & PROT_WRITE) && !file_writable(f)))
        r = ERR_ACCESS;
    else if (!f->ops->map)
        r = LINUX_ERRNO(ENODEV);
    else
        r = f->ops->map(f, m->offset, m->length, m->prot, m->shared, object, offset);
    file_unref(f);
    return r;
}

long sys_mmap(struct call *c)
{
    struct mm *mm = c->task->process->mm;
    struct memobj *object = NULL;
    struct map_request m;
    uint64_t offset = 0;
    vaddr_t at;
    int r = decode_map(c, &m);

    if (r != OK)
        return r;
    if (!m.anonymous)
        r = file_object(c->task, &m, &object, &offset);
    else if (m.shared)
        r = memobj_create_anon(m.length, &object);
    if (r != OK)
        return r;
    r = aspace_map(mm->as, m.at, m.length, m.prot, m.flags, object, offset, &at);
    if (object)
        memobj_unref(object);
    return r == OK ? (long)at : r;
}

long sys_munmap(struct call *c)
{
    uint64_t length;

    if (!decode_range(c->arg[0], c->arg[1], &length) || length == 0)
        return ERR_INVALID;
    return aspace_unmap(c->task->process->mm->as, c->arg[0], length);
}

long sys_mprotect(struct call *c)
{
    uint64_t length;

    if (c->arg[2] & ~(uint64_t)(LINUX_PROT_READ | LINUX_PROT_WRITE | LINUX_PROT_EXEC))
        return ERR_INVALID;
    if (c->arg[0] & PAGE_MASK)
        return ERR_INVALID;
    if (c->arg[1] == 0)
        return 0;
    if (!decode_range(c->arg[0], c->arg[1], &length))
        return ERR_NO_MEMORY;
    return aspace_protect(c->task->process->mm->as, c->arg[0], length, prot_of_linux(c->arg[2]));
}

static bool range_is_mapped(struct aspace *as, vaddr_t at, vaddr_t end)
{
    while (at < end) {
        struct aspace_mapping m;

        if (aspace_find(as, at, &m) != OK || m.start > at)
            return false;
        at = m.end;
    }
    return true;
}

/* Moves the end of the heap; mm->lock is held. */
static int brk_move_locked(struct mm *mm, vaddr_t to)
{
    vaddr_t old_end = ALIGN_UP(mm->brk_end, PAGE_SIZE), new_end = ALIGN_UP(to, PAGE_SIZE);
    vaddr_t at;
    int r = OK;

    if (to < mm->brk_start || to > USER_ADDRESS_END)
        return ERR_INVALID;
    if (new_end > old_end)
        r = aspace_map(mm->as, old_end, new_end - old_end, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_NOREPLACE, NULL, 0, &at);
    else if (new_end < old_end)
        r = aspace_unmap(mm->as, new_end, old_end - new_end);
    if (r == OK)
        mm->brk_end = to;
    return r;
}

long sys_brk(struct call *c)
{
    struct mm *mm = c->task->process->mm;
    vaddr_t end;

    mutex_lock(&mm->lock);
    brk_move_locked(mm, c->arg[0]); /* when it can't, the old end is the answer */
    end = mm->brk_end;
    mutex_unlock(&mm->lock);
    return (long)end;
}

/* mremap() to a larger size or to another place. */
static long move_mapping(struct mm *mm, vaddr_t at, uint64_t old_length, uint64_t new_length,
                         uint64_t flags, vaddr_t wish)
{
    vaddr_t to = at;
    int r = ERR_NO_MEMORY;

    if (flags & LINUX_MREMAP_FIXED) {
        uint64_t length;

        if (!decode_range(wish, new_length, &length) ||
            (wish < at + old_length && at < wish + new_length))
            return ERR_INVALID;
        to = wish;
        r = aspace_move(mm->as, at, old_length, to, new_length);
    } else {
        r = aspace_move(mm->as, at, old_length, at, new_length);
        if (r == ERR_NO_MEMORY && (flags & LINUX_MREMAP_MAYMOVE)) {
            r = mm_reserve(mm, new_length, &to);
            if (r == OK)
                r = aspace_move(mm->as, at, old_length, to, new_length);
            if (r != OK)
                aspace_unmap(mm->as, to, new_length);
        }
    }
    if (r == ERR_NOT_FOUND)
        return ERR_FAULT;
    return r == OK ? (long)to : r;
}

long sys_mremap(struct call *c)
{
    struct mm *mm = c->task->process->mm;
    vaddr_t at = c->arg[0];
    uint64_t flags = c->arg[3], old_length, new_length;
    struct aspace_mapping m;
    long r;

    if (!decode_range(at, c->arg[1], &old_length) || !decode_range(0, c->arg[2], &new_length) ||
        old_length == 0 || new_length == 0)
        return ERR_INVALID;
    if ((flags & ~(uint64_t)(LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED)) ||
        ((flags & LINUX_MREMAP_FIXED) && !(flags & LINUX_MREMAP_MAYMOVE)))
        return ERR_INVALID;
    mutex_lock(&mm->lock);
    if (aspace_find(mm->as, at, &m) != OK || m.start > at || m.end < at + old_length)
        r = ERR_FAULT;
    else if (new_length <= old_length && !(flags & LINUX_MREMAP_FIXED))
        r = new_length == old_length
                ? (long)at
                : aspace_unmap(mm->as, at + new_length, old_length - new_length);
    else
        r = move_mapping(mm, at, old_length, new_length, flags, c->arg[4]);
    mutex_unlock(&mm->lock);
    return r == OK ? (long)at : r;
}

static int madvise_willneed(struct aspace *as, vaddr_t at, vaddr_t end)
{
    for (; at < end; at += PAGE_SIZE) {
        if (aspace_fault(as, at, FAULT_READ) == ERR_NO_MEMORY)
            return ERR_NO_MEMORY;
    }
    return OK;
}

long sys_madvise(struct call *c)
{
    struct aspace *as = c->task->process->mm->as;
    vaddr_t at = c->arg[0];
    uint64_t length;

    if (!decode_range(at, c->arg[1], &length))
        return ERR_INVALID;
    if (length == 0)
        return 0;
    switch ((int)c->arg[2]) {
    case LINUX_MADV_DONTNEED:
    case LINUX_MADV_FREE:
        if (!range_is_mapped(as, at, at + length))
            return ERR_NO_MEMORY;
        return aspace_discard(as, at, length);
    case LINUX_MADV_WILLNEED:
        if (!range_is_mapped(as, at, at + length))
            return ERR_NO_MEMORY;
        return madvise_willneed(as, at, at + length);
    case LINUX_MADV_NORMAL:
    case LINUX_MADV_RANDOM:
    case LINUX_MADV_SEQUENTIAL:
    case LINUX_MADV_HUGEPAGE:
    case LINUX_MADV_NOHUGEPAGE:
    case LINUX_MADV_DONTDUMP:
    case LINUX_MADV_DODUMP:
        return range_is_mapped(as, at, at + length) ? OK : ERR_NO_MEMORY;
    default:
        return ERR_INVALID;
    }
}

/* Mapped files live in memory: what is written through a mapping is in the file at once. */
long sys_msync(struct call *c)
{
    uint64_t length, flags = c->arg[2];

    if (!decode_range(c->arg[0], c->arg[1], &length))
        return ERR_INVALID;
    if ((flags & ~(uint64_t)(LINUX_MS_ASYNC | LINUX_MS_SYNC | LINUX_MS_INVALIDATE)) ||
        ((flags & LINUX_MS_ASYNC) && (flags & LINUX_MS_SYNC)))
        return ERR_INVALID;
    if (!range_is_mapped(c->task->process->mm->as, c->arg[0], c->arg[0] + length))
        return ERR_NO_MEMORY;
    return 0;
}

long sys_mincore(struct call *c)
{
    struct aspace *as = c->task->process->mm->as;
    uint64_t length;

    if (!decode_range(c->arg[0], c->arg[1], &length))
        return ERR_INVALID;
    if (!range_is_mapped(as, c->arg[0], c->arg[0] + length))
        return ERR_NO_MEMORY;
    for (uint64_t i = 0; i < length / PAGE_SIZE; i++) {
        uint8_t resident = 1;

        if (user_write(c->arg[2] + i, &resident, 1) != OK)
            return ERR_FAULT;
    }
    return 0;
}

static long lock_range(struct call *c, bool populate)
{
    struct aspace *as = c->task->process->mm->as;
    vaddr_t at = ALIGN_DOWN(c->arg[0], PAGE_SIZE);
    uint64_t length;

    if (!decode_range(at, c->arg[1] + (c->arg[0] & PAGE_MASK), &length))
        return ERR_INVALID;
    if (!range_is_mapped(as, at, at + length))
        return ERR_NO_MEMORY;
    return populate ? madvise_willneed(as, at, at + length) : OK;
}

/* Pages are never taken away from programs, so locking is having them. */
long sys_mlock(struct call *c)
{
    return lock_range(c, true);
}

long sys_munlock(struct call *c)
{
    return lock_range(c, false);
}

/* No page is ever taken away. */
long sys_mlockall(struct call *c)
{
    return c->arg[0] == 0 || c->arg[0] == 4 || (c->arg[0] & ~7ull) ? ERR_INVALID : OK;
}

long sys_munlockall(struct call *c)
{
    (void)c;
    return OK;
}
