/*
 * main.c: the class "lab", its file and a pilot. A class is for good, so the module stays.
 */
#include <microlake/memory.h>
#include <microlake/thread.h>

#include "lab.h"
#include "modules/linux/include/linux_dev.h"
#include "modules/linux/include/linux_text.h"
#include "modules/mlaas/core/include/mlaas.h"
#include "uapi/kmod.h"

#define LAB_FILE      "/sys/kernel/malv/lab"
#define DECISIONS_MAX 1000000u

static bool ops_valid(const void *table)
{
    const struct lab_ops *ops = table;

    return ops->struct_size == sizeof(*ops) && ops->cost;
}

static bool ops_can_shadow(const void *table)
{
    (void)table;
    return true;
}

static struct policy_class lab = {
    .name = "lab",
    .objective = "points for each decision",
    .judgement = "even answers",
    .valid = ops_valid,
    .can_shadow = ops_can_shadow,
};

struct decision {
    unsigned nth, cost;
    char who[POLICY_NAME_MAX];
};

static unsigned decisions; /* atomic */

static bool decide(const struct policy *p, void *arg)
{
    const struct lab_ops *ops = p->ops;
    struct decision *d = arg;
    unsigned cost = ops->cost(d->nth);

    if (cost >= LAB_COSTS_MAX)
        return false;
    d->cost = cost;
    strlcpy(d->who, p->name, sizeof(d->who));
    return true;
}

static void decision_take(struct decision *d)
{
    struct decision shadows;
    uint64_t number;

    d->nth = shadows.nth = __atomic_fetch_add(&decisions, 1, __ATOMIC_RELAXED);
    policy_call(&lab, thread_policy(thread_current(), lab.index), decide, d, &number);
    policy_judge(&lab, number, d->cost % 2 == 0, 1);
    policy_measure(&lab, d->cost, 1);
    if (policy_call_shadow(&lab, decide, &shadows, &number))
        policy_judge(&lab, number, shadows.cost % 2 == 0, 1);
}

static long lab_show(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct decision d;

    (void)context;
    decision_take(&d);
    text_add(&t, "%s\n", d.who);
    return text_length(&t);
}

static int lab_store(void *context, const char *text, size_t size)
{
    unsigned count = 0;
    struct decision d;

    (void)context;
    for (size_t i = 0; i < size && text[i] >= '0' && text[i] <= '9' && count < DECISIONS_MAX; i++)
        count = count * 10 + (unsigned)(text[i] - '0');
    while (count--)
        decision_take(&d);
    return OK;
}

static const struct linux_pseudo_ops lab_file = {.show = lab_show, .store = lab_store, .mode = 0666};

/* ---- A pilot that knows what is good ----------------------------------------------------------- */

static unsigned pilot_flights; /* one at a time: the manager's lock */

static int pilot_take(void *context, const char *class_name)
{
    (void)context;
    if (strcmp(class_name, "lab") != 0)
        return ERR_UNSUPPORTED;
    pilot_flights++;
    return policy_set(class_name, "good");
}

static void pilot_leave(void *context, const char *class_name)
{
    (void)context;
    (void)class_name;
}

static void pilot_describe(void *context, const char *class_name, struct text *out)
{
    (void)context;
    (void)class_name;
    text_add(out, "pilot.flights %u\n", pilot_flights);
}

static const struct mlaas_pilot pilot = {
    .name = "lab_pilot", .take = pilot_take, .leave = pilot_leave, .describe = pilot_describe};

/* Without the class the pilot is refused; whether the class is shown already is not known. */
static int pilot_check(void)
{
    int r = mlaas_pilot_set(&pilot, "lab", "good");

    if ((r != ERR_ACCESS && r != ERR_NOT_FOUND) ||
        mlaas_pilot_set(&pilot, "no_class", "good") != ERR_NOT_FOUND)
        return ERR_INVALID;
    return mlaas_pilot_register(&pilot);
}

static int lab_init(void)
{
    int r = policy_class_register(&lab, &lab_plain);

    if (r == OK)
        r = lab_policies_register();
    if (r == OK)
        r = linux_pseudo_register(LAB_FILE, &lab_file, NULL);
    return r == OK ? pilot_check() : r;
}

KMOD_MANIFEST(.name = "mlaas_lab", .version = "1.0.0", .needs = "linux,mlaas", .init = lab_init);
