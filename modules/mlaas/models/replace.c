/*
 * replace.c: models come, are replaced and go while they are used. Everything is checked, and all
 * memory is there, before the first slot changes; nothing can fail from then on.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>

#include "store.h"

#define SLOTS_MAX 16u /* of a name */

struct change {
    struct models_slot *slots[SLOTS_MAX];
    struct models_view *views[SLOTS_MAX]; /* the new ones, then the old ones */
    unsigned count;
};

static void change_undo(struct change *c)
{
    while (c->count)
        models_put(c->views[--c->count]);
}

static int change_prepare_locked(struct change *c, struct models_entry *entry,
                                 struct models_file *file, char *why)
{
    struct list *at;

    for (at = entry->slots.next; at != &entry->slots; at = at->next) {
        struct models_slot *slot = container_of(at, struct models_slot, link);
        int r = ERR_LIMIT;

        snprintf(why, MODELS_WHY_MAX, "it is in use by too many");
        if (c->count < SLOTS_MAX)
            r = view_create(slot->want, file, entry->version + 1, &c->views[c->count], why);
        if (r != OK) {
            change_undo(c);
            return r;
        }
        c->slots[c->count++] = slot;
    }
    return OK;
}

int entry_change_locked(struct models_entry *entry, struct models_file *file, char *why)
{
    struct change c = {.count = 0};
    int r = change_prepare_locked(&c, entry, file, why);

    if (r != OK)
        return r;
    for (unsigned i = 0; i < c.count; i++)
        c.views[i] = __atomic_exchange_n(&c.slots[i]->view, c.views[i], __ATOMIC_ACQ_REL);
    file_unref(entry->file);
    entry->file = file;
    entry->version++;
    if (c.count)
        cpus_pass();
    for (unsigned i = 0; i < c.count; i++) {
        entry->runs += c.views[i]->runs;
        models_put(c.views[i]);
    }
    return OK;
}

static int load_locked(const char *name, struct models_file *file, char *why)
{
    struct models_entry *entry = entry_find_locked(name);

    if (entry) {
        snprintf(why, MODELS_WHY_MAX, "there is a model %s already: replace it", name);
        return ERR_EXISTS;
    }
    entry = entry_make_locked(name);
    if (!entry) {
        snprintf(why, MODELS_WHY_MAX, "the store holds %u models: unload one", MODELS_MAX);
        return ERR_LIMIT;
    }
    entry->file = file;
    entry->version = 1;
    return OK;
}

static int replace_locked(const char *name, struct models_file *file, char *why)
{
    struct models_entry *entry = entry_find_locked(name);

    if (entry)
        return entry_change_locked(entry, file, why);
    snprintf(why, MODELS_WHY_MAX, "there is no model %s: load it", name);
    return ERR_NOT_FOUND;
}

static int store_put(const char *name, struct models_file *file, char *why,
                     int (*put_locked)(const char *, struct models_file *, char *))
{
    int r = ERR_INVALID;

    if (!name_is_valid(name))
        snprintf(why, MODELS_WHY_MAX, "a name is of a-z, 0-9, '_', '-' and '.', at most 31");
    else
        r = file_check(file, why);
    if (r == OK) {
        mutex_lock(&store_lock);
        r = put_locked(name, file, why);
        mutex_unlock(&store_lock);
    }
    if (r != OK)
        file_unref(file);
    return r;
}

int store_load(const char *name, struct models_file *file, char *why)
{
    return store_put(name, file, why, load_locked);
}

int store_replace(const char *name, struct models_file *file, char *why)
{
    return store_put(name, file, why, replace_locked);
}

static struct models_file *bytes_copy(const void *bytes, size_t size, char *why)
{
    struct models_file *file = size <= MLRT_FILE_MAX ? file_copy(bytes, size, FILE_PROGRAM) : NULL;

    if (!file)
        snprintf(why, MODELS_WHY_MAX, "there is no memory for %zu bytes", size);
    return file;
}

int models_load(const char *name, const void *bytes, size_t size, char *why)
{
    struct models_file *file = bytes_copy(bytes, size, why);

    return file ? store_load(name, file, why) : ERR_NO_MEMORY;
}

int models_replace(const char *name, const void *bytes, size_t size, char *why)
{
    struct models_file *file = bytes_copy(bytes, size, why);

    return file ? store_replace(name, file, why) : ERR_NO_MEMORY;
}

/* The slots' default, that of the first. */
static int unload_locked(struct models_entry *entry, char *why)
{
    struct models_slot *first;
    struct models_file *file;
    int r;

    if (entry->file->source != FILE_PROGRAM) {
        snprintf(why, MODELS_WHY_MAX, "%s is its policy's own: unload the policy", entry->name);
        return ERR_BUSY;
    }
    if (list_empty(&entry->slots)) {
        entry_free_locked(entry);
        return OK;
    }
    first = container_of(entry->slots.next, struct models_slot, link);
    r = file_default(first->want, &file);
    if (r == OK) {
        r = entry_change_locked(entry, file, why);
        if (r != OK)
            file_unref(file);
    } else {
        snprintf(why, MODELS_WHY_MAX, "%s is in use and has no default", entry->name);
        r = r == ERR_NOT_FOUND ? ERR_BUSY : r;
    }
    return r;
}

int models_unload(const char *name, char *why)
{
    struct models_entry *entry;
    int r = ERR_NOT_FOUND;

    mutex_lock(&store_lock);
    entry = entry_find_locked(name);
    if (entry)
        r = unload_locked(entry, why);
    else
        snprintf(why, MODELS_WHY_MAX, "there is no model %s", name);
    mutex_unlock(&store_lock);
    return r;
}
