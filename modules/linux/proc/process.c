/*
 * process.c: /proc and the folders of processes in it. See proc.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/process.h"

#define DYNAMIC_ENTRY (1ull << 40) /* where node_list() has positions of entries made on demand */

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

/* ---- fd and fdinfo ---- */

static int descriptor_lookup(struct node *folder, const char *name, uint32_t mode,
                             const struct node_ops *ops, struct node **out)
{
    const struct proc_entry *e = folder->data;
    struct proc_entry about = *e;
    struct file *f;

    about.fd = number_of_name(name);
    about.ops = &proc_fdinfo;
    if (about.fd < 0)
        return ERR_NOT_FOUND;
    if (proc_may_look(e)) { /* who may not is told so by the entry */
        int r = proc_entry_file(&about, &f);

        if (r != OK)
            return r;
        file_unref(f);
    }
    return proc_entry_create(folder, name, mode, ops, NULL, &about, out);
}

static void descriptor_list(struct node *folder, uint64_t *at, struct node_sink *sink,
                            uint32_t mode)
{
    const struct proc_entry *e = folder->data;
    struct fd_table *files = process_files(e->process);
    int fd = files ? fd_next(files, (int)*at) : -1;

    for (; fd >= 0; fd = fd_next(files, fd + 1)) {
        char name[16];

        snprintf(name, sizeof(name), "%d", fd);
        if (!sink->entry(sink, name, folder->number + 1, mode, DYNAMIC_ENTRY + (uint64_t)fd + 1))
            break;
        *at = (uint64_t)fd + 1;
    }
    if (files)
        fd_table_unref(files);
}

static int fd_lookup(struct node *folder, const char *name, struct node **out)
{
    return descriptor_lookup(folder, name, LINUX_S_IFLNK | 0700, &proc_fd_ops, out);
}

static void fd_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    descriptor_list(folder, at, sink, LINUX_S_IFLNK);
}

static int fdinfo_lookup(struct node *folder, const char *name, struct node **out)
{
    return descriptor_lookup(folder, name, LINUX_S_IFREG | 0400, &proc_text_ops, out);
}

static void fdinfo_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    descriptor_list(folder, at, sink, LINUX_S_IFREG);
}

static const struct node_ops fd_folder_ops = {
    .lookup = fd_lookup, .list = fd_list, .release = proc_entry_release};
static const struct node_ops fdinfo_folder_ops = {
    .lookup = fdinfo_lookup, .list = fdinfo_list, .release = proc_entry_release};

/* ---- PID, task and task/TID ---- */

static const struct node_ops task_folder_ops;

static const struct {
    const char *name;
    uint32_t mode;
    const struct node_ops *ops;
    const struct linux_pseudo_ops *text;
    bool private;
} entries[] = {
    {"task", LINUX_S_IFDIR | 0555, &task_folder_ops, NULL, false}, /* the first: not in a task */
    {"maps", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_maps, true},
    {"smaps", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_smaps, true},
    {"smaps_rollup", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_smaps_rollup, true},
    {"limits", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_limits, false},
    {"status", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_status, false},
    {"stat", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_stat, false},
    {"statm", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_statm, false},
    {"comm", LINUX_S_IFREG | 0644, &proc_text_ops, &proc_comm, false},
    {"cmdline", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_cmdline, false},
    {"environ", LINUX_S_IFREG | 0400, &proc_text_ops, &proc_environ, true},
    {"mounts", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_mounts, false},
    {"mountinfo", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_mountinfo, false},
    {"cgroup", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_cgroup, false},
    {"oom_score_adj", LINUX_S_IFREG | 0644, &proc_text_ops, &proc_oom_score_adj, false},
    {"uid_map", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_uid_map, false},
    {"gid_map", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_uid_map, false},
    {"setgroups", LINUX_S_IFREG | 0444, &proc_text_ops, &proc_setgroups, false},
    {"exe", LINUX_S_IFLNK | 0777, &proc_exe_ops, NULL, false},
    {"cwd", LINUX_S_IFLNK | 0777, &proc_cwd_ops, NULL, false},
    {"root", LINUX_S_IFLNK | 0777, &proc_root_ops, NULL, false},
    {"fd", LINUX_S_IFDIR | 0500, &fd_folder_ops, NULL, false},
    {"fdinfo", LINUX_S_IFDIR | 0500, &fdinfo_folder_ops, NULL, false},
};

static size_t first_entry(const struct proc_entry *e)
{
    return e->tid ? 1 : 0;
}

static int process_lookup(struct node *folder, const char *name, struct node **out)
{
    const struct proc_entry *e = folder->data;

    for (size_t i = first_entry(e); i < ARRAY_SIZE(entries); i++) {
        struct proc_entry about = *e;

        about.ops = entries[i].text;
        about.private = entries[i].private;
        if (strcmp(entries[i].name, name) == 0)
            return proc_entry_create(folder, name, entries[i].mode, entries[i].ops, NULL, &about,
                                     out);
    }
    return ERR_NOT_FOUND;
}

