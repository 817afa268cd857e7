/*
 * address.c: the names of sockets: paths in the tree, and names of their own that begin with a zero
 * byte ("abstract").
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/permission.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/process.h"

#define FAMILY_SIZE sizeof(uint16_t)

static struct list bound = LIST_INIT(bound); /* guarded by socket_lock */
static uint32_t last_automatic;

int address_read(vaddr_t at, uint64_t size, struct socket_address *out)
{
    memset(out, 0, sizeof(*out));
    if (size < FAMILY_SIZE || size > sizeof(out->name))
        return ERR_INVALID;
    if (user_read(&out->name, at, size) != OK)
        return ERR_FAULT;
    out->size = (uint32_t)size;
    return OK;
}

/* Without an address only the family is told. */
int address_write(vaddr_t at, vaddr_t size_at, const struct socket_address *address)
{
    struct linux_sockaddr_un none = {.family = LINUX_AF_UNIX};
    const void *bytes = address->size ? &address->name : &none;
    uint32_t size = address->size ? address->size : FAMILY_SIZE;
    int32_t room;

    if (user_read(&room, size_at, sizeof(room)) != OK)
        return ERR_FAULT;
    if (room < 0)
        return ERR_INVALID;
    if (user_write(at, bytes, MIN((uint32_t)room, size)) != OK)
        return ERR_FAULT;
    return user_write(size_at, &size, sizeof(size));
}

static bool is_abstract(const struct socket_address *a)
{
    return a->size > FAMILY_SIZE && a->name.path[0] == '\0';
}

/* Each type has abstract names of its own; a node is one for all. */
static struct socket *find_locked(const struct socket_address *a, int type, const struct node *node)
{
    list_for_each (it, &bound) {
        struct socket *s = list_entry(it, struct socket, bound_link);

        if (node ? s->node == node
                 : !s->node && s->type == type && s->address.size == a->size &&
                       memcmp(&s->address.name, &a->name, a->size) == 0)
            return s;
    }
    return NULL;
}

/* Gives the socket its name, if both are free. */
static int enter(struct socket *s, const struct socket_address *a, struct node *node)
{
    int r = OK;

    spin_lock(&socket_lock);
    if (s->address.size)
        r = ERR_INVALID;
    else if (find_locked(a, s->type, node))
        r = LINUX_ERRNO(EADDRINUSE);
    if (r == OK) {
        s->address = *a;
        s->node = node;
        list_push_back(&bound, &s->bound_link);
    }
    spin_unlock(&socket_lock);
    return r;
}

/* A path as text; it may fill the address without a NUL. */
static void path_of(const struct socket_address *a, char *out)
{
    size_t n = strnlen(a->name.path, a->size - FAMILY_SIZE);

    memcpy(out, a->name.path, n);
    out[n] = '\0';
}

static int make_name(struct task *t, const char *path, struct node **out)
{
    struct node *start = fs_context_folder(t->process->fs), *folder;
    struct node_kind kind = {.mode = LINUX_S_IFSOCK | (0777 & ~t->process->fs->mask)};
    char name[LINUX_NAME_MAX + 1];
    int r = path_parent(start, path, &folder, name, NULL);

    node_unref(start);
    if (r != OK)
        return r;
    if (name[0] == '\0')
        r = ERR_EXISTS;
    else
        r = node_make(folder, name, &kind, out);
    node_unref(folder);
    return r == ERR_EXISTS ? LINUX_ERRNO(EADDRINUSE) : r;
}

/* Five digits that nobody has. */
static int bind_automatic(struct socket *s)
{
    struct socket_address a = {.size = FAMILY_SIZE + 6, .name.family = LINUX_AF_UNIX};
    int r;

    do {
        uint32_t n = __atomic_add_fetch(&last_automatic, 1, __ATOMIC_RELAXED);

        for (unsigned i = 0; i < 5; i++)
            a.name.path[1 + i] = "0123456789abcdef"[n >> (16 - 4 * i) & 15];
        r = enter(s, &a, NULL);
    } while (r == LINUX_ERRNO(EADDRINUSE));
    return r;
}

int address_bind(struct task *t, struct socket *s, const struct socket_address *address)
{
    char path[LINUX_UNIX_PATH_MAX + 1];
    struct socket_address a = *address;
    struct node *node;
    int r;

    if (a.name.family != LINUX_AF_UNIX || s->address.size)
        return ERR_INVALID;
    if (a.size == FAMILY_SIZE)
        return bind_automatic(s);
    if (is_abstract(&a))
        return enter(s, &a, NULL);
    path_of(&a, path);
    r = make_name(t, path, &node);
    if (r != OK)
        return r;
    a.size = (uint32_t)MIN(FAMILY_SIZE + strlen(path) + 1, sizeof(a.name));
    r = enter(s, &a, node);
    if (r != OK)
        node_unref(node);
    return r;
}

static int find_path(struct task *t, const struct socket_address *a, struct node **out)
{
    struct node *start = fs_context_folder(t->process->fs);
    char path[LINUX_UNIX_PATH_MAX + 1];
    int r;

    path_of(a, path);
    r = path_lookup(start, path, 0, out);
    node_unref(start);
    return r;
}

int address_find(struct task *t, const struct socket_address *address, int type,
                 struct socket **out)
{
    struct node *node = NULL;
    int r = OK;

    if (address->name.family != LINUX_AF_UNIX || address->size == FAMILY_SIZE)
        return ERR_INVALID;
    if (!is_abstract(address))
        r = find_path(t, address, &node);
    if (r != OK)
        return r;
    if (node && permission_check(node, PERMIT_WRITE) != OK) {
        node_unref(node);
        return ERR_ACCESS;
    }
    spin_lock(&socket_lock);
    *out = find_locked(address, type, node);
    if (*out)
        socket_ref(*out);
    spin_unlock(&socket_lock);
    if (node)
        node_unref(node);
    return *out ? OK : LINUX_ERRNO(ECONNREFUSED);
}

void address_unbind(struct socket *s)
{
    struct node *node;

    spin_lock(&socket_lock);
    list_remove(&s->bound_link);
    node = s->node;
    s->node = NULL;
    spin_unlock(&socket_lock);
    if (node)
        node_unref(node);
}
