/*
 * main.c: the class `toy`, for tests of mlctl, guards and pilots: a decision each half millisecond, whose
 * cost depends on which policy answers and on the weather, which a test sets:
 *
 *     /sys/kernel/toy/weather   r, w: "fair" or "foul"
 *
 * Policies: plain (built in) costs 1000 a decision in any weather; quick 500 in fair weather and 3000 in
 * foul; steady 990. Costs vary by a tenth. Right answers: quick's in fair weather, half of all others'.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/policy.h>
#include <microlake/thread.h>
#include <microlake/wait.h>

#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "uapi/kmod.h"

#define PERIOD  (NS_PER_MS / 2)
#define WEATHER "/sys/kernel/toy/weather"

struct toy_ops {
    uint64_t cost[2]; /* in fair and in foul weather */
};

static const struct toy_ops plain_ops = {{1000, 1000}};
static const struct toy_ops quick_ops = {{500, 3000}};
static const struct toy_ops steady_ops = {{990, 990}};

static struct policy plain = {.name = "plain", .ops = &plain_ops};
static struct policy quick = {.name = "quick", .ops = &quick_ops, .extends = "plain"};
static struct policy steady = {.name = "steady", .ops = &steady_ops, .extends = "plain"};

static bool toy_valid(const void *ops)
{
    return ops;
}

static struct policy_class toy = {
    .name = "toy",
    .objective = "made-up cost of a decision",
    .judgement = "decisions that were right, as far as anybody can say",
    .valid = toy_valid,
    .can_shadow = toy_valid,
};

static bool foul; /* atomic */
static uint32_t dice = 1;

static uint32_t roll(uint32_t most)
{
    dice = dice * 1664525u + 1013904223u;
    return (dice >> 8) % most;
}

static bool decide(const struct policy *p, void *arg)
{
    const struct toy_ops *ops = p->ops;

    *(uint64_t *)arg = ops->cost[__atomic_load_n(&foul, __ATOMIC_RELAXED)];
    return true;
}

static void judge(uint64_t cost, uint64_t number)
{
    policy_judge(&toy, number, cost == 500 || roll(2), 1);
}

static void worker_run(void *context)
{
    uint64_t cost, number;

    (void)context;
    for (;;) {
        thread_sleep(time_now() + PERIOD, 0);
        policy_call(&toy, 0, decide, &cost, &number);
        policy_measure(&toy, cost * 9 / 10 + roll((uint32_t)cost / 5 + 1), 1);
        judge(cost, number);
        if (policy_call_shadow(&toy, decide, &cost, &number))
            judge(cost, number);
    }
}

static long weather_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    text_add(&t, "%s\n", foul ? "foul" : "fair");
    return text_length(&t);
}

static int weather_store(void *context, const char *text, size_t size)
{
    (void)context;
    if (size < 4)
        return ERR_INVALID;
    __atomic_store_n(&foul, text[1] == 'o', __ATOMIC_RELAXED);
    return OK;
}

static const struct linux_pseudo_ops weather_ops = {.show = weather_show, .store = weather_store};

static int toy_init(void)
{
    struct thread *worker;
    int r = policy_class_register(&toy, &plain);

    if (r == OK)
        r = policy_register("toy", &quick);
    if (r == OK)
        r = policy_register("toy", &steady);
    if (r == OK)
        r = linux_pseudo_register(WEATHER, &weather_ops, NULL);
    if (r == OK)
        r = thread_create("toy", worker_run, NULL, &worker);
    if (r == OK)
        thread_unref(worker);
    return r;
}

/* A class is there for good. */
KMOD_MANIFEST(.name = "toy_class", .version = "1.0.0", .needs = "linux", .init = toy_init, .exit = NULL);
