/*
 * registry.c: which tracepoints and counters there are, and which points are on.
 *
 * The names last asked for are kept, so that a point that comes with a module later is on as well.
 */
#include <arch/cpu_local.h>
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/wait.h>
#include "trace_internal.h"

_Static_assert(offsetof(struct cpu, counters) == CPU_COUNTERS_OFFSET, "COUNT");

static struct mutex registry_lock = MUTEX_INIT(registry_lock);
static struct list sets = LIST_INIT(sets);     /* struct trace_set; guarded by registry_lock */
static char *wanted;                           /* guarded by registry_lock; NULL: nothing */
static uint32_t next_id = 1;                   /* guarded by registry_lock */
static bool slots_used[COUNTERS_MAX] = {true}; /* guarded by registry_lock; 0 is nobody's */
static struct trace_set nucleus_set = TRACE_SET;

static struct trace_set *set_of(struct list *link)
{
    return list_entry(link, struct trace_set, link);
}

/* ---- names ---- */

/* The next name of a list; *at moves behind it. Returns its length, 0 at the end. */
static size_t name_next(const char **at, const char **name)
{
    while (**at && strchr(", \t\r\n", **at))
        (*at)++;
    *name = *at;
    while (**at && !strchr(", \t\r\n", **at))
        (*at)++;
    return (size_t)(*at - *name);
}

static bool name_is(const char *name, size_t length, const char *what)
{
    return strlen(what) == length && strncmp(name, what, length) == 0;
}

static bool listed(const char *list, const char *what)
{
    const char *name;
    size_t length;

    while ((length = name_next(&list, &name)))
        if (name_is(name, length, "all") || name_is(name, length, what))
            return true;
    return false;
}

static bool point_exists_locked(const char *name, size_t length)
{
    list_for_each (it, &sets)
        for (struct tracepoint *const *p = set_of(it)->points; p < set_of(it)->points_end; p++)
            if (name_is(name, length, (*p)->name))
                return true;
    return false;
}

/* The first name that is no point's; its length, 0: there is none. */
static size_t unknown_find_locked(const char *list, const char **name)
{
    size_t length;

    while ((length = name_next(&list, name)))
        if (!name_is(*name, length, "all") && !point_exists_locked(*name, length))
            break;
    return length;
}

/* ---- switching ---- */

static void set_switch_locked(const struct trace_set *set)
{
    for (struct tracepoint *const *p = set->points; p < set->points_end; p++)
        __atomic_store_n(&(*p)->on, wanted && listed(wanted, (*p)->name), __ATOMIC_RELEASE);
}

static int names_apply_locked(const char *names)
{
    char *copy = kstrdup(names);
    int r = copy ? OK : ERR_NO_MEMORY;

    if (r == OK && *names)
        r = trace_rings_make();
    if (r != OK) {
        kfree(copy);
        return r;
    }
    kfree(wanted);
    wanted = copy;
    list_for_each (it, &sets)
        set_switch_locked(set_of(it));
    return OK;
}

int trace_set(const char *names)
{
    const char *name;
    int r = ERR_NOT_FOUND;

    mutex_lock(&registry_lock);
    if (unknown_find_locked(names, &name) == 0)
        r = names_apply_locked(names);
    mutex_unlock(&registry_lock);
    return r;
}

void trace_start(void)
{
    const char *names = boot_option("trace", 0), *name;
    size_t length;
    int r;

    if (!names)
        return;
    mutex_lock(&registry_lock);
    length = unknown_find_locked(names, &name);
    if (length)
        log_warn("trace: there is no tracepoint %.*s yet; a module may bring it", (int)length,
                 name);
    r = names_apply_locked(names);
    mutex_unlock(&registry_lock);
    if (r != OK)
        log_error("trace: nothing is traced: %s", status_name(r));
}

/* ---- registration ---- */

/* The cell is 0 on every CPU, those that are still to come included. 0: none is free. */
static uint32_t slot_take_locked(void)
{
    for (uint32_t slot = 0; slot < COUNTERS_MAX; slot++) {
        if (slots_used[slot])
            continue;
        slots_used[slot] = true;
        for (unsigned i = 0; i < cpu_count(); i++)
            cpus[i]->counters[slot] = 0;
        return slot;
    }
    return 0;
}

static void slots_give_locked(const struct trace_set *set)
{
    for (struct counter *const *c = set->counters; c < set->counters_end; c++) {
        if ((*c)->slot)
            slots_used[(*c)->slot] = false;
        (*c)->slot = 0;
    }
}

static bool set_is_valid(const struct trace_set *set)
{
    for (struct tracepoint *const *p = set->points; p < set->points_end; p++)
        if (strlen((*p)->name) >= TRACE_NAME_MAX || strlen((*p)->format) >= TRACE_FORMAT_MAX)
            return false;
    for (struct counter *const *c = set->counters; c < set->counters_end; c++)
        if (strlen((*c)->name) >= TRACE_NAME_MAX)
            return false;
    return true;
}

static int set_add_locked(struct trace_set *set)
{
    for (struct counter *const *c = set->counters; c < set->counters_end; c++) {
        (*c)->slot = slot_take_locked();
        if (!(*c)->slot) {
            slots_give_locked(set);
            return ERR_LIMIT;
        }
    }
    for (struct tracepoint *const *p = set->points; p < set->points_end; p++)
        (*p)->id = next_id++;
    if (wanted) /* else they are off, as they were made */
        set_switch_locked(set);
    list_push_back(&sets, &set->link);
    return OK;
}

int trace_register(struct trace_set *set)
{
    int r;

    if (!set_is_valid(set))
        return ERR_INVALID;
    mutex_lock(&registry_lock);
    r = set_add_locked(set);
    mutex_unlock(&registry_lock);
    return r;
}

void trace_unregister(struct trace_set *set)
{
    mutex_lock(&registry_lock);
    list_remove(&set->link);
    slots_give_locked(set);
    mutex_unlock(&registry_lock);
}

void trace_init(void)
{
    if (set_add_locked(&nucleus_set) != OK) /* nobody else runs yet */
        panic("the nucleus declares more than %d counters", COUNTERS_MAX);
}

/* ---- listing ---- */

int trace_point_info(unsigned nth, struct trace_point_info *out)
{
    int r = ERR_NOT_FOUND;

    mutex_lock(&registry_lock);
    list_for_each (it, &sets) {
        size_t count = (size_t)(set_of(it)->points_end - set_of(it)->points);

        if (nth < count) {
            const struct tracepoint *p = set_of(it)->points[nth];

            *out = (struct trace_point_info){.id = p->id, .on = p->on};
            strlcpy(out->name, p->name, sizeof(out->name));
            strlcpy(out->format, p->format, sizeof(out->format));
            r = OK;
            break;
        }
        nth -= (unsigned)count;
    }
    mutex_unlock(&registry_lock);
    return r;
}

int counter_info(unsigned nth, struct counter_info *out)
{
    int r = ERR_NOT_FOUND;

    mutex_lock(&registry_lock);
    list_for_each (it, &sets) {
        size_t count = (size_t)(set_of(it)->counters_end - set_of(it)->counters);

        if (nth < count) {
            const struct counter *c = set_of(it)->counters[nth];

            out->value = 0;
            for (unsigned i = 0; i < cpu_count(); i++)
                out->value += __atomic_load_n(&cpus[i]->counters[c->slot], __ATOMIC_RELAXED);
            strlcpy(out->name, c->name, sizeof(out->name));
            r = OK;
            break;
        }
        nth -= (unsigned)count;
    }
    mutex_unlock(&registry_lock);
    return r;
}
