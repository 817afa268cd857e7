/*
 * knowledge.c: see knowledge.h.
 */
#include "knowledge.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "classes.h"
#include "files.h"
#include "verb.h"

#define KNOWLEDGE_BYTES (1 << 20)
#define HEAD            "class "

static char text[KNOWLEDGE_BYTES];

static int class_save(FILE *file, const char *class)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/classes/%s/knowledge", places.mlaas, class);
    int error = file_read(path, text, sizeof(text));
    if (error == 0 && text[0] != '\0') {
        fprintf(file, HEAD "%s\n%s", class, text);
    }
    return error == -ENOENT ? 0 : error;
}

/* How many lines it has. */
static unsigned long lines_of(const char *lines)
{
    unsigned long count = 0;
    while ((lines = strchr(lines, '\n')) != NULL) {
        lines++;
        count++;
    }
    return count;
}

static int all_save(FILE *file, const struct class_list *classes)
{
    unsigned long known = 0;
    fputs("# What pilots have learned; 'mlctl pilot load' takes it\n", file);
    for (unsigned i = 0; i < classes->count; i++) {
        int error = class_save(file, classes->names[i]);
        if (error != 0) {
            return complain("can't read what the pilot of class %s knows: %s", classes->names[i],
                            strerror(-error));
        }
        known += lines_of(text);
    }
    return known > 0 ? STATUS_OK : complain("no pilot of this machine has learned anything yet");
}

int knowledge_save(const char *path)
{
    struct class_list classes;
    if (!classes_get(&classes)) {
        return STATUS_FAILED;
    }
    if (strcmp(path, "-") == 0) {
        return all_save(stdout, &classes);
    }
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return complain("can't write %s: %s", path, strerror(errno));
    }
    int status = all_save(file, &classes);
    if (fclose(file) != 0 && status == STATUS_OK) {
        status = complain("can't write %s: %s", path, strerror(errno));
    }
    if (status == STATUS_OK) {
        printf("saved to %s\n", path);
    } else {
        remove(path);
    }
    return status;
}

/* ---- Loading --------------------------------------------------------------------------------- */

struct lesson {
    char class[CLASS_NAME_BYTES]; /* empty: none yet */
    unsigned long taken, strange; /* lines; of policies that are not there */
};

static void lesson_end(const struct lesson *l)
{
    if (l->class[0] == '\0') {
        return;
    }
    printf("%s: learned %lu line%s", l->class, l->taken, l->taken == 1 ? "" : "s");
    printf(l->strange > 0 ? ", and left out %lu of policies that are not loaded\n" : "\n", l->strange);
}

static bool lesson_begin(struct lesson *l, const char *class)
{
    struct class_state state;
    lesson_end(l);
    *l = (struct lesson){.taken = 0};
    if (!class_check(class)) {
        return false;
    }
    if (class_state_read(class, &state) != 0 || strcmp(state.pilot, "none") == 0) {
        complain("class %s has no pilot that could learn: 'mlctl pilot %s=auto' gives it one", class,
                 class);
        return false;
    }
    snprintf(l->class, sizeof(l->class), "%s", class);
    return true;
}

static bool line_learn(struct lesson *l, const char *where, unsigned number, const char *line)
{
    int error = l->class[0] != '\0' ? class_write(l->class, "knowledge", line) : -EINVAL;
    if (error == -ENOENT) {
        l->strange++;
        return true;
    }
    l->taken += error == 0;
    if (error == -EINVAL) {
        complain("%s, line %u: that is nothing that a pilot has saved", where, number);
    } else if (error != 0) {
        complain("class %s can't be taught: %s", l->class, reason_of(error));
    }
    return error == 0;
}

/* All lines, up to the first that is refused. */
static int all_learn(const char *where)
{
    struct lesson lesson = {.taken = 0};
    unsigned number = 0;
    bool good = true;
    char *rest;
    for (char *line = text; good && *line != '\0'; line = rest) {
        rest = line + strcspn(line, "\n");
        if (*rest != '\0') {
            *rest++ = '\0';
        }
        number++;
        if (strncmp(line, HEAD, strlen(HEAD)) == 0) {
            good = lesson_begin(&lesson, line + strlen(HEAD));
        } else if (*line != '\0' && *line != '#') {
            good = line_learn(&lesson, where, number, line);
        }
    }
    lesson_end(&lesson);
    return good ? STATUS_OK : STATUS_FAILED;
}

int knowledge_load(const char *path)
{
    struct class_list classes;
    if (!classes_get(&classes)) {
        return STATUS_FAILED;
    }
    int error = strcmp(path, "-") == 0 ? input_read(text, sizeof(text))
                                       : file_read(path, text, sizeof(text));
    if (error != 0) {
        return complain("can't read %s: %s", path, strerror(-error));
    }
    return all_learn(path);
}
