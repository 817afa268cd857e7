/*
 * symbols.c: names code addresses. Used in panics and faults: it never waits and allocates nothing.
 */
#include "kernel/module/symbols.h"

#include <microlake/memory.h>

#include "kernel/module/internal.h"

/* A last function has no next one to end it. */
#define FUNCTION_MAX 65536

struct search {
    uint64_t address;
    const char *name;
    uint64_t offset;
    const char *module;
};

static bool nucleus_find(uint64_t addr, const char **name, uint64_t *offset)
{
    uint64_t at = addr - symbol_base;
    unsigned low = 0, high = symbol_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (symbol_offsets[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (addr < symbol_base || low == 0)
        return false;
    *name = symbol_names + symbol_name_starts[low - 1];
    *offset = at - symbol_offsets[low - 1];
    return *offset < FUNCTION_MAX;
}

/* The last function at or below the address. */
static void module_search(const struct module *m, void *ctx)
{
    struct search *search = ctx;
    uint64_t at = search->address - (uintptr_t)m->base;

    if (at >= m->area_pages[KMODFILE_TEXT] * PAGE_SIZE)
        return;
    search->module = m->name;
    search->name = "?";
    search->offset = at;
    for (unsigned i = 0; i < m->symbol_count && m->symbols[i].offset <= at; i++) {
        if (!m->symbols[i].function)
            continue;
        search->name = m->names + m->symbols[i].name;
        search->offset = at - m->symbols[i].offset;
    }
}

bool symbol_find(uint64_t addr, const char **name, uint64_t *offset, const char **module)
{
    struct search search = {.address = addr};

    *module = NULL;
    if (nucleus_find(addr, name, offset))
        return true;
    if (!module_table_try(addr, module_search, &search) || !search.module)
        return false;
    *name = search.name;
    *offset = search.offset;
    *module = search.module;
    return true;
}
