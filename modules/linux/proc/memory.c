/*
 * memory.c: what /proc/PID tells of a process's memory: maps, smaps, statm, and the figures that
 * status and stat repeat. See proc.h.
 */
#include <microlake/aspace.h>
#include <microlake/memory.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/process.h"

#define PATH_SHOWN    512u
#define PAGES_AT_ONCE 256u
#define NAME_COLUMN   73 /* where Linux puts the name */

/* ---- Which file an object is of ---- */

static struct spinlock name_lock = SPINLOCK_INIT; /* owners of memory objects, and node->named */

/* A device has an object for every mapping, and would keep the first of them for ever. */
void node_name_object(struct node *n, struct memobj *object)
{
    if (!node_is_file(n) || __atomic_load_n(&n->named, __ATOMIC_RELAXED))
        return;
    spin_lock(&name_lock);
    if (!n->named && !memobj_owner(object)) {
        memobj_ref(object);
        __atomic_store_n(&n->named, object, __ATOMIC_RELAXED);
        memobj_set_owner(object, n);
    }
    spin_unlock(&name_lock);
}

void node_unname_object(struct node *n)
{
    if (!n->named)
        return;
    spin_lock(&name_lock);
    memobj_set_owner(n->named, NULL);
    spin_unlock(&name_lock);
    memobj_unref(n->named);
}

struct node *node_named_by_object(const struct memobj *object)
{
    struct node *n;

    spin_lock(&name_lock);
    n = memobj_owner(object);
    if (n && !node_ref_live(n))
        n = NULL;
    spin_unlock(&name_lock);
    return n;
}

/* What maps shows of a mapping's file. */
struct shown_file {
    char path[PATH_SHOWN]; /* "": it has none */
    uint32_t device;
    uint64_t number;
};

static void file_of_object(const struct memobj *object, struct shown_file *out)
{
    struct node *n;

    out->path[0] = '\0';
    out->device = 0;
    out->number = 0;
    if (!object)
        return;
    spin_lock(&name_lock);
    n = memobj_owner(object);
    if (n) {
        const char *gone = n->links == 0 || n->sealable ? " (deleted)" : "";
        long length = node_path(n, out->path, sizeof(out->path) - 16);

        if (length > 0)
            strlcpy(out->path + length, gone, 16);
        else
            out->path[0] = '\0';
        out->device = n->fs->id;
        out->number = n->number;
    }
    spin_unlock(&name_lock);
}

static bool is_stack(const struct mm *mm, const struct aspace_mapping *m)
{
    return m->end == mm->stack_end || (m->start <= mm->stack_start && m->end > mm->stack_start);
}

static const char *special_name(const struct mm *mm, const struct aspace_mapping *m)
{
    if (is_stack(mm, m))
        return "[stack]";
    if (m->start == mm->vdso)
        return "[vdso]";
    if (m->end == mm->vdso)
        return "[vvar]";
    return !m->obj && m->start < mm->brk_end && m->end > mm->brk_start ? "[heap]" : "";
}

static void add_mapping(struct text *t, const struct mm *mm, const struct aspace_mapping *m,
                        struct shown_file *file)
{
    const char *name = special_name(mm, m);
    size_t before = t->used;

    file_of_object(m->obj, file);
    if (*name == '\0')
        name = file->path;
    text_add(t, "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %llu ", m->start, m->end,
             m->prot & PROT_READ ? 'r' : '-', m->prot & PROT_WRITE ? 'w' : '-',
             m->prot & PROT_EXEC ? 'x' : '-', m->flags & MAP_PRIVATE ? 'p' : 's',
             (unsigned long long)(m->obj ? m->offset : 0), file->device >> 8, file->device & 0xff,
             (unsigned long long)file->number);
    while (*name && t->used - before < NAME_COLUMN)
        text_add(t, " ");
    text_add(t, "%s\n", name);
}

/* ---- Pages ---- */

struct page_counts {
    uint64_t present, own; /* pages: in its tables; of these, of private memory */
};

static void count_pages(struct aspace *as, const struct aspace_mapping *m, struct page_counts *out)
{
    uint8_t there[PAGES_AT_ONCE];

    *out = (struct page_counts){0};
    for (vaddr_t at = m->start; at < m->end;) {
        uint64_t n = MIN((m->end - at) / PAGE_SIZE, PAGES_AT_ONCE);

        if (aspace_resident(as, at, n, there) != OK)
            return; /* it was unmapped meanwhile */
        for (uint64_t i = 0; i < n; i++) {
            out->present += !!(there[i] & ASPACE_MAPPED);
            out->own += !!(there[i] & ASPACE_OWN);
        }
        at += n * PAGE_SIZE;
    }
}

static void add_counts(struct text *t, const struct page_counts *pages)
{
    unsigned long long all = pages->present * 4, own = pages->own * 4;

    text_add(t, "Rss:            %8llu kB\nPss:            %8llu kB\n", all, all);
    text_add(t, "Shared_Clean:   %8llu kB\nShared_Dirty:   %8u kB\n", all - own, 0u);
    text_add(t, "Private_Clean:  %8u kB\nPrivate_Dirty:  %8llu kB\n", 0u, own);
    text_add(t, "Referenced:     %8llu kB\nAnonymous:      %8llu kB\n", all, own);
    text_add(t, "Swap:           %8u kB\nSwapPss:        %8u kB\nLocked:         %8u kB\n", 0u, 0u,
             0u);
}

