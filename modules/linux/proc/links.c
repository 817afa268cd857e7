/*
 * links.c: the links in /proc/PID: the program, the folders, the open files. See proc.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/process.h"

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
    return proc_may_look(e) ? target(e, out) : ERR_ACCESS;
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

static long fd_text(struct node *n, char *out, size_t size)
{
    struct file *f;
    long r = proc_entry_file(n->data, &f);

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

static int refuse_open(struct node *n, struct file *f)
{
    (void)n;
    (void)f;
    return LINUX_ERRNO(ENXIO);
}

/* Of a node for what can't be opened once more: it only says what that is. */
static const struct node_ops closed_ops = {.open = refuse_open};

/* A node that stands for what an open file without a name stands for. */
static int make_again(const struct node *link, const struct file *f, struct node **out)
{
    const struct node_ops *ops = f->ops->again ? f->ops->again : &closed_ops;
    void *data = f->ops->again ? f->data : NULL;
    int r = node_create(link->parent, link->name, file_mode_nameless(f), &proc_fs, ops, data, out);

    if (r == OK && f->ops->hold)
        f->ops->hold(data);
    return r;
}

static int fd_follow(struct node *n, struct node **out)
{
    struct file *f;
    int r = proc_entry_file(n->data, &f);

    if (r != OK)
        return r;
    if (f->node) {
        *out = f->node;
        node_ref(*out);
    } else {
        r = make_again(n, f, out);
    }
    file_unref(f);
    return r;
}

const struct node_ops proc_exe_ops = {
    .text = exe_text, .follow = exe_follow, .release = proc_entry_release};
const struct node_ops proc_cwd_ops = {
    .text = cwd_text, .follow = cwd_follow, .release = proc_entry_release};
const struct node_ops proc_root_ops = {
    .text = root_text, .follow = root_follow, .release = proc_entry_release};
const struct node_ops proc_fd_ops = {
    .text = fd_text, .follow = fd_follow, .release = proc_entry_release};
