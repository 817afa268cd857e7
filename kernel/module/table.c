/*
 * table.c: the modules there are, and who holds on to them. Any context.
 */
#include <microlake/cpu.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>

#include "kernel/module/internal.h"

static struct spinlock table_lock = SPINLOCK_INIT;
static struct list modules = LIST_INIT(modules); /* guarded by table_lock */

static struct module *entry_of(struct list *link)
{
    return list_entry(link, struct module, link);
}

static bool module_contains(const struct module *m, uint64_t address)
{
    return address - (uintptr_t)m->base < m->pages * PAGE_SIZE;
}

static struct module *find_by_address_locked(uint64_t address)
{
    list_for_each (it, &modules)
        if (module_contains(entry_of(it), address))
            return entry_of(it);
    return NULL;
}

void module_table_add(struct module *m)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);

    m->state = MODULE_STARTING;
    for (unsigned i = 0; i < m->need_count; i++)
        m->needs[i]->users++;
    list_push_back(&modules, &m->link);
    spin_unlock_irqrestore(&table_lock, flags);
}

void module_table_remove(struct module *m)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);

    for (unsigned i = 0; i < m->need_count; i++)
        m->needs[i]->users--;
    list_remove(&m->link);
    spin_unlock_irqrestore(&table_lock, flags);
}

static void state_set(struct module *m, enum module_state state)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);

    m->state = state;
    spin_unlock_irqrestore(&table_lock, flags);
}

void module_table_live(struct module *m)
{
    state_set(m, MODULE_LIVE);
}

void module_table_fail(struct module *m)
{
    state_set(m, MODULE_STOPPING);
}

int module_table_stop(struct module *m)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);
    int result = ERR_BUSY;

    if (m->state == MODULE_LIVE && m->refs == 0 && m->users == 0) {
        m->state = MODULE_STOPPING;
        result = OK;
    }
    spin_unlock_irqrestore(&table_lock, flags);
    return result;
}

bool module_table_try(uint64_t address, void (*see)(const struct module *m, void *ctx), void *ctx)
{
    uint64_t flags = interrupts_disable();
    struct module *m = NULL;

    if (spin_trylock(&table_lock)) {
        m = find_by_address_locked(address);
        if (m)
            see(m, ctx);
        spin_unlock(&table_lock);
    }
    interrupts_restore(flags);
    return m;
}

struct module *module_find(const char *name)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);
    struct module *found = NULL;

    list_for_each (it, &modules)
        if (strcmp(entry_of(it)->name, name) == 0)
            found = entry_of(it);
    spin_unlock_irqrestore(&table_lock, flags);
    return found;
}

struct module *module_of_address(const void *address)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);
    struct module *found = find_by_address_locked((uintptr_t)address);

    spin_unlock_irqrestore(&table_lock, flags);
    return found;
}

bool module_ref(struct module *m)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);
    bool allowed = m->state != MODULE_STOPPING;

    if (allowed)
        m->refs++;
    spin_unlock_irqrestore(&table_lock, flags);
    return allowed;
}

void module_unref(struct module *m)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);

    m->refs--;
    spin_unlock_irqrestore(&table_lock, flags);
}

int module_info(unsigned nth, struct module_info *out)
{
    uint64_t flags = spin_lock_irqsave(&table_lock);
    int result = ERR_NOT_FOUND;

    list_for_each (it, &modules) {
        struct module *m = entry_of(it);

        if (nth-- != 0)
            continue;
        strlcpy(out->name, m->name, sizeof(out->name));
        strlcpy(out->version, m->version, sizeof(out->version));
        out->size = m->pages * PAGE_SIZE + sizeof(*m);
        out->refs = m->refs + m->users;
        result = OK;
        break;
    }
    spin_unlock_irqrestore(&table_lock, flags);
    return result;
}
