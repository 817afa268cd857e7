/*
 * missing.c: see missing.h. A table in which each name has one place, which the last one has.
 */
#include "modules/linux/fs/missing.h"

#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>

#include "modules/linux/fs/foreign.h"

#define PLACES   512u
#define NAME_MAX 48u /* longer ones are not remembered; with NUL */

struct missing {
    uint64_t folder; /* 0: none */
    uint64_t since;
    char name[NAME_MAX];
};

static struct spinlock lock = SPINLOCK_INIT;
static struct missing *table; /* made when first wanted; guarded by lock */
static uint64_t made;         /* counts names that were made; guarded by lock */

/* FNV-1a. */
static unsigned place_of(uint64_t folder, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ull ^ folder;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3ull;
    return (unsigned)(hash ^ hash >> 32) % PLACES;
}

static bool is_it(const struct missing *m, uint64_t folder, const char *name)
{
    return m->folder == folder && strcmp(m->name, name) == 0;
}

bool missing_known(uint64_t folder, const char *name)
{
    const struct missing *m;
    bool known = false;

    spin_lock(&lock);
    if (table) {
        m = &table[place_of(folder, name)];
        known = is_it(m, folder, name) && time_now() - m->since < FOREIGN_FRESH_NS;
    }
    spin_unlock(&lock);
    return known;
}

static void make_table(void)
{
    struct missing *fresh = kzalloc(PLACES * sizeof(*fresh));

    spin_lock(&lock);
    if (!table) {
        table = fresh;
        fresh = NULL;
    }
    spin_unlock(&lock);
    kfree(fresh);
}

uint64_t missing_before(void)
{
    return __atomic_load_n(&made, __ATOMIC_ACQUIRE);
}

void missing_remember(uint64_t before, uint64_t folder, const char *name)
{
    struct missing *m;

    if (strlen(name) >= NAME_MAX)
        return;
    if (!__atomic_load_n(&table, __ATOMIC_ACQUIRE))
        make_table();
    spin_lock(&lock);
    if (table && made == before) {
        m = &table[place_of(folder, name)];
        m->folder = folder;
        m->since = time_now();
        strlcpy(m->name, name, NAME_MAX);
    }
    spin_unlock(&lock);
}

void missing_forget(uint64_t folder, const char *name)
{
    struct missing *m;

    spin_lock(&lock);
    __atomic_add_fetch(&made, 1, __ATOMIC_RELEASE);
    if (table) {
        m = &table[place_of(folder, name)];
        if (is_it(m, folder, name))
            m->folder = 0;
    }
    spin_unlock(&lock);
}
