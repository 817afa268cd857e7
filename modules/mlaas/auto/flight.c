/*
 * flight.c: see auto.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "auto.h"

#define WORK_ENOUGH 16u /* less tells little: the window is made longer */
#define WORK_MIN    4u  /* and less than that nothing, after SPANS_MOST times a window */
#define SPANS_MOST  10u

/* The machine's policy of a class. */
static int machine_find(const char *class_name, struct policy_info *out)
{
    for (unsigned i = 0;; i++) {
        int r = policy_info(class_name, i, out);

        if (r != OK || out->machine)
            return r;
    }
}

/* What the class measured, to whoever's credit it went: in a class whose policies share a queue one that
 * extends the machine's may decide in its place. */
static void objective_read(const char *class_name, uint64_t *cost, uint64_t *work)
{
    struct policy_info info;

    *cost = *work = 0;
    for (unsigned i = 0; policy_info(class_name, i, &info) == OK; i++) {
        *cost += info.figures.cost;
        *work += info.figures.work;
    }
}

static unsigned arm_find(const struct flight *f, const char *name)
{
    unsigned i = 0;

    while (i < f->bandit->count && strcmp(f->arms[i], name) != 0)
        i++;
    return i;
}

/* Arms for policies that have been loaded, and none for those that are gone or retired. */
static void arms_refresh(struct flight *f)
{
    struct bandit *b = f->bandit;
    struct policy_info info;
    bool there[BANDIT_ARMS] = {false};

    for (unsigned i = 0; policy_info(f->class_name, i, &info) == OK; i++) {
        unsigned arm = arm_find(f, info.name);

        if (info.retired || arm == BANDIT_ARMS)
            continue;
        if (arm == b->count)
            strlcpy(f->arms[b->count++], info.name, POLICY_NAME_MAX);
        if (b->absent[arm]) /* loaded again, maybe another version */
            bandit_forget(b, arm);
        there[arm] = true;
    }
    for (unsigned i = 1; i < b->count; i++)
        b->absent[i] = !there[i];
}

static void window_begin(struct flight *f)
{
    f->load = (struct load){0};
    f->spans = 0;
    objective_read(f->class_name, &f->cost, &f->work);
}

/* The policy that the owner had set is what others must beat. */
static int baseline_take(struct flight *f)
{
    struct policy_info info;
    int r = machine_find(f->class_name, &info);

    if (r != OK)
        return r;
    bandit_init(f->bandit, 1);
    strlcpy(f->arms[0], info.name, POLICY_NAME_MAX);
    arms_refresh(f);
    window_begin(f);
    return OK;
}

int flight_begin(struct flight *f, const char *class_name)
{
    struct bandit *b = kzalloc(sizeof(*b));
    int r;

    if (!b)
        return ERR_NO_MEMORY;
    *f = (struct flight){.bandit = b};
    strlcpy(f->class_name, class_name, sizeof(f->class_name));
    r = baseline_take(f);
    if (r != OK)
        flight_end(f);
    return r;
}

void flight_end(struct flight *f)
{
    kfree(f->bandit);
    *f = (struct flight){0};
}

/* The figures since window_begin(). False: they say nothing of the arm in use, or not of it alone. */
static bool window_read(const struct flight *f, const char *machine, uint64_t *cost, uint64_t *work)
{
    objective_read(f->class_name, cost, work);
    if (*cost < f->cost || *work < f->work || strcmp(machine, f->arms[f->bandit->arm]) != 0)
        return false;
    *cost -= f->cost;
    *work -= f->work;
    return true;
}

const char *flight_window(struct flight *f, const struct load *load)
{
    struct bandit *b = f->bandit;
    struct policy_info machine;
    uint64_t cost, work;
    bool sound;

    if (machine_find(f->class_name, &machine) != OK)
        return NULL;
    load_add(&f->load, load);
    sound = window_read(f, machine.name, &cost, &work);
    if (sound && work < WORK_ENOUGH && ++f->spans < SPANS_MOST)
        return NULL;
    f->windows++;
    f->context = load_context(&f->load); /* of what has ended, and the best guess of what comes */
    window_begin(f);
    if (sound && work < WORK_MIN) {
        f->idle++;
        return NULL;
    }
    arms_refresh(f);
    if (sound) {
        bandit_observe(b, f->context, bandit_cost(cost + work, work));
    } else {
        f->spoiled++;
        b->hold = 0; /* another was set: it has fallen back */
    }
    bandit_decide(b, f->context);
    return strcmp(f->arms[b->arm], machine.name) ? f->arms[b->arm] : NULL;
}

void flight_refused(struct flight *f)
{
    if (f->bandit->arm != 0)
        f->bandit->absent[f->bandit->arm] = true;
    else
        baseline_take(f);
}

/* ---- In words ---------------------------------------------------------------------------------- */

static void why_describe(const struct flight *f, struct text *out)
{
    const struct bandit *b = f->bandit;
    const struct bandit_arm *base = &b->contexts[f->context].arms[0];
    const struct bandit_arm *a = &b->contexts[f->context].arms[b->arm];
    uint64_t gain = 100 - MIN(100u, bandit_ratio(a->mean - base->mean) / 10);

    switch (b->why) {
    case BANDIT_WINS:
        text_add(out, "pilot.why %s beats %s by %lu%%\n", f->arms[b->arm], f->arms[0], gain);
        break;
    case BANDIT_TRIES:
        text_add(out, "pilot.why %s is on trial\n", f->arms[b->arm]);
        break;
    case BANDIT_MEASURES:
        text_add(out, "pilot.why %s, the baseline, is measured first\n", f->arms[0]);
        break;
    default:
        text_add(out, "pilot.why nothing beats %s by %u%% with confidence\n", f->arms[0], 5u);
    }
}

static void arm_describe(const struct flight *f, unsigned arm, struct text *out)
{
    const struct bandit_arm *a = &f->bandit->contexts[f->context].arms[arm];
    uint64_t mean = bandit_ratio(a->mean);
    uint64_t doubt = bandit_ratio(bandit_doubt(f->bandit, f->context, arm));

    text_add(out, "pilot.arm %s%s", f->arms[arm], f->bandit->absent[arm] ? ", which is not there" : "");
    if (a->weight == 0)
        text_add(out, ": nothing is known in this context%s\n", a->locked ? ", left out for a while" : "");
    else
        text_add(out, ": %lu.%03lu, within a factor of %lu.%02lu, %lu windows, %lu of them recent%s\n",
                 mean / 1000, mean % 1000, MIN(doubt, 99990u) / 1000, MIN(doubt, 99990u) % 1000 / 10,
                 a->windows, (uint64_t)(a->weight + 128) / 256, a->locked ? ", left out for a while" : "");
}

void flight_describe(const struct flight *f, struct text *out)
{
    char context[96];

    load_describe(f->context, context, sizeof(context));
    text_add(out, "pilot.windows %lu of at least %u ms, %lu idle, %lu spoiled by a change\n", f->windows,
             auto_window_ms, f->idle, f->spoiled);
    text_add(out, "pilot.context %s\n", context);
    why_describe(f, out);
    for (unsigned i = 0; i < f->bandit->count; i++)
        arm_describe(f, i, out);
}
