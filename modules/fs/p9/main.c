/*
 * main.c: what the kernel's options say of 9P servers. root=9p:TAG: the tree of the one with this
 * mount tag becomes the root. bind=9p:TAG:rw:PATH, or ro, as often as wanted: a tree becomes a folder
 * of the machine. bind=9p:TAG:rw-file:NAME/PATH, or ro-file: the tree's file NAME becomes one. In PATH and
 * NAME, %XX is the character of that number.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "modules/drivers/virtio_9p/include/virtio_9p.h"
#include "change.h"
#include "uapi/kmod.h"

#define PREFIX "9p:"

/* A client for the server with a mount tag, and the root of its tree. Clients stay. */
static int connect(const char *tag, struct client **out, void **root)
{
    struct virtio_9p *channel;
    struct client *client = kzalloc(sizeof(*client));
    int r = client ? virtio_9p_find(tag, &channel) : ERR_NO_MEMORY;

    if (r == OK)
        r = client_start(client, channel);
    if (r == OK)
        r = p9_attach(client, root);
    if (r == OK)
        *out = client;
    else if (client)
        client_free(client);
    return r;
}

static int mount_root(const char *tag)
{
    struct client *client;
    void *root;
    int r = connect(tag, &client, &root);

    return r == OK ? linux_fs_mount_root(&p9_fs_ops, client, root) : r;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. */
static void decode(char *text)
{
    char *to = text;

    while (*text) {
        if (text[0] == '%' && hex_value(text[1]) >= 0 && hex_value(text[2]) >= 0) {
            *to++ = (char)(hex_value(text[1]) * 16 + hex_value(text[2]));
            text += 3;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
}

/* What bind= asks for. */
struct bound {
    const char *tag, *path;
    char name[P9_NAME_MAX + 1]; /* "": the tree's root */
    bool read_only;
};

/* The text is taken apart. */
static int bound_decode(char *text, struct bound *out)
{
    char *mode = strchr(text, ':'), *path = mode ? strchr(mode + 1, ':') : NULL, *slash;
    bool file;

    if (!path)
        return ERR_INVALID;
    *mode++ = '\0';
    *path++ = '\0';
    decode(path);
    slash = strchr(path, '/');
    file = strlen(mode) > 2 && strcmp(mode + 2, "-file") == 0;
    if (!slash || (slash != path) != file || (size_t)(slash - path) > P9_NAME_MAX)
        return ERR_INVALID;
    *out = (struct bound){.tag = text, .path = slash, .read_only = strncmp(mode, "ro", 2) == 0};
    memcpy(out->name, path, (size_t)(slash - path));
    return OK;
}

/* The file of that name in place of its folder, which is given back. */
static int descend(struct client *client, const char *name, void **object)
{
    struct linux_fs_attr attr;
    void *folder = *object;
    int r = object_walk(client, folder, name, object, &attr);

    p9_fs_ops.release(client, folder);
    return r;
}

static int mount_bound(char *text)
{
    struct client *client;
    struct bound bound;
    void *root;
    int r = bound_decode(text, &bound);

    if (r == OK)
        r = connect(bound.tag, &client, &root);
    if (r == OK && bound.name[0])
        r = descend(client, bound.name, &root);
    if (r != OK)
        return r;
    return linux_fs_mount(&p9_fs_ops, client, root, bound.path, bound.tag, bound.read_only);
}

static void mount_all_bound(void)
{
    const char *option;

    for (unsigned nth = 0; (option = boot_option("bind", nth)); nth++) {
        char *text = strncmp(option, PREFIX, strlen(PREFIX)) == 0
                         ? kstrdup(option + strlen(PREFIX))
                         : NULL;
        int r = text ? mount_bound(text) : ERR_INVALID;

        kfree(text);
        if (r != OK)
            log_error("p9: bind=%s can't be mounted: %s", option, status_name(r));
    }
}

/* The personality says it to the user where the command has no root. */
static int p9_init(void)
{
    const char *root = boot_option("root", 0);
    int r = OK;

    if (root && strncmp(root, PREFIX, strlen(PREFIX)) == 0)
        r = mount_root(root + strlen(PREFIX));
    if (r != OK)
        log_error("p9: %s can't become the root: %s", root, status_name(r));
    else
        mount_all_bound();
    return r;
}

/* The tree is in use until the machine ends. */
KMOD_MANIFEST(.name = "p9", .version = "0.1.0", .needs = "linux,virtio_9p", .init = p9_init,
              .exit = NULL);
