/*
 * proc_process.c: /proc/PID and /proc/self. Nodes live only while somebody uses them; each holds a
 * reference to its process.
 */
#include "modules/linux/fs/proc_process.h"

#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/mount.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/include/linux_text.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/tty/tty.h"

static const struct file_system procfs = {.name = "proc", .id = 5, .magic = 0x9fa0};

/* A node's data: which process, and for /proc/PID/fd/N which descriptor. */
struct proc_entry {
    struct process *process; /* a reference */
    const struct linux_pseudo_ops *ops;
    int fd;
    bool private; /* it shows the inside of the process: not to everybody */
};

/* May the caller see what is private of the entry's process? */
static bool may_look(const struct proc_entry *e)
{
    const struct task *t = task_current();

    return !t || credentials_same_user(t->process, e->process);
}

static void entry_release(struct node *n)
{
    struct proc_entry *e = n->data;

    process_unref(e->process);
    kfree(e);
}

static int entry_create(struct node *folder, const char *name, uint32_t mode,
                        const struct node_ops *ops, struct process *p, struct node **out)
{
    struct proc_entry *e = kzalloc(sizeof(*e));
    int r;

    if (!e)
        return ERR_NO_MEMORY;
    e->process = p;
    process_ref(p);
    r = node_create(folder, name, mode, &procfs, ops, e, out);
    if (r != OK) {
        process_unref(p);
        kfree(e);
        return r;
    }
    (*out)->uid = p->credentials.user.effective;
    (*out)->gid = p->credentials.group.effective;
    return OK;
}

/* ---- Texts: the context is the process ---------------------------------------------------------
 */

static int parent_number(const struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    int pid = p->parent ? p->parent->pid : 0;

    spin_unlock_irqrestore(&process_table_lock, flags);
    return pid;
}

static bool is_asleep(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    bool asleep = true;

    list_for_each (it, &p->tasks) {
        const struct task *t = list_entry(it, struct task, link);

        if (t->thread && t->thread->state != THREAD_BLOCKED)
            asleep = false;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return asleep;
}

static const char *state_name(struct process *p)
{
    if (p->state != PROCESS_ALIVE)
        return "Z (zombie)";
    if (p->stopped)
        return "T (stopped)";
    return is_asleep(p) ? "S (sleeping)" : "R (running)";
}

static void add_ids(struct text *t, const char *name, const struct ids *ids)
{
    text_add(t, "%s:\t%u\t%u\t%u\t%u\n", name, ids->real, ids->effective, ids->saved, ids->files);
}

static void add_credentials(struct text *t, struct process *p)
{
    struct credentials c;
    uint64_t flags = spin_lock_irqsave(&p->lock);

    credentials_inherit(&c, &p->credentials);
    spin_unlock_irqrestore(&p->lock, flags);
    add_ids(t, "Uid", &c.user);
    add_ids(t, "Gid", &c.group);
    text_add(t, "Groups:\t");
    for (uint32_t i = 0; c.more && i < c.more->count; i++)
        text_add(t, "%u ", c.more->groups[i]);
    text_add(t, "\nCapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n",
             (unsigned long long)c.inheritable, (unsigned long long)c.permitted,
             (unsigned long long)c.effective);
    text_add(t, "CapBnd:\t%016llx\nCapAmb:\t%016llx\nNoNewPrivs:\t%u\n",
             (unsigned long long)c.bounding, (unsigned long long)c.ambient, c.no_new_privileges);
    credentials_drop(&c);
}

static void add_memory(struct text *t, const char *name, uint64_t bytes)
{
    text_add(t, "%s:\t%8llu kB\n", name, (unsigned long long)(bytes / 1024));
}

static void add_memory_figures(struct text *t, struct process *p)
{
    struct proc_memory m;

    proc_memory_of(p, &m);
    add_memory(t, "VmPeak", m.stats.mapped);
    add_memory(t, "VmSize", m.stats.mapped);
    add_memory(t, "VmLck", m.locked);
    add_memory(t, "VmHWM", m.stats.most);
    add_memory(t, "VmRSS", m.stats.resident);
    add_memory(t, "VmData", m.data);
    add_memory(t, "VmStk", m.stack);
    add_memory(t, "VmExe", m.program);
    add_memory(t, "VmLib", m.libraries);
    add_memory(t, "VmSwap", 0);
}

/* What the process's signals are set to; of its first task what that blocks. */
struct signal_sets {
    uint64_t pending, shared, blocked, ignored, caught;
};

static void signal_sets_of(struct process *p, struct signal_sets *out)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);

    *out = (struct signal_sets){.shared = p->pending.set};
    if (!list_empty(&p->tasks)) {
        const struct task *t = list_entry(list_first(&p->tasks), struct task, link);

        out->pending = t->pending.set;
        out->blocked = t->blocked;
    }
    for (int i = 1; i <= LINUX_SIGNALS; i++) {
        uint64_t handler = p->actions[i - 1].handler;

        if (handler == LINUX_SIG_IGN)
            out->ignored |= signal_bit(i);
        else if (handler != LINUX_SIG_DFL)
            out->caught |= signal_bit(i);
    }
    spin_unlock_irqrestore(&p->lock, flags);
}

