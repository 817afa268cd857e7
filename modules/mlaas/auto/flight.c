/*
 * flight.c: see auto.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "auto.h"

#define WORK_WINDOW 16u /* makes a cost that counts as one of a whole window */
#define WORK_ENOUGH 16u /* less tells little: the window is made longer */
#define WORK_TRIAL  8u  /* while an arm is found out that must do */
#define WORK_LOOK   2u  /* less than that says nothing, however long the window is */
#define STARVED     16u /* times less work than usual */
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

unsigned flight_arm(const struct flight *f, const char *name)
{
    for (unsigned i = 0; i < f->bandit->count; i++)
        if (!strcmp(f->arms[i], name))
            return i;
    return BANDIT_ARMS;
}

/* Arms for policies that have been loaded, and none for those that are gone or retired. */
static void arms_refresh(struct flight *f)
{
    struct bandit *b = f->bandit;
    struct policy_info info;
    bool there[BANDIT_ARMS] = {false};

    for (unsigned i = 0; policy_info(f->class_name, i, &info) == OK; i++) {
        unsigned arm = flight_arm(f, info.name);

        if (info.retired || (arm == BANDIT_ARMS && b->count == BANDIT_ARMS))
            continue;
        if (arm == BANDIT_ARMS) {
            arm = b->count++;
            strlcpy(f->arms[arm], info.name, POLICY_NAME_MAX);
            b->hint[arm] = 0;
            f->shadow.rounds[arm] = 0;
        }
        if (b->absent[arm]) /* loaded again, maybe another version */
            bandit_forget(b, arm);
        there[arm] = true;
    }
    for (unsigned i = 1; i < b->count; i++)
        b->absent[i] = !there[i];
}

static void window_begin(struct flight *f)
{
    f->ticks = 0;
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
    shadow_end(f);
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

static uint32_t weight_of(uint64_t work)
{
    return (uint32_t)(MIN(work, 4u * WORK_WINDOW) * BANDIT_WINDOW / WORK_WINDOW);
}

/* Is the window long enough, with so much work done in it? */
static bool window_is_over(const struct flight *f, uint64_t work)
{
    bool found_out = f->bandit->why == BANDIT_TRIES || f->bandit->why == BANDIT_MEASURES;
    unsigned ticks = found_out ? TICKS * BANDIT_TRIAL / BANDIT_WINDOW : TICKS;

    return (f->ticks >= ticks && work >= (found_out ? WORK_TRIAL : WORK_ENOUGH)) ||
           f->ticks >= TICKS * SPANS_MOST;
}

/* What is learned in: the context of what has ended is the best guess of what comes. */
static void context_take(struct flight *f)
{
    struct context_key key;
    bool fresh;

    load_context(&f->load, &key);
    f->context = context_find(&f->contexts, f->bandit, &key, &fresh);
    load_fade(&f->load);
    if (fresh)
        shadow_restart(f);
}

/* How a window ends. */
enum ending {
    GOES_ON,
    ENOUGH, /* long enough, or bad enough, for its cost to be known */
    STARVES, /* nothing gets done under this arm, where others did much */
    SPOILED, /* its figures are not the arm's own */
};

static enum ending window_ending(const struct flight *f, bool sound, uint64_t cost, uint64_t work)
{
    uint64_t usual = f->usual_ticks ? f->usual_work * f->ticks / f->usual_ticks : 0;

    if (!sound)
        return SPOILED;
    if (work >= WORK_LOOK &&
        bandit_look(f->bandit, f->context, bandit_cost(cost + work, work), weight_of(work)))
        return ENOUGH;
    if (f->bandit->why == BANDIT_TRIES && usual >= STARVED * (work + 1))
        return STARVES;
    return window_is_over(f, work) ? ENOUGH : GOES_ON;
}

/* A trial counts in the context in which it was decided: the policy may change the load by itself. */
static void window_end(struct flight *f, enum ending how, uint64_t cost, uint64_t work)
{
    struct bandit *b = f->bandit;
    uint32_t time = f->ticks * (BANDIT_WINDOW / TICKS);

    f->windows++;
    if (b->why == BANDIT_TRIES)
        load_fade(&f->load);
    else
        context_take(f);
    if (how == SPOILED) {
        f->spoiled++;
        b->hold = 0; /* another was set: it has fallen back */
    } else if (how == STARVES) {
        bandit_reject(b, f->context);
    } else if (work < WORK_LOOK) {
        f->idle++;
        return;
    } else {
        bandit_observe(b, f->context, bandit_cost(cost + work, work), weight_of(work));
    }
    if (b->why != BANDIT_TRIES) {
        f->usual_work = work;
        f->usual_ticks = f->ticks;
    }
    bandit_decide(b, f->context, time);
}

const char *flight_tick(struct flight *f, const struct load *load)
{
    struct bandit *b = f->bandit;
    struct policy_info machine;
    uint64_t cost, work;
    enum ending how;
    bool sound;

    if (machine_find(f->class_name, &machine) != OK)
        return NULL;
    load_add(&f->load, load);
    f->ticks++;
    shadow_tick(f);
    sound = window_read(f, machine.name, &cost, &work);
    how = window_ending(f, sound, cost, work);
    if (sound && f->settling)
        window_begin(f);
    if (how == GOES_ON || (sound && f->settling)) {
        f->settling = false;
        return NULL;
    }
    arms_refresh(f);
    window_end(f, how, cost, work);
    window_begin(f);
    f->settling = strcmp(f->arms[b->arm], machine.name) != 0;
    return f->settling ? f->arms[b->arm] : NULL;
}

void flight_refused(struct flight *f)
{
    if (f->bandit->arm != 0)
        f->bandit->absent[f->bandit->arm] = true;
    else
        baseline_take(f);
}
