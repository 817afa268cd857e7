/*
 * figures.c: see figures.h.
 */
#include "figures.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verb.h"

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"calls", offsetof(struct policy_figures, calls)},
    {"timed", offsetof(struct policy_figures, timed)},
    {"ns", offsetof(struct policy_figures, ns)},
    {"right", offsetof(struct policy_figures, right)},
    {"judged", offsetof(struct policy_figures, judged)},
    {"cost", offsetof(struct policy_figures, cost)},
    {"work", offsetof(struct policy_figures, work)},
    {"faulted", offsetof(struct policy_figures, faulted)},
    {"overran", offsetof(struct policy_figures, overran)},
    {"nonsense", offsetof(struct policy_figures, nonsense)},
};

static struct policy_figures *policy_of(struct class_figures *figures, const char *name,
                                        size_t length)
{
    if (length == 0 || length >= FIGURE_NAME_BYTES) {
        return NULL;
    }
    for (unsigned i = 0; i < figures->count; i++) {
        const char *known = figures->policies[i].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            return &figures->policies[i];
        }
    }
    if (figures->count == FIGURE_POLICIES) {
        return NULL;
    }
    struct policy_figures *made = &figures->policies[figures->count++];
    memcpy(made->name, name, length);
    return made;
}

/* "none" and "-" mean nothing. */
static void word_copy(char *out, size_t size, const char *value)
{
    bool nothing = strcmp(value, "none") == 0 || strcmp(value, "-") == 0;
    snprintf(out, size, "%s", nothing ? "" : value);
}

static void policy_take(struct policy_figures *policy, const char *name, const char *value)
{
    if (strcmp(name, "retired") == 0) {
        policy->retired = strcmp(value, "0") != 0;
    } else if (strcmp(name, "extends") == 0) {
        word_copy(policy->extends, sizeof(policy->extends), value);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(numbers[i].name, name) == 0) {
            *(uint64_t *)((char *)policy + numbers[i].offset) = strtoull(value, NULL, 10);
        }
    }
}

static void class_take(struct class_figures *figures, const char *name, const char *value)
{
    if (strcmp(name, "switches") == 0) {
        figures->switches = strtoull(value, NULL, 10);
    } else if (strcmp(name, "fallbacks") == 0) {
        figures->fallbacks = strtoull(value, NULL, 10);
    } else if (strcmp(name, "reason") == 0) {
        word_copy(figures->reason, sizeof(figures->reason), value);
    } else if (strcmp(name, "objective") == 0) {
        word_copy(figures->objective, sizeof(figures->objective), value);
    } else if (strcmp(name, "judgement") == 0) {
        word_copy(figures->judgement, sizeof(figures->judgement), value);
    } else if (strcmp(name, "active") == 0) {
        word_copy(figures->active, sizeof(figures->active), value);
    } else if (strcmp(name, "shadow") == 0) {
        word_copy(figures->shadow, sizeof(figures->shadow), value);
    }
}

/* "pilot.why TEXT" and the like are for people. */
static void note_take(struct class_figures *figures, const char *line)
{
    size_t used = strlen(figures->notes), kind = strcspn(line, ".");
    snprintf(figures->notes + used, sizeof(figures->notes) - used, "%.*s: %s\n", (int)kind, line,
             line + kind + 1);
}

void figures_parse(char *text, struct class_figures *figures)
{
    char *rest = NULL;
    *figures = (struct class_figures){0};
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "pilot.", 6) == 0 || strncmp(line, "guard.", 6) == 0 ||
            strncmp(line, "memory.", 7) == 0) {
            note_take(figures, line);
            continue;
        }
        size_t length = strcspn(line, " ");
        char *value = line + length + strspn(line + length, " ");
        line[length] = '\0';
        char *dot = strrchr(line, '.');
        struct policy_figures *policy =
            dot != NULL ? policy_of(figures, line, (size_t)(dot - line)) : NULL;
        if (policy != NULL) {
            policy_take(policy, dot + 1, value);
        } else if (dot == NULL) {
            class_take(figures, line, value);
        }
    }
}

bool figures_get(const char *class, struct class_figures *figures)
{
    char text[CLASS_TEXT_BYTES];
    int error = class_stats(class, text);
    if (error != 0) {
        complain("can't read the figures of class %s: %s", class, strerror(-error));
        return false;
    }
    figures_parse(text, figures);
    return true;
}

const struct policy_figures *figures_of(const struct class_figures *figures, const char *name)
{
    for (unsigned i = 0; i < figures->count; i++) {
        if (strcmp(figures->policies[i].name, name) == 0) {
            return &figures->policies[i];
        }
    }
    return NULL;
}

double ratio_of(uint64_t part, uint64_t whole)
{
    return whole == 0 ? -1 : (double)part / (double)whole;
}

const char *ratio_text(double ratio, int digits, char out[32])
{
    if (ratio < 0) {
        return "-";
    }
    snprintf(out, 32, "%.*f", digits, ratio);
    return out;
}
