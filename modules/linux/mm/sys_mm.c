/*
 * sys_mm.c: the memory calls that change what is mapped: mmap, munmap, mprotect, brk, mremap.
 */
#include <microlake/user.h>

#include "modules/linux/abi/mm.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/mm/limits.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

static unsigned prot_of_linux(uint64_t prot)
{
    return (prot & LINUX_PROT_READ ? PROT_READ : 0u) | (prot & LINUX_PROT_WRITE ? PROT_WRITE : 0u) |
           (prot & LINUX_PROT_EXEC ? PROT_EXEC : 0u);
}

bool mm_decode_range(vaddr_t at, uint64_t size, uint64_t *length)
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
    if (flags & LINUX_MAP_POPULATE)
        m->flags |= MAP_POPULATE;
    if (flags & LINUX_MAP_LOCKED)
        m->flags |= MAP_LOCKED;
    return OK;
}

/* The object behind a file mapping, with a reference. A shared one that the file was not opened for
 * writing for can't become writable later. */
static int file_object(struct task *t, struct map_request *m, struct memobj **object,
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
    else if (m->shared && f->node && (f->node->seals & SEALS_AGAINST_WRITING) &&
             (m->prot & PROT_WRITE))
        r = LINUX_ERRNO(EPERM);
    else
        r = f->ops->map(f, m->offset, m->length, m->prot, m->shared, object, offset);
    if (r == LINUX_MAP_NO_WRITE) {
        m->flags |= m->shared ? MAP_NOWRITE : 0;
        r = OK;
    }
    if (r == OK && f->node)
        node_name_object(f->node, *object);
    if (m->shared && (!file_writable(f) || (f->node && (f->node->seals & SEALS_AGAINST_WRITING))))
        m->flags |= MAP_NOWRITE;
    file_unref(f);
    return r;
}

/* Writing was forbidden while the mapping was made. */
static bool sealed_since(struct task *t, const struct map_request *m)
{
    struct file *f = fd_get(t->process->files, m->fd);
    bool sealed = f && f->node &&
                  (__atomic_load_n(&f->node->seals, __ATOMIC_SEQ_CST) & SEALS_AGAINST_WRITING);

    if (f)
        file_unref(f);
    return sealed;
}

/* What mmap() asks for must be within the limits of the process. */
static int check_map(struct task *t, struct map_request *m, bool meant)
{
    unsigned kind = meant && m->anonymous && (m->prot & PROT_WRITE) ? GROWTH_MEANT : 0;
    int r;

    if (!m->shared && (m->prot & PROT_WRITE) && !(m->flags & MAP_GROWSDOWN))
        kind |= GROWTH_DATA;
    if (t->process->mm->lock_future)
        m->flags |= MAP_LOCKED;
    r = limits_check_growth(t, m->length, kind);
    if (r == OK && (m->flags & MAP_LOCKED)) {
        if (m->prot != 0)
            m->flags |= MAP_POPULATE;
        if (limits_check_lock(t, 0, m->length) != OK)
            r = ERR_AGAIN;
    }
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
    if (c->arg[3] & LINUX_MAP_LOCKED)
        r = limits_may_lock(c->task);
    if (r == OK)
        r = check_map(c->task, &m, !(c->arg[3] & LINUX_MAP_NORESERVE));
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
    if (r == OK && !m.anonymous && m.shared && !(m.flags & MAP_NOWRITE) &&
        sealed_since(c->task, &m)) {
        aspace_unmap(mm->as, at, m.length);
        r = LINUX_ERRNO(EPERM);
    }
    return r == OK ? (long)at : r;
}

long sys_munmap(struct call *c)
{
    uint64_t length;

    if (!mm_decode_range(c->arg[0], c->arg[1], &length) || length == 0)
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
    if (!mm_decode_range(c->arg[0], c->arg[1], &length))
        return ERR_NO_MEMORY;
    if ((c->arg[2] & LINUX_PROT_WRITE) && limits_check_protect(c->task, c->arg[0], length) != OK)
        return ERR_NO_MEMORY;
    return aspace_protect(c->task->process->mm->as, c->arg[0], length, prot_of_linux(c->arg[2]));
}

bool mm_range_is_mapped(struct aspace *as, vaddr_t at, vaddr_t end)
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
static int brk_move_locked(struct task *t, struct mm *mm, vaddr_t to)
{
    vaddr_t old_end = ALIGN_UP(mm->brk_end, PAGE_SIZE), new_end = ALIGN_UP(to, PAGE_SIZE);
    unsigned flags = MAP_PRIVATE | MAP_NOREPLACE;
    vaddr_t at;
    int r = OK;

    if (to < mm->brk_start || to > USER_ADDRESS_END)
        return ERR_INVALID;
    if (new_end > old_end)
        r = limits_check_growth(t, new_end - old_end, GROWTH_DATA | GROWTH_MEANT);
    if (r == OK && new_end > old_end && mm->lock_future) {
        r = limits_check_lock(t, 0, new_end - old_end);
        flags |= MAP_LOCKED | MAP_POPULATE;
    }
    if (r == OK && new_end > old_end)
        r = aspace_map(mm->as, old_end, new_end - old_end, PROT_READ | PROT_WRITE, flags, NULL, 0,
                       &at);
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
    brk_move_locked(c->task, mm, c->arg[0]); /* when it can't, the old end is the answer */
    end = mm->brk_end;
    mutex_unlock(&mm->lock);
    return (long)end;
}

