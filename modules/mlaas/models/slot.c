/*
 * slot.c: slots and their views. See store.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>

#include "store.h"

#define CACHE_LINE 64u

struct mutex store_lock = MUTEX_INIT(store_lock);
struct models_entry store_entries[MODELS_MAX];

/* ---- Entries ---- */

struct models_entry *entry_find_locked(const char *name)
{
    for (unsigned i = 0; i < MODELS_MAX; i++)
        if (store_entries[i].name[0] && !strcmp(store_entries[i].name, name))
            return &store_entries[i];
    return NULL;
}

struct models_entry *entry_make_locked(const char *name)
{
    for (unsigned i = 0; i < MODELS_MAX; i++) {
        struct models_entry *e = &store_entries[i];

        if (!e->name[0]) {
            *e = (struct models_entry){.version = 0};
            strlcpy(e->name, name, sizeof(e->name));
            list_init(&e->slots);
            return e;
        }
    }
    return NULL;
}

void entry_free_locked(struct models_entry *entry)
{
    if (entry->file)
        file_unref(entry->file);
    entry->name[0] = 0;
    entry->file = NULL;
}

/* ---- Views ---- */

int view_create(const struct models_want *want, struct models_file *file, uint32_t version,
                struct models_view **out, char *why)
{
    struct models_view *view = kzalloc(sizeof(*view));
    int status, r;

    snprintf(why, MODELS_WHY_MAX, "there is no memory");
    if (!view)
        return ERR_NO_MEMORY;
    status = mlrt_open(&view->model, file->bytes, file->size, want->path);
    if (status != MLRT_OK) {
        snprintf(why, MODELS_WHY_MAX, "the file is %s", mlrt_error_text(status));
        kfree(view);
        return ERR_BAD_FORMAT;
    }
    r = model_fit(want, &view->model, file->size, why);
    if (r != OK) {
        kfree(view);
        return r;
    }
    view->version = version;
    view->refs = 1;
    view->file = file;
    file_ref(file);
    *out = view;
    return OK;
}

struct models_view *models_get(const struct models_slot *slot)
{
    struct models_view *view = models_enter(slot);

    if (view)
        __atomic_fetch_add(&view->refs, 1, __ATOMIC_RELAXED);
    models_leave();
    return view;
}

void models_put(struct models_view *view)
{
    if (__atomic_sub_fetch(&view->refs, 1, __ATOMIC_ACQ_REL))
        return;
    file_unref(view->file);
    kfree(view);
}

/* ---- Slots ---- */

static int workspaces_create(struct models_slot *slot)
{
    slot->workspace_stride = (uint32_t)ALIGN_UP(slot->want->workspace_bytes, CACHE_LINE);
    slot->block = kmalloc((size_t)slot->workspace_stride * cpu_present() + CACHE_LINE);
    slot->workspaces = (uint8_t *)ALIGN_UP((uintptr_t)slot->block, CACHE_LINE);
    return slot->block ? OK : ERR_NO_MEMORY;
}

/* The entry's file is the slot's default: the entry is new. */
static int entry_begin_locked(const struct models_want *want, struct models_entry **out)
{
    struct models_file *file;
    int r = file_default(want, &file);

    if (r != OK)
        return r;
    *out = entry_make_locked(want->name);
    if (!*out) {
        file_unref(file);
        return ERR_LIMIT;
    }
    (*out)->file = file;
    (*out)->version = 1;
    return OK;
}

static int open_locked(struct models_slot *slot, char *why)
{
    struct models_entry *entry = entry_find_locked(slot->want->name);
    bool is_new = !entry;
    int r = is_new ? entry_begin_locked(slot->want, &entry) : OK;

    if (r != OK) {
        snprintf(why, MODELS_WHY_MAX, "there is no model to begin with: %s", status_name(r));
        return r;
    }
    r = view_create(slot->want, entry->file, entry->version, &slot->view, why);
    if (r == OK) {
        slot->entry = entry;
        list_push_back(&entry->slots, &slot->link);
    } else if (is_new) {
        entry_free_locked(entry);
    }
    return r;
}

/* What a program has loaded under the name does not fit: the default takes its place. */
static int default_restore_locked(struct models_slot *slot, char *why)
{
    struct models_entry *entry = entry_find_locked(slot->want->name);
    struct models_file *file;
    int r;

    if (!entry || !list_empty(&entry->slots) || entry->file->source != FILE_PROGRAM)
        return ERR_INVALID;
    r = file_default(slot->want, &file);
    if (r != OK)
        return r;
    log_warn("models: %s: what was loaded is not used: %s", slot->want->name, why);
    file_unref(entry->file);
    entry->file = file;
    entry->version++;
    return open_locked(slot, why);
}

int models_open(struct models_slot *slot, const struct models_want *want)
{
    char why[MODELS_WHY_MAX] = "its name can't be one";
    int r;

    *slot = (struct models_slot){.want = want};
    r = name_is_valid(want->name) ? workspaces_create(slot) : ERR_INVALID;
    if (r == OK) {
        mutex_lock(&store_lock);
        r = open_locked(slot, why);
        if (r == ERR_INVALID)
            r = default_restore_locked(slot, why);
        mutex_unlock(&store_lock);
    }
    if (r == OK)
        return OK;
    log_error("models: %s: %s", want->name ? want->name : "?", why);
    kfree(slot->block);
    *slot = (struct models_slot){.want = NULL};
    return r;
}

void models_close(struct models_slot *slot)
{
    struct models_view *view = slot->view;

    if (!view)
        return;
    mutex_lock(&store_lock);
    list_remove(&slot->link);
    slot->entry->runs += view->runs;
    __atomic_store_n(&slot->view, NULL, __ATOMIC_RELEASE);
    if (list_empty(&slot->entry->slots) && slot->entry->file->source != FILE_PROGRAM)
        entry_free_locked(slot->entry);
    mutex_unlock(&store_lock);
    cpus_pass();
    models_put(view);
    kfree(slot->block);
    *slot = (struct models_slot){.want = NULL};
}
