/*
 * path_arg.c: see path_arg.h.
 */
#include "modules/linux/fs/path_arg.h"

#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"

static int read_text(vaddr_t at, bool empty_allowed, char **out)
{
    char *text = kmalloc(LINUX_PATH_MAX);
    long n;

    if (!text)
        return ERR_NO_MEMORY;
    text[0] = '\0';
    n = at == 0 && empty_allowed ? 0 : user_read_string(text, at, LINUX_PATH_MAX);
    if (n > 0 || (n == 0 && empty_allowed)) {
        *out = text;
        return OK;
    }
    kfree(text);
    if (n == 0)
        return ERR_NOT_FOUND;
    return n == ERR_RANGE ? LINUX_ERRNO(ENAMETOOLONG) : (int)n;
}

static int find_start(struct task *t, int folder, const char *text, bool absolute,
                      struct node **out)
{
    struct file *f;
    int r = OK;

    if (text[0] == '/' && absolute) {
        *out = path_root();
        return OK;
    }
    if (folder == LINUX_AT_FDCWD) {
        *out = fs_context_folder(t->process->fs);
        return OK;
    }
    f = fd_get(t->process->files, folder);
    if (!f)
        return LINUX_ERRNO(EBADF);
    if (!f->node || (text[0] != '\0' && !node_is_folder(f->node)))
        r = LINUX_ERRNO(ENOTDIR);
    if (r == OK) {
        *out = f->node;
        node_ref(*out);
    }
    file_unref(f);
    return r;
}

int path_arg_get(struct task *t, int folder, vaddr_t at, bool empty_allowed, struct path_arg *out)
{
    int r = read_text(at, empty_allowed, &out->text);

    if (r != OK)
        return r;
    r = find_start(t, folder, out->text, true, &out->start);
    if (r != OK)
        kfree(out->text);
    return r;
}

int path_arg_get_in(struct task *t, int folder, vaddr_t at, struct path_arg *out)
{
    int r = read_text(at, false, &out->text);

    if (r != OK)
        return r;
    r = find_start(t, folder, out->text, false, &out->start);
    if (r != OK)
        kfree(out->text);
    return r;
}

void path_arg_put(struct path_arg *arg)
{
    node_unref(arg->start);
    kfree(arg->text);
}

int path_arg_lookup(const struct path_arg *arg, unsigned flags, struct node **out)
{
    if (arg->text[0] != '\0')
        return path_lookup(arg->start, arg->text, flags, out);
    *out = flags & PATH_SEAT ? arg->start : node_body(arg->start);
    node_ref(*out);
    return OK;
}
