/*
 * symbols.c: names code addresses. Used in panics and faults: it never waits and allocates nothing.
 */
#include "kernel/module/symbols.h"

#include <microlake/log.h>
#include <microlake/memory.h>

#include "kernel/module/internal.h"

/* A last function has no next one to end it. */
#define FUNCTION_MAX 65536

struct search {
    uint64_t address;
    char *out;
    size_t size;
};

static bool nucleus_text(const struct search *search)
{
    uint64_t at = search->address - symbol_base;
    unsigned low = 0, high = symbol_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (symbol_offsets[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (search->address < symbol_base || low == 0 || at - symbol_offsets[low - 1] >= FUNCTION_MAX)
        return false;
    snprintf(search->out, search->size, "%s+0x%lx", symbol_names + symbol_name_starts[low - 1],
             (unsigned long)(at - symbol_offsets[low - 1]));
    return true;
}

/* The last function at or below the address. Under the table's lock: the names are there. */
static void module_text(const struct module *m, void *ctx)
{
    const struct search *search = ctx;
    uint64_t at = search->address - (uintptr_t)m->base, start = 0;
    const char *name = "?";

    if (at >= m->area_pages[KMODFILE_TEXT] * PAGE_SIZE)
        return;
    for (unsigned i = 0; i < m->symbol_count; i++) {
        if (m->symbols[i].offset > at || m->symbols[i].offset < start)
            continue;
        name = m->names + m->symbols[i].name;
        start = m->symbols[i].offset;
    }
    snprintf(search->out, search->size, "%s+0x%lx of %s", name, (unsigned long)(at - start), m->name);
}

void symbol_text(uint64_t address, char *out, size_t size)
{
    struct search search = {address, out, size};

    snprintf(out, size, "0x%lx", (unsigned long)address);
    if (!nucleus_text(&search))
        module_table_try(address, module_text, &search);
}
