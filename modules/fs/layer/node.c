/*
 * node.c: nodes and the entries of folders. See layer.h.
 */
#include "layer.h"

#include <microlake/aspace.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#define OWN_NUMBERS (1ull << 62) /* of nodes made here; what lies below counts from the other end  \
                                  */

uint64_t layer_time(void)
{
    return linux_wall_time();
}

/* ---- Nodes
 * --------------------------------------------------------------------------------------- */

static struct list *nodes_of(struct layer *l, uint64_t number)
{
    return &l->nodes[number % LAYER_NODE_LISTS];
}

static struct layer_node *node_create(struct layer *l)
{
    struct layer_node *n = kzalloc(sizeof(*n));

    if (!n)
        return NULL;
    n->layer = l;
    n->refs = 1;
    list_init(&n->entries);
    list_init(&n->link);
    mutex_init(&n->data_lock);
    return n;
}

int layer_node_below(struct layer *l, void *object, const struct linux_fs_attr *attr,
                     struct layer_node **out)
{
    struct list *nodes = nodes_of(l, attr->number);
    struct layer_node *n;

    list_for_each (it, nodes) {
        n = list_entry(it, struct layer_node, link);
        if (n->attr.number != attr->number)
            continue;
        l->below->release(l->below_fs, object);
        n->refs++;
        *out = n;
        return OK;
    }
    n = node_create(l);
    if (!n) {
        l->below->release(l->below_fs, object);
        return ERR_NO_MEMORY;
    }
    n->below = object;
    n->attr = *attr;
    n->attr.links = MAX(attr->links, 1u);
    list_push_back(nodes, &n->link);
    *out = n;
    return OK;
}

struct layer_node *layer_node_make(struct layer *l, uint32_t mode)
{
    struct layer_node *n = node_create(l);

    if (!n)
        return NULL;
    n->attr = (struct linux_fs_attr){
        .number = OWN_NUMBERS + ++l->last_number, .mode = mode, .changed = layer_time()};
    return n;
}

static void node_free(struct layer *l, struct layer_node *n)
{
    while (!list_empty(&n->entries))
        layer_entry_remove(l, list_entry(n->entries.next, struct layer_entry, in_folder));
    if (n->below) {
        list_remove(&n->link);
        l->below->release(l->below_fs, n->below);
    }
    if (n->content)
        memobj_unref(n->content);
    kfree(n->text);
    kfree(n);
}

void layer_node_unref(struct layer *l, struct layer_node *n)
{
    if (n && --n->refs == 0)
        node_free(l, n);
}

/* What was made here stays through its names; what lies below would come back as it was. */
void layer_node_changed(struct layer_node *n)
{
    if (n->changed || !n->below || n->attr.links == 0)
        return;
    n->changed = true;
    n->refs++;
}

void layer_node_lost_name(struct layer *l, struct layer_node *n)
{
    bool folder = (n->attr.mode & 0170000) == 0040000;

    n->attr.links = folder || n->attr.links == 0 ? 0 : n->attr.links - 1;
    n->attr.status_changed = layer_time();
    layer_node_changed(n);
    if (n->attr.links > 0 || !n->changed)
        return;
    n->changed = false;
    layer_node_unref(l, n);
}

/* ---- Entries
 * ------------------------------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll, Vo). */
static struct list *names_of(struct layer *l, const struct layer_node *folder, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ull ^ folder->attr.number;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
    return &l->names[(hash ^ hash >> 32) % LAYER_NAME_LISTS];
}

struct layer_entry *layer_entry_find(struct layer *l, struct layer_node *folder, const char *name)
{
    list_for_each (it, names_of(l, folder, name)) {
        struct layer_entry *e = list_entry(it, struct layer_entry, in_names);

        if (e->folder == folder && strcmp(e->name, name) == 0)
            return e;
    }
    return NULL;
}

struct layer_entry *layer_entry_make(const char *name)
{
    size_t size = strlen(name) + 1;
    struct layer_entry *e = kzalloc(sizeof(*e) + size);

    if (e)
        memcpy(e->name, name, size);
    return e;
}

void layer_entry_insert(struct layer *l, struct layer_node *folder, struct layer_entry *e)
{
    e->folder = folder;
    e->place = folder->next_place++;
    list_push_back(&folder->entries, &e->in_folder);
    list_push_back(names_of(l, folder, e->name), &e->in_names);
}

void layer_entry_remove(struct layer *l, struct layer_entry *e)
{
    list_remove(&e->in_folder);
    list_remove(&e->in_names);
    layer_node_unref(l, e->node);
    kfree(e);
}

int layer_name_find(struct layer *l, struct layer_node *folder, const char *name,
                    struct layer_name *out)
{
    struct linux_fs_attr attr;
    void *object;
    int r;

    *out = (struct layer_name){.entry = layer_entry_find(l, folder, name)};
    if (out->entry) {
        out->node = out->entry->node;
        out->covers = out->entry->covers;
        if (out->node)
            out->node->refs++;
        return OK;
    }
    if (!folder->below)
        return OK;
    r = l->below->walk(l->below_fs, folder->below, name, &object, &attr);
    if (r == OK)
        r = layer_node_below(l, object, &attr, &out->node);
    out->covers = r == OK;
    return r == ERR_NOT_FOUND ? OK : r;
}
