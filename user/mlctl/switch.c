/*
 * switch.c: mlctl set, shadow, pilot and guard: one setting of one class.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "classes.h"
#include "files.h"
#include "knowledge.h"
#include "verb.h"

/* A policy for the machine. */
static int set_machine(const char *class, const char *policy)
{
    struct policy_list before;
    if (!class_check(class) || !policies_get(class, &before)) {
        return STATUS_FAILED;
    }
    int error = class_write(class, "policy", policy);
    if (error == -ENOENT) {
        return policy_complain(class, policy);
    }
    if (error != 0) {
        return complain("can't switch class %s to %s: %s", class, policy, reason_of(error));
    }
    printf("%s: %s (was %s)\n", class, policy, before.active != NULL ? before.active : "none");
    return STATUS_OK;
}

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 10 && text[digits] == '\0';
}

/* A policy for one process and its children to come, or for programs of a name. */
static int set_for(const char *class, const char *policy, const char *whom)
{
    char path[PATH_MAX], text[SETTING_BYTES];
    bool back = strcmp(policy, "machine") == 0;
    const char *kind = is_number(whom) || strcmp(whom, "self") == 0 ? "pid" : "name";
    if (!class_check(class)) {
        return STATUS_FAILED;
    }
    if (!back && !class_has(class, policy)) {
        return policy_complain(class, policy);
    }
    snprintf(path, sizeof(path), "%s/choices", places.mlaas);
    snprintf(text, sizeof(text), "%s=%s %s=%s", class, policy, kind, whom);
    int error = file_write(path, text);
    if (error == -ESRCH) {
        return complain("there is no process %s", whom);
    }
    if (error == -EPERM || error == -EACCES) {
        return complain("the policies of %s %s are its owner's and root's to choose",
                        kind[0] == 'p' ? "process" : "programs named", whom);
    }
    if (error == -EOPNOTSUPP) {
        return complain("class %s can't use %s for a single program beside the machine's policy: "
                        "neither extends the other",
                        class, policy);
    }
    if (error != 0) {
        return complain("can't choose %s for %s %s: %s", policy, kind, whom, reason_of(error));
    }
    printf("%s: %s for %s %s\n", class, back ? "the machine's policy" : policy, kind, whom);
    return STATUS_OK;
}

static int set_run(int count, char **words)
{
    const char *class, *policy, *whom = NULL;
    if (count >= 2 && strcmp(words[count - 2], "--for") == 0) {
        whom = words[count - 1];
        count -= 2;
    } else if (count >= 1 && strncmp(words[count - 1], "--for=", 6) == 0) {
        whom = words[--count] + 6;
    }
    if (!words_split(count, words, &class, &policy)) {
        return complain_usage(&verb_set, "set wants CLASS=POLICY");
    }
    if (whom == NULL) {
        return set_machine(class, policy);
    }
    if (whom[0] == '\0' || strpbrk(whom, " \n") != NULL) {
        return complain_usage(&verb_set, "--for wants a process's number or a program's name");
    }
    return set_for(class, policy, whom);
}

/* The verbs that write a policy's name, or "none", to a file of the class. */
static int name_write(const struct verb *verb, int count, char **words, const char *done)
{
    const char *class, *policy;
    if (!words_split(count, words, &class, &policy)) {
        return complain_usage(verb, "%s wants CLASS=NAME or CLASS=none", verb->name);
    }
    if (!class_check(class)) {
        return STATUS_FAILED;
    }
    int error = class_write(class, verb->name, policy);
    if (error == -ENOENT && verb == &verb_shadow) {
        return policy_complain(class, policy);
    }
    if (error == -ENOENT) {
        return complain("no pilot '%s' is loaded; 'mlctl load %s' loads it", policy, policy);
    }
    if (error != 0) {
        return complain("can't set the %s of class %s to %s: %s", verb->name, class, policy,
                        reason_of(error));
    }
    printf("%s: %s %s\n", class, strcmp(policy, "none") == 0 ? "no" : policy, done);
    return STATUS_OK;
}

