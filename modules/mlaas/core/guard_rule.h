/*
 * guard_rule.h: when a policy does worse than its owner allows: rules as text, and what a window of
 * measurements says to them. Nothing of the kernel is called here: the unit test `mlaas` runs it as it is.
 *
 * An objective's mean is cost by work; less is better. Means are kept in thousandths.
 */
#pragma once

#include <microlake/types.h>

enum guard_kind {
    GUARD_OFF,
    GUARD_MAX,   /* limit: of the mean */
    GUARD_RATIO, /* limit: percent of the mean of the policy that would take over */
};

struct guard_rule {
    enum guard_kind kind;
    uint64_t limit;
    unsigned windows;   /* so many bad ones in a row are enough */
    unsigned window_ms;
};

#define GUARD_WINDOWS       3u    /* where the text doesn't say */
#define GUARD_WINDOWS_MAX   1000u
#define GUARD_WINDOW_MS     1000u /* where the text doesn't say */
#define GUARD_WINDOW_MS_MIN 10u
#define GUARD_WINDOW_MS_MAX 600000u
#define GUARD_RULE_MAX      80u /* bytes of its text */

/* "off", or "max=N" or "ratio=PERCENT" with "windows=N" and "window_ms=N" in any order behind or before it.
 * ERR_INVALID; *out is then as it was. */
int guard_rule_parse(const char *text, struct guard_rule *out);

/* The text that gives the rule again. */
void guard_rule_text(const struct guard_rule *rule, char out[GUARD_RULE_MAX]);

/* The figures at the end of a window: of the machine's policy, and of the one that would take over. */
struct guard_sample {
    uint64_t number, cost, work; /* sums since its registration */
    uint64_t base_number, base_cost, base_work;
    bool alone; /* nobody would take over */
};

#define GUARD_KNOWN_MAX 16u

/* What was seen so far. Zeroed when a rule is set. */
struct guard_watch {
    uint64_t number;       /* the policy whose windows are counted; 0: none */
    uint64_t cost, work;   /* its sums when the window began */
    unsigned bad;          /* windows in a row */
    bool measured, limited; /* there are a mean, a limit */
    uint64_t mean, limit;  /* of the last window, in thousandths */
    struct {
        uint64_t number, mean; /* what policies measured lately */
    } known[GUARD_KNOWN_MAX];
    unsigned known_next; /* whose place is taken next */
};

/*
 * A window has ended. True: the rule says that the policy has to go. A window in which no work was done
 * goes on; a policy that is new to the watch begins with a whole one.
 */
bool guard_window(const struct guard_rule *rule, struct guard_watch *w, const struct guard_sample *s);
