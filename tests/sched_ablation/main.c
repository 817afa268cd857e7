/*
 * main.c: module sched_ablation: sched_burst's own lane with a plain guess instead of its model.
 * The option `sched=lane_mean` makes the moving mean of a thread's bursts the guess,
 * `sched=lane_none` takes every burst for a brief one.
 */
#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/policy_module.h>

#include "modules/mlaas/sched_burst/history.c"
#include "modules/mlaas/sched_burst/lane.c"

static bool by_mean;

/* The inverse of history.c's lg(), of a sixteenth. */
static uint64_t length_of(uint32_t lg16)
{
    uint32_t lg = lg16 / 16;

    return (uint64_t)(8 + lg % 8) << (lg < 8 ? 0 : lg / 8 - 1) << 10;
}

enum burst_kind burst_predict(const struct history *h, const struct sched_entity *e)
{
    (void)e;
    return by_mean ? burst_kind_of(length_of(h->burst_mean), length_of(h->sleep * 16))
                   : BURST_BRIEF;
}

static const struct sched_ops lane_ops = {
    .struct_size = sizeof(struct sched_ops),
    .enqueue = lane_enqueue,
    .dequeue = lane_dequeue,
    .pick = lane_pick,
    .charge = lane_charge,
    .slice = lane_slice,
    .preempts = lane_preempts,
};

static struct policy lane_policy = {.ops = &lane_ops, .extends = "sched_fair"};

static int ablation_init(void)
{
    const char *choice = boot_option("sched", 0);

    if (!choice || (strcmp(choice, "lane_mean") && strcmp(choice, "lane_none")))
        return ERR_INVALID;
    by_mean = !strcmp(choice, "lane_mean");
    memcpy(lane_policy.name, choice, sizeof("lane_mean"));
    return policy_offer("sched", &lane_policy, true);
}

KMOD_MANIFEST(.name = "sched_ablation", .version = "1.0.0", .needs = "sched_fair",
              .init = ablation_init, .exit = NULL);
