/*
 * classes.c: which classes are shown, and their files. A class may come later than this module: with
 * the module that owns it. None goes. The policies of a class are looked up at every reading.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "core.h"

#define PATH_MAX 96u

struct managed_class managed[POLICY_CLASSES_MAX];
unsigned managed_count;

static const struct {
    const char *name;
    struct linux_pseudo_ops ops;
} files[] = {
    {"policy", {.show = policy_show, .store = policy_store}},
    {"shadow", {.show = shadow_show, .store = shadow_store}},
    {"pilot", {.show = pilot_show, .store = pilot_store}},
    {"knowledge", {.show = knowledge_show, .store = knowledge_store}},
    {"guard", {.show = guard_show, .store = guard_store}},
    {"stats", {.show = stats_show}},
};

int word_take(const char *text, size_t size, char out[POLICY_NAME_MAX])
{
    while (size && (text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    if (size == 0)
        return ERR_INVALID;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] <= ' ')
            return ERR_INVALID;
    if (size >= POLICY_NAME_MAX)
        return ERR_NOT_FOUND;
    memcpy(out, text, size);
    out[size] = '\0';
    return OK;
}

struct managed_class *managed_find(const char *name)
{
    for (unsigned i = 0; i < managed_now(); i++)
        if (!strcmp(managed[i].name, name))
            return &managed[i];
    return NULL;
}

static void path_write(char path[PATH_MAX], const char *class_name, const char *file)
{
    snprintf(path, PATH_MAX, MLAAS_ROOT "/classes/%s/%s", class_name, file);
}

static void class_hide(const char *class_name)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        path_write(path, class_name, files[i].name);
        linux_pseudo_unregister(path);
    }
}

static int class_show(struct managed_class *c)
{
    char path[PATH_MAX];
    int r = OK;

    for (unsigned i = 0; i < ARRAY_SIZE(files) && r == OK; i++) {
        path_write(path, c->name, files[i].name);
        r = linux_pseudo_register(path, &files[i].ops, c);
    }
    if (r != OK)
        class_hide(c->name);
    return r;
}

/* Shows what is new. One at a time: under the lock of who calls. */
static void classes_look(void)
{
    struct policy_class_info info;

    while (managed_count < POLICY_CLASSES_MAX && policy_class_info(managed_count, &info) == OK) {
        struct managed_class *c = &managed[managed_count];
        int r;

        strlcpy(c->name, info.name, sizeof(c->name));
        r = class_show(c);
        if (r != OK) {
            log_warn("mlaas: class %s can't be shown: %s", c->name, status_name(r));
            return;
        }
        __atomic_store_n(&managed_count, managed_count + 1, __ATOMIC_RELEASE);
    }
}

int classes_start(void)
{
    policy_classes_watch(classes_look);
    return OK;
}

void classes_stop(void)
{
    policy_classes_watch(NULL);
    for (unsigned i = 0; i < managed_count; i++)
        class_hide(managed[i].name);
    guards_stop();
    managed_count = 0;
}
