/*
 * main.c: when this module is loaded, whatever becomes the root gets a layer in memory over it.
 */
#include "layer.h"

#include <microlake/memory.h>

#include "uapi/kmod.h"

static const struct linux_fs_ops layer_ops = {
    .name = "overlay",
    .magic = 0x794c7630, /* overlayfs */
    .read_most = 60 * 1024,
    .walk = layer_walk,
    .attr = layer_attr,
    .open = layer_open,
    .read = layer_read,
    .write = layer_write,
    .text = layer_text,
    .list = layer_list,
    .make = layer_make,
    .link = layer_link,
    .remove = layer_remove,
    .rename = layer_rename,
    .resize = layer_resize,
    .set_mode = layer_set_mode,
    .set_owner = layer_set_owner,
    .set_times = layer_set_times,
    .space = layer_space,
    .release = layer_release,
};

static struct layer *layer_create(const struct linux_fs_ops *below, void *below_fs)
{
    struct layer *l = kzalloc(sizeof(*l));

    if (!l)
        return NULL;
    l->below = below;
    l->below_fs = below_fs;
    mutex_init(&l->lock);
    for (unsigned i = 0; i < LAYER_NODE_LISTS; i++)
        list_init(&l->nodes[i]);
    for (unsigned i = 0; i < LAYER_NAME_LISTS; i++)
        list_init(&l->names[i]);
    return l;
}

/* The root's first reference is the layer's own, so that it never ends. */
static int root_cover(struct layer *l, void **root)
{
    struct linux_fs_attr attr;
    struct layer_node *n;
    int r = l->below->attr(l->below_fs, *root, &attr);

    if (r != OK) {
        l->below->release(l->below_fs, *root);
        return r;
    }
    r = layer_node_below(l, *root, &attr, &n);
    if (r != OK)
        return r;
    n->refs++;
    *root = n;
    return OK;
}

static int cover(const struct linux_fs_ops **ops, void **fs, void **root)
{
    struct layer *l = layer_create(*ops, *fs);
    int r;

    if (!l) {
        (*ops)->release(*fs, *root);
        return ERR_NO_MEMORY;
    }
    r = root_cover(l, root);
    if (r != OK) {
        kfree(l);
        return r;
    }
    *ops = &layer_ops;
    *fs = l;
    return OK;
}

static int layer_init(void)
{
    linux_fs_cover_root(cover);
    return OK;
}

/* The root is in use until the machine ends. */
KMOD_MANIFEST(.name = "layer", .version = "0.1.0", .needs = "linux", .init = layer_init,
              .exit = NULL);
