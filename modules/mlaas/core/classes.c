/*
 * classes.c: the files of the policy classes. Classes are the kernel's own and never change; the
 * policies of a class are looked up at every reading.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/policy.h>

#include "core.h"
#include "modules/linux/include/linux_dev.h"

#define CLASSES_MAX 16u
#define PATH_MAX    96u

static char names[CLASSES_MAX][POLICY_NAME_MAX];
static unsigned count; /* classes whose files are there */

static long policy_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct policy_info info;

    for (unsigned i = 0; policy_info(context, i, &info) == OK; i++)
        text_add(&t, info.machine ? "%s[%s]" : "%s%s", i ? " " : "", info.name);
    text_add(&t, "\n");
    return (long)t.used;
}

static int policy_store(void *context, const char *text, size_t size)
{
    char name[POLICY_NAME_MAX];

    while (size && (text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    if (size == 0)
        return ERR_INVALID;
    if (size >= sizeof(name))
        return ERR_NOT_FOUND;
    memcpy(name, text, size);
    name[size] = 0;
    return policy_set(context, name);
}

static long stats_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct policy_info info;

    text_add(&t, "switches %lu\n", policy_switches(context));
    for (unsigned i = 0; policy_info(context, i, &info) == OK; i++) {
        text_add(&t, "%s.calls %lu\n", info.name, info.figures.calls);
        text_add(&t, "%s.faulted %lu\n", info.name, info.figures.faults[POLICY_FAULTED]);
        text_add(&t, "%s.overran %lu\n", info.name, info.figures.faults[POLICY_OVERRAN]);
        text_add(&t, "%s.nonsense %lu\n", info.name, info.figures.faults[POLICY_NONSENSE]);
        text_add(&t, "%s.retired %d\n", info.name, info.retired);
    }
    return (long)t.used;
}

static const struct {
    const char *name;
    struct linux_pseudo_ops ops;
} files[] = {
    {"policy", {.show = policy_show, .store = policy_store}},
    {"stats", {.show = stats_show}},
};

static void path_write(char path[PATH_MAX], const char *class_name, const char *file)
{
    snprintf(path, PATH_MAX, MLAAS_ROOT "/classes/%s/%s", class_name, file);
}

static int class_start(char *class_name)
{
    char path[PATH_MAX];
    int r = OK;

    for (unsigned i = 0; i < ARRAY_SIZE(files) && r == OK; i++) {
        path_write(path, class_name, files[i].name);
        r = linux_pseudo_register(path, &files[i].ops, class_name);
    }
    return r;
}

static void class_stop(const char *class_name)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        path_write(path, class_name, files[i].name);
        linux_pseudo_unregister(path);
    }
}

int classes_start(void)
{
    struct policy_class_info info;

    while (count < CLASSES_MAX && policy_class_info(count, &info) == OK) {
        int r;

        strlcpy(names[count], info.name, sizeof(names[count]));
        r = class_start(names[count++]);

        if (r != OK) {
            classes_stop();
            return r;
        }
    }
    return OK;
}

void classes_stop(void)
{
    while (count)
        class_stop(names[--count]);
}
