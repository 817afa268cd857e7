/*
 * memobj.c: memory objects: where the pages of mappings come from.
 *
 * Anonymous and pager-backed objects keep their pages in a radix tree of 512-entry nodes. A physical
 * object computes them. obj->lock guards the tree and the size; filling a page happens under it, so
 * each page is filled once.
 */
#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/wait.h>
#include "memobj.h"

#define NODE_SLOTS 512
#define NODE_BITS  9

/* A leaf's slot is a frame and whether it was written through a mapping since it was handed to write(). */
#define SLOT_WRITTEN 1ul

static paddr_t slot_frame(uint64_t slot)
{
    return slot & ~SLOT_WRITTEN;
}

static struct memobj *memobj_create(enum memobj_kind kind, uint64_t size)
{
    struct memobj *obj = kzalloc(sizeof(*obj));

    if (!obj)
        return NULL;
    obj->kind = kind;
    obj->refs = 1;
    obj->size = size;
    mutex_init(&obj->lock);
    return obj;
}

int memobj_create_anon(uint64_t size, struct memobj **out)
{
    *out = memobj_create(MEMOBJ_ANON, size);
    return *out ? OK : ERR_NO_MEMORY;
}

int memobj_create_pager(uint64_t size, const struct pager_ops *ops, void *pager, struct memobj **out)
{
    *out = memobj_create(MEMOBJ_PAGER, size);
    if (!*out)
        return ERR_NO_MEMORY;
    (*out)->ops = ops;
    (*out)->pager = pager;
    return OK;
}

int memobj_create_phys(paddr_t base, uint64_t size, struct memobj **out)
{
    if (base & PAGE_MASK)
        return ERR_INVALID;
    *out = memobj_create(MEMOBJ_PHYS, size);
    if (!*out)
        return ERR_NO_MEMORY;
    (*out)->base = base;
    return OK;
}

void memobj_ref(struct memobj *obj)
{
    __atomic_fetch_add(&obj->refs, 1, __ATOMIC_RELAXED);
}

uint64_t memobj_size(const struct memobj *obj)
{
    return obj->size;
}

/* A pager that counts its pages hears of each. The lock is held. */
static void page_moved(struct memobj *obj, uint64_t index, paddr_t frame, bool came)
{
    if (obj->ops && obj->ops->moved)
        obj->ops->moved(obj->pager, index, frame, came);
}

/* Frees pages with index >= first below a node; true when the node is empty then. */
static bool node_free(struct memobj *obj, uint64_t *node, unsigned level, uint64_t base, uint64_t first)
{
    uint64_t span = 1ul << (NODE_BITS * level);
    bool empty = true;

    for (unsigned i = 0; i < NODE_SLOTS; i++) {
        uint64_t at = base + i * span;

        if (!node[i])
            continue;
        if (at + span <= first) {
            empty = false;
        } else if (level == 0) {
            page_moved(obj, at, slot_frame(node[i]), false);
            frame_unref(slot_frame(node[i]));
            node[i] = 0;
        } else if (node_free(obj, phys_to_virt(node[i]), level - 1, at, first)) {
            frame_free(node[i], 0);
            node[i] = 0;
        } else {
            empty = false;
        }
    }
    return empty;
}

static void pages_free(struct memobj *obj, uint64_t first)
{
    if (obj->root && node_free(obj, phys_to_virt(obj->root), obj->levels - 1, 0, first)) {
        frame_free(obj->root, 0);
        obj->root = 0;
        obj->levels = 0;
    }
}

void memobj_unref(struct memobj *obj)
{
    if (__atomic_sub_fetch(&obj->refs, 1, __ATOMIC_ACQ_REL))
        return;
    mutex_lock(&obj->lock); /* memobj_evict() may have found a page of it */
    pages_free(obj, 0);
    mutex_unlock(&obj->lock);
    if (obj->ops && obj->ops->closed)
        obj->ops->closed(obj->pager);
    kfree(obj);
}