static int shadow_run(int count, char **words)
{
    return name_write(&verb_shadow, count, words, "in the shadow");
}

static int pilot_run(int count, char **words)
{
    if (count == 2 && strcmp(words[0], "save") == 0) {
        return knowledge_save(words[1]);
    }
    if (count == 2 && strcmp(words[0], "load") == 0) {
        return knowledge_load(words[1]);
    }
    return name_write(&verb_pilot, count, words, "as pilot");
}

/* The words behind the class, as one line. False: they don't fit. */
static bool words_join(int count, char **words, char out[SETTING_BYTES])
{
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        int length = snprintf(out + used, SETTING_BYTES - used, "%s%s", i > 0 ? " " : "", words[i]);
        if (length < 0 || (size_t)length >= SETTING_BYTES - used) {
            return false;
        }
        used += (size_t)length;
    }
    return true;
}

static int guard_run(int count, char **words)
{
    char text[SETTING_BYTES];
    if (count < 1) {
        return complain_usage(&verb_guard, "guard wants a class");
    }
    if (!class_check(words[0])) {
        return STATUS_FAILED;
    }
    if (count == 1) {
        struct class_state state;
        int error = class_state_read(words[0], &state);
        if (error != 0) {
            return complain("can't read the guard of class %s: %s", words[0], strerror(-error));
        }
        printf("%s: guard %s\n", words[0], state.guard);
        return STATUS_OK;
    }
    if (!words_join(count - 1, words + 1, text)) {
        return complain_usage(&verb_guard, "that is no guard");
    }
    int error = class_write(words[0], "guard", text);
    if (error == -EINVAL) {
        return complain_usage(&verb_guard, "'%s' is no guard", text);
    }
    if (error != 0) {
        return complain("can't set the guard of class %s: %s", words[0], reason_of(error));
    }
    printf("%s: guard %s\n", words[0], text);
    return STATUS_OK;
}

const struct verb verb_set = {
    .name = "set",
    .usage = "set CLASS=POLICY [--for PID|NAME]",
    .summary = "switch a class to another policy, while the machine works",
    .help = "\nWithout --for the policy decides for the machine, and the class's pilot ends; that takes\n"
            "root's rights.\n"
            "--for PID    only for that process, and its children from now on; root, or its owner\n"
            "--for NAME   for each program of that name that starts from now on; root\n"
            "POLICY may be 'machine' with --for: the choice is taken back.\n",
    .run = set_run,
};

const struct verb verb_shadow = {
    .name = "shadow",
    .usage = "shadow CLASS=POLICY|none",
    .summary = "let a second policy answer the same questions, to score it",
    .help = "\nNobody uses its answers. 'mlctl watch' shows both scores.\n",
    .run = shadow_run,
};

const struct verb verb_pilot = {
    .name = "pilot",
    .usage = "pilot CLASS=NAME|none\npilot save FILE|-\npilot load FILE|-",
    .summary = "let a pilot choose a class's policy by what it measures",
    .help = "\nThe module 'auto' is one. Setting the class's policy by hand ends it.\n"
            "save  write what the machine's pilots have learned to a file, or to standard output\n"
            "load  teach it to the pilots of another machine of the same kind; load the policies first\n",
    .run = pilot_run,
};

const struct verb verb_guard = {
    .name = "guard",
    .usage = "guard CLASS [off | max=N windows=N window_ms=N | ratio=PERCENT windows=N window_ms=N]",
    .summary = "go back to the baseline when the class's objective gets bad",
    .help = "\nEach window of window_ms the mean objective is compared with max, or with PERCENT of what\n"
            "the policy that the active one extends last measured. After that many bad windows in a\n"
            "row the policy is switched out; 'mlctl stats' says why. Without words: what is set.\n",
    .run = guard_run,
};
