/*
 * policy.c: the registry: classes, their policies, and which of them decides. call.c calls them.
 *
 * A class's table, and who is the machine's, the extension and the shadow, change under registry_lock and
 * are read without it by whoever has preemption off. So a policy that was taken out of all of them is used
 * by nobody any more once every CPU has been through the scheduler (cpus_pass).
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/thread.h>
#include <microlake/trace.h>
#include <microlake/wait.h>
#include "policy_internal.h"

TRACEPOINT(policy_switch, "policy=%s");
TRACEPOINT(policy_fault, "kind=%u policy=%s");
COUNTER(policy_switches);
COUNTER(policy_faults);

static struct policy_class *classes[POLICY_CLASSES_MAX];
static unsigned class_count; /* atomic: a class is whole before it counts */
static struct mutex registry_lock = MUTEX_INIT(registry_lock);
static uint64_t last_number;
static struct mutex watch_lock = MUTEX_INIT(watch_lock);
static void (*classes_changed)(void); /* guarded by watch_lock */

static struct policy_class *class_find(const char *name)
{
    unsigned count = __atomic_load_n(&class_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < count; i++)
        if (!strcmp(classes[i]->name, name))
            return classes[i];
    return NULL;
}

static void classes_tell(void)
{
    mutex_lock(&watch_lock);
    if (classes_changed)
        classes_changed();
    mutex_unlock(&watch_lock);
}

void policy_classes_watch(void (*fn)(void))
{
    mutex_lock(&watch_lock);
    classes_changed = fn;
    if (fn)
        fn();
    mutex_unlock(&watch_lock);
}

int policy_class_register(struct policy_class *class, struct policy *builtin)
{
    struct module *owner = module_of_address(class);
    int r = OK;

    mutex_lock(&registry_lock);
    if (class_find(class->name))
        r = ERR_EXISTS;
    else if (class_count == POLICY_CLASSES_MAX)
        r = ERR_LIMIT;
    else if (owner && !module_ref(owner))
        r = ERR_BUSY;
    if (r == OK) {
        builtin->number = ++last_number;
        class->table[0] = class->builtin = class->machine = class->active = builtin;
        class->index = class_count;
        classes[class_count] = class;
        __atomic_store_n(&class_count, class_count + 1, __ATOMIC_RELEASE);
    }
    mutex_unlock(&registry_lock);
    if (r == OK)
        classes_tell();
    return r;
}

struct policy *policy_named(struct policy_class *class, const char *name)
{
    for (unsigned i = 0; name && i < POLICIES_MAX; i++) {
        struct policy *p = __atomic_load_n(&class->table[i], __ATOMIC_ACQUIRE);

        if (p && !strncmp(p->name, name, POLICY_NAME_MAX))
            return p;
    }
    return NULL;
}

struct policy *policy_numbered(const struct policy_class *class, uint64_t number)
{
    for (unsigned i = 0; number && i < POLICIES_MAX; i++) {
        struct policy *p = __atomic_load_n(&class->table[i], __ATOMIC_ACQUIRE);

        if (p && p->number == number)
            return p;
    }
    return NULL;
}

static bool extends(const struct policy *p, const struct policy *base)
{
    return p->extends && !strncmp(p->extends, base->name, POLICY_NAME_MAX);
}

/* Who takes over from p when it can't go on. */
static struct policy *successor(struct policy_class *class, const struct policy *p)
{
    struct policy *base = policy_named(class, p->extends);

    return base && base != p && !base->retired ? base : class->builtin;
}

/* The one chosen beside the machine's that can stand in for it; NULL: none. */
static struct policy *beside(const struct policy_class *class)
{
    struct policy *e = class->extension;

    return class->activate && e && !e->retired && extends(e, class->machine) ? e : NULL;
}

/* Who decides for the machine. */
static struct policy *decider(const struct policy_class *class)
{
    struct policy *e = beside(class);

    return e ? e : class->machine;
}

/* Caller holds registry_lock. */
static void policy_switch(struct policy_class *class)
{
    struct policy *old = class->active, *p = decider(class);

    if (old == p)
        return;
    __atomic_store_n(&class->active, p, __ATOMIC_RELEASE);
    __atomic_fetch_add(&class->switches, 1, __ATOMIC_RELEASE);
    COUNT(policy_switches, 1);
    TRACE(policy_switch, TRACE_TEXT(p->name, 0), TRACE_TEXT(p->name, 1), TRACE_TEXT(p->name, 2));
    if (class->activate)
        class->activate(p);
    log_info("policy: %s is now %s (was %s)", class->name, p->name, old->name);
}