static void process_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    for (*at = MAX(*at, first_entry(folder->data)); *at < ARRAY_SIZE(entries); ++*at) {
        if (!sink->entry(sink, entries[*at].name, folder->number + 1 + *at, entries[*at].mode,
                         DYNAMIC_ENTRY + *at + 1))
            return;
    }
}

static const struct node_ops process_folder_ops = {
    .lookup = process_lookup, .list = process_list, .release = proc_entry_release};

struct process *proc_process_of(const struct node *folder)
{
    const struct proc_entry *e = folder->data;

    if (folder->ops != &process_folder_ops || e->tid != 0)
        return NULL;
    process_ref(e->process);
    return e->process;
}

static int task_lookup(struct node *folder, const char *name, struct node **out)
{
    const struct proc_entry *e = folder->data;
    struct proc_entry about = *e;
    struct task *t;

    about.tid = number_of_name(name);
    t = about.tid > 0 ? proc_entry_task(&about) : NULL;
    if (!t)
        return ERR_NOT_FOUND;
    task_unref(t);
    return proc_entry_create(folder, name, LINUX_S_IFDIR | 0555, &process_folder_ops, NULL, &about,
                             out);
}

/* The lowest number of a task from `least` on; 0: there is none. */
static int next_task(struct process *p, int least)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    int found = 0;

    list_for_each (it, &p->tasks) {
        int tid = list_entry(it, struct task, link)->tid;

        if (tid >= least && (found == 0 || tid < found))
            found = tid;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return found;
}

static void task_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    const struct proc_entry *e = folder->data;
    int tid;

    while ((tid = next_task(e->process, (int)*at)) != 0) {
        char name[16];

        snprintf(name, sizeof(name), "%d", tid);
        if (!sink->entry(sink, name, folder->number + (uint64_t)tid, LINUX_S_IFDIR,
                         DYNAMIC_ENTRY + (uint64_t)tid + 1))
            return;
        *at = (uint64_t)tid + 1;
    }
}

static const struct node_ops task_folder_ops = {
    .lookup = task_lookup, .list = task_list, .release = proc_entry_release};

/* ---- /proc ---- */

static long self_text(struct node *n, char *out, size_t size)
{
    (void)n;
    return MIN(snprintf(out, size, "%d", task_current()->process->pid), (int)size);
}

static const struct node_ops self_ops = {.text = self_text};

static long thread_self_text(struct node *n, char *out, size_t size)
{
    const struct task *t = task_current();

    (void)n;
    return MIN(snprintf(out, size, "%d/task/%d", t->process->pid, t->tid), (int)size);
}

static const struct node_ops thread_self_ops = {.text = thread_self_text};

static long mounts_text(struct node *n, char *out, size_t size)
{
    (void)n;
    memcpy(out, "self/mounts", MIN(size, 11u));
    return (long)MIN(size, 11u);
}

static const struct node_ops mounts_ops = {.text = mounts_text};

static const struct {
    const char *name;
    const struct node_ops *ops;
} links[] = {
    {"self", &self_ops},
    {"thread-self", &thread_self_ops},
    {"mounts", &mounts_ops},
};

static int proc_lookup(struct node *folder, const char *name, struct node **out)
{
    int pid = number_of_name(name), r;
    struct process *p;

    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        if (strcmp(name, links[i].name) == 0)
            return node_create(folder, name, LINUX_S_IFLNK | 0777, &proc_fs, links[i].ops, NULL,
                               out);
    }
    p = pid > 0 ? process_find(pid) : NULL;
    if (!p)
        return ERR_NOT_FOUND;
    r = proc_entry_create(folder, name, LINUX_S_IFDIR | 0555, &process_folder_ops, p, NULL, out);
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

/* Positions: the links first, then each number. */
static void proc_list(struct node *folder, uint64_t *at, struct node_sink *sink)
{
    for (; *at < ARRAY_SIZE(links); ++*at) {
        if (!sink->entry(sink, links[*at].name, folder->number, LINUX_S_IFLNK,
                         DYNAMIC_ENTRY + *at + 1))
            return;
    }
    for (;;) {
        struct next_number n = {(int)(*at - ARRAY_SIZE(links)), 0};
        char name[16];

        process_for_each(find_next, &n);
        if (n.next == 0)
            return;
        snprintf(name, sizeof(name), "%d", n.next);
        if (!sink->entry(sink, name, folder->number, LINUX_S_IFDIR,
                         DYNAMIC_ENTRY + ARRAY_SIZE(links) + (uint64_t)n.next))
            return;
        *at = ARRAY_SIZE(links) + (uint64_t)n.next;
    }
}

static const struct node_ops proc_folder_ops = {
    .lookup = proc_lookup, .list = proc_list, .fill = pseudo_fill};

int proc_init(void)
{
    struct node *folder;
    int r = node_make_folders(node_root, "proc", 4, &proc_fs, &proc_folder_ops, &folder);

    if (r != OK)
        return r;
    folder->fs = &proc_fs;
    folder->ops = &proc_folder_ops;
    node_unref(folder);
    return OK;
}
