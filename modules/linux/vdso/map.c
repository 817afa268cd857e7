/*
 * map.c: puts the shared object of vdso.c and its page of facts into programs. See vdso.h.
 *
 * One memory object serves all programs: page 0 holds the facts, the image follows. Mappings are
 * private, so that a program which makes them writable gets a copy of its own.
 */
#include <microlake/cpu.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#include "modules/linux/mm/mm.h"
#include "modules/linux/time/clock.h"
#include "modules/linux/vdso/vdso.h"
#include "modules/linux/vdso/vvar.h"

_Static_assert(VVAR_SHIFT == TIME_RATE_SHIFT, "the clock's formula");
_Static_assert(VVAR_SIZE == PAGE_SIZE, "facts fill a page");

#define IMAGE_PAGES_MAX 4u

extern const char vdso_image[], vdso_image_end[];

static struct mutex lock = MUTEX_INIT(lock);
static struct memobj *object;               /* made once, under lock; kept until the machine ends */
static paddr_t frames[1 + IMAGE_PAGES_MAX]; /* made once each, under lock; 0: not yet */
static struct spinlock facts_lock = SPINLOCK_INIT;
static uint64_t wall_offset; /* 0: not known yet; guarded by facts_lock */

static size_t image_size(void)
{
    return (size_t)(vdso_image_end - vdso_image);
}

uint64_t vdso_size(void)
{
    return VVAR_SIZE + ALIGN_UP(image_size(), PAGE_SIZE);
}

static struct vvar *facts(void)
{
    return phys_to_virt(frames[0]);
}

/* facts_lock is held. Readers in user mode try again while the count is odd. */
static void facts_write_locked(uint64_t offset)
{
    struct vvar *v = facts();
    struct time_rate rate;

    time_rate(&rate);
    __atomic_fetch_add(&v->sequence, 1, __ATOMIC_ACQ_REL);
    v->base_tsc = rate.base_tsc;
    v->base_ns = rate.base_ns;
    v->mult = rate.mult;
    v->wall_offset = offset;
    v->ready = VVAR_MONOTONIC | (offset != 0 ? VVAR_WALL : 0u);
    __atomic_fetch_add(&v->sequence, 1, __ATOMIC_ACQ_REL);
}

/* Who publishes late publishes what holds by then. */
void vdso_publish_wall(uint64_t offset)
{
    uint64_t flags;

    if (__atomic_load_n(&wall_offset, __ATOMIC_RELAXED) == offset)
        return;
    flags = spin_lock_irqsave(&facts_lock);
    offset = clock_wall_offset();
    __atomic_store_n(&wall_offset, offset, __ATOMIC_RELAXED);
    if (frames[0] != 0)
        facts_write_locked(offset);
    spin_unlock_irqrestore(&facts_lock, flags);
}

static void rate_changed(void)
{
    uint64_t flags = spin_lock_irqsave(&facts_lock);

    if (frames[0] != 0)
        facts_write_locked(wall_offset);
    spin_unlock_irqrestore(&facts_lock, flags);
}

/* Makes page `index`; lock is held. */
static int page_make_locked(uint64_t index)
{
    paddr_t pa = frame_alloc(0, FRAME_ZERO);
    size_t from = (index - 1) * PAGE_SIZE;
    uint64_t flags;

    if (!pa)
        return ERR_NO_MEMORY;
    if (index == 0)
        time_rate_watch(rate_changed);
    else
        memcpy(phys_to_virt(pa), vdso_image + from, MIN(image_size() - from, PAGE_SIZE));
    flags = spin_lock_irqsave(&facts_lock);
    frames[index] = pa;
    if (index == 0)
        facts_write_locked(wall_offset);
    spin_unlock_irqrestore(&facts_lock, flags);
    return OK;
}

static int page_frame(void *pager, uint64_t index, paddr_t *out)
{
    int r = OK;

    (void)pager;
    mutex_lock(&lock);
    if (frames[index] == 0)
        r = page_make_locked(index);
    *out = frames[index];
    mutex_unlock(&lock);
    return r;
}

static const struct pager_ops pages = {.frame = page_frame};

static int object_get(void)
{
    int r = OK;

    mutex_lock(&lock);
    if (!object)
        r = memobj_create_pager(vdso_size(), &pages, NULL, &object);
    mutex_unlock(&lock);
    return r;
}

int vdso_map(struct mm *mm)
{
    vaddr_t at = mm->stack_end + PAGE_SIZE, where;
    int r = object_get();

    if (r == OK)
        r = aspace_map(mm->as, at, VVAR_SIZE, PROT_READ, MAP_FIXED | MAP_PRIVATE, object, 0,
                       &where);
    if (r == OK)
        r = aspace_map(mm->as, at + VVAR_SIZE, vdso_size() - VVAR_SIZE, PROT_READ | PROT_EXEC,
                       MAP_FIXED | MAP_PRIVATE, object, VVAR_SIZE, &where);
    if (r == OK)
        mm->vdso = at + VVAR_SIZE;
    return r;
}