static int slot_take(struct policy_class *class, struct policy *p)
{
    for (unsigned i = 0; i < POLICIES_MAX; i++)
        if (!class->table[i]) {
            __atomic_store_n(&class->table[i], p, __ATOMIC_RELEASE);
            return OK;
        }
    return ERR_LIMIT;
}

int policy_register(const char *class_name, struct policy *p)
{
    struct policy_class *class = class_find(class_name);
    int r;

    if (!class)
        return ERR_NOT_FOUND;
    if (!p->ops || strnlen(p->name, POLICY_NAME_MAX) == POLICY_NAME_MAX || !class->valid(p->ops))
        return ERR_INVALID;
    mutex_lock(&registry_lock);
    if (policy_named(class, p->name)) {
        r = ERR_EXISTS;
    } else {
        p->owner = module_of_address(p->ops);
        p->retired = false;
        p->number = ++last_number;
        p->figures = (struct policy_figures){0};
        r = slot_take(class, p);
    }
    mutex_unlock(&registry_lock);
    return r;
}

/* Takes p out of whatever names it. Caller holds registry_lock. */
static void policy_forget(struct policy_class *class, struct policy *p)
{
    for (unsigned i = 0; i < POLICIES_MAX; i++)
        if (class->table[i] == p)
            __atomic_store_n(&class->table[i], NULL, __ATOMIC_RELEASE);
    if (class->shadow == p)
        __atomic_store_n(&class->shadow, NULL, __ATOMIC_RELEASE);
    if (class->extension == p)
        class->extension = NULL;
    if (class->machine == p)
        class->machine = successor(class, p);
    policy_switch(class);
}

void policy_unregister(const char *class_name, struct policy *p)
{
    struct policy_class *class = class_find(class_name);

    if (!class)
        return;
    mutex_lock(&registry_lock);
    policy_forget(class, p);
    cpus_pass();
    policy_forget(class, p); /* a fallback that had looked it up before may have made it active */
    if (class->activate)
        class->activate(class->active); /* after a fallback some CPU may not have left it yet */
    mutex_unlock(&registry_lock);
}

/* Finds a policy that can be used. Caller holds registry_lock. */
static int policy_usable(struct policy_class *class, const char *name, struct policy **out)
{
    *out = policy_named(class, name);
    if (!*out)
        return ERR_NOT_FOUND;
    return (*out)->retired ? ERR_ACCESS : OK;
}

int policy_set(const char *class_name, const char *policy_name)
{
    struct policy_class *class = class_find(class_name);
    struct policy *p;
    int r;

    if (!class)
        return ERR_NOT_FOUND;
    mutex_lock(&registry_lock);
    r = policy_usable(class, policy_name, &p);
    if (r == OK) {
        class->machine = p;
        policy_switch(class);
    }
    mutex_unlock(&registry_lock);
    return r;
}

int policy_shadow(const char *class_name, const char *policy_name)
{
    struct policy_class *class = class_find(class_name);
    struct policy *p = NULL;
    int r = OK;

    if (!class)
        return ERR_NOT_FOUND;
    mutex_lock(&registry_lock);
    if (policy_name)
        r = policy_usable(class, policy_name, &p);
    if (r == OK && p && (!class->can_shadow || !class->can_shadow(p->ops)))
        r = ERR_UNSUPPORTED;
    if (r == OK)
        __atomic_store_n(&class->shadow, p, __ATOMIC_RELEASE);
    mutex_unlock(&registry_lock);
    return r;
}

/* They share a queue: one of both has to be able to stand in for the other. */
static int can_be_beside(const struct policy_class *class, const struct policy *p)
{
    struct policy *e = beside(class);

    if (!class->activate || p == class->machine || extends(class->machine, p))
        return OK;
    if (!extends(p, class->machine))
        return ERR_UNSUPPORTED;
    return e && e != p ? ERR_BUSY : OK;
}

int policy_choose(const char *class_name, const char *policy_name, uint64_t *number)
{
    struct policy_class *class = class_find(class_name);
    struct policy *p;
    int r;

    if (!class)
        return ERR_NOT_FOUND;
    mutex_lock(&registry_lock);
    r = policy_usable(class, policy_name, &p);
    if (r == OK)
        r = can_be_beside(class, p);
    if (r == OK) {
        *number = p->number;
        if (class->activate && extends(p, class->machine)) {
            class->extension = p;
            policy_switch(class);
        }
    }
    mutex_unlock(&registry_lock);
    return r;
}

