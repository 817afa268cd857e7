/*
 * watch.c: mlctl watch, the figures of each interval: redrawn in place on a terminal, one block below
 * the other elsewhere.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "classes.h"
#include "figures.h"
#include "verb.h"

struct watch_options {
    double interval; /* seconds */
    unsigned long count; /* blocks; 0: without end */
    const char *class;   /* NULL: all */
    bool redraw;         /* in place */
    unsigned width;      /* of the view, in characters */
};

#define WIDE        104 /* a line with all columns */
#define LINE_BYTES  512

static struct class_list classes;
static struct class_figures figures[2][CLASSES_MAX]; /* of this block and the one before */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool take(const struct watch_options *options, struct class_figures *out)
{
    for (unsigned i = 0; i < classes.count; i++) {
        bool wanted = options->class == NULL || strcmp(options->class, classes.names[i]) == 0;
        if (wanted && !figures_get(classes.names[i], &out[i])) {
            return false;
        }
    }
    return true;
}

/* What one policy did since the block before; a policy that was not there then starts at zero. */
static struct policy_figures difference(const struct class_figures *after,
                                        const struct class_figures *before, const char *name)
{
    const struct policy_figures *b = figures_of(after, name), *a = figures_of(before, name);
    struct policy_figures d = b != NULL ? *b : (struct policy_figures){0};
    if (a == NULL || a->calls > d.calls) {
        return d;
    }
    d.calls -= a->calls;
    d.timed -= a->timed < d.timed ? a->timed : d.timed;
    d.ns -= a->ns < d.ns ? a->ns : d.ns;
    d.right -= a->right < d.right ? a->right : d.right;
    d.judged -= a->judged < d.judged ? a->judged : d.judged;
    d.cost -= a->cost < d.cost ? a->cost : d.cost;
    d.work -= a->work < d.work ? a->work : d.work;
    return d;
}

/* One line, as far as it fits. */
__attribute__((format(printf, 2, 3))) static void line_print(const struct watch_options *options,
                                                             const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    printf("%.*s\n", (int)options->width, line);
}

struct row {
    const char *class, *policy, *shadow;
    char decisions[32], ns[32], score[32], shadow_score[32], objective[32], fallbacks[32];
};

/* A view that is too narrow for a line of all columns has the shadow on a line of its own. */
static void row_print(const struct watch_options *options, const struct row *r)
{
    char shadow[FIGURE_NAME_BYTES + 48] = "-";
    if (r->shadow[0] != '\0') {
        snprintf(shadow, sizeof(shadow), "%s %s", r->shadow, r->shadow_score);
    }
    if (options->width >= WIDE) {
        line_print(options, "%-12s %-16s %11s %8s %7s %-22s %12s %9s", r->class, r->policy, r->decisions,
                   r->ns, r->score, shadow, r->objective, r->fallbacks);
        return;
    }
    line_print(options, "%-11s %-15s %9s %7s %6s %12s %5s", r->class, r->policy, r->decisions, r->ns,
               r->score, r->objective, r->fallbacks);
    if (r->shadow[0] != '\0') {
        line_print(options, "%-11s in the shadow: %s", "", shadow);
    }
}

static void head_print(const struct watch_options *options)
{
    if (options->width >= WIDE) {
        line_print(options, "%-12s %-16s %11s %8s %7s %-22s %12s %9s", "CLASS", "POLICY", "DECISIONS/S",
                   "NS EACH", "SCORE%", "SHADOW ITS SCORE%", "OBJECTIVE", "FALLBACKS");
    } else {
        line_print(options, "%-11s %-15s %9s %7s %6s %12s %5s", "CLASS", "POLICY", "DECIS./S", "NS", "SCORE%",
                   "OBJECTIVE", "FALLB");
    }
}

static const char *percent_text(uint64_t right, uint64_t judged, char out[32])
{
    double ratio = ratio_of(right, judged);
    return ratio_text(ratio < 0 ? ratio : ratio * 100, 1, out);
}

static void class_print(const struct watch_options *options, const char *class,
                        const struct class_figures *after, const struct class_figures *before,
                        double seconds)
{
    struct policy_figures d = difference(after, before, after->active);
    struct policy_figures s = difference(after, before, after->shadow);
    struct row row = {.class = class, .policy = after->active, .shadow = after->shadow};
    char text[32];
    snprintf(row.decisions, sizeof(row.decisions), "%.0f", (double)d.calls / seconds);
    strcpy(row.ns, ratio_text(ratio_of(d.ns, d.timed), 0, text));
    strcpy(row.score, percent_text(d.right, d.judged, text));
    strcpy(row.shadow_score, percent_text(s.right, s.judged, text));
    strcpy(row.objective, ratio_text(ratio_of(d.cost, d.work), 1, text));
    snprintf(row.fallbacks, sizeof(row.fallbacks), "%llu", (unsigned long long)after->fallbacks);
    row_print(options, &row);
    if (after->fallbacks > before->fallbacks) {
        line_print(options, "%-12s fell back: %s", "", after->reason);
    }
}