static void add_signals(struct text *t, struct process *p)
{
    struct signal_sets s;

    signal_sets_of(p, &s);
    text_add(t, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n",
             (unsigned long long)s.pending, (unsigned long long)s.shared,
             (unsigned long long)s.blocked);
    text_add(t, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", (unsigned long long)s.ignored,
             (unsigned long long)s.caught);
}

static long show_status(void *context, char *out, size_t size)
{
    struct process *p = context;
    struct text t = {out, size, 0};
    struct usage usage;

    process_usage(p, &usage);
    text_add(&t, "Name:\t%s\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
             p->name, state_name(p), p->pid, p->pid, parent_number(p));
    add_credentials(&t, p);
    add_memory_figures(&t, p);
    text_add(&t, "Threads:\t%u\n", p->task_count);
    add_signals(&t, p);
    text_add(&t, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t0\n",
             (unsigned long long)usage.switches);
    return text_length(&t);
}

static long show_stat(void *context, char *out, size_t size)
{
    const uint64_t tick = NS_PER_SEC / LINUX_TICKS_PER_SECOND;
    struct process *p = context;
    struct text t = {out, size, 0};
    struct proc_memory memory;
    struct signal_sets signals;
    struct usage usage;
    uint32_t terminal;
    int foreground;

    proc_memory_of(p, &memory);
    process_usage(p, &usage);
    signal_sets_of(p, &signals);
    control_describe(p, &terminal, &foreground);
    text_add(&t, "%d (%s) %c %d %d %d %u %d 0 %llu %llu 0 0 ", p->pid, p->name, *state_name(p),
             parent_number(p), p->group, p->session, terminal, foreground,
             (unsigned long long)usage.faults, (unsigned long long)p->children_usage.faults);
    text_add(&t, "%llu 0 %llu 0 20 0 %u 0 %llu %llu %llu", /* times, threads, start, sizes */
             (unsigned long long)(usage.cpu_time / tick),
             (unsigned long long)(p->children_usage.cpu_time / tick), p->task_count,
             (unsigned long long)(p->start_time / tick), (unsigned long long)memory.stats.mapped,
             (unsigned long long)(memory.stats.resident / PAGE_SIZE));
    text_add(&t, " %llu 1 1 0 0 0 %llu %llu %llu %llu 0 0 0 %d 0", /* limit, signals, end */
             (unsigned long long)LINUX_RLIM_INFINITY,
             (unsigned long long)(signals.pending & INT32_MAX),
             (unsigned long long)(signals.blocked & INT32_MAX),
             (unsigned long long)(signals.ignored & INT32_MAX),
             (unsigned long long)(signals.caught & INT32_MAX), p->exit_signal);
    for (unsigned i = 0; i < 13; i++)
        text_add(&t, " 0");
    text_add(&t, "\n");
    return text_length(&t);
}

static long show_comm(void *context, char *out, size_t size)
{
    struct process *p = context;
    struct text t = {out, size, 0};

    text_add(&t, "%s\n", p->name);
    return text_length(&t);
}

/* Strings that lie in another process's memory, read through its pages without changing them. */
static long copy_strings(struct mm *mm, vaddr_t from, vaddr_t to, char *out, size_t size)
{
    size_t total = to - from;

    for (size_t done = 0; done < MIN(total, size);) {
        struct aspace_mapping m;
        vaddr_t at = from + done;
        size_t n = MIN(MIN(total, size) - done, PAGE_SIZE - (at & PAGE_MASK));

        int r = ERR_FAULT;

        if (aspace_find_ref(mm->as, at, &m) != OK)
            return (long)done;
        if (m.obj && m.start <= at)
            r = memobj_read(m.obj, m.offset + (at - m.start), out + done, n);
        if (m.obj)
            memobj_unref(m.obj);
        if (r != OK)
            return (long)done;
        done += n;
    }
    return (long)total;
}

