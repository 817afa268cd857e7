/*
 * shadow.c: a policy that has never been used is put into the class's shadow for a while: it answers the
 * same questions, and by how often it is right, beside the machine's policy at the same time, it is tried
 * sooner or later. It is in the shadow for some seconds only: answering costs time.
 *
 * A class whose owner has set a shadow keeps that one, and so does one whose policies can't be in it.
 */
#include <microlake/memory.h>

#include "auto.h"

#define ROUND_TICKS 16u
#define ROUNDS_MOST 8u
#define ENOUGH      24u /* judged, on both sides, before it says anything */

/* The policies that the class has for the machine and in the shadow, as they are now. */
static bool pair_read(const struct flight *f, const char *shadow, struct policy_info *active,
                      struct policy_info *shadowed)
{
    struct policy_info info;
    unsigned found = 0;

    for (unsigned i = 0; policy_info(f->class_name, i, &info) == OK; i++) {
        if (info.machine) {
            *active = info;
            found |= 1;
        } else if (!strcmp(info.name, shadow)) {
            *shadowed = info;
            found |= 2;
        }
    }
    return found == 3;
}

static bool shadow_is(const struct flight *f, const char *name)
{
    struct policy_class_info info;

    for (unsigned i = 0; policy_class_info(i, &info) == OK; i++)
        if (!strcmp(info.name, f->class_name))
            return !strcmp(info.shadow, name);
    return false;
}

/* Thousandths by which a is right more often than b; beyond what chance would explain, else 0. */
static int verdict(uint64_t right_a, uint64_t judged_a, uint64_t right_b, uint64_t judged_b)
{
    uint64_t least = MIN(judged_a, judged_b);
    int64_t by;

    if (least < ENOUGH)
        return 0;
    by = (int64_t)(right_a * 1000 / judged_a) - (int64_t)(right_b * 1000 / judged_b);
    return (uint64_t)(by * by) * least > 2000000 ? (by > 0 ? 1 : -1) : 0;
}

static void round_count(struct flight *f)
{
    struct shadow *s = &f->shadow;
    struct policy_info active, shadowed;
    unsigned arm = s->arm;

    if (!pair_read(f, f->arms[arm], &active, &shadowed) || active.number != s->active_number)
        return; /* another policy was set meanwhile: they were not asked the same */
    s->right[arm] += shadowed.figures.right - s->shadowed.right;
    s->judged[arm] += shadowed.figures.judged - s->shadowed.judged;
    s->active_right[arm] += active.figures.right - s->active.right;
    s->active_judged[arm] += active.figures.judged - s->active.judged;
    f->bandit->hint[arm] = (int8_t)verdict(s->right[arm], s->judged[arm], s->active_right[arm],
                                           s->active_judged[arm]);
}

void shadow_end(struct flight *f)
{
    struct shadow *s = &f->shadow;

    if (s->arm && shadow_is(f, f->arms[s->arm]))
        policy_shadow(f->class_name, NULL);
    s->arm = 0;
}

/* The next arm that has had the fewest rounds; 0: none. */
static unsigned next_arm(const struct flight *f)
{
    const struct bandit *b = f->bandit;
    unsigned next = 0;

    for (unsigned i = b->count - 1; i > 0; i--)
        if (!b->absent[i] && i != b->arm && f->shadow.rounds[i] < ROUNDS_MOST &&
            (!next || f->shadow.rounds[i] < f->shadow.rounds[next]))
            next = i;
    return next;
}

static void round_begin(struct flight *f)
{
    struct shadow *s = &f->shadow;
    struct policy_info active, shadowed;
    unsigned arm = next_arm(f);

    s->ticks = 0;
    if (!arm || !shadow_is(f, "") || !pair_read(f, f->arms[arm], &active, &shadowed))
        return;
    s->rounds[arm]++;
    if (policy_shadow(f->class_name, f->arms[arm]) != OK) {
        s->rounds[arm] = ROUNDS_MOST; /* it can't */
        return;
    }
    s->arm = arm;
    s->active_number = active.number;
    s->active = active.figures;
    s->shadowed = shadowed.figures;
}

void shadow_tick(struct flight *f)
{
    struct shadow *s = &f->shadow;

    if (s->arm && ++s->ticks < ROUND_TICKS && s->arm != f->bandit->arm)
        return;
    if (s->arm) {
        round_count(f);
        shadow_end(f);
    }
    round_begin(f);
}

void shadow_restart(struct flight *f)
{
    shadow_end(f);
    f->shadow = (struct shadow){0};
    memset(f->bandit->hint, 0, sizeof(f->bandit->hint));
}