/* What mremap() is asked for, checked. */
struct remap_request {
    vaddr_t at, wish;
    uint64_t old_length, new_length, flags;
};

static int decode_remap(const struct call *c, struct remap_request *m)
{
    uint64_t length;

    *m = (struct remap_request){.at = c->arg[0], .flags = c->arg[3], .wish = c->arg[4]};
    if (m->flags & ~(uint64_t)(LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP))
        return ERR_INVALID;
    if ((m->flags & (LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP)) &&
        !(m->flags & LINUX_MREMAP_MAYMOVE))
        return ERR_INVALID;
    if (!mm_decode_range(m->at, c->arg[1], &m->old_length) ||
        !mm_decode_range(0, c->arg[2], &m->new_length) || m->old_length == 0 || m->new_length == 0)
        return ERR_INVALID;
    if ((m->flags & LINUX_MREMAP_DONTUNMAP) && m->old_length != m->new_length)
        return ERR_INVALID;
    if (m->flags & (LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP)) {
        if (!mm_decode_range(m->wish, m->new_length, &length) ||
            ((m->flags & LINUX_MREMAP_FIXED) && m->wish < USER_ADDRESS_MIN) ||
            (m->wish < m->at + m->old_length && m->at < m->wish + m->new_length))
            return ERR_INVALID;
    }
    return OK;
}

/* To a new place, which is kept free for it. mm->lock is held. */
static int move_away_locked(struct mm *mm, const struct remap_request *m, vaddr_t *to)
{
    bool keep = m->flags & LINUX_MREMAP_DONTUNMAP;
    int r = OK;

    if (m->flags & LINUX_MREMAP_FIXED)
        *to = m->wish;
    else
        r = mm_reserve(mm, m->new_length, to);
    if (r != OK)
        return r;
    r = keep ? aspace_move_pages(mm->as, m->at, m->old_length, *to)
             : aspace_move(mm->as, m->at, m->old_length, *to, m->new_length);
    if (r != OK && !(m->flags & LINUX_MREMAP_FIXED))
        aspace_unmap(mm->as, *to, m->new_length);
    return r;
}

static long remap_locked(struct task *t, struct mm *mm, const struct remap_request *m)
{
    bool elsewhere = m->flags & (LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP);
    struct aspace_mapping there;
    vaddr_t to = m->at;
    int r = ERR_NO_MEMORY;

    if (aspace_find(mm->as, m->at, &there) != OK || there.start > m->at)
        return ERR_FAULT;
    if (!elsewhere &&
        m->new_length <= m->old_length) { /* what is cut off may be several mappings */
        r = m->new_length < m->old_length
                ? aspace_unmap(mm->as, m->at + m->new_length, m->old_length - m->new_length)
                : OK;
        return r == OK ? (long)m->at : r;
    }
    if (there.end < m->at + m->old_length)
        return ERR_FAULT;
    if ((m->flags & LINUX_MREMAP_DONTUNMAP) && (there.obj || !(there.flags & MAP_PRIVATE)))
        return ERR_INVALID;
    if (m->new_length > m->old_length) {
        unsigned kind = there.prot & PROT_WRITE ? GROWTH_MEANT : 0u;

        if (kind && (there.flags & MAP_PRIVATE))
            kind |= GROWTH_DATA;
        r = limits_check_growth(t, m->new_length - m->old_length, kind);
        if (r == OK && (there.flags & MAP_LOCKED) &&
            limits_check_lock(t, 0, m->new_length - m->old_length) != OK)
            r = ERR_AGAIN;
        if (r != OK)
            return r;
        r = ERR_NO_MEMORY;
    }
    if (!elsewhere)
        r = aspace_move(mm->as, m->at, m->old_length, m->at, m->new_length);
    if (r == ERR_NO_MEMORY && (m->flags & LINUX_MREMAP_MAYMOVE))
        r = move_away_locked(mm, m, &to);
    if (r == ERR_NOT_FOUND)
        return ERR_FAULT;
    return r == OK ? (long)to : r;
}

long sys_mremap(struct call *c)
{
    struct mm *mm = c->task->process->mm;
    struct remap_request m;
    long r = decode_remap(c, &m);

    if (r != OK)
        return r;
    mutex_lock(&mm->lock);
    r = remap_locked(c->task, mm, &m);
    mutex_unlock(&mm->lock);
    return r;
}