static long show_cmdline(void *context, char *out, size_t size)
{
    struct mm *mm = process_mm(context);
    long r;

    if (!mm)
        return 0;
    r = copy_strings(mm, mm->arguments, mm->arguments_end, out, size);
    mm_unref(mm);
    return r;
}

static long show_environ(void *context, char *out, size_t size)
{
    struct mm *mm = process_mm(context);
    long r;

    if (!mm)
        return 0;
    r = copy_strings(mm, mm->arguments_end, mm->environment_end, out, size);
    mm_unref(mm);
    return r;
}

static long show_mounts(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    mounts_show(&t);
    return text_length(&t);
}

static long show_mountinfo(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    mounts_show_info(&t);
    return text_length(&t);
}

static const struct linux_pseudo_ops mount_table = {.show = show_mounts};
static const struct linux_pseudo_ops mountinfo = {.show = show_mountinfo};
static const struct linux_pseudo_ops status = {.show = show_status};
static const struct linux_pseudo_ops stat = {.show = show_stat};
static const struct linux_pseudo_ops comm = {.show = show_comm};
static const struct linux_pseudo_ops cmdline = {.show = show_cmdline};
static const struct linux_pseudo_ops environ = {.show = show_environ};

static int text_open(struct node *n, struct file *f)
{
    struct proc_entry *e = n->data;

    if (e->private && !may_look(e))
        return ERR_ACCESS;
    return pseudo_open(e->ops, e->process, f);
}

static const struct node_ops text_ops = {.open = text_open, .release = entry_release};

/* ---- Links
 * ------------------------------------------------------------------------------------------ */

/* What a link leads to: a reference. */
typedef int (*link_target)(const struct proc_entry *e, struct node **out);

static int exe_target(const struct proc_entry *e, struct node **out)
{
    struct mm *mm = process_mm(e->process);

    *out = mm ? mm->program : NULL;
    if (*out)
        node_ref(*out);
    if (mm)
        mm_unref(mm);
    return *out ? OK : ERR_NOT_FOUND;
}

static int folder_target(const struct proc_entry *e, struct node *(*place)(struct fs_context *),
                         struct node **out)
{
    struct fs_context *fs = process_fs(e->process);

    if (!fs)
        return ERR_NOT_FOUND;
    *out = place(fs);
    fs_context_unref(fs);
    return OK;
}

static int cwd_target(const struct proc_entry *e, struct node **out)
{
    return folder_target(e, fs_context_folder, out);
}

static int root_target(const struct proc_entry *e, struct node **out)
{
    return folder_target(e, fs_context_root, out);
}

static int link_follow(const struct proc_entry *e, link_target target, struct node **out)
{
    return may_look(e) ? target(e, out) : ERR_ACCESS;
}

static long link_text(const struct proc_entry *e, link_target target, char *out, size_t size)
{
    struct node *n;
    long r = link_follow(e, target, &n);

    if (r != OK)
        return r;
    r = node_path(n, out, size);
    node_unref(n);
    return r;
}

static long exe_text(struct node *n, char *out, size_t size)
{
    return link_text(n->data, exe_target, out, size);
}

static long cwd_text(struct node *n, char *out, size_t size)
{
    return link_text(n->data, cwd_target, out, size);
}

static long root_text(struct node *n, char *out, size_t size)
{
    return link_text(n->data, root_target, out, size);
}

static int exe_follow(struct node *n, struct node **out)
{
    return link_follow(n->data, exe_target, out);
}

static int cwd_follow(struct node *n, struct node **out)
{
    return link_follow(n->data, cwd_target, out);
}

static int root_follow(struct node *n, struct node **out)
{
    return link_follow(n->data, root_target, out);
}

static struct file *file_of(const struct proc_entry *e)
{
    struct fd_table *files = process_files(e->process);
    struct file *f = files ? fd_get(files, e->fd) : NULL;

    if (files)
        fd_table_unref(files);
    return f;
}

/* The file behind a descriptor's link, a reference, for who may look at it. */
static int file_target(const struct proc_entry *e, struct file **out)
{
    if (!may_look(e))
        return ERR_ACCESS;
    *out = file_of(e);
    return *out ? OK : ERR_NOT_FOUND;
}

