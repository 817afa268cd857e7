/*
 * main.c: the option root=9p:TAG: the tree of the 9P server with this mount tag becomes the root.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "modules/drivers/virtio_9p/include/virtio_9p.h"
#include "objects.h"
#include "uapi/kmod.h"

#define PREFIX "9p:"

static struct client client;

static int mount_root(const char *tag)
{
    struct virtio_9p *channel;
    void *root;
    int r = virtio_9p_find(tag, &channel);

    if (r == OK)
        r = client_start(&client, channel);
    if (r == OK)
        r = p9_attach(&client, &root);
    if (r != OK)
        return r;
    return linux_fs_mount_root(&p9_fs_ops, &client, root);
}

/* The personality says it to the user where the command has no root. */
static int p9_init(void)
{
    const char *root = boot_option("root", 0);
    int r;

    if (!root || strncmp(root, PREFIX, strlen(PREFIX)) != 0)
        return OK;
    r = mount_root(root + strlen(PREFIX));
    if (r != OK)
        log_error("p9: %s can't become the root: %s", root, status_name(r));
    return r;
}

/* The tree is in use until the machine ends. */
KMOD_MANIFEST(.name = "p9", .version = "0.1.0", .needs = "linux,virtio_9p", .init = p9_init,
              .exit = NULL);
