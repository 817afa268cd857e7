/*
 * memobj.h: the inside of memory objects, for kernel/mm only.
 */
#pragma once

#include <microlake/aspace.h>
#include <microlake/wait.h>

enum memobj_kind { MEMOBJ_ANON, MEMOBJ_PAGER, MEMOBJ_PHYS };

struct memobj {
    enum memobj_kind kind;
    uint32_t refs;
    uint64_t size;              /* bytes; guarded by lock */
    struct mutex lock;
    paddr_t root;               /* radix tree of pages; guarded by lock */
    unsigned levels;            /* guarded by lock */
    paddr_t base;               /* PHYS */
    const struct pager_ops *ops; /* PAGER */
    void *owner;                /* what it is for those who use it */
    uint32_t writers;           /* mappings that can write to it; changed under lock */
    void *pager;
};

/* Page `index`, which the caller is going to write to through a mapping or not. When *counted, the caller
 * has got a reference on its frame. Status as memobj_page. */
int memobj_page_get(struct memobj *obj, uint64_t index, bool writes, paddr_t *out, bool *counted);

/* The same for a page that is there already and that nobody is going to write to; false: it is not, or the
 * object's pages are not memory. Nothing is filled. */
bool memobj_page_present(struct memobj *obj, uint64_t index, paddr_t *out, bool *counted);

/* A mapping that can write to it comes (1) or goes (-1). */
void memobj_writer(struct memobj *obj, int by);

/* Page `index` is there already. */
bool memobj_has_page(struct memobj *obj, uint64_t index);

/* Its pages come and go. */
static inline bool memobj_evicts(const struct memobj *obj)
{
    return obj && obj->kind == MEMOBJ_PAGER && obj->ops->bring;
}

/* It wants to know what was written. */
static inline bool memobj_tracks(const struct memobj *obj)
{
    return obj && obj->kind == MEMOBJ_PAGER && obj->ops->write;
}