static long show_mappings(const struct proc_entry *e, char *out, size_t size, bool details)
{
    struct shown_file *file = kmalloc(sizeof(*file));
    struct mm *mm = file ? process_mm(e->process) : NULL;
    struct text t = {out, size, 0};
    struct page_counts pages;
    struct aspace_mapping m;

    for (vaddr_t at = 0; mm && aspace_find_ref(mm->as, at, &m) == OK; at = m.end) {
        add_mapping(&t, mm, &m, file);
        if (m.obj)
            memobj_unref(m.obj);
        if (!details)
            continue;
        count_pages(mm->as, &m, &pages);
        text_add(&t, "Size:           %8llu kB\nKernelPageSize: %8u kB\nMMUPageSize:    %8u kB\n",
                 (unsigned long long)((m.end - m.start) / 1024), 4u, 4u);
        add_counts(&t, &pages);
    }
    if (mm)
        mm_unref(mm);
    kfree(file);
    return text_length(&t);
}

static long show_maps(void *context, char *out, size_t size)
{
    return show_mappings(context, out, size, false);
}

static long show_smaps(void *context, char *out, size_t size)
{
    return show_mappings(context, out, size, true);
}

static long show_smaps_rollup(void *context, char *out, size_t size)
{
    const struct proc_entry *e = context;
    struct mm *mm = process_mm(e->process);
    struct page_counts sum = {0}, pages;
    struct text t = {out, size, 0};
    vaddr_t first = 0, last = 0;
    struct aspace_mapping m;

    for (vaddr_t at = 0; mm && aspace_find(mm->as, at, &m) == OK; at = m.end) {
        first = first ? first : m.start;
        last = m.end;
        count_pages(mm->as, &m, &pages);
        sum.present += pages.present;
        sum.own += pages.own;
    }
    if (mm)
        mm_unref(mm);
    text_add(&t, "%08lx-%08lx ---p 00000000 00:00 0 [rollup]\n", first, last);
    add_counts(&t, &sum);
    return text_length(&t);
}

/* ---- Figures ---- */

void proc_memory_of(struct process *p, struct proc_memory *out)
{
    struct mm *mm = process_mm(p);
    struct aspace_mapping m;

    *out = (struct proc_memory){0};
    if (!mm)
        return;
    aspace_stats(mm->as, &out->stats);
    for (vaddr_t at = 0; aspace_find(mm->as, at, &m) == OK; at = m.end) {
        uint64_t bytes = m.end - m.start;

        if (m.flags & MAP_LOCKED)
            out->locked += bytes;
        if (is_stack(mm, &m))
            out->stack += bytes;
        else if (m.prot & PROT_EXEC)
            *(m.start < mm->brk_start && m.obj ? &out->program : &out->libraries) += bytes;
        else if ((m.prot & PROT_WRITE) && (m.flags & MAP_PRIVATE))
            out->data += bytes;
        else if (!(m.flags & MAP_PRIVATE) || m.obj)
            out->shared += bytes;
    }
    mm_unref(mm);
}

static long show_statm(void *context, char *out, size_t size)
{
    const struct proc_entry *e = context;
    struct text t = {out, size, 0};
    struct proc_memory memory;

    proc_memory_of(e->process, &memory);
    text_add(&t, "%llu %llu %llu %llu 0 %llu 0\n",
             (unsigned long long)(memory.stats.mapped / PAGE_SIZE),
             (unsigned long long)(memory.stats.resident / PAGE_SIZE),
             (unsigned long long)(MIN(memory.shared, memory.stats.resident) / PAGE_SIZE),
             (unsigned long long)(memory.program / PAGE_SIZE),
             (unsigned long long)((memory.data + memory.stack) / PAGE_SIZE));
    return text_length(&t);
}

static const char *const limit_names[LINUX_RLIMIT_COUNT][2] = {
    {"Max cpu time", "seconds"},     {"Max file size", "bytes"},
    {"Max data size", "bytes"},      {"Max stack size", "bytes"},
    {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
    {"Max processes", "processes"},  {"Max open files", "files"},
    {"Max locked memory", "bytes"},  {"Max address space", "bytes"},
    {"Max file locks", "locks"},     {"Max pending signals", "signals"},
    {"Max msgqueue size", "bytes"},  {"Max nice priority", ""},
    {"Max realtime priority", ""},   {"Max realtime timeout", "us"},
};

static void add_limit(struct text *t, uint64_t value)
{
    if (value == LINUX_RLIM_INFINITY)
        text_add(t, "%-21s", "unlimited");
    else
        text_add(t, "%-21llu", (unsigned long long)value);
}

static long show_limits(void *context, char *out, size_t size)
{
    const struct proc_entry *e = context;
    const struct process *p = e->process;
    struct text t = {out, size, 0};

    text_add(&t, "%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < LINUX_RLIMIT_COUNT; i++) {
        text_add(&t, "%-26s", limit_names[i][0]);
        add_limit(&t, p->limits[i].current);
        add_limit(&t, p->limits[i].maximum);
        text_add(&t, "%-10s\n", limit_names[i][1]);
    }
    return text_length(&t);
}

const struct linux_pseudo_ops proc_maps = {.show = show_maps};
const struct linux_pseudo_ops proc_smaps = {.show = show_smaps};
const struct linux_pseudo_ops proc_smaps_rollup = {.show = show_smaps_rollup};
const struct linux_pseudo_ops proc_statm = {.show = show_statm};
const struct linux_pseudo_ops proc_limits = {.show = show_limits};
