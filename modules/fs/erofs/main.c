/*
 * main.c: the option root=erofs:SERIAL: the EROFS image on the virtio-blk disk with this serial
 * becomes the root.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "image.h"
#include "uapi/kmod.h"

#define PREFIX "erofs:"

static struct image image;

static int mount_root(const char *serial, const char **why)
{
    void *root;
    int r = image_attach(&image, serial);

    *why = r == ERR_NOT_FOUND ? "there is no such disk" : "the disk does not answer";
    if (r != OK)
        return r;
    r = erofs_open(&image.fs, &image.source, why);
    if (r != EROFS_OK)
        return ERR_BAD_FORMAT;
    *why = "its root folder is damaged";
    r = erofs_root(&image, &root);
    if (r != OK)
        return r;
    r = linux_fs_mount_root(&erofs_ops, &image, root);
    *why = status_name(r);
    return r;
}

static int erofs_init(void)
{
    const char *root = boot_option("root", 0), *why;

    if (!root || strncmp(root, PREFIX, strlen(PREFIX)) != 0)
        return OK;
    if (mount_root(root + strlen(PREFIX), &why) != OK) {
        log_error("erofs: %s can't become the root: %s", root, why);
        linux_fs_root_refused(why);
    }
    return OK;
}

/* The tree is in use until the machine ends. */
KMOD_MANIFEST(.name = "erofs", .version = "0.1.0", .needs = "linux,virtio_blk", .init = erofs_init,
              .exit = NULL);
