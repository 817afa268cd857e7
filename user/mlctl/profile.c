/*
 * profile.c: mlctl profile, with the verbs of tuned-adm.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "classes.h"
#include "files.h"
#include "profile_file.h"
#include "profile_set.h"
#include "recommend.h"
#include "verb.h"

#define START_PROFILE "balanced" /* what machines start with */

static struct profile profile;

/* The profile last set; "none". */
static void active_read(char name[CLASS_NAME_BYTES])
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/profile", places.mlaas);
    if (file_read(path, name, CLASS_NAME_BYTES) != 0) {
        strcpy(name, "none");
    }
    name[strcspn(name, "\n")] = '\0';
}

static int profile_list(void)
{
    static struct profile_names names;
    char active[CLASS_NAME_BYTES];
    int status = STATUS_OK;
    active_read(active);
    profile_names(&names);
    for (unsigned i = 0; i < names.count; i++) {
        bool sound = profile_read(names.names[i], &profile);
        printf("%c %-12s %s\n", strcmp(active, names.names[i]) == 0 ? '*' : ' ', names.names[i],
               sound ? profile.description : "(it can't be used)");
        status = sound ? status : STATUS_FAILED;
    }
    if (names.count == 0) {
        return complain("there are no profiles in %s", places.profiles[0]);
    }
    return status;
}

static int profile_show(const char *name)
{
    char active[CLASS_NAME_BYTES], why[512];
    active_read(active);
    if (!profile_read(name != NULL ? name : active, &profile)) {
        return STATUS_FAILED;
    }
    printf("%s: %s\n", profile.name, profile.description);
    for (unsigned i = 0; i < profile.load_count; i++) {
        printf("  load %s\n", profile.loads[i]);
    }
    for (unsigned i = 0; i < profile.count; i++) {
        const char *class = profile.classes[i].class;
        const struct class_state *state = &profile.classes[i].state;
        printf("  %s=%s\n", class, state->policy);
        if (strcmp(state->shadow, "none") != 0) {
            printf("  shadow %s=%s\n", class, state->shadow);
        }
        if (strcmp(state->guard, "off") != 0) {
            printf("  guard %s %s\n", class, state->guard);
        }
        if (strcmp(state->pilot, "none") != 0) {
            printf("  pilot %s=%s\n", class, state->pilot);
        }
    }
    if (profile.knowledge[0] != '\0') {
        printf("  knowledge %s\n", profile.knowledge);
    }
    if (!profile_fits(&profile, why, sizeof(why))) {
        printf("  it can't be set here: %s\n", why);
    }
    return STATUS_OK;
}

static int profile_set(const char *name)
{
    struct class_list classes;
    if (!classes_get(&classes) || !profile_read(name, &profile) || !profile_apply(&profile)) {
        return STATUS_FAILED;
    }
    printf("profile: %s\n", name);
    return STATUS_OK;
}

static int profile_active(void)
{
    char active[CLASS_NAME_BYTES];
    active_read(active);
    printf("%s\n", active);
    return STATUS_OK;
}

/* Says where one setting differs; what a pilot sets by itself does not count. */
static unsigned difference_print(const char *class, const char *what, const char *is,
                                 const char *wanted)
{
    if (strcmp(is, wanted) == 0) {
        return 0;
    }
    printf("%s: %s is %s, the profile wants %s\n", class, what, is, wanted);
    return 1;
}

static int profile_verify(void)
{
    char active[CLASS_NAME_BYTES];
    unsigned differences = 0;
    active_read(active);
    if (strcmp(active, "none") == 0) {
        return complain("no profile is set");
    }
    if (!profile_read(active, &profile)) {
        return STATUS_FAILED;
    }
    for (unsigned i = 0; i < profile.count; i++) {
        const char *class = profile.classes[i].class;
        const struct class_state *wanted = &profile.classes[i].state;
        struct class_state is;
        if (class_state_read(class, &is) != 0) {
            return complain("this machine has no class %s", class);
        }
        if (strcmp(wanted->pilot, "none") == 0 || strcmp(is.pilot, wanted->pilot) != 0) {
            differences += difference_print(class, "policy", is.policy, wanted->policy);
            differences += difference_print(class, "shadow", is.shadow, wanted->shadow);
        }
        differences += difference_print(class, "guard", is.guard, wanted->guard);
        differences += difference_print(class, "pilot", is.pilot, wanted->pilot);
    }
    if (differences > 0) {
        return complain("the machine is not as profile %s says", active);
    }
    printf("the machine is as profile %s says\n", active);
    return STATUS_OK;
}

/* As the machine started: the plain policies, no shadow, guard or pilot. */
static int profile_off(void)
{
    char path[PATH_MAX];
    if (!profile_read(START_PROFILE, &profile) || !profile_apply(&profile)) {
        return STATUS_FAILED;
    }
    snprintf(path, sizeof(path), "%s/profile", places.mlaas);
    int error = file_write(path, "none");
    if (error != 0) {
        return complain("can't note that no profile is set: %s", reason_of(error));
    }
    printf("profile: none\n");
    return STATUS_OK;
}

static bool profile_is_there(const char *name)
{
    static struct profile_names names;
    profile_names(&names);
    for (unsigned i = 0; i < names.count; i++) {
        if (strcmp(names.names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int profile_run(int count, char **words)
{
    const char *verb = count > 0 ? words[0] : "list";
    if (strcmp(verb, "list") == 0 && count <= 1) {
        return profile_list();
    }
    if (strcmp(verb, "show") == 0 && count <= 2) {
        return profile_show(words[1]);
    }
    if (strcmp(verb, "set") == 0 && count == 2) {
        return profile_set(words[1]);
    }
    if (strcmp(verb, "active") == 0 && count == 1) {
        return profile_active();
    }
    if (strcmp(verb, "recommend") == 0 && count == 1) {
        return profile_recommend() ? STATUS_OK : STATUS_FAILED;
    }
    if (strcmp(verb, "verify") == 0 && count == 1) {
        return profile_verify();
    }
    if (strcmp(verb, "off") == 0 && count == 1) {
        return profile_off();
    }
    if (count == 1 && profile_is_there(verb)) { /* as with tuned-adm */
        return profile_set(verb);
    }
    return complain_usage(&verb_profile, "profile wants list, show [NAME], set NAME, active, "
                                         "recommend, verify, off, or a profile's name");
}

const struct verb verb_profile = {
    .name = "profile",
    .usage = "profile list|show [NAME]|set NAME|active|recommend|verify|off\nprofile NAME",
    .summary = "policies, guards and shadows of several classes, set as one",
    .help = "\nlist       the profiles; * marks the one that was set last\n"
            "show       what a profile, or the active one, sets\n"
            "set        set it: all of it, or, when something is missing, nothing; the name alone does it, too\n"
            "active     the name of the one that was set last, or none\n"
            "recommend  one that fits this machine, and why\n"
            "verify     is the machine as the active profile says? Status 1 and a line each if not\n"
            "off        as the machine started: profile balanced, and then none\n"
            "\nA profile is a text file in /etc/mlaas/profiles. Setting takes root's rights.\n",
    .run = profile_run,
};
