/*
 * heap.c: the kernel heap: slabs of equal objects (Bonwick, 1994) with per-CPU magazines, and whole
 * frame blocks beyond 2 KiB. A freed object carries a mark, so that a second free is found.
 */
#include <arch/cpu_local.h>
#include <microlake/cpu.h>
#include <microlake/list.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include "mm.h"

static const uint16_t class_sizes[] = {16,  32,  48,  64,  96,   128,  192,
                                       256, 384, 512, 768, 1024, 1536, 2048};
#define CLASSES       ARRAY_SIZE(class_sizes)
#define TAG_SLAB      1   /* + class */
#define TAG_LARGE     100
#define MAGAZINE_SIZE 16
#define SLAB_HEADER   64
#define FREED_MARK    0x6d65656c6672ee64ull
#define HEAP_MAX_ORDER 9

struct slab {
    struct list link; /* in its class's partial list; guarded by the class's lock */
    void *free;       /* first free object; each points to the next */
    uint32_t used, capacity;
};
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "slab header");

struct magazine {
    uint32_t count;
    void *objects[MAGAZINE_SIZE];
};

static struct {
    struct spinlock lock;
    struct list partial;
} classes[CLASSES];
static struct magazine magazines[MAX_CPUS][CLASSES]; /* own CPU, interrupts off */
static uint8_t class_of_16[2048 / 16 + 1];           /* (size + 15) / 16 to class */
static uint64_t live_bytes;
static bool ready;

static void heap_init(void)
{
    unsigned c = 0;

    for (unsigned i = 0; i < CLASSES; i++)
        list_init(&classes[i].partial);
    for (unsigned i = 0; i < ARRAY_SIZE(class_of_16); i++) {
        while (i * 16 > class_sizes[c])
            c++;
        class_of_16[i] = (uint8_t)c;
    }
    ready = true;
}

static unsigned slab_order(unsigned c)
{
    return class_sizes[c] <= 256 ? 0 : class_sizes[c] <= 512 ? 1 : class_sizes[c] <= 1024 ? 2 : 3;
}

/* What is not in use carries a mark that fits its place. */
static void freed_mark(void *p)
{
    ((uint64_t *)p)[1] = FREED_MARK ^ (uint64_t)p;
}

static struct slab *slab_create(unsigned c)
{
    unsigned order = slab_order(c);
    paddr_t pa = frame_alloc(order, FRAME_NOWAIT);
    struct slab *s;
    char *object;

    if (!pa)
        return NULL;
    s = phys_to_virt(pa);
    s->used = 0;
    s->capacity = (uint32_t)(((PAGE_SIZE << order) - SLAB_HEADER) / class_sizes[c]);
    s->free = NULL;
    object = (char *)s + SLAB_HEADER + (size_t)s->capacity * class_sizes[c];
    for (unsigned i = 0; i < s->capacity; i++) {
        object -= class_sizes[c];
        *(void **)object = s->free;
        freed_mark(object);
        s->free = object;
    }
    for (unsigned i = 0; i < 1u << order; i++)
        frame_tag_set(pa + i * PAGE_SIZE, (uint16_t)(TAG_SLAB + c), (uint32_t)(pa >> PAGE_SHIFT));
    list_push_front(&classes[c].partial, &s->link);
    return s;
}

static struct slab *slab_of(void *p, unsigned *class_out)
{
    uint32_t head;
    uint16_t tag = frame_tag(ALIGN_DOWN(virt_to_phys(p), PAGE_SIZE), &head);
    struct slab *s;
    uint64_t offset;

    if (tag < TAG_SLAB || tag >= TAG_SLAB + CLASSES)
        return NULL;
    *class_out = tag - TAG_SLAB;
    s = phys_to_virt((paddr_t)head << PAGE_SHIFT);
    offset = (uint64_t)p - (uint64_t)s - SLAB_HEADER; /* huge for the header */
    if (offset % class_sizes[*class_out] || offset / class_sizes[*class_out] >= s->capacity)
        return NULL;
    return s;
}

