/*
 * policies.c: what the policies of the class "lab" answer.
 */
#include <microlake/memory.h>

#include "lab.h"

static unsigned plain_cost(unsigned nth)
{
    (void)nth;
    return 10;
}

static unsigned good_cost(unsigned nth)
{
    (void)nth;
    return 4;
}

static unsigned bad_cost(unsigned nth)
{
    (void)nth;
    return 41;
}

/* The hostile ones behave for a while. */
static bool patient(unsigned nth)
{
    return nth % 8 != 7;
}

static unsigned fault_cost(unsigned nth)
{
    return patient(nth) ? 4 : *(volatile unsigned *)(uintptr_t)(nth % 1);
}

static unsigned loop_cost(unsigned nth)
{
    volatile unsigned turns = 0;

    while (!patient(nth))
        turns++;
    return 4;
}

static unsigned nonsense_cost(unsigned nth)
{
    return patient(nth) ? 4 : LAB_COSTS_MAX;
}

#define OPS(name) static const struct lab_ops name##_ops = {sizeof(struct lab_ops), name##_cost}
OPS(plain);
OPS(good);
OPS(bad);
OPS(fault);
OPS(loop);
OPS(nonsense);

struct policy lab_plain = {.name = "plain", .ops = &plain_ops};

static struct policy policies[] = {
    {.name = "good", .ops = &good_ops},
    {.name = "bad", .ops = &bad_ops, .extends = "good"},
    {.name = "fault", .ops = &fault_ops, .extends = "good"},
    {.name = "loop", .ops = &loop_ops},
    {.name = "nonsense", .ops = &nonsense_ops},
};

int lab_policies_register(void)
{
    int r = OK;

    for (unsigned i = 0; i < ARRAY_SIZE(policies) && r == OK; i++)
        r = policy_register("lab", &policies[i]);
    return r;
}
