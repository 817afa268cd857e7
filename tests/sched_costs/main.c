/*
 * main.c: module sched_costs, which reports what a decision of sched_burst costs, and of it the
 * capture of a thread's history, without and with a row for who records. The unit is the nanosecond
 * of the machine's clock; with --icount that is an instruction. The queue and its threads are made
 * up: a sleeper wakes beside four that run.
 */
#include <microlake/boot.h>
#include <microlake/spinlock.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/time.h>

#include "modules/mlaas/features/include/features.h"
#include "modules/mlaas/sched_burst/lane.h"

#define ROUNDS 2000u
#define HOGS   4u

static struct sched_queue queue;
static struct sched_entity hogs[HOGS], sleeper;
static uint64_t clock_ns = NS_PER_SEC;
static uint64_t dice = 1;

static uint64_t dice_up_to(uint64_t most)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return 1 + (dice >> 33) % most;
}

static void entity_init(struct sched_entity *e, uint64_t id)
{
    *e = (struct sched_entity){.weight = 1024, .thread_id = id, .flags = SCHED_NEW};
    list_init(&e->link);
}

static struct sched_entity *pick(void)
{
    struct sched_entity *e = lane_pick(&queue, clock_ns);

    queue.ready--;
    lane_slice(&queue, e);
    return e;
}

static void enqueue(struct sched_entity *e, uint32_t flags)
{
    e->flags = flags;
    lane_enqueue(&queue, e, clock_ns);
    queue.ready++;
}

static void run(struct sched_entity *e, uint64_t ns)
{
    clock_ns += ns;
    e->ran += ns;
    e->ran_until = clock_ns;
}

/* One wake-up while a hog runs: all that the kernel asks of the policy until somebody runs. */
static uint64_t wake_cost(struct sched_entity *running, uint64_t ran, struct sched_entity **next)
{
    uint64_t start;

    run(running, ran);
    start = time_now();
    lane_charge(&queue, running, ran);
    enqueue(&sleeper, SCHED_WAKEUP);
    lane_preempts(&queue, &sleeper, running);
    enqueue(running, SCHED_PREEMPTED);
    *next = pick();
    return time_now() - start;
}

static void decisions_measure(uint64_t *mean, uint64_t *most)
{
    struct sched_entity *running;
    uint64_t sum = 0;

    for (unsigned i = 0; i < HOGS; i++)
        enqueue(&hogs[i], SCHED_NEW);
    running = pick();
    *most = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t cost = wake_cost(running, dice_up_to(12 * NS_PER_MS), &running);

        sum += cost;
        *most = MAX(*most, cost);
        for (unsigned turns = 0; running != &sleeper && turns < 100; turns++) {
            run(running, NS_PER_MS);
            lane_charge(&queue, running, NS_PER_MS);
            enqueue(running, SCHED_PREEMPTED);
            running = pick();
        }
        run(&sleeper, dice_up_to(i % 8 ? NS_PER_MS : 6 * NS_PER_MS));
        lane_charge(&queue, &sleeper, history_burst(lane_history(&sleeper), &sleeper));
        running = pick();
    }
    *mean = sum / ROUNDS;
}

static const char *const names[HISTORY_FEATURES] = {"a", "b", "c", "d", "e",
                                                    "f", "g", "h", "i", "j"};
static struct features_set set = {
    .name = "sched_costs", .fields = names, .field_count = HISTORY_FEATURES, .rows = 64};

/* As the module does it while somebody records. */
static void row_capture(const struct history *h)
{
    int32_t features[HISTORY_FEATURES];
    uint32_t number;
    struct features_row *row = features_begin(&set, (uint32_t)sleeper.thread_id, &number);

    history_features(h, features);
    if (!row)
        return;
    for (unsigned i = 0; i < HISTORY_FEATURES; i++)
        row->values[i] = features[i] >> BURST_FRACTION;
    features_end(row, number);
}

static uint64_t capture_measure(bool recorded)
{
    struct history h = {0};
    uint64_t start = time_now(), empty;

    for (unsigned i = 0; i < ROUNDS; i++)
        __asm__ volatile("" ::: "memory");
    empty = time_now() - start;
    start = time_now();
    for (unsigned i = 0; i < ROUNDS; i++) {
        history_capture(&h, &sleeper, clock_ns);
        if (recorded)
            row_capture(&h);
        __asm__ volatile("" ::: "memory");
    }
    return (time_now() - start - empty + ROUNDS / 2) / ROUNDS;
}

static int costs_init(void)
{
    uint64_t mean, most;

    list_init(&queue.list);
    for (unsigned i = 0; i < HOGS; i++)
        entity_init(&hogs[i], i);
    entity_init(&sleeper, HOGS);
    sleeper.outside = true;
    preempt_disable();
    decisions_measure(&mean, &most);
    preempt_enable();
    host_stat("cost.sched_decision=%lu", most);
    host_stat("cost.sched_decision_mean=%lu", mean);
    host_stat("cost.sched_capture=%lu", capture_measure(false));
    if (features_register(&set) != OK)
        return ERR_NO_MEMORY;
    preempt_disable();
    most = capture_measure(true);
    preempt_enable();
    host_stat("cost.sched_capture_recorded=%lu", most);
    features_unregister(&set);
    return OK;
}

KMOD_MANIFEST(.name = "sched_costs", .version = "1.0.0", .needs = "sched_burst,features",
              .init = costs_init, .exit = NULL);