static void magazine_fill(struct magazine *m, unsigned c)
{
    spin_lock(&classes[c].lock);
    while (m->count < MAGAZINE_SIZE / 2) {
        struct slab *s = list_empty(&classes[c].partial)
                             ? slab_create(c)
                             : list_entry(list_first(&classes[c].partial), struct slab, link);

        if (!s)
            break;
        while (s->free && m->count < MAGAZINE_SIZE / 2) {
            void *p = s->free;

            s->free = *(void **)p;
            s->used++;
            m->objects[m->count++] = p;
        }
        if (!s->free)
            list_remove(&s->link);
    }
    spin_unlock(&classes[c].lock);
}

static void magazine_drain(struct magazine *m, unsigned c)
{
    spin_lock(&classes[c].lock);
    while (m->count > MAGAZINE_SIZE / 2) {
        void *p = m->objects[--m->count];
        unsigned again;
        struct slab *s = slab_of(p, &again);

        if (!s->free)
            list_push_back(&classes[c].partial, &s->link);
        *(void **)p = s->free;
        s->free = p;
        if (--s->used == 0) {
            paddr_t pa = virt_to_phys(s);
            unsigned order = slab_order(c);

            list_remove(&s->link);
            for (unsigned i = 0; i < 1u << order; i++)
                frame_tag_set(pa + i * PAGE_SIZE, 0, i == 0 ? 1 : 0);
            frame_free(pa, order);
        }
    }
    spin_unlock(&classes[c].lock);
}

static void *large_alloc(size_t size)
{
    unsigned order = 0;
    paddr_t pa;

    while (order <= HEAP_MAX_ORDER && PAGE_SIZE << order < size)
        order++;
    if (order > HEAP_MAX_ORDER)
        return NULL;
    pa = frame_alloc(order, FRAME_NOWAIT);
    if (!pa)
        return NULL;
    frame_tag_set(pa, TAG_LARGE, 0);
    __atomic_fetch_add(&live_bytes, PAGE_SIZE << order, __ATOMIC_RELAXED);
    return phys_to_virt(pa);
}

void *kmalloc(size_t size)
{
    struct magazine *m;
    void *p = NULL;
    uint64_t irq;
    unsigned c;

    if (allocation_must_fail())
        return NULL;
    if (size > class_sizes[CLASSES - 1])
        return large_alloc(size);
    irq = interrupts_disable();
    if (unlikely(!ready))
        heap_init();
    c = class_of_16[(size + 15) / 16];
    m = &magazines[this_cpu()->id][c];
    if (!m->count)
        magazine_fill(m, c);
    if (m->count) {
        p = m->objects[--m->count];
        ((uint64_t *)p)[1] = 0;
        __atomic_fetch_add(&live_bytes, class_sizes[c], __ATOMIC_RELAXED);
    }
    interrupts_restore(irq);
    return p;
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);

    if (p)
        memset(p, 0, size);
    return p;
}

static void large_free(void *p)
{
    uint32_t owner;
    paddr_t pa = virt_to_phys(p);
    unsigned order;

    if ((pa & PAGE_MASK) || frame_tag(pa, &owner) != TAG_LARGE)
        panic("kfree of %p, which the heap did not give", p);
    order = frame_order(pa);
    frame_tag_set(pa, 0, 0);
    __atomic_fetch_sub(&live_bytes, PAGE_SIZE << order, __ATOMIC_RELAXED);
    frame_free(pa, order);
}

void kfree(void *p)
{
    struct magazine *m;
    uint64_t irq;
    unsigned c;

    if (!p)
        return;
    guard_forbid();
    if (!slab_of(p, &c)) {
        large_free(p);
        return;
    }
    if (((uint64_t *)p)[1] == (FREED_MARK ^ (uint64_t)p))
        panic("kfree of %p twice", p);
    irq = interrupts_disable();
    freed_mark(p);
    __atomic_fetch_sub(&live_bytes, class_sizes[c], __ATOMIC_RELAXED);
    m = &magazines[this_cpu()->id][c];
    if (m->count == MAGAZINE_SIZE)
        magazine_drain(m, c);
    m->objects[m->count++] = p;
    interrupts_restore(irq);
}

char *kstrdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = kmalloc(size);

    if (copy)
        memcpy(copy, s, size);
    return copy;
}

uint64_t heap_bytes(void)
{
    return __atomic_load_n(&live_bytes, __ATOMIC_RELAXED);
}
