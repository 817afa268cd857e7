/*
 * run.c: mlctl run, a program with a profile's policies for itself and its children.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "classes.h"
#include "files.h"
#include "profile_file.h"
#include "profile_set.h"
#include "verb.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127

static int choice_write(const char *class, const char *policy)
{
    char path[PATH_MAX], text[SETTING_BYTES * 2];
    snprintf(path, sizeof(path), "%s/choices", places.mlaas);
    snprintf(text, sizeof(text), "%s=%s pid=self", class, policy);
    return file_write(path, text);
}

/* The profile's policies for this process. A policy that is the machine's needs no choice. */
static bool choices_make(const struct profile *profile)
{
    for (unsigned i = 0; i < profile->count; i++) {
        const char *class = profile->classes[i].class;
        const char *policy = profile->classes[i].state.policy;
        struct class_state now;
        if (class_state_read(class, &now) == 0 && strcmp(now.policy, policy) == 0) {
            continue;
        }
        int error = choice_write(class, policy);
        if (error != 0) {
            complain("profile %s: class %s does not take %s for one program: %s", profile->name,
                     class, policy,
                     error == -EOPNOTSUPP
                         ? "neither it nor the machine's policy extends the other"
                         : reason_of(error));
            return false;
        }
    }
    return true;
}

static int run_program(char **words)
{
    execvp(words[0], words);
    int error = errno;
    complain("can't run %s: %s", words[0], strerror(error));
    return error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

static int run_run(int count, char **words)
{
    static struct profile profile;
    const char *name = NULL;
    struct class_list classes;
    char why[512];
    if (count >= 2 && strcmp(words[0], "--profile") == 0) {
        name = words[1];
        words += 2;
    } else if (count >= 1 && strncmp(words[0], "--profile=", 10) == 0) {
        name = *words++ + 10;
    }
    if (*words != NULL && strcmp(*words, "--") == 0) {
        words++;
    }
    if (name == NULL || *words == NULL) {
        return complain_usage(&verb_run, "run wants --profile NAME and a command");
    }
    if (!classes_get(&classes) || !profile_read(name, &profile)) {
        return STATUS_FAILED;
    }
    if (!profile_fits(&profile, why, sizeof(why))) {
        return complain("profile %s: %s", name, why);
    }
    if (!profile_load(&profile) || !choices_make(&profile)) {
        return STATUS_FAILED;
    }
    return run_program(words);
}

const struct verb verb_run = {
    .name = "run",
    .usage = "run --profile NAME -- COMMAND [ARGUMENTS]",
    .summary = "run a program, and its children, with a profile's policies",
    .help = "\nOnly the profile's policies count, for this program alone; guards, shadows and pilots are\n"
            "of the machine. Policies that are not loaded are loaded first, which takes root's rights.\n"
            "Exit status: the command's; 126: it can't be run, 127: there is no such command.\n"
            "--profile NAME   see 'mlctl profile list'\n",
    .run = run_run,
};
