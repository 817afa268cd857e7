/*
 * classes.c: reads and writes the files of the policy classes.
 */
#include "classes.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "verb.h"

static int class_path(char path[PATH_MAX], const char *class, const char *file)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s/classes", places.mlaas);
    return path_write(path, PATH_MAX, folder, class, file);
}

static int class_file_read(const char *class, const char *file, char *text, size_t size)
{
    char path[PATH_MAX];
    int error = class_path(path, class, file);
    return error != 0 ? error : file_read(path, text, size);
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

int classes_read(struct class_list *classes)
{
    char path[PATH_MAX];
    const struct dirent *entry;
    snprintf(path, sizeof(path), "%s/classes", places.mlaas);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return -errno;
    }
    classes->count = 0;
    while (classes->count < CLASSES_MAX && (entry = readdir(folder)) != NULL) {
        if (name_is_valid(entry->d_name)) {
            strcpy(classes->names[classes->count++], entry->d_name);
        }
    }
    closedir(folder);
    qsort(classes->names, classes->count, CLASS_NAME_BYTES, name_compare);
    return 0;
}

/* Takes the brackets off a word; true if it had them. */
static bool brackets_strip(char **word)
{
    size_t length = strlen(*word);
    if (length < 3 || (*word)[0] != '[' || (*word)[length - 1] != ']') {
        return false;
    }
    (*word)[length - 1] = '\0';
    (*word)++;
    return true;
}

int class_policies(const char *class, struct policy_list *policies)
{
    char *rest = NULL;
    policies->count = 0;
    policies->active = NULL;
    int error = class_file_read(class, "policy", policies->text, sizeof(policies->text));
    if (error != 0) {
        return error;
    }
    for (char *word = strtok_r(policies->text, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        if (policies->count == CLASS_MAX_POLICIES) {
            return -EPROTO;
        }
        if (brackets_strip(&word)) {
            policies->active = word;
        }
        policies->names[policies->count++] = word;
    }
    return policies->count > 0 ? 0 : -EPROTO;
}

bool class_has(const char *class, const char *policy)
{
    struct policy_list policies;
    if (class_policies(class, &policies) != 0) {
        return false;
    }
    for (unsigned int i = 0; i < policies.count; i++) {
        if (strcmp(policies.names[i], policy) == 0) {
            return true;
        }
    }
    return false;
}

int class_write(const char *class, const char *file, const char *text)
{
    char path[PATH_MAX];
    int error = class_path(path, class, file);
    return error != 0 ? error : file_write(path, text);
}

static void setting_read(const char *class, const char *file, const char *otherwise,
                         char out[SETTING_BYTES])
{
    if (class_file_read(class, file, out, SETTING_BYTES) != 0) {
        snprintf(out, SETTING_BYTES, "%s", otherwise);
    }
    out[strcspn(out, "\n")] = '\0';
}

int class_state_read(const char *class, struct class_state *state)
{
    struct policy_list policies;
    int error = class_policies(class, &policies);
    if (error != 0) {
        return error;
    }
    snprintf(state->policy, sizeof(state->policy), "%s",
             policies.active != NULL ? policies.active : policies.names[0]);
    setting_read(class, "shadow", "none", state->shadow);
    setting_read(class, "pilot", "none", state->pilot);
    setting_read(class, "guard", "off", state->guard);
    return 0;
}

int class_stats(const char *class, char text[CLASS_TEXT_BYTES])
{
    return class_file_read(class, "stats", text, CLASS_TEXT_BYTES);
}

bool classes_get(struct class_list *classes)
{
    int error = classes_read(classes);
    if (error == -ENOENT) {
        complain("there is no %s: run mlctl inside a MaLV-OS machine, as in "
                 "'malv run -- mlctl list'",
                 places.mlaas);
    } else if (error != 0) {
        complain("can't read %s: %s", places.mlaas, strerror(-error));
    }
    return error == 0;
}

bool policies_get(const char *class, struct policy_list *policies)
{
    int error = class_policies(class, policies);
    if (error != 0) {
        complain("can't read the policies of class %s: %s", class, strerror(-error));
    }
    return error == 0;
}

bool class_check(const char *class)
{
    struct class_list classes;
    if (!classes_get(&classes)) {
        return false;
    }
    for (unsigned int i = 0; i < classes.count; i++) {
        if (strcmp(classes.names[i], class) == 0) {
            return true;
        }
    }
    fprintf(stderr, "mlctl: there is no class '%s'; the classes are:", class);
    for (unsigned int i = 0; i < classes.count; i++) {
        fprintf(stderr, " %s", classes.names[i]);
    }
    fputc('\n', stderr);
    return false;
}

int policy_complain(const char *class, const char *policy)
{
    struct policy_list policies;
    if (!policies_get(class, &policies)) {
        return STATUS_FAILED;
    }
    fprintf(stderr, "mlctl: class %s has no policy '%s'; its policies are:", class, policy);
    for (unsigned int i = 0; i < policies.count; i++) {
        fprintf(stderr, " %s", policies.names[i]);
    }
    fprintf(stderr, "; 'mlctl load %s' adds one\n", policy);
    return STATUS_FAILED;
}
