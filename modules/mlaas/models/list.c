/*
 * list.c: /sys/kernel/mlaas/models: "name version bytes layers in out users runs numbers source" a
 * line.
 */
#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "store.h"

#define LIST_PATH "/sys/kernel/mlaas/models"

static const char *const sources[] = {
    [FILE_EMBEDDED] = "embedded", [FILE_BOOT] = "boot", [FILE_PROGRAM] = "loaded"};

static void entry_show_locked(struct text *t, const struct models_entry *entry)
{
    const struct mlrt_header *h = (const void *)entry->file->bytes;
    uint64_t runs = entry->runs;
    unsigned users = 0;

    for (const struct list *at = entry->slots.next; at != &entry->slots; at = at->next) {
        runs += container_of(at, struct models_slot, link)->view->runs;
        users++;
    }
    text_add(t, "%s %u %zu %u %u %u %u %lu %s %s\n", entry->name, entry->version, entry->file->size,
             h->layer_count, h->inputs, h->outputs, users, runs, h->integer ? "int8" : "float32",
             sources[entry->file->source]);
}

static long models_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    mutex_lock(&store_lock);
    for (unsigned i = 0; i < MODELS_MAX; i++)
        if (store_entries[i].name[0])
            entry_show_locked(&t, &store_entries[i]);
    mutex_unlock(&store_lock);
    return text_length(&t);
}

static const struct linux_pseudo_ops list_ops = {.show = models_show};

int list_start(void)
{
    return linux_pseudo_register(LIST_PATH, &list_ops, NULL);
}

void list_stop(void)
{
    linux_pseudo_unregister(LIST_PATH);
}