static long fd_text(struct node *n, char *out, size_t size)
{
    struct file *f;
    long r = file_target(n->data, &f);

    if (r != OK)
        return r;
    if (f->node)
        r = node_path(f->node, out, size);
    else if (f->ops->kind && strchr(f->ops->kind, ':'))
        r = snprintf(out, size, "%s", f->ops->kind);
    else
        r = snprintf(out, size, "%s:[%lu]", f->ops->kind ? f->ops->kind : "pipe",
                     (unsigned long)((uintptr_t)f->data & 0xffffffff));
    file_unref(f);
    return MIN(r, (long)size);
}

/* A node that stands for an open file without a name, to be opened once more. Its data is the file,
 * a reference. */
static int again_open(struct node *n, struct file *f)
{
    struct file *old = n->data;

    return old->ops->again ? old->ops->again(old, f) : LINUX_ERRNO(ENXIO);
}

static void again_release(struct node *n)
{
    file_unref(n->data);
}

static const struct node_ops again_ops = {.open = again_open, .release = again_release};

static int fd_follow(struct node *n, struct node **out)
{
    struct file *f;
    int r = file_target(n->data, &f);

    if (r != OK)
        return r;
    if (!f->node) {
        r = node_create(n->parent, n->name, file_mode_nameless(f), &procfs, &again_ops, f, out);
        if (r != OK)
            file_unref(f);
        return r;
    }
    *out = f->node;
    node_ref(*out);
    file_unref(f);
    return OK;
}

static const struct node_ops exe_ops = {
    .text = exe_text, .follow = exe_follow, .release = entry_release};
static const struct node_ops cwd_ops = {
    .text = cwd_text, .follow = cwd_follow, .release = entry_release};
static const struct node_ops root_ops = {
    .text = root_text, .follow = root_follow, .release = entry_release};
static const struct node_ops fd_link_ops = {
    .text = fd_text, .follow = fd_follow, .release = entry_release};

/* ---- Folders
 * ---------------------------------------------------------------------------------------- */

/* A number without sign or leading zeroes; -1: something else. */
static int number_of_name(const char *name)
{
    int n = 0;

    if (*name == '\0' || (*name == '0' && name[1] != '\0'))
        return -1;
    for (; *name; name++) {
        if (*name < '0' || *name > '9' || n > 100000000)
            return -1;
        n = n * 10 + (*name - '0');
    }
    return n;
}

static int fd_lookup(struct node *folder, const char *name, struct node **out)
{
    struct proc_entry *e = folder->data, *made;
    int fd = number_of_name(name), r;
    struct file *f;

    if (fd < 0)
        return ERR_NOT_FOUND;
    r = entry_create(folder, name, LINUX_S_IFLNK | 0700, &fd_link_ops, e->process, out);
    if (r != OK)
        return r;
    made = (*out)->data;
    made->fd = fd;
    f = file_of(made);
    if (f)
        file_unref(f);
    else
        node_unref(*out);
    return f ? OK : ERR_NOT_FOUND;
}

static void fd_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    const struct proc_entry *e = folder->data;
    struct fd_table *files = process_files(e->process);
    int fd = files ? fd_next(files, (int)*at) : -1;

    for (; fd >= 0; fd = fd_next(files, fd + 1)) {
        char name[16];

        snprintf(name, sizeof(name), "%d", fd);
        if (!sink->entry(sink, name, folder->number + 1, LINUX_S_IFLNK,
                         (1ull << 40) + (uint64_t)fd + 1))
            break;
        *at = (uint64_t)fd + 1;
    }
    if (files)
        fd_table_unref(files);
}

static const struct node_ops fd_folder_ops = {
    .lookup = fd_lookup, .list = fd_list, .release = entry_release};

