/*
 * stats.c: mlctl stats, what a class counted since the machine started.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "classes.h"
#include "figures.h"
#include "files.h"
#include "verb.h"

#define LOG_BYTES 262144

static void policy_print(const struct class_figures *figures, const struct policy_figures *p)
{
    char ns[32], score[32], objective[32];
    const char *state = p->retired                               ? "retired"
                        : strcmp(p->name, figures->active) == 0 ? "active"
                        : strcmp(p->name, figures->shadow) == 0 ? "shadow"
                                                                  : "-";
    double right = ratio_of(p->right, p->judged);
    printf("  %-20s %-8s %12llu %8s %7s %12s %8llu %8llu %9llu\n", p->name, state,
           (unsigned long long)p->calls, ratio_text(ratio_of(p->ns, p->timed), 0, ns),
           ratio_text(right < 0 ? right : right * 100, 1, score),
           ratio_text(ratio_of(p->cost, p->work), 1, objective), (unsigned long long)p->faulted,
           (unsigned long long)p->overran, (unsigned long long)p->nonsense);
}

/* The log remembers fallbacks before the last one: "policy: P WHY: Q takes over CLASS". */
static void earlier_print(const char *class)
{
    static char text[LOG_BYTES];
    char ending[CLASS_NAME_BYTES + 16];
    char *rest = NULL;
    if (file_read(places.log, text, sizeof(text)) != 0) {
        return;
    }
    snprintf(ending, sizeof(ending), " takes over %s", class);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        size_t length = strlen(line), tail = strlen(ending);
        if (length > tail && strcmp(line + length - tail, ending) == 0) {
            printf("  in the log: %s\n", line);
        }
    }
}

static void notes_print(char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        printf("  %s\n", line);
    }
}

static void class_print(const char *class, struct class_figures *f)
{
    printf("%s: %llu switches, %llu fallbacks\n", class, (unsigned long long)f->switches,
           (unsigned long long)f->fallbacks);
    if (f->reason[0] != '\0') {
        printf("  last fallback: %s\n", f->reason);
    }
    if (f->fallbacks > 0) {
        earlier_print(class);
    }
    if (f->objective[0] != '\0') {
        printf("  OBJECTIVE: %s; less is better\n", f->objective);
    }
    if (f->judgement[0] != '\0') {
        printf("  SCORE%%: %s\n", f->judgement);
    }
    printf("  %-20s %-8s %12s %8s %7s %12s %8s %8s %9s\n", "POLICY", "STATE", "DECISIONS", "NS EACH",
           "SCORE%", "OBJECTIVE", "FAULTED", "OVERRAN", "NONSENSE");
    for (unsigned i = 0; i < f->count; i++) {
        policy_print(f, &f->policies[i]);
    }
    notes_print(f->notes);
}

static bool stats_class(const char *class)
{
    static struct class_figures figures;
    if (!figures_get(class, &figures)) {
        return false;
    }
    class_print(class, &figures);
    return true;
}

/* Batches of models on the GPU, of module mlbatch where it is loaded: all but the times of each size. */
static void batches_print(void)
{
    static char text[LOG_BYTES];
    char path[PATH_MAX], *rest = NULL;
    if (path_write(path, sizeof(path), places.mlaas, "batch", NULL) != 0 ||
        file_read(path, text, sizeof(text)) != 0 || text[0] == '\0') {
        return;
    }
    printf("batches on the GPU:\n");
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, ".rows_") == NULL) {
            printf("  %s\n", line);
        }
    }
}

static int stats_run(int count, char **words)
{
    struct class_list classes;
    if (count > 1) {
        return complain_usage(&verb_stats, "stats wants one class at most");
    }
    if (count == 1) {
        return class_check(words[0]) && stats_class(words[0]) ? STATUS_OK : STATUS_FAILED;
    }
    if (!classes_get(&classes)) {
        return STATUS_FAILED;
    }
    for (unsigned int i = 0; i < classes.count; i++) {
        if (!stats_class(classes.names[i])) {
            return STATUS_FAILED;
        }
    }
    batches_print();
    return STATUS_OK;
}

const struct verb verb_stats = {
    .name = "stats",
    .usage = "stats [CLASS]",
    .summary = "what the classes counted, and each fallback with its reason",
    .help = "\nDECISIONS  that the policy took, in the shadow too; some are timed: NS EACH\n"
            "SCORE%     of the decisions that were judged afterwards, how many were right\n"
            "OBJECTIVE  what the class tries to keep small, while the policy decided for the machine\n"
            "FAULTED, OVERRAN, NONSENSE  why a policy was switched out: an exception, over its budget\n"
            "           of time, an answer that is not allowed\n"
            "Without CLASS also what models in batches did on the GPU, and why they did not.\n",
    .run = stats_run,
};
