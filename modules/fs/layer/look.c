/*
 * look.c: names, facts, links and lists: what lies below, and the layer's entries over it.
 */
#include "layer.h"

#include <microlake/memory.h>

#define TYPE_MASK   0170000u
#define TYPE_FOLDER 0040000u

/* Positions in a list: those from below as they are, then the layer's own. */
#define OWN_PLACES (1ull << 62)
#define PLACE_SELF OWN_PLACES
#define PLACE_UP   (OWN_PLACES + 1)
#define PLACE_REST (OWN_PLACES + 2)

int layer_walk(void *fs, void *folder, const char *name, void **out, struct linux_fs_attr *attr)
{
    struct layer *l = fs;
    struct layer_name found;
    int r;

    mutex_lock(&l->lock);
    r = layer_name_find(l, folder, name, &found);
    if (r == OK && !found.node)
        r = ERR_NOT_FOUND;
    if (r == OK) {
        *attr = found.node->attr;
        *out = found.node;
    }
    mutex_unlock(&l->lock);
    return r;
}

int layer_attr(void *fs, void *object, struct linux_fs_attr *out)
{
    struct layer *l = fs;
    struct layer_node *n = object;

    mutex_lock(&l->lock);
    *out = n->attr;
    mutex_unlock(&l->lock);
    return OK;
}

/* Whatever programs write is the layer's: below nothing is opened but for reading. */
int layer_open(void *fs, void *object, unsigned access)
{
    struct layer *l = fs;
    struct layer_node *n = object;

    (void)access;
    if (!n->below || !l->below->open)
        return OK;
    return l->below->open(l->below_fs, n->below, LINUX_FS_READ);
}

long layer_text(void *fs, void *object, char *out, size_t size)
{
    struct layer *l = fs;
    struct layer_node *n = object;
    size_t length;

    if (!n->text)
        return l->below->text(l->below_fs, n->below, out, size);
    length = MIN(size, strlen(n->text));
    memcpy(out, n->text, length);
    return (long)length;
}

/* ---- Lists
 * --------------------------------------------------------------------------------------- */

/* Takes the entries from below that no entry of the layer's covers. */
struct filter {
    struct linux_fs_sink sink;
    struct layer *layer;
    struct layer_node *folder;
    struct linux_fs_sink *to;
    uint64_t next; /* behind the last one that came */
    bool came;     /* from below, in this round */
    bool passed;   /* on to `to` */
    bool full;
};

static bool filter_entry(struct linux_fs_sink *sink, const char *name, uint64_t number,
                         uint32_t mode, uint64_t next)
{
    struct filter *f = container_of(sink, struct filter, sink);

    if (!layer_entry_find(f->layer, f->folder, name)) {
        f->full = !f->to->entry(f->to, name, number, mode, next);
        if (f->full)
            return false;
        f->passed = true;
    }
    f->came = true;
    f->next = next;
    return true;
}

/* From `f->next` on, until something was passed on. `came` is false at the end of what is below. */
static int list_below(struct filter *f)
{
    int r = OK;

    do {
        f->came = false;
        r = f->layer->below->list(f->layer->below_fs, f->folder->below, f->next, &f->sink);
    } while (r == OK && f->came && !f->passed && !f->full);
    return r;
}

/* A folder made here names itself and the one it lies in. */
static bool list_dots(const struct layer_node *folder, uint64_t *at, struct linux_fs_sink *sink)
{
    if (!folder->below && *at <= PLACE_SELF &&
        !sink->entry(sink, ".", folder->attr.number, TYPE_FOLDER, PLACE_UP))
        return false;
    if (!folder->below && *at <= PLACE_UP &&
        !sink->entry(sink, "..", folder->parent, TYPE_FOLDER, PLACE_REST))
        return false;
    *at = MAX(*at, PLACE_REST);
    return true;
}

static void list_own(const struct layer_node *folder, uint64_t at, struct linux_fs_sink *sink)
{
    if (!list_dots(folder, &at, sink))
        return;
    list_for_each (it, &folder->entries) {
        const struct layer_entry *e = list_entry(it, struct layer_entry, in_folder);
        uint64_t next = PLACE_REST + e->place + 1;

        if (!e->node || next <= at)
            continue;
        if (!sink->entry(sink, e->name, e->node->attr.number, e->node->attr.mode & TYPE_MASK, next))
            return;
    }
}

int layer_list(void *fs, void *folder, uint64_t at, struct linux_fs_sink *sink)
{
    struct layer *l = fs;
    struct layer_node *n = folder;
    struct filter f = {.sink = {filter_entry}, .layer = l, .folder = n, .to = sink, .next = at};
    int r = OK;

    mutex_lock(&l->lock);
    if (n->below && at < OWN_PLACES)
        r = list_below(&f);
    if (r == OK && !f.passed && !f.full)
        list_own(n, MAX(at, OWN_PLACES), sink);
    mutex_unlock(&l->lock);
    return r;
}

static bool entry_is_name(struct linux_fs_sink *sink, const char *name, uint64_t number,
                          uint32_t mode, uint64_t next)
{
    (void)sink;
    (void)number;
    (void)mode;
    (void)next;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int layer_folder_empty(struct layer *l, struct layer_node *folder)
{
    struct linux_fs_sink names = {entry_is_name};
    struct filter f = {.sink = {filter_entry}, .layer = l, .folder = folder, .to = &names};
    int r = OK;

    list_for_each (it, &folder->entries)
        if (list_entry(it, struct layer_entry, in_folder)->node)
            return LINUX_ERRNO(ENOTEMPTY);
    while (folder->below && r == OK && !f.full) {
        f.passed = false;
        r = list_below(&f);
        if (!f.came)
            break;
    }
    return r == OK && f.full ? LINUX_ERRNO(ENOTEMPTY) : r;
}

/* ---- The whole
 * ----------------------------------------------------------------------------------- */

int layer_space(void *fs, void *object, struct linux_fs_space *out)
{
    struct memory_stats memory;

    (void)fs;
    (void)object;
    memory_stats(&memory);
    *out = (struct linux_fs_space){
        .block_size = PAGE_SIZE,
        .blocks = memory.total / PAGE_SIZE,
        .blocks_free = (memory.free + memory.reclaimable) / PAGE_SIZE,
        .blocks_available = (memory.free + memory.reclaimable) / PAGE_SIZE,
    };
    return OK;
}

void layer_release(void *fs, void *object)
{
    struct layer *l = fs;

    mutex_lock(&l->lock);
    layer_node_unref(l, object);
    mutex_unlock(&l->lock);
}