int memobj_resize(struct memobj *obj, uint64_t size)
{
    if (obj->kind == MEMOBJ_PHYS)
        return ERR_UNSUPPORTED;
    mutex_lock(&obj->lock);
    if (size < obj->size)
        pages_free(obj, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
    obj->size = size;
    mutex_unlock(&obj->lock);
    return OK;
}

static bool tree_grow(struct memobj *obj, uint64_t index)
{
    while (!obj->root || index >> (NODE_BITS * obj->levels)) {
        paddr_t pa = frame_alloc(0, FRAME_ZERO);

        if (!pa)
            return false;
        if (obj->root)
            *(uint64_t *)phys_to_virt(pa) = obj->root;
        obj->root = pa;
        obj->levels++;
    }
    return true;
}

/* The slot of page `index`; NULL: no memory for the nodes. */
static uint64_t *tree_slot(struct memobj *obj, uint64_t index)
{
    uint64_t *node;

    if (!tree_grow(obj, index))
        return NULL;
    node = phys_to_virt(obj->root);
    for (unsigned l = obj->levels - 1; l > 0; l--) {
        uint64_t *slot = &node[index >> (NODE_BITS * l) & (NODE_SLOTS - 1)];

        if (!*slot)
            *slot = frame_alloc(0, FRAME_ZERO);
        if (!*slot)
            return NULL;
        node = phys_to_virt(*slot);
    }
    return &node[index & (NODE_SLOTS - 1)];
}

static int page_fill(struct memobj *obj, uint64_t index, uint64_t *slot)
{
    paddr_t pa = frame_alloc(0, FRAME_ZERO);
    int r = OK;

    if (!pa)
        return ERR_NO_MEMORY;
    if (obj->kind == MEMOBJ_PAGER)
        r = obj->ops->fill(obj->pager, index, phys_to_virt(pa));
    if (r == OK)
        *slot = pa;
    else
        frame_free(pa, 0);
    return r;
}

static uint64_t page_count(const struct memobj *obj)
{
    return ALIGN_UP(obj->size, PAGE_SIZE) / PAGE_SIZE;
}

/* The slot of page `index`, with its page. The lock is held, but not while the pager brings the page. */
static int slot_filled(struct memobj *obj, uint64_t index, uint64_t **out)
{
    int r = OK;

    while (r == OK) {
        *out = tree_slot(obj, index);
        if (!*out)
            return ERR_NO_MEMORY;
        if (**out)
            return OK;
        if (!obj->ops || !obj->ops->bring)
            return page_fill(obj, index, *out);
        mutex_unlock(&obj->lock);
        r = obj->ops->bring(obj->pager, index);
        mutex_lock(&obj->lock);
        if (r == OK && index >= page_count(obj))
            r = ERR_RANGE;
    }
    return r;
}

/* The page and, for counted frames, a reference: so that a truncation in between does no harm. */
int memobj_page_get(struct memobj *obj, uint64_t index, bool writes, paddr_t *out, bool *counted)
{
    uint64_t *slot;
    int r;

    *counted = false;
    if (index >= page_count(obj))
        return ERR_RANGE;
    if (obj->kind == MEMOBJ_PHYS) {
        *out = obj->base + index * PAGE_SIZE;
        return OK;
    }
    if (obj->kind == MEMOBJ_PAGER && obj->ops->frame)
        return obj->ops->frame(obj->pager, index, out);
    mutex_lock(&obj->lock);
    r = slot_filled(obj, index, &slot);
    if (r == OK) {
        if (writes && memobj_tracks(obj))
            *slot |= SLOT_WRITTEN;
        *out = slot_frame(*slot);
        frame_ref(*out);
        *counted = true;
    }
    mutex_unlock(&obj->lock);
    return r;
}

int memobj_page(struct memobj *obj, uint64_t index, paddr_t *out)
{
    bool counted;
    int r = memobj_page_get(obj, index, false, out, &counted);

    if (r == OK && counted)
        frame_unref(*out);
    return r;
}

/* The slot of page `index` if its page is there, else NULL. The lock is held. */
static uint64_t *slot_present(struct memobj *obj, uint64_t index)
{
    uint64_t *node;

    if (!obj->root || index >> (NODE_BITS * obj->levels))
        return NULL;
    node = phys_to_virt(obj->root);
    for (unsigned l = obj->levels - 1; l > 0; l--) {
        uint64_t slot = node[index >> (NODE_BITS * l) & (NODE_SLOTS - 1)];

        if (!slot)
            return NULL;
        node = phys_to_virt(slot);
    }
    node += index & (NODE_SLOTS - 1);
    return *node ? node : NULL;
}

bool memobj_has_page(struct memobj *obj, uint64_t index)
{
    bool there;

    if (obj->kind == MEMOBJ_PHYS || (obj->ops && obj->ops->frame))
        return true;
    mutex_lock(&obj->lock);
    there = slot_present(obj, index) != NULL;
    mutex_unlock(&obj->lock);
    return there;
}

bool memobj_page_present(struct memobj *obj, uint64_t index, paddr_t *out, bool *counted)
{
    uint64_t *slot;

    *counted = false;
    if (obj->kind == MEMOBJ_PHYS || index >= page_count(obj))
        return false;
    if (obj->ops && obj->ops->frame)
        return obj->ops->frame(obj->pager, index, out) == OK;
    mutex_lock(&obj->lock);
    slot = slot_present(obj, index);
    if (slot) {
        *out = slot_frame(*slot);
        frame_ref(*out);
        *counted = true;
    }
    mutex_unlock(&obj->lock);
    return slot;
}

bool memobj_page_ref(struct memobj *obj, uint64_t index, paddr_t *out)
{
    bool counted;

    return memobj_page_present(obj, index, out, &counted) && counted;
}

uint64_t memobj_present(struct memobj *obj, uint64_t first, uint64_t count)
{
    uint64_t n = 0;

    mutex_lock(&obj->lock);
    while (n < count && slot_present(obj, first + n))
        n++;
    mutex_unlock(&obj->lock);
    return n;
}

int memobj_insert(struct memobj *obj, uint64_t index, paddr_t frame)
{
    uint64_t *slot;
    int r = OK;

    mutex_lock(&obj->lock);
    slot = index < page_count(obj) ? tree_slot(obj, index) : NULL;
    if (!slot)
        r = index < page_count(obj) ? ERR_NO_MEMORY : ERR_RANGE;
    else if (*slot)
        r = ERR_EXISTS;
    if (r == OK) {
        *slot = frame;
        page_moved(obj, index, frame, true);
    }
    mutex_unlock(&obj->lock);
    return r;
}

static bool node_is_empty(const uint64_t *node, uint64_t from)
{
    for (unsigned i = 0; i < NODE_SLOTS; i++) /* pages that were read together go together: look beside first */
        if (node[(from + i) & (NODE_SLOTS - 1)])
            return false;
    return true;
}

/* Frees the nodes above page `index` that have become empty; the root stays. */
static void tree_prune(struct memobj *obj, uint64_t index)
{
    for (unsigned low = 0; low + 1 < obj->levels; low++) {
        uint64_t *node = phys_to_virt(obj->root), *slot = NULL;

        for (unsigned l = obj->levels - 1; l > low; l--) {
            slot = &node[index >> (NODE_BITS * l) & (NODE_SLOTS - 1)];
            node = phys_to_virt(*slot);
        }
        if (!node_is_empty(node, (index >> (NODE_BITS * low)) + 1))
            return;
        frame_free(*slot, 0);
        *slot = 0;
    }
}

paddr_t memobj_evict(struct memobj *obj, uint64_t index)
{
    paddr_t frame = 0;
    uint64_t *slot;

    if (!mutex_trylock(&obj->lock))
        return 0;
    slot = slot_present(obj, index);
    if (slot && !(*slot & SLOT_WRITTEN) && frame_refs(*slot) == 1) {
        frame = *slot;
        frame_unref(frame);
        *slot = 0;
        tree_prune(obj, index);
    }
    mutex_unlock(&obj->lock);
    return frame;
}

void memobj_writer(struct memobj *obj, int by)
{
    mutex_lock(&obj->lock);
    __atomic_store_n(&obj->writers, obj->writers + (uint32_t)by, __ATOMIC_RELAXED);
    mutex_unlock(&obj->lock);
}

void memobj_set_owner(struct memobj *obj, void *owner)
{
    obj->owner = owner;
}

void *memobj_owner(const struct memobj *obj)
{
    return obj->owner;
}

unsigned memobj_writers(const struct memobj *obj)
{
    return __atomic_load_n(&obj->writers, __ATOMIC_RELAXED);
}

/* The first written page below a node with an index from `first` on; NULL: none. */
static uint64_t *node_written(uint64_t *node, unsigned level, uint64_t base, uint64_t first, uint64_t *index)
{
    uint64_t span = 1ul << (NODE_BITS * level);

    for (unsigned i = 0; i < NODE_SLOTS; i++) {
        uint64_t at = base + i * span, *found = NULL;

        if (!node[i] || at + span <= first)
            continue;
        if (level > 0)
            found = node_written(phys_to_virt(node[i]), level - 1, at, first, index);
        else if (node[i] & SLOT_WRITTEN)
            found = &node[i];
        if (level == 0 && found)
            *index = at;
        if (found)
            return found;
    }
    return NULL;
}

/* Takes the next written page with a reference to its frame. It counts as written still while somebody
 * could be writing to it: there are mappings for that, and some mapping has this page. */
static bool written_take(struct memobj *obj, uint64_t *index, uint64_t end, paddr_t *out)
{
    uint64_t *slot = NULL;

    mutex_lock(&obj->lock);
    if (obj->root)
        slot = node_written(phys_to_virt(obj->root), obj->levels - 1, 0, *index, index);
    if (slot && *index >= end)
        slot = NULL;
    if (slot) {
        *out = slot_frame(*slot);
        frame_ref(*out);
        if (!obj->writers || frame_refs(*out) == 2)
            *slot &= ~SLOT_WRITTEN;
    }
    mutex_unlock(&obj->lock);
    return slot;
}

static void written_again(struct memobj *obj, uint64_t index)
{
    uint64_t *slot;

    mutex_lock(&obj->lock);
    slot = slot_present(obj, index);
    if (slot)
        *slot |= SLOT_WRITTEN;
    mutex_unlock(&obj->lock);
}

/* Neighbours among the written pages. */
struct run {
    uint64_t first;
    unsigned count;
    paddr_t frames[PAGER_RUN_MAX]; /* references */
};

static int run_write(struct memobj *obj, struct run *run)
{
    const void *pages[PAGER_RUN_MAX];
    int r = OK;

    for (unsigned i = 0; i < run->count; i++)
        pages[i] = phys_to_virt(run->frames[i]);
    if (run->count)
        r = obj->ops->write(obj->pager, run->first, pages, run->count);
    for (unsigned i = 0; i < run->count; i++) {
        if (r != OK)
            written_again(obj, run->first + i);
        frame_unref(run->frames[i]); /* last: it may leave from now on */
    }
    run->count = 0;
    return r;
}

int memobj_write_back(struct memobj *obj, uint64_t first, uint64_t count)
{
    uint64_t end = first + count < first ? UINT64_MAX : first + count;
    struct run run = {0};
    int result = OK, r = OK;
    paddr_t pa;

    if (!memobj_tracks(obj))
        return OK;
    for (uint64_t index = first; written_take(obj, &index, end, &pa); index++) {
        if (run.count == PAGER_RUN_MAX || index != run.first + run.count)
            r = run_write(obj, &run);
        if (r != OK)
            result = r;
        if (!run.count)
            run.first = index;
        run.frames[run.count++] = pa;
    }
    r = run_write(obj, &run);
    return r == OK ? result : r;
}

static int memobj_copy(struct memobj *obj, uint64_t offset, void *data, size_t size, bool write)
{
    char *p = data;

    if (offset > obj->size || size > obj->size - offset)
        return ERR_RANGE;
    while (size) {
        size_t in = offset & PAGE_MASK, n = MIN(size, PAGE_SIZE - in);
        paddr_t pa;
        bool counted;
        int r = memobj_page_get(obj, offset / PAGE_SIZE, false, &pa, &counted);

        if (r != OK)
            return r;
        if (write)
            memcpy((char *)phys_to_virt(pa) + in, p, n);
        else
            memcpy(p, (char *)phys_to_virt(pa) + in, n);
        if (counted)
            frame_unref(pa);
        p += n;
        offset += n;
        size -= n;
    }
    return OK;
}

int memobj_read(struct memobj *obj, uint64_t offset, void *dst, size_t size)
{
    return memobj_copy(obj, offset, dst, size, false);
}

int memobj_write(struct memobj *obj, uint64_t offset, const void *src, size_t size)
{
    return memobj_copy(obj, offset, (void *)src, size, true);
}
