/*
 * sched_burst.c: the module of the policy "sched_burst" of class "sched": sched_fair, with a lane
 * for threads whose next burst a model predicts to be short (lane.h). It becomes active when it is
 * set, or when the option `sched=sched_burst` says so.
 */
#include <microlake/module.h>
#include <microlake/policy_module.h>

#include "lane.h"
#include "model.h"
#include "modules/mlaas/sched_fair/include/urgent.h"

static const struct sched_ops burst_ops = {
    .struct_size = sizeof(struct sched_ops),
    .enqueue = lane_enqueue,
    .dequeue = lane_dequeue,
    .pick = lane_pick,
    .charge = lane_charge,
    .slice = lane_slice,
    .preempts = lane_preempts,
    .watch = lane_watch,
};

static struct policy burst_policy = {
    .name = "sched_burst", .ops = &burst_ops, .extends = "sched_fair"};

static int burst_init(void)
{
    int result = model_open();

    if (result != OK)
        return result;
    result = policy_offer("sched", &burst_policy, false);
    if (result != OK)
        model_close();
    return result;
}

static void burst_exit(void)
{
    policy_unregister("sched", &burst_policy);
    model_close();
}

KMOD_MANIFEST(.name = "sched_burst", .version = "1.0.0", .needs = "sched_fair,features,models,mlrt",
              .init = burst_init, .exit = burst_exit);
