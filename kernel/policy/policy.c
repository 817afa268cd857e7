/*
 * policy.c: the table of policy classes and their policies. What "active" means for a class is the
 * class's own: it gives `activate`, which makes a policy the active one everywhere before it returns.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/trace.h>
#include <microlake/wait.h>
#include "policy_internal.h"

TRACEPOINT(policy_switch, "policy=%s");
TRACEPOINT(policy_fault, "kind=%u policy=%s");
COUNTER(policy_switches);
COUNTER(policy_faults);

static struct policy_class *classes[8];
static unsigned class_count;
static struct mutex registry_lock = MUTEX_INIT(registry_lock); /* guards lists, numbers and switching */
static uint64_t last_number;

void policy_class_add(struct policy_class *class, struct policy *builtin)
{
    ASSERT(class_count < ARRAY_SIZE(classes));
    list_init(&class->policies);
    list_push_back(&class->policies, &builtin->link);
    builtin->number = ++last_number;
    class->builtin = builtin;
    class->active = builtin;
    classes[class_count++] = class;
}

static struct policy_class *class_find(const char *name)
{
    for (unsigned i = 0; i < class_count; i++)
        if (!strcmp(classes[i]->name, name))
            return classes[i];
    return NULL;
}

static struct policy *policy_find(struct policy_class *class, const char *name)
{
    list_for_each (it, &class->policies) {
        struct policy *p = list_entry(it, struct policy, link);

        if (!strncmp(p->name, name, POLICY_NAME_MAX))
            return p;
    }
    return NULL;
}

/* Caller holds registry_lock. */
static void policy_switch(struct policy_class *class, struct policy *p)
{
    struct policy *old = class->active;

    if (old == p)
        return;
    __atomic_store_n(&class->active, p, __ATOMIC_RELEASE);
    __atomic_fetch_add(&class->switches, 1, __ATOMIC_RELEASE);
    COUNT(policy_switches, 1);
    TRACE(policy_switch, TRACE_TEXT(p->name, 0), TRACE_TEXT(p->name, 1), TRACE_TEXT(p->name, 2));
    class->activate(p);
    log_info("policy: %s is now %s (was %s)", class->name, p->name, old->name);
}

int policy_register(const char *class_name, struct policy *p)
{
    struct policy_class *class = class_find(class_name);
    int r = OK;

    if (!class)
        return ERR_NOT_FOUND;
    if (!p->ops || strnlen(p->name, POLICY_NAME_MAX) == POLICY_NAME_MAX || !class->valid(p->ops))
        return ERR_INVALID;
    mutex_lock(&registry_lock);
    if (policy_find(class, p->name)) {
        r = ERR_EXISTS;
    } else {
        p->owner = module_of_address(p->ops);
        p->calls = 0;
        p->retired = false;
        p->number = ++last_number;
        memset(p->faults, 0, sizeof(p->faults));
        list_push_back(&class->policies, &p->link);
    }
    mutex_unlock(&registry_lock);
    return r;
}

void policy_unregister(const char *class_name, struct policy *p)
{
    struct policy_class *class = class_find(class_name);

    if (!class)
        return;
    mutex_lock(&registry_lock);
    if (class->active == p)
        policy_switch(class, class->builtin);
    else
        class->activate(class->active); /* after a fallback some CPU may not have left it yet */
    list_remove(&p->link);
    mutex_unlock(&registry_lock);
}

int policy_set(const char *class_name, const char *policy_name)
{
    struct policy_class *class = class_find(class_name);
    struct policy *p;
    int r = OK;

    if (!class)
        return ERR_NOT_FOUND;
    mutex_lock(&registry_lock);
    p = policy_find(class, policy_name);
    if (!p)
        r = ERR_NOT_FOUND;
    else if (p->retired)
        r = ERR_ACCESS;
    else
        policy_switch(class, p);
    mutex_unlock(&registry_lock);
    return r;
}

void policy_misbehaved(struct policy_class *class, struct policy *p, enum policy_fault_kind kind)
{
    static const char *const kinds[] = {"faulted", "overran its budget", "answered nonsense"};
    struct policy *expected = p;

    __atomic_fetch_add(&p->faults[kind], 1, __ATOMIC_RELAXED);
    COUNT(policy_faults, 1);
    TRACE(policy_fault, kind, TRACE_TEXT(p->name, 0), TRACE_TEXT(p->name, 1));
    p->retired = true;
    if (__atomic_compare_exchange_n(&class->active, &expected, class->builtin, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        __atomic_fetch_add(&class->switches, 1, __ATOMIC_RELEASE);
        log_warn("policy: %s %s: %s takes over %s", p->name, kinds[kind], class->builtin->name,
                 class->name);
    }
}

int policy_class_name(unsigned nth, char out[POLICY_NAME_MAX])
{
    if (nth >= class_count)
        return ERR_NOT_FOUND;
    strlcpy(out, classes[nth]->name, POLICY_NAME_MAX);
    return OK;
}

int policy_info(const char *class_name, unsigned nth, struct policy_info *out)
{
    struct policy_class *class = class_find(class_name);
    int r = ERR_NOT_FOUND;

    if (!class)
        return r;
    mutex_lock(&registry_lock);
    list_for_each (it, &class->policies) {
        struct policy *p = list_entry(it, struct policy, link);

        if (nth--)
            continue;
        strlcpy(out->name, p->name, sizeof(out->name));
        out->active = p == class->active;
        out->builtin = p == class->builtin;
        out->retired = p->retired;
        out->calls = p->calls;
        memcpy(out->faults, p->faults, sizeof(out->faults));
        r = OK;
        break;
    }
    mutex_unlock(&registry_lock);
    return r;
}

uint64_t policy_switches(const char *class_name)
{
    struct policy_class *class = class_find(class_name);

    return class ? __atomic_load_n(&class->switches, __ATOMIC_RELAXED) : 0;
}
