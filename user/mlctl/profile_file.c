/*
 * profile_file.c: see profile_file.h.
 */
#include "profile_file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "verb.h"

#define PROFILE_BYTES 16384

static struct class_state *state_of(struct profile *profile, const char *class)
{
    for (unsigned i = 0; i < profile->count; i++) {
        if (strcmp(profile->classes[i].class, class) == 0) {
            return &profile->classes[i].state;
        }
    }
    return NULL;
}

static bool copy(char *out, size_t size, const char *text)
{
    return text[0] != '\0' && (size_t)snprintf(out, size, "%s", text) < size;
}

/* CLASS=POLICY. Returns what is wrong with it, or NULL. */
static const char *class_line(struct profile *profile, const char *class, const char *policy)
{
    if (state_of(profile, class) != NULL) {
        return "the class has a line already";
    }
    if (profile->count == PROFILE_CLASSES) {
        return "there are too many classes";
    }
    if (!name_is_valid(class) || !name_is_valid(policy)) {
        return "it wants CLASS=POLICY";
    }
    struct class_state *state = &profile->classes[profile->count].state;
    *state = (struct class_state){.shadow = "none", .pilot = "none", .guard = "off"};
    snprintf(state->policy, sizeof(state->policy), "%s", policy);
    snprintf(profile->classes[profile->count++].class, CLASS_NAME_BYTES, "%s", class);
    return NULL;
}

/* "shadow CLASS=NAME" and "pilot CLASS=NAME". */
static const char *named_line(struct profile *profile, const char *kind, char *rest)
{
    char *sign = strchr(rest, '=');
    if (sign == NULL || !name_is_valid(sign + 1)) {
        return "it wants CLASS=NAME";
    }
    *sign = '\0';
    struct class_state *state = state_of(profile, rest);
    if (state == NULL) {
        return "a line CLASS=POLICY for its class must stand before it";
    }
    snprintf(kind[0] == 's' ? state->shadow : state->pilot, SETTING_BYTES, "%s", sign + 1);
    return NULL;
}

static const char *guard_line(struct profile *profile, char *rest)
{
    size_t length = strcspn(rest, " \t");
    char *words = rest + length + strspn(rest + length, " \t");
    if (words == rest + length) {
        return "it wants a class and what to guard";
    }
    rest[length] = '\0';
    struct class_state *state = state_of(profile, rest);
    if (state == NULL) {
        return "a line CLASS=POLICY for its class must stand before it";
    }
    return copy(state->guard, sizeof(state->guard), words) ? NULL : "it is too long";
}

static const char *load_line(struct profile *profile, const char *name)
{
    if (!name_is_valid(name)) {
        return "it wants a module's name";
    }
    if (profile->load_count == PROFILE_LOADS) {
        return "there are too many modules";
    }
    snprintf(profile->loads[profile->load_count++], CLASS_NAME_BYTES, "%s", name);
    return NULL;
}

static const char *line_take(struct profile *profile, char *line)
{
    size_t length = strcspn(line, " \t");
    char *rest = line + length + strspn(line + length, " \t");
    char *sign = strchr(line, '=');
    if (line[length] == '\0' && sign != NULL) {
        *sign = '\0';
        return class_line(profile, line, sign + 1);
    }
    line[length] = '\0';
    if (strcmp(line, "description") == 0) {
        return copy(profile->description, sizeof(profile->description), rest) ? NULL
                                                                              : "it is too long";
    }
    if (strcmp(line, "knowledge") == 0) {
        return rest[0] == '/' && copy(profile->knowledge, sizeof(profile->knowledge), rest)
                   ? NULL
                   : "it wants a file's path, from the root on";
    }
    if (strcmp(line, "load") == 0) {
        return load_line(profile, rest);
    }
    if (strcmp(line, "shadow") == 0 || strcmp(line, "pilot") == 0) {
        return named_line(profile, line, rest);
    }
    if (strcmp(line, "guard") == 0) {
        return guard_line(profile, rest);
    }
    return "it is none of description, load, CLASS=POLICY, shadow, pilot, guard, knowledge";
}

/* Takes blanks off both ends. */
static char *trim(char *line)
{
    line += strspn(line, " \t\r");
    size_t length = strlen(line);
    while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL) {
        line[--length] = '\0';
    }
    return line;
}

bool profile_parse(const char *where, char *text, struct profile *profile)
{
    unsigned number = 0;
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        number++;
        line = trim(line);
        const char *wrong =
            line[0] == '\0' || line[0] == '#' ? NULL : line_take(profile, line);
        if (wrong != NULL) {
            complain("%s, line %u: %s", where, number, wrong);
            return false;
        }
        line = end;
    }
    if (profile->count == 0) {
        complain("%s names no class: it wants lines CLASS=POLICY", where);
    }
    return profile->count > 0;
}

static bool profile_complain(const char *name)
{
    static struct profile_names names;
    profile_names(&names);
    fprintf(stderr, "mlctl: there is no profile '%s'; there are:", name);
    for (unsigned i = 0; i < names.count; i++) {
        fprintf(stderr, " %s", names.names[i]);
    }
    fputc('\n', stderr);
    return false;
}

bool profile_read(const char *name, struct profile *profile)
{
    static char text[PROFILE_BYTES];
    char path[PATH_MAX];
    *profile = (struct profile){0};
    for (const char *const *folder = places.profiles; *folder != NULL; folder++) {
        int error = path_write(path, sizeof(path), *folder, name, NULL);
        if (error == 0) {
            error = file_read(path, text, sizeof(text));
        }
        if (error == -ENOENT || error == -ENOTDIR) {
            continue;
        }
        if (error != 0) {
            complain("can't read profile %s: %s", path, strerror(-error));
            return false;
        }
        snprintf(profile->name, sizeof(profile->name), "%s", name);
        return profile_parse(path, text, profile);
    }
    return profile_complain(name);
}

static void name_add(struct profile_names *out, const char *name)
{
    for (unsigned i = 0; i < out->count; i++) {
        if (strcmp(out->names[i], name) == 0) {
            return;
        }
    }
    if (name_is_valid(name) && out->count < sizeof(out->names) / sizeof(out->names[0])) {
        strcpy(out->names[out->count++], name);
    }
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

void profile_names(struct profile_names *out)
{
    out->count = 0;
    for (const char *const *path = places.profiles; *path != NULL; path++) {
        const struct dirent *entry;
        DIR *folder = opendir(*path);
        while (folder != NULL && (entry = readdir(folder)) != NULL) {
            name_add(out, entry->d_name);
        }
        if (folder != NULL) {
            closedir(folder);
        }
    }
    qsort(out->names, out->count, CLASS_NAME_BYTES, name_compare);
}
