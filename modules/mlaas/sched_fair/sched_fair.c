/*
 * sched_fair.c: the module of the fair scheduler, policy "sched_fair" of class "sched". The policy
 * becomes active when the module is loaded, unless the option `sched=NAME` chooses another.
 */
#include <microlake/module.h>
#include <microlake/policy_module.h>

#include "include/urgent.h"

static const struct sched_ops fair_ops = {
    .struct_size = sizeof(struct sched_ops),
    .enqueue = urgent_enqueue,
    .dequeue = urgent_dequeue,
    .pick = urgent_pick,
    .charge = fair_charge, /* urgent ones are not known there, and not charged */
    .slice = urgent_slice,
    .preempts = urgent_preempts,
};

static struct policy fair_policy = {.name = "sched_fair", .ops = &fair_ops};

static int fair_init(void)
{
    return policy_offer("sched", &fair_policy, true);
}

static void fair_exit(void)
{
    policy_unregister("sched", &fair_policy);
}

KMOD_MANIFEST(.name = "sched_fair", .version = "1.0.0", .init = fair_init, .exit = fair_exit);
