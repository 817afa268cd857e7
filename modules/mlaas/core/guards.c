/*
 * guards.c: guardrails. While a rule is set for some class, a thread looks at its objective at the end
 * of each window, and lets the policy that the machine's extends take over when the rule says so.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "core.h"

static struct wait_queue guard_queue = WAIT_QUEUE_INIT(guard_queue);
static uint64_t changes;             /* of rules; atomic */
static struct thread *guard_thread;  /* guarded by manager_lock; its end is still to be waited for */
static bool guard_running;           /* guarded by manager_lock; it looks at the rules again */

static bool policy_get(const char *class_name, const char *name, struct policy_info *out)
{
    for (unsigned i = 0; policy_info(class_name, i, out) == OK; i++)
        if (name ? !strcmp(out->name, name) : out->machine)
            return true;
    return false;
}

static bool builtin_get(const char *class_name, struct policy_info *out)
{
    for (unsigned i = 0; policy_info(class_name, i, out) == OK; i++)
        if (out->builtin)
            return true;
    return false;
}

/* The machine's policy and the one that would take over; false: nobody is the machine's just now. */
static bool sample_take(const char *class_name, struct policy_info *machine, struct policy_info *base,
                        struct guard_sample *out)
{
    if (!policy_get(class_name, NULL, machine))
        return false;
    if (!machine->extends[0] || !policy_get(class_name, machine->extends, base) || base->retired)
        if (!builtin_get(class_name, base))
            return false;
    *out = (struct guard_sample){.number = machine->number,
                                 .cost = machine->figures.cost,
                                 .work = machine->figures.work,
                                 .base_number = base->number,
                                 .base_cost = base->figures.cost,
                                 .base_work = base->figures.work,
                                 .alone = machine->builtin};
    return true;
}

/* Thousandths, as a number that people read. */
#define MEAN         "%lu.%03lu"
#define MEAN_OF(m)   (m) / 1000, (m) % 1000

static void fall_back(struct managed_class *c, const char *policy, const char *base)
{
    const struct guard_rule *rule = &c->rule;
    char reason[POLICY_REASON_MAX];

    if (rule->kind == GUARD_RATIO)
        snprintf(reason, sizeof(reason), "objective " MEAN ", over %lu%% of %s's: %u x %u ms",
                 MEAN_OF(c->watch.mean), rule->limit, base, rule->windows, rule->window_ms);
    else
        snprintf(reason, sizeof(reason), "objective " MEAN ", over %lu: %u x %u ms",
                 MEAN_OF(c->watch.mean), rule->limit, rule->windows, rule->window_ms);
    policy_fall_back(c->name, policy, reason);
}

static void window_end_locked(struct managed_class *c)
{
    struct policy_info machine, base;
    struct guard_sample sample;

    if (sample_take(c->name, &machine, &base, &sample) && guard_window(&c->rule, &c->watch, &sample))
        fall_back(c, machine.name, base.name);
}

/* Does what is due; when to look again, TIME_NEVER: no rule is set. */
static uint64_t guards_step_locked(uint64_t now)
{
    uint64_t due = TIME_NEVER;

    for (unsigned i = 0; i < managed_now(); i++) {
        struct managed_class *c = &managed[i];

        if (c->rule.kind == GUARD_OFF)
            continue;
        if (now >= c->window_end) {
            window_end_locked(c);
            c->window_end = now + c->rule.window_ms * NS_PER_MS;
        }
        due = MIN(due, c->window_end);
    }
    return due;
}

static void guard_main(void *arg)
{
    (void)arg;
    for (;;) {
        uint64_t seen = __atomic_load_n(&changes, __ATOMIC_ACQUIRE), due;

        mutex_lock(&manager_lock);
        due = guards_step_locked(time_now());
        if (due == TIME_NEVER)
            guard_running = false;
        mutex_unlock(&manager_lock);
        if (due == TIME_NEVER)
            return;
        WAIT_UNTIL(&guard_queue, __atomic_load_n(&changes, __ATOMIC_ACQUIRE) != seen, due, 0);
    }
}

/* Waits for one that has said it would end. */
static void thread_gather_locked(void)
{
    if (!guard_thread)
        return;
    thread_join(guard_thread, TIME_NEVER);
    thread_unref(guard_thread);
    guard_thread = NULL;
}

static int thread_ensure_locked(void)
{
    int r;

    if (guard_running)
        return OK;
    thread_gather_locked();
    r = thread_create("mlaas_guard", guard_main, NULL, &guard_thread);
    if (r == OK)
        guard_running = true;
    else
        guard_thread = NULL;
    return r;
}

static void guards_changed(void)
{
    __atomic_fetch_add(&changes, 1, __ATOMIC_RELEASE);
    wait_wake_all(&guard_queue);
}

long guard_show(void *context, char *out, size_t size)
{
    const struct managed_class *c = context;
    struct text t = {out, size, 0};
    char rule[GUARD_RULE_MAX];

    mutex_lock(&manager_lock);
    guard_rule_text(&c->rule, rule);
    mutex_unlock(&manager_lock);
    text_add(&t, "%s\n", rule);
    return text_length(&t);
}

static bool class_has_objective(const char *name)
{
    struct policy_class_info info;

    for (unsigned i = 0; policy_class_info(i, &info) == OK; i++)
        if (!strcmp(info.name, name))
            return info.objective;
    return false;
}

int guard_store(void *context, const char *text, size_t size)
{
    struct managed_class *c = context;
    struct guard_rule rule;
    int r = strlen(text) == size ? guard_rule_parse(text, &rule) : ERR_INVALID;

    if (r == OK && rule.kind != GUARD_OFF && !class_has_objective(c->name)) {
        log_warn("mlaas: class %s has no objective that could be guarded", c->name);
        r = ERR_UNSUPPORTED;
    }
    if (r != OK)
        return r;
    mutex_lock(&manager_lock);
    if (rule.kind != GUARD_OFF)
        r = thread_ensure_locked();
    if (r == OK) {
        c->rule = rule;
        c->watch = (struct guard_watch){0};
        c->window_end = 0; /* the first window begins at once */
        guards_changed();
    }
    mutex_unlock(&manager_lock);
    return r;
}

void guard_describe_locked(const struct managed_class *c, struct text *t)
{
    const struct guard_watch *w = &c->watch;
    char rule[GUARD_RULE_MAX];

    guard_rule_text(&c->rule, rule);
    text_add(t, "guard %s\n", rule);
    if (c->rule.kind == GUARD_OFF)
        return;
    if (w->measured)
        text_add(t, "guard.mean " MEAN "\n", MEAN_OF(w->mean));
    if (w->limited)
        text_add(t, "guard.limit " MEAN "\n", MEAN_OF(w->limit));
    text_add(t, "guard.bad %u\n", w->bad);
}

void guards_stop(void)
{
    mutex_lock(&manager_lock);
    for (unsigned i = 0; i < managed_now(); i++)
        managed[i].rule.kind = GUARD_OFF;
    guards_changed();
    mutex_unlock(&manager_lock);
    /* Nobody sets a rule any more: the files are gone. */
    thread_gather_locked();
}
