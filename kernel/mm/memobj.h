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
    void *pager;
};

/* Page `index`. When *counted, the caller has got a reference on its frame. Status as memobj_page. */
int memobj_page_get(struct memobj *obj, uint64_t index, paddr_t *out, bool *counted);
