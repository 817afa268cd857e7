/*
 * pilots.c: who may set policies instead of the machine's owner; see include/mlaas.h.
 */
#include <microlake/memory.h>

#include "core.h"

#define PILOTS_MAX 8u

static const struct mlaas_pilot *pilots[PILOTS_MAX]; /* guarded by manager_lock; NULL: free */

static const struct mlaas_pilot *pilot_find_locked(const char *name)
{
    for (unsigned i = 0; i < PILOTS_MAX; i++)
        if (pilots[i] && !strcmp(pilots[i]->name, name))
            return pilots[i];
    return NULL;
}

static int pilot_add_locked(const struct mlaas_pilot *p)
{
    if (pilot_find_locked(p->name))
        return ERR_EXISTS;
    for (unsigned i = 0; i < PILOTS_MAX; i++)
        if (!pilots[i]) {
            pilots[i] = p;
            return OK;
        }
    return ERR_LIMIT;
}

int mlaas_pilot_register(const struct mlaas_pilot *p)
{
    char name[POLICY_NAME_MAX];
    int r;

    if (!p->name || !p->take || !p->leave || word_take(p->name, strlen(p->name), name) != OK ||
        !strcmp(name, "none"))
        return ERR_INVALID;
    mutex_lock(&manager_lock);
    r = pilot_add_locked(p);
    mutex_unlock(&manager_lock);
    return r;
}

void pilot_end_locked(struct managed_class *c)
{
    const struct mlaas_pilot *p = c->pilot;

    c->pilot = NULL;
    if (p)
        p->leave(p->context, c->name);
}

void mlaas_pilot_unregister(const struct mlaas_pilot *p)
{
    mutex_lock(&manager_lock);
    for (unsigned i = 0; i < managed_now(); i++)
        if (managed[i].pilot == p)
            pilot_end_locked(&managed[i]);
    for (unsigned i = 0; i < PILOTS_MAX; i++)
        if (pilots[i] == p)
            pilots[i] = NULL;
    mutex_unlock(&manager_lock);
}

int mlaas_pilot_set(const struct mlaas_pilot *p, const char *class_name, const char *policy_name)
{
    const struct managed_class *c = managed_find(class_name);
    int r = ERR_ACCESS;

    if (!c)
        return ERR_NOT_FOUND;
    mutex_lock(&manager_lock);
    if (c->pilot == p)
        r = policy_set(class_name, policy_name);
    mutex_unlock(&manager_lock);
    return r;
}

long pilot_show(void *context, char *out, size_t size)
{
    const struct managed_class *c = context;
    struct text t = {out, size, 0};

    mutex_lock(&manager_lock);
    text_add(&t, "%s\n", c->pilot ? c->pilot->name : "none");
    mutex_unlock(&manager_lock);
    return text_length(&t);
}

/* The one that has the class leaves it first; if the new one then won't have it, nobody has. */
static int pilot_change_locked(struct managed_class *c, const struct mlaas_pilot *p)
{
    int r;

    if (p == c->pilot)
        return OK;
    pilot_end_locked(c);
    r = p ? p->take(p->context, c->name) : OK;
    if (r == OK)
        c->pilot = p;
    return r;
}

int pilot_store(void *context, const char *text, size_t size)
{
    struct managed_class *c = context;
    const struct mlaas_pilot *p = NULL;
    char name[POLICY_NAME_MAX];
    int r = word_take(text, size, name);

    if (r != OK)
        return r;
    mutex_lock(&manager_lock);
    if (strcmp(name, "none") != 0) {
        p = pilot_find_locked(name);
        r = p ? OK : ERR_NOT_FOUND;
    }
    if (r == OK)
        r = pilot_change_locked(c, p);
    mutex_unlock(&manager_lock);
    return r;
}

void pilot_describe_locked(const struct managed_class *c, struct text *t)
{
    text_add(t, "pilot %s\n", c->pilot ? c->pilot->name : "none");
    if (c->pilot && c->pilot->describe)
        c->pilot->describe(c->pilot->context, c->name, t);
}

/* ---- What a pilot has learned ------------------------------------------------------------------ */

long knowledge_show(void *context, char *out, size_t size)
{
    const struct managed_class *c = context;
    struct text t = {out, size, 0};

    mutex_lock(&manager_lock);
    if (c->pilot && c->pilot->recall)
        c->pilot->recall(c->pilot->context, c->name, &t);
    mutex_unlock(&manager_lock);
    return text_length(&t);
}

/* One line each time. */
int knowledge_store(void *context, const char *text, size_t size)
{
    const struct managed_class *c = context;
    int r = ERR_UNSUPPORTED;

    if (strlen(text) != size)
        return ERR_INVALID;
    mutex_lock(&manager_lock);
    if (c->pilot && c->pilot->teach)
        r = c->pilot->teach(c->pilot->context, c->name, text);
    mutex_unlock(&manager_lock);
    return r;
}
