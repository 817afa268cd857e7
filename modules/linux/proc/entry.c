/*
 * entry.c: the nodes below /proc/PID. See proc.h.
 */
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/process.h"

const struct file_system proc_fs = {.name = "proc", .id = 5, .magic = 0x9fa0};

bool proc_may_look(const struct proc_entry *e)
{
    const struct task *t = task_current();

    return !t || credentials_same_user(t->process, e->process);
}

void proc_entry_release(struct node *n)
{
    struct proc_entry *e = n->data;

    process_unref(e->process);
    kfree(e);
}

int proc_entry_create(struct node *folder, const char *name, uint32_t mode,
                      const struct node_ops *ops, struct process *p,
                      const struct proc_entry *about, struct node **out)
{
    struct proc_entry *e = kzalloc(sizeof(*e));
    int r;

    if (!e)
        return ERR_NO_MEMORY;
    if (about)
        *e = *about;
    else
        e->process = p;
    r = node_create(folder, name, mode, &proc_fs, ops, e, out);
    if (r != OK) {
        kfree(e);
        return r;
    }
    process_ref(e->process);
    (*out)->uid = e->process->credentials.user.effective;
    (*out)->gid = e->process->credentials.group.effective;
    return OK;
}

struct task *proc_entry_task(const struct proc_entry *e)
{
    struct task *t = task_find(e->tid ? e->tid : e->process->pid);

    if (t && t->process == e->process)
        return t;
    if (t)
        task_unref(t);
    return NULL;
}

int proc_entry_file(const struct proc_entry *e, struct file **out)
{
    struct fd_table *files;

    if (!proc_may_look(e))
        return ERR_ACCESS;
    files = process_files(e->process);
    *out = files ? fd_get(files, e->fd) : NULL;
    if (files)
        fd_table_unref(files);
    return *out ? OK : ERR_NOT_FOUND;
}

static int text_open(struct node *n, struct file *f)
{
    struct proc_entry *e = n->data;

    if (e->private && !proc_may_look(e))
        return ERR_ACCESS;
    return pseudo_open(e->ops, e, f);
}

const struct node_ops proc_text_ops = {.open = text_open, .release = proc_entry_release};
