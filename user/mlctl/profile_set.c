/*
 * profile_set.c: see profile_set.h. What is there before is remembered first; a step that fails puts
 * it back.
 */
#include "profile_set.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "knowledge.h"
#include "module.h"
#include "verb.h"

/* Modules that were loaded on the way, to be unloaded when it fails. */
struct loaded {
    unsigned count;
    const char *names[PROFILE_LOADS + PROFILE_CLASSES * 2];
};

static bool module_is_loaded(const char *name)
{
    static char text[16384];
    char path[PATH_MAX];
    char *rest = NULL;
    snprintf(path, sizeof(path), "%s/modules", places.mlaas);
    if (file_read(path, text, sizeof(text)) != 0) {
        return false;
    }
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        line[strcspn(line, " ")] = '\0';
        if (strcmp(line, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool module_fits(const char *name)
{
    char path[PATH_MAX];
    return module_is_loaded(name) || module_find(name, path, sizeof(path));
}

bool profile_fits(const struct profile *profile, char *why, size_t size)
{
    for (unsigned i = 0; i < profile->load_count; i++) {
        if (!module_fits(profile->loads[i])) {
            snprintf(why, size, "module %s is not in %s", profile->loads[i], places.modules[0]);
            return false;
        }
    }
    for (unsigned i = 0; i < profile->count; i++) {
        const char *class = profile->classes[i].class;
        const struct class_state *state = &profile->classes[i].state;
        const char *const policies[] = {state->policy, state->shadow};
        struct policy_list there;
        if (class_policies(class, &there) != 0) {
            snprintf(why, size, "this machine has no class %s", class);
            return false;
        }
        for (size_t k = 0; k < 2; k++) {
            if (strcmp(policies[k], "none") != 0 && !class_has(class, policies[k]) &&
                !module_fits(policies[k])) {
                snprintf(why, size, "policy %s of class %s is neither loaded nor a module in %s",
                         policies[k], class, places.modules[0]);
                return false;
            }
        }
        if (strcmp(state->pilot, "none") != 0 && !module_fits(state->pilot)) {
            snprintf(why, size, "pilot %s is neither loaded nor a module in %s", state->pilot,
                     places.modules[0]);
            return false;
        }
    }
    if (profile->knowledge[0] != '\0' && access(profile->knowledge, R_OK) != 0) {
        snprintf(why, size, "%s: %s", profile->knowledge, strerror(errno));
        return false;
    }
    return true;
}

/* What its pilots are to know. */
static bool teach(const struct profile *profile)
{
    return profile->knowledge[0] == '\0' || knowledge_load(profile->knowledge) == STATUS_OK;
}

static bool load(struct loaded *loaded, const char *name)
{
    char path[PATH_MAX];
    if (!module_find(name, path, sizeof(path))) {
        complain("module %s is not in %s", name, places.modules[0]);
        return false;
    }
    if (module_load_file(path) != 0) {
        return false;
    }
    loaded->names[loaded->count++] = name;
    return true;
}

static bool policy_load(struct loaded *loaded, const char *class, const char *policy)
{
    return strcmp(policy, "none") == 0 || class_has(class, policy) || load(loaded, policy);
}

static bool load_all(const struct profile *profile, struct loaded *loaded)
{
    bool done = true;
    for (unsigned i = 0; done && i < profile->load_count; i++) {
        done = module_is_loaded(profile->loads[i]) || load(loaded, profile->loads[i]);
    }
    for (unsigned i = 0; done && i < profile->count; i++) {
        const char *class = profile->classes[i].class;
        const struct class_state *state = &profile->classes[i].state;
        done = policy_load(loaded, class, state->policy) &&
               policy_load(loaded, class, state->shadow) &&
               (strcmp(state->pilot, "none") == 0 || module_is_loaded(state->pilot) ||
                load(loaded, state->pilot));
    }
    return done;
}

static void unload_all(struct loaded *loaded)
{
    while (loaded->count > 0) {
        module_unload_name(loaded->names[--loaded->count]);
    }
}

/* Writes what differs. A policy ends the pilot, so it comes first. */
static int state_write(const char *class, const struct class_state *wanted, const char **what)
{
    struct class_state now;
    int error = class_state_read(class, &now);
    *what = "policy";
    if (error == 0 && (strcmp(now.policy, wanted->policy) != 0 || strcmp(now.pilot, "none") != 0)) {
        error = class_write(class, "policy", wanted->policy);
    }
    if (error == 0 && strcmp(now.shadow, wanted->shadow) != 0) {
        *what = "shadow";
        error = class_write(class, "shadow", wanted->shadow);
    }
    if (error == 0 && strcmp(now.guard, wanted->guard) != 0) {
        *what = "guard";
        error = class_write(class, "guard", wanted->guard);
    }
    if (error == 0 && strcmp(wanted->pilot, "none") != 0) {
        *what = "pilot";
        error = class_write(class, "pilot", wanted->pilot);
    }
    return error;
}

static bool states_write(const struct profile *profile, unsigned *done)
{
    for (unsigned i = 0; i < profile->count; i++) {
        const char *class = profile->classes[i].class, *what;
        const struct class_state *state = &profile->classes[i].state;
        *done = i + 1;
        int error = state_write(class, state, &what);
        if (error != 0) {
            const char *value = what[0] == 'p' ? what[1] == 'o' ? state->policy : state->pilot
                                : what[0] == 's' ? state->shadow
                                                 : state->guard;
            complain("class %s does not take the %s '%s': %s", class, what, value,
                     error == -ENOENT ? "there is none of that name" : reason_of(error));
            return false;
        }
    }
    return true;
}

/* Puts back what was there, class by class. */
static void restore(const struct profile *profile, const struct class_state *before, unsigned count)
{
    while (count-- > 0) {
        const char *what;
        int error = state_write(profile->classes[count].class, &before[count], &what);
        if (error != 0) {
            complain("and class %s could not be put back: its %s: %s",
                     profile->classes[count].class, what, reason_of(error));
        }
    }
}

static int note(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/profile", places.mlaas);
    return file_write(path, name);
}

bool profile_load(const struct profile *profile)
{
    struct loaded loaded = {0};
    bool done = load_all(profile, &loaded);
    if (!done) {
        unload_all(&loaded);
    }
    return done;
}

bool profile_apply(const struct profile *profile)
{
    static struct class_state before[PROFILE_CLASSES];
    struct loaded loaded = {0};
    char why[512];
    unsigned done = 0;
    int error = 0;
    if (!profile_fits(profile, why, sizeof(why))) {
        complain("profile %s: %s; nothing was changed", profile->name, why);
        return false;
    }
    for (unsigned i = 0; i < profile->count && error == 0; i++) {
        error = class_state_read(profile->classes[i].class, &before[i]);
        if (strcmp(before[i].pilot, "none") != 0) {
            strcpy(before[i].shadow, "none"); /* it is the pilot's doing */
        }
    }
    if (error == 0 && load_all(profile, &loaded) && states_write(profile, &done) &&
        teach(profile)) {
        error = note(profile->name);
        if (error == 0) {
            return true;
        }
        complain("can't note the profile: %s", reason_of(error));
    }
    restore(profile, before, done);
    unload_all(&loaded);
    complain("profile %s was not set; everything is as it was", profile->name);
    return false;
}