void policy_choose_end(const char *class_name, uint64_t number)
{
    struct policy_class *class = class_find(class_name);

    if (!class)
        return;
    mutex_lock(&registry_lock);
    if (class->extension && class->extension->number == number) {
        class->extension = NULL;
        policy_switch(class);
    }
    mutex_unlock(&registry_lock);
}

/* ---- Fallbacks -------------------------------------------------------------------------------- */

static void fallback_note(struct policy_class *class, const struct policy *p, const struct policy *next,
                          const char *why)
{
    __atomic_fetch_add(&class->switches, 1, __ATOMIC_RELEASE);
    __atomic_fetch_add(&class->fallbacks, 1, __ATOMIC_RELAXED);
    snprintf(class->reason, sizeof(class->reason), "%s: %s", p->name, why);
    log_warn("policy: %s %s: %s takes over %s", p->name, why, next->name, class->name);
}

int policy_fall_back(const char *class_name, const char *policy_name, const char *reason)
{
    struct policy_class *class = class_find(class_name);
    struct policy *p, *next;
    int r = ERR_NOT_FOUND;

    if (!class)
        return r;
    mutex_lock(&registry_lock);
    p = policy_named(class, policy_name);
    if (p && p == class->machine && p != class->builtin) {
        next = successor(class, p);
        class->machine = next;
        fallback_note(class, p, next, reason);
        policy_switch(class);
        r = OK;
    }
    mutex_unlock(&registry_lock);
    return r;
}

/* Any context, so without the lock: preemption is off, and what a CPU finds in the table stays. */
void policy_misbehaved(struct policy_class *class, struct policy *p, enum policy_fault_kind kind)
{
    static const char *const kinds[] = {"faulted", "overran its budget", "answered nonsense"};
    struct policy *next = successor(class, p), *expected = p;

    __atomic_fetch_add(&p->figures.faults[kind], 1, __ATOMIC_RELAXED);
    COUNT(policy_faults, 1);
    TRACE(policy_fault, kind, TRACE_TEXT(p->name, 0), TRACE_TEXT(p->name, 1));
    p->retired = true;
    __atomic_compare_exchange_n(&class->shadow, &expected, NULL, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    expected = p;
    __atomic_compare_exchange_n(&class->machine, &expected, next, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    expected = p;
    if (__atomic_compare_exchange_n(&class->active, &expected, next, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        fallback_note(class, p, next, kinds[kind]);
}

/* ---- Listing ---------------------------------------------------------------------------------- */

int policy_class_info(unsigned nth, struct policy_class_info *out)
{
    const struct policy_class *class;

    if (nth >= __atomic_load_n(&class_count, __ATOMIC_ACQUIRE))
        return ERR_NOT_FOUND;
    class = classes[nth];
    *out = (struct policy_class_info){.objective = class->objective,
                                      .judgement = class->judgement,
                                      .switches = __atomic_load_n(&class->switches, __ATOMIC_RELAXED),
                                      .fallbacks = class->fallbacks};
    mutex_lock(&registry_lock);
    strlcpy(out->name, class->name, sizeof(out->name));
    strlcpy(out->reason, class->reason, sizeof(out->reason));
    if (class->shadow)
        strlcpy(out->shadow, class->shadow->name, sizeof(out->shadow));
    mutex_unlock(&registry_lock);
    return OK;
}

static void info_fill(const struct policy_class *class, const struct policy *p, struct policy_info *out)
{
    *out = (struct policy_info){.machine = p == class->machine,
                                .active = p == class->active,
                                .builtin = p == class->builtin,
                                .retired = p->retired,
                                .owner = p->owner,
                                .number = p->number,
                                .figures = p->figures};
    strlcpy(out->name, p->name, sizeof(out->name));
    if (p->extends)
        strlcpy(out->extends, p->extends, sizeof(out->extends));
}

int policy_info(const char *class_name, unsigned nth, struct policy_info *out)
{
    struct policy_class *class = class_find(class_name);
    int r = ERR_NOT_FOUND;

    if (!class)
        return r;
    mutex_lock(&registry_lock);
    for (unsigned i = 0; i < POLICIES_MAX && r != OK; i++)
        if (class->table[i] && !nth--) {
            info_fill(class, class->table[i], out);
            r = OK;
        }
    mutex_unlock(&registry_lock);
    return r;
}

uint64_t policy_switches(const char *class_name)
{
    struct policy_class *class = class_find(class_name);

    return class ? __atomic_load_n(&class->switches, __ATOMIC_RELAXED) : 0;
}
