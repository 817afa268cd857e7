/*
 * policies.c: a class's policy, its shadow and its figures as text.
 */
#include <microlake/memory.h>

#include "core.h"

long policy_show(void *context, char *out, size_t size)
{
    const struct managed_class *c = context;
    struct text t = {out, size, 0};
    struct policy_info info;

    for (unsigned i = 0; policy_info(c->name, i, &info) == OK; i++)
        text_add(&t, info.machine ? "%s[%s]" : "%s%s", i ? " " : "", info.name);
    text_add(&t, "\n");
    return text_length(&t);
}

/* The owner's hand is above the pilot's. */
int policy_store(void *context, const char *text, size_t size)
{
    struct managed_class *c = context;
    char name[POLICY_NAME_MAX];
    int r = word_take(text, size, name);

    if (r != OK)
        return r;
    mutex_lock(&manager_lock);
    r = policy_set(c->name, name);
    if (r == OK)
        pilot_end_locked(c);
    mutex_unlock(&manager_lock);
    return r;
}

/* What is known of a class; false: it is gone, which no class is. */
static bool class_facts(const char *name, struct policy_class_info *out)
{
    for (unsigned i = 0; policy_class_info(i, out) == OK; i++)
        if (!strcmp(out->name, name))
            return true;
    return false;
}

static const char *or_none(const char *text)
{
    return text && text[0] ? text : "none";
}

long shadow_show(void *context, char *out, size_t size)
{
    const struct managed_class *c = context;
    struct text t = {out, size, 0};
    struct policy_class_info info;

    if (!class_facts(c->name, &info))
        return ERR_NOT_FOUND;
    text_add(&t, "%s\n", or_none(info.shadow));
    return text_length(&t);
}

int shadow_store(void *context, const char *text, size_t size)
{
    const struct managed_class *c = context;
    char name[POLICY_NAME_MAX];
    int r = word_take(text, size, name);

    return r == OK ? policy_shadow(c->name, strcmp(name, "none") ? name : NULL) : r;
}

static void figures_add(struct text *t, const struct policy_info *p)
{
    const struct policy_figures *f = &p->figures;
    const struct {
        const char *name;
        uint64_t value;
    } lines[] = {
        {"calls", f->calls},
        {"timed", f->timed},
        {"ns", f->ns},
        {"right", f->right},
        {"judged", f->judged},
        {"cost", f->cost},
        {"work", f->work},
        {"faulted", f->faults[POLICY_FAULTED]},
        {"overran", f->faults[POLICY_OVERRAN]},
        {"nonsense", f->faults[POLICY_NONSENSE]},
        {"retired", p->retired},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        text_add(t, "%s.%s %lu\n", p->name, lines[i].name, lines[i].value);
    text_add(t, "%s.extends %s\n", p->name, or_none(p->extends));
}

static const char *active_name(const char *class_name, struct policy_info *info)
{
    for (unsigned i = 0; policy_info(class_name, i, info) == OK; i++)
        if (info->active)
            return info->name;
    return "none";
}

static void class_add(struct text *t, const struct policy_class_info *info)
{
    struct policy_info policy;

    text_add(t, "switches %lu\n", info->switches);
    text_add(t, "fallbacks %lu\n", info->fallbacks);
    text_add(t, "reason %s\n", or_none(info->reason));
    text_add(t, "objective %s\n", or_none(info->objective));
    text_add(t, "judgement %s\n", or_none(info->judgement));
    text_add(t, "active %s\n", active_name(info->name, &policy));
    text_add(t, "shadow %s\n", or_none(info->shadow));
}

long stats_show(void *context, char *out, size_t size)
{
    const struct managed_class *c = context;
    struct text t = {out, size, 0};
    struct policy_class_info info;
    struct policy_info policy;

    if (!class_facts(c->name, &info))
        return ERR_NOT_FOUND;
    class_add(&t, &info);
    mutex_lock(&manager_lock);
    pilot_describe_locked(c, &t);
    guard_describe_locked(c, &t);
    mutex_unlock(&manager_lock);
    for (unsigned i = 0; policy_info(c->name, i, &policy) == OK; i++)
        figures_add(&t, &policy);
    for (unsigned i = 0; policy_info(c->name, i, &policy) == OK; i++)
        policy_memory_describe(&policy, &t);
    return text_length(&t);
}
