/*
 * sys_module.c: init_module, finit_module and delete_module: modules that a program brings. The loader
 * checks them (docs/writing-a-module.md) and says in the log what is wrong; here its results become Linux's.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define PARAMETERS_MAX 4096u

/* MODULE_INIT_: the first two would have a check left out, which is not to be had. */
enum { IGNORE_MODVERSIONS = 1, IGNORE_VERMAGIC = 2, COMPRESSED_FILE = 4 };

static long load_result(int r)
{
    switch (r) {
    case ERR_ACCESS: /* its signature */
        return LINUX_ERRNO(EKEYREJECTED);
    default:
        return r;
    }
}

static bool may_load(void)
{
    return capable(CAP_SYS_MODULE);
}

/* Modules take options from the kernel's command line; what is given here has to be text, no more. */
static int parameters_check(vaddr_t at)
{
    char *text = kmalloc(PARAMETERS_MAX);
    long n = text ? user_read_string(text, at, PARAMETERS_MAX) : ERR_NO_MEMORY;

    if (n > 0)
        log_warn("linux: parameters of modules are ignored: \"%.*s\"", 60, text);
    kfree(text);
    return n == ERR_RANGE ? LINUX_ERRNO(E2BIG) : n < 0 ? (int)n : OK;
}

long sys_init_module(struct call *c)
{
    uint64_t size = c->arg[1];
    void *bytes;
    long r;

    if (!may_load())
        return LINUX_ERRNO(EPERM);
    if (size == 0)
        return ERR_BAD_FORMAT;
    r = parameters_check(c->arg[2]);
    if (r != OK)
        return r;
    bytes = kmalloc(size);
    if (!bytes)
        return ERR_NO_MEMORY;
    r = user_read(bytes, c->arg[0], size);
    if (r == OK)
        r = load_result(module_load_bytes(bytes, size));
    kfree(bytes);
    return r;
}

/* The whole file; *out is to be freed. */
static int node_read(struct node *n, void **out, size_t *size)
{
    struct memobj *object;
    int r = n->ops->object ? n->ops->object(n, &object) : ERR_INVALID;

    if (r != OK)
        return r;
    *size = memobj_size(object);
    *out = *size ? kmalloc(*size) : NULL;
    r = *out ? memobj_read(object, 0, *out, *size) : *size ? ERR_NO_MEMORY : ERR_INVALID;
    memobj_unref(object);
    if (r != OK)
        kfree(*out);
    return r;
}

static long load_file(struct file *f)
{
    void *bytes;
    size_t size;
    long r;

    if (!file_readable(f))
        return LINUX_ERRNO(EBADF);
    if (!f->node || !node_is_file(f->node))
        return ERR_INVALID;
    r = node_read(f->node, &bytes, &size);
    if (r != OK)
        return r;
    r = load_result(module_load_bytes(bytes, size));
    kfree(bytes);
    return r;
}

long sys_finit_module(struct call *c)
{
    int flags = (int)c->arg[2];
    struct file *f;
    long r;

    if (!may_load())
        return LINUX_ERRNO(EPERM);
    if (flags & ~(IGNORE_MODVERSIONS | IGNORE_VERMAGIC | COMPRESSED_FILE))
        return ERR_INVALID;
    r = parameters_check(c->arg[1]);
    if (r != OK)
        return r;
    f = fd_get(c->task->process->files, (int)c->arg[0]);
    if (!f)
        return LINUX_ERRNO(EBADF);
    r = flags & COMPRESSED_FILE ? ERR_UNSUPPORTED : load_file(f);
    file_unref(f);
    return r;
}

/* It never waits, with O_NONBLOCK and without, as Linux's doesn't either any more. */
long sys_delete_module(struct call *c)
{
    char name[KMOD_NAME_MAX];
    long n;
    int r;

    if (!may_load())
        return LINUX_ERRNO(EPERM);
    n = user_read_string(name, c->arg[0], sizeof(name));
    if (n < 0 && n != ERR_RANGE)
        return n;
    r = n == ERR_RANGE ? ERR_NOT_FOUND : module_unload(name);
    switch (r) {
    case ERR_BUSY: /* others need it or have hold of it */
        return LINUX_ERRNO(EAGAIN);
    case ERR_UNSUPPORTED: /* it can't be unloaded */
        return LINUX_ERRNO(EBUSY);
    default:
        return r;
    }
}
