/*
 * commands.c: the commands of mlctl.
 */
#include "commands.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "classes.h"

/* Reads the classes; on an error says so. */
static bool classes_get(const char *root, struct class_list *classes)
{
    int error = classes_read(root, classes);
    if (error == -ENOENT) {
        fprintf(stderr,
                "mlctl: there is no %s: run mlctl inside a MaLV-OS machine, as in "
                "'malv run -- mlctl list'\n",
                root);
    } else if (error != 0) {
        fprintf(stderr, "mlctl: can't read %s: %s\n", root, strerror(-error));
    }
    return error == 0;
}

static bool class_is_known(const struct class_list *classes, const char *class)
{
    for (unsigned int i = 0; i < classes->count; i++) {
        if (strcmp(classes->names[i], class) == 0) {
            return true;
        }
    }
    return false;
}

/* Reads the classes and sees whether `class` is one; on an error says which there are. */
static bool class_check(const char *root, const char *class)
{
    struct class_list classes;
    if (!classes_get(root, &classes)) {
        return false;
    }
    if (class_is_known(&classes, class)) {
        return true;
    }
    fprintf(stderr, "mlctl: there is no class '%s'; the classes are:", class);
    for (unsigned int i = 0; i < classes.count; i++) {
        fprintf(stderr, " %s", classes.names[i]);
    }
    fputc('\n', stderr);
    return false;
}

/* The policies of a class; on an error says so. */
static bool policies_get(const char *root, const char *class, struct policy_list *policies)
{
    int error = class_policies(root, class, policies);
    if (error != 0) {
        fprintf(stderr, "mlctl: can't read the policies of class %s: %s\n", class,
                strerror(-error));
    }
    return error == 0;
}

static int width_of(const char *text, int width)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

/* Prints one class's rows, or only widens the columns when `print` is false. */
static bool list_class(const char *root, const char *class, int widths[2], bool print)
{
    struct policy_list policies;
    if (!policies_get(root, class, &policies)) {
        return false;
    }
    widths[0] = width_of(class, widths[0]);
    for (unsigned int i = 0; i < policies.count; i++) {
        const char *name = policies.names[i];
        widths[1] = width_of(name, widths[1]);
        if (print) {
            printf("%-*s  %-*s  %s\n", widths[0], class, widths[1], name,
                   name == policies.active ? "yes" : "no");
        }
    }
    return true;
}

int command_list(const char *root)
{
    struct class_list classes;
    int widths[2] = {(int)strlen("CLASS"), (int)strlen("POLICY")};
    if (!classes_get(root, &classes)) {
        return 1;
    }
    for (unsigned int i = 0; i < classes.count; i++) {
        if (!list_class(root, classes.names[i], widths, false)) {
            return 1;
        }
    }
    printf("%-*s  %-*s  ACTIVE\n", widths[0], "CLASS", widths[1], "POLICY");
    for (unsigned int i = 0; i < classes.count; i++) {
        if (!list_class(root, classes.names[i], widths, true)) {
            return 1;
        }
    }
    return 0;
}

static void policy_complain(const char *root, const char *class, const char *policy)
{
    struct policy_list policies;
    if (!policies_get(root, class, &policies)) {
        return;
    }
    fprintf(stderr, "mlctl: class %s has no policy '%s'; its policies are:", class, policy);
    for (unsigned int i = 0; i < policies.count; i++) {
        fprintf(stderr, " %s", policies.names[i]);
    }
    fputc('\n', stderr);
}

int command_set(const char *root, const char *class, const char *policy)
{
    struct policy_list before;
    if (!class_check(root, class) || !policies_get(root, class, &before)) {
        return 1;
    }
    int error = class_switch(root, class, policy);
    if (error == -ENOENT) {
        policy_complain(root, class, policy);
        return 1;
    }
    if (error != 0) {
        fprintf(stderr, "mlctl: can't switch class %s to %s: %s\n", class, policy,
                strerror(-error));
        return 1;
    }
    printf("%s: %s (was %s)\n", class, policy, before.active != NULL ? before.active : "none");
    return 0;
}

/* Prints lines "name value" as two columns, in front of each the class. */
static bool stats_class(const char *root, const char *class)
{
    char text[CLASS_TEXT_BYTES];
    char *rest = NULL;
    int error = class_stats(root, class, text);
    if (error != 0) {
        fprintf(stderr, "mlctl: can't read the figures of class %s: %s\n", class, strerror(-error));
        return false;
    }
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        size_t name_bytes = strcspn(line, " ");
        const char *value = line + name_bytes + strspn(line + name_bytes, " ");
        printf("%s  %-24.*s  %s\n", class, (int)name_bytes, line, value);
    }
    return true;
}

int command_stats(const char *root, const char *class)
{
    struct class_list classes;
    if (class != NULL) {
        return class_check(root, class) && stats_class(root, class) ? 0 : 1;
    }
    if (!classes_get(root, &classes)) {
        return 1;
    }
    for (unsigned int i = 0; i < classes.count; i++) {
        if (!stats_class(root, classes.names[i])) {
            return 1;
        }
    }
    return 0;
}
