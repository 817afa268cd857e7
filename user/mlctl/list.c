/*
 * list.c: mlctl list, a table of classes and policies.
 */
#include <stdio.h>
#include <string.h>

#include "classes.h"
#include "verb.h"

enum column { COLUMN_CLASS, COLUMN_POLICY, COLUMN_COUNT };

static int width_of(const char *text, int width)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

/* What the owner has said of a policy. */
static const char *state_of(const struct policy_list *policies, const struct class_state *state,
                            const char *name)
{
    if (name == policies->active) {
        return strcmp(state->pilot, "none") == 0 ? "active" : "active, set by the pilot";
    }
    return strcmp(state->shadow, name) == 0 ? "shadow" : "-";
}

/* Prints one class's rows, or only widens the columns when `print` is false. */
static bool list_class(const char *class, int widths[COLUMN_COUNT], bool print)
{
    struct policy_list policies;
    struct class_state state;
    if (!policies_get(class, &policies) || class_state_read(class, &state) != 0) {
        return false;
    }
    widths[COLUMN_CLASS] = width_of(class, widths[COLUMN_CLASS]);
    for (unsigned int i = 0; i < policies.count; i++) {
        const char *name = policies.names[i];
        widths[COLUMN_POLICY] = width_of(name, widths[COLUMN_POLICY]);
        if (print) {
            printf("%-*s  %-*s  %s\n", widths[COLUMN_CLASS], class, widths[COLUMN_POLICY], name,
                   state_of(&policies, &state, name));
        }
    }
    return true;
}

static int list_run(int count, char **words)
{
    struct class_list classes;
    int widths[COLUMN_COUNT] = {(int)strlen("CLASS"), (int)strlen("POLICY")};
    (void)words;
    if (count > 0) {
        return complain_usage(&verb_list, "list wants nothing behind it");
    }
    if (!classes_get(&classes)) {
        return STATUS_FAILED;
    }
    for (unsigned int i = 0; i < classes.count; i++) {
        if (!list_class(classes.names[i], widths, false)) {
            return STATUS_FAILED;
        }
    }
    printf("%-*s  %-*s  STATE\n", widths[COLUMN_CLASS], "CLASS", widths[COLUMN_POLICY], "POLICY");
    for (unsigned int i = 0; i < classes.count; i++) {
        if (!list_class(classes.names[i], widths, true)) {
            return STATUS_FAILED;
        }
    }
    return STATUS_OK;
}

const struct verb verb_list = {
    .name = "list",
    .usage = "list",
    .summary = "the policy classes, their policies, and which are active",
    .help = "\nA class's first policy is built in: it takes over when another goes wrong.\n"
            "active   decides for the machine\n"
            "shadow   is asked the same questions; its answers are scored, and nobody uses them\n",
    .run = list_run,
};