static const struct {
    const char *name;
    uint32_t mode;
    const struct node_ops *ops;
    const struct linux_pseudo_ops *text;
    bool private;
} entries[] = {
    {"maps", LINUX_S_IFREG | 0444, &text_ops, &proc_maps, true},
    {"smaps", LINUX_S_IFREG | 0444, &text_ops, &proc_smaps, true},
    {"smaps_rollup", LINUX_S_IFREG | 0444, &text_ops, &proc_smaps_rollup, true},
    {"limits", LINUX_S_IFREG | 0444, &text_ops, &proc_limits, false},
    {"status", LINUX_S_IFREG | 0444, &text_ops, &status, false},
    {"stat", LINUX_S_IFREG | 0444, &text_ops, &stat, false},
    {"statm", LINUX_S_IFREG | 0444, &text_ops, &proc_statm, false},
    {"comm", LINUX_S_IFREG | 0444, &text_ops, &comm, false},
    {"cmdline", LINUX_S_IFREG | 0444, &text_ops, &cmdline, false},
    {"environ", LINUX_S_IFREG | 0400, &text_ops, &environ, true},
    {"mounts", LINUX_S_IFREG | 0444, &text_ops, &mount_table, false},
    {"mountinfo", LINUX_S_IFREG | 0444, &text_ops, &mountinfo, false},
    {"exe", LINUX_S_IFLNK | 0777, &exe_ops, NULL, false},
    {"cwd", LINUX_S_IFLNK | 0777, &cwd_ops, NULL, false},
    {"root", LINUX_S_IFLNK | 0777, &root_ops, NULL, false},
    {"fd", LINUX_S_IFDIR | 0500, &fd_folder_ops, NULL, false},
};

static int process_lookup(struct node *folder, const char *name, struct node **out)
{
    struct proc_entry *e = folder->data;
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        if (strcmp(entries[i].name, name) != 0)
            continue;
        r = entry_create(folder, name, entries[i].mode, entries[i].ops, e->process, out);
        if (r == OK) {
            struct proc_entry *made = (*out)->data;

            made->ops = entries[i].text;
            made->private = entries[i].private;
        }
        return r;
    }
    return ERR_NOT_FOUND;
}

static void process_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    for (; *at < ARRAY_SIZE(entries); ++*at) {
        if (!sink->entry(sink, entries[*at].name, folder->number + 1 + *at, entries[*at].mode,
                         (1ull << 40) + *at + 1))
            return;
    }
}

static const struct node_ops process_folder_ops = {
    .lookup = process_lookup, .list = process_list, .release = entry_release};

static long self_text(struct node *n, char *out, size_t size)
{
    (void)n;
    return MIN(snprintf(out, size, "%d", task_current()->process->pid), (int)size);
}

static const struct node_ops self_ops = {.text = self_text};

static long mounts_text(struct node *n, char *out, size_t size)
{
    (void)n;
    memcpy(out, "self/mounts", MIN(size, 11u));
    return (long)MIN(size, 11u);
}

static const struct node_ops mounts_ops = {.text = mounts_text};

static int proc_lookup(struct node *folder, const char *name, struct node **out)
{
    int pid = number_of_name(name), r;
    struct process *p;

    if (strcmp(name, "self") == 0)
        return node_create(folder, name, LINUX_S_IFLNK | 0777, &procfs, &self_ops, NULL, out);
    if (strcmp(name, "mounts") == 0)
        return node_create(folder, name, LINUX_S_IFLNK | 0777, &procfs, &mounts_ops, NULL, out);
    p = pid > 0 ? process_find(pid) : NULL;
    if (!p)
        return ERR_NOT_FOUND;
    r = entry_create(folder, name, LINUX_S_IFDIR | 0555, &process_folder_ops, p, out);
    process_unref(p);
    return r;
}

/* The lowest number above another. */
struct next_number {
    int above, next;
};

static void find_next(struct process *p, void *context)
{
    struct next_number *n = context;

    if (p->pid > n->above && (n->next == 0 || p->pid < n->next))
        n->next = p->pid;
}

/* Positions: 0 is "self", then each number. */
static void proc_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    if (*at == 0) {
        if (!sink->entry(sink, "self", folder->number, LINUX_S_IFLNK, (1ull << 40) + 1))
            return;
        *at = 1;
    }
    for (;;) {
        struct next_number n = {(int)*at - 1, 0};
        char name[16];

        process_for_each(find_next, &n);
        if (n.next == 0)
            return;
        snprintf(name, sizeof(name), "%d", n.next);
        if (!sink->entry(sink, name, folder->number, LINUX_S_IFDIR,
                         (1ull << 40) + (uint64_t)n.next + 1))
            return;
        *at = (uint64_t)n.next + 1;
    }
}

static const struct node_ops proc_folder_ops = {.lookup = proc_lookup, .list = proc_list};

int proc_process_init(void)
{
    struct node *folder;
    int r = node_make_folders(node_root, "proc", 4, &procfs, &proc_folder_ops, &folder);

    if (r != OK)
        return r;
    folder->fs = &procfs;
    folder->ops = &proc_folder_ops;
    node_unref(folder);
    return OK;
}
