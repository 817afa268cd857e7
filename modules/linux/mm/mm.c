/*
 * mm.c: making, copying and freeing the memory of a process. See mm.h.
 */
#include "modules/linux/mm/mm.h"

#include <microlake/memory.h>
#include <microlake/random.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"

static struct mm *mm_alloc(void)
{
    struct mm *mm = kzalloc(sizeof(*mm));

    if (mm) {
        mm->refs = 1;
        mutex_init(&mm->lock);
        __atomic_add_fetch(&process_counts.memories, 1, __ATOMIC_RELAXED);
    }
    return mm;
}

static void mm_free(struct mm *mm)
{
    __atomic_sub_fetch(&process_counts.memories, 1, __ATOMIC_RELAXED);
    kfree(mm);
}

int mm_create(struct mm **out)
{
    struct mm *mm = mm_alloc();
    int r;

    if (!mm)
        return ERR_NO_MEMORY;
    r = aspace_create(&mm->as);
    if (r != OK) {
        mm_free(mm);
        return r;
    }
    *out = mm;
    return OK;
}

int mm_fork(struct mm *from, struct mm **out)
{
    struct mm *mm = mm_alloc();
    int r;

    if (!mm)
        return ERR_NO_MEMORY;
    mutex_lock(&from->lock);
    r = aspace_fork(from->as, &mm->as);
    mm->brk_start = from->brk_start;
    mm->brk_end = from->brk_end;
    mutex_unlock(&from->lock);
    if (r != OK) {
        mm_free(mm);
        return r;
    }
    mm->stack_start = from->stack_start;
    mm->stack_end = from->stack_end;
    mm->barriers = __atomic_load_n(&from->barriers, __ATOMIC_ACQUIRE);
    mm->vdso = from->vdso;
    mm->arguments = from->arguments;
    mm->arguments_end = from->arguments_end;
    mm->environment_end = from->environment_end;
    mm->program = from->program;
    node_ref(mm->program);
    *out = mm;
    return OK;
}

void mm_ref(struct mm *mm)
{
    __atomic_add_fetch(&mm->refs, 1, __ATOMIC_RELAXED);
}

void mm_unref(struct mm *mm)
{
    if (__atomic_sub_fetch(&mm->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    aspace_unref(mm->as);
    if (mm->program)
        node_unref(mm->program);
    mm_free(mm);
}

int mm_reserve(struct mm *mm, uint64_t length, vaddr_t *out)
{
    return aspace_map(mm->as, 0, length, 0, MAP_PRIVATE, NULL, 0, out);
}

uint64_t mm_random_pages(unsigned bits)
{
    uint64_t pages;

    random_bytes(&pages, sizeof(pages));
    return (pages & ((1ull << bits) - 1)) * PAGE_SIZE;
}
