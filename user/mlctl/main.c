/*
 * main.c: mlctl, the owner's hand on the machine's policies.
 */
#include <stdio.h>
#include <string.h>

#include "classes.h"
#include "commands.h"

#define STATUS_USAGE 2

static const char help_text[] =
    "usage: mlctl list\n"
    "       mlctl set CLASS=POLICY   (or: mlctl set CLASS POLICY)\n"
    "       mlctl stats [CLASS]\n"
    "\n"
    "list   the policy classes of this machine, their policies, and which are active\n"
    "set    switch a class to another policy, while the machine works\n"
    "stats  the figures that a class counts\n"
    "\n"
    "Exit status: 0, 1 when something failed, 2 for a wrong command line.\n";

static int usage_complain(const char *what)
{
    fprintf(stderr, "mlctl: %s; see 'mlctl --help'\n", what);
    return STATUS_USAGE;
}

/* Takes CLASS=POLICY or CLASS POLICY; `words` are what stands behind "set". */
static int set_main(int count, char **words)
{
    char *policy = NULL;
    if (count == 1 && (policy = strchr(words[0], '=')) != NULL) {
        *policy++ = '\0';
    } else if (count == 2 && strchr(words[0], '=') == NULL) {
        policy = words[1];
    }
    if (policy == NULL || words[0][0] == '\0' || policy[0] == '\0') {
        return usage_complain("set wants CLASS=POLICY");
    }
    return command_set(CLASSES_ROOT, words[0], policy);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "--help") == 0 || strcmp(command, "help") == 0) {
        fputs(help_text, stdout);
        return 0;
    }
    if (strcmp(command, "list") == 0) {
        return argc == 2 ? command_list(CLASSES_ROOT)
                         : usage_complain("list wants nothing behind it");
    }
    if (strcmp(command, "set") == 0) {
        return set_main(argc - 2, argv + 2);
    }
    if (strcmp(command, "stats") == 0) {
        return argc <= 3 ? command_stats(CLASSES_ROOT, argc == 3 ? argv[2] : NULL)
                         : usage_complain("stats wants one class at most");
    }
    return usage_complain(argc > 1 ? "there is no such command" : "say what to do");
}