static void block_print(const struct watch_options *options, const struct class_figures *after,
                        const struct class_figures *before, double seconds)
{
    if (options->redraw) {
        fputs("\033[H\033[J", stdout);
    }
    head_print(options);
    for (unsigned i = 0; i < classes.count; i++) {
        if (options->class == NULL || strcmp(options->class, classes.names[i]) == 0) {
            class_print(options, classes.names[i], &after[i], &before[i], seconds);
        }
    }
    if (!options->redraw) {
        putchar('\n');
    }
    fflush(stdout);
}

/* Waits for the next block. False: nobody reads any more. */
static bool pause_for(double seconds)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = 0};
    int ready;
    do {
        ready = poll(&out, 1, (int)(seconds * 1000));
    } while (ready < 0 && errno == EINTR);
    return ready == 0;
}

static int watch(const struct watch_options *options)
{
    double last = now();
    if (!take(options, figures[0])) {
        return STATUS_FAILED;
    }
    for (unsigned long block = 1; pause_for(options->interval); block++) {
        double time = now();
        if (!take(options, figures[block % 2])) {
            return STATUS_FAILED;
        }
        block_print(options, figures[block % 2], figures[(block + 1) % 2], time - last);
        last = time;
        if (ferror(stdout) || block == options->count) {
            break;
        }
    }
    return STATUS_OK;
}

/* "--name VALUE" or "--name=VALUE": how many words it took, 0: it is another. */
static int option_take(const char *name, char **words, const char **value)
{
    size_t length = strlen(name);
    if (strncmp(words[0], name, length) != 0) {
        return 0;
    }
    if (words[0][length] == '=') {
        *value = words[0] + length + 1;
        return 1;
    }
    *value = words[1] != NULL ? words[1] : "";
    return words[0][length] != '\0' ? 0 : words[1] != NULL ? 2 : 1;
}

static bool options_read(char **words, struct watch_options *options)
{
    while (*words != NULL) {
        const char *value;
        char *end = NULL;
        int taken = option_take("--interval", words, &value);
        if (taken > 0) {
            options->interval = strtod(value, &end);
        } else if ((taken = option_take("--count", words, &value)) > 0) {
            options->count = value[0] == '-' ? 0 : strtoul(value, &end, 10);
            if (options->count == 0) {
                return false;
            }
        } else if ((taken = option_take("--width", words, &value)) > 0) {
            options->width = (unsigned)strtoul(value, &end, 10);
            if (value[0] == '-' || options->width == 0) {
                return false;
            }
        } else if (strcmp(words[0], "--redraw") == 0) {
            options->redraw = true;
            taken = 1;
        } else if (words[0][0] != '-' && options->class == NULL) {
            options->class = words[0];
            taken = 1;
        }
        if (taken == 0 || (end != NULL && (*end != '\0' || end == value))) {
            return false;
        }
        words += taken;
    }
    return options->interval >= 0.01 && options->interval <= 3600;
}

/* A terminal's; elsewhere there is room for everything. */
static unsigned view_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return LINE_BYTES;
    }
    return size.ws_col;
}

static int watch_run(int count, char **words)
{
    struct watch_options options = {
        .interval = 1, .redraw = isatty(STDOUT_FILENO), .width = view_width()};
    (void)count;
    if (!options_read(words, &options)) {
        return complain_usage(&verb_watch, "watch wants a class at most, --interval of 0.01 to 3600 "
                                           "seconds, --count and --width from 1");
    }
    if (options.class != NULL && !class_check(options.class)) {
        return STATUS_FAILED;
    }
    return classes_get(&classes) ? watch(&options) : STATUS_FAILED;
}

const struct verb verb_watch = {
    .name = "watch",
    .usage = "watch [CLASS] [--interval SECONDS] [--count N] [--width N] [--redraw]",
    .summary = "a live view: decisions, their time, scores, objective, fallbacks",
    .help = "\nEach block tells of the seconds since the one before: decisions of the active policy, what\n"
            "one took, how many of those judged were right, the same of the policy in the shadow, and\n"
            "the class's objective (less is better; 'mlctl stats' says what it is). FALLBACKS counts\n"
            "from the machine's start. On a terminal the view is redrawn until Ctrl-C.\n"
            "--interval SECONDS   between two blocks, 1 unless given\n"
            "--count N            end after that many blocks\n"
            "--width N            characters of a line; a terminal's own unless given. A narrow view has\n"
            "                     short heads, and the shadow on a line of its own\n"
            "--redraw             in place, also where the output is no terminal\n",
    .run = watch_run,
};
