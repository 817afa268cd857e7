/*
 * image.c: from a decoded module file to code and data in memory.
 *
 * The areas lie behind each other in one range of module space, each in pages of its own: code
 * (read, execute), read-only data, data (read, write). All is written before any page becomes
 * executable, so that no page is ever both.
 */
#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "kernel/mm/module_space.h"
#include "kernel/module/exports.h"
#include "kernel/module/internal.h"

#define MISSING_SHOWN 8 /* lines about missing symbols, before the rest is only counted */

static const unsigned area_prot[KMODFILE_AREAS] = {
    [KMODFILE_TEXT] = PROT_READ | PROT_EXEC,
    [KMODFILE_RODATA] = PROT_READ,
    [KMODFILE_DATA] = PROT_READ | PROT_WRITE,
};

static uint8_t *area_base(const struct module *m, enum kmodfile_area area)
{
    uint8_t *base = m->base;

    for (unsigned i = 0; i < area; i++)
        base += m->area_pages[i] * PAGE_SIZE;
    return base;
}

static uint8_t *section_base(const struct module *m, const struct kmodfile *file, unsigned section)
{
    const struct kmodfile_section *s = &file->sections[section];

    return area_base(m, s->area) + s->offset;
}

static int image_alloc(struct module *m, const struct kmodfile *file)
{
    for (unsigned i = 0; i < KMODFILE_AREAS; i++) {
        m->area_pages[i] = ALIGN_UP(file->area_size[i], PAGE_SIZE) / PAGE_SIZE;
        m->pages += m->area_pages[i];
    }
    m->base = module_space_alloc(m->pages);
    if (!m->base) {
        log_error("module %s: no memory for its %zu pages", m->name, m->pages);
        return ERR_NO_MEMORY;
    }
    return OK;
}

/* Module space comes zeroed: what the file does not fill stays 0. */
static void image_copy(struct module *m, const struct kmodfile *file)
{
    for (unsigned i = 1; i < file->section_count; i++) {
        const struct kmodfile_section *s = &file->sections[i];

        if (s->loaded && !s->zero)
            memcpy(section_base(m, file, i), s->bytes, s->size);
    }
}

/* The nucleus's exports come first: a module cannot replace them. */
static const void *import_find(const struct module *m, const char *name)
{
    const void *address = export_find(name);

    for (unsigned i = 0; !address && i < m->need_count; i++)
        address = module_export_find(m->needs[i], name);
    return address;
}

/* Fills in the address of every symbol that relocations can name. */
static int symbols_resolve(const struct module *m, const struct kmodfile *file, uint64_t *addresses)
{
    unsigned missing = 0;

    for (size_t i = 1; i < file->symbol_count; i++) {
        struct kmodfile_symbol symbol;

        kmodfile_symbol_read(file, i, &symbol);
        if (symbol.kind == SYMBOL_ABSOLUTE) {
            addresses[i] = symbol.value;
        } else if (symbol.kind == SYMBOL_DEFINED) {
            if (file->sections[symbol.section].loaded)
                addresses[i] = (uintptr_t)section_base(m, file, symbol.section) + symbol.value;
        } else {
            addresses[i] = (uintptr_t)import_find(m, symbol.name);
            if (!addresses[i] && missing++ < MISSING_SHOWN)
                log_error("module %s: neither the kernel nor a module it needs exports %s", m->name,
                          symbol.name);
        }
    }
    if (missing > MISSING_SHOWN)
        log_error("module %s: %u more symbols are missing", m->name, missing - MISSING_SHOWN);
    return missing ? ERR_NOT_FOUND : OK;
}

static int relocations_apply(struct module *m, const struct kmodfile *file,
                             const uint64_t *addresses)
{
    for (unsigned i = 1; i < file->section_count; i++) {
        int result = KMODFILE_OK;

        if (file->sections[i].loaded)
            result = kmodfile_relocate_section(file, i, section_base(m, file, i), addresses);
        if (result != KMODFILE_OK) {
            log_error("module %s: %s", m->name, kmodfile_result_text(result));
            return ERR_BAD_FORMAT;
        }
    }
    return OK;
}

static int image_link(struct module *m, const struct kmodfile *file)
{
    uint64_t *addresses = kzalloc(MAX(file->symbol_count, 1u) * sizeof(*addresses));
    int result;

    if (!addresses) {
        log_error("module %s: no memory for its %zu symbols", m->name, file->symbol_count);
        return ERR_NO_MEMORY;
    }
    result = symbols_resolve(m, file, addresses);
    if (result == OK)
        result = relocations_apply(m, file, addresses);
    kfree(addresses);
    return result;
}

/* Symbols worth keeping: functions for backtraces, and exports. */
static bool symbol_kept(const struct kmodfile *file, const struct kmodfile_symbol *symbol)
{
    if (symbol->kind != SYMBOL_DEFINED || !file->sections[symbol->section].loaded)
        return false;
    return symbol->function || kmodfile_symbol_exported(file, symbol);
}

/* Copies the kept symbols, and the file's whole table of names, out of the file, which goes away. */
static int symbols_keep(struct module *m, const struct kmodfile *file)
{
    struct kmodfile_symbol symbol;

    m->symbols = kmalloc(MAX(file->symbol_count, 1ul) * sizeof(*m->symbols));
    m->names = kmalloc(MAX(file->names_size, 1ul));
    if (!m->symbols || !m->names) {
        log_error("module %s: no memory for the names of its %zu symbols", m->name, file->symbol_count);
        return ERR_NO_MEMORY;
    }
    memcpy(m->names, file->names, file->names_size);
    m->names_size = file->names_size;
    for (size_t i = 1; i < file->symbol_count; i++) {
        kmodfile_symbol_read(file, i, &symbol);
        if (!symbol_kept(file, &symbol))
            continue;
        m->symbols[m->symbol_count++] = (struct module_symbol){
            .offset = (uint32_t)(section_base(m, file, symbol.section) + symbol.value - m->base),
            .name = (uint32_t)(symbol.name - file->names),
            .exported = kmodfile_symbol_exported(file, &symbol),
            .function = symbol.function,
        };
    }
    return OK;
}

static bool in_text(const struct module *m, uintptr_t address)
{
    return address - (uintptr_t)m->base < m->area_pages[KMODFILE_TEXT] * PAGE_SIZE;
}

/* Takes init and exit from the relocated manifest. */
static int entries_take(struct module *m, const struct kmodfile *file)
{
    const struct kmod_manifest *manifest =
        (const struct kmod_manifest *)section_base(m, file, file->manifest_section);

    if (!in_text(m, (uintptr_t)manifest->init) ||
        (manifest->exit && !in_text(m, (uintptr_t)manifest->exit))) {
        log_error("module %s: its manifest's init or exit is not a function of the module",
                  m->name);
        return ERR_BAD_FORMAT;
    }
    m->init = manifest->init;
    m->exit = manifest->exit;
    return OK;
}

static int image_protect(struct module *m)
{
    for (unsigned i = 0; i < KMODFILE_AREAS; i++) {
        if (m->area_pages[i] == 0)
            continue;
        int result = module_space_protect(area_base(m, i), m->area_pages[i], area_prot[i]);
        if (result != OK) {
            log_error("module %s: its memory cannot be protected: %s", m->name,
                      status_name(result));
            return result;
        }
    }
    return OK;
}

int module_image_build(struct module *m, const struct kmodfile *file)
{
    int result = image_alloc(m, file);

    if (result != OK)
        return result;
    image_copy(m, file);
    result = image_link(m, file);
    if (result == OK)
        result = symbols_keep(m, file);
    if (result == OK)
        result = entries_take(m, file);
    if (result == OK)
        result = image_protect(m);
    return result;
}

void module_image_free(struct module *m)
{
    if (m->base)
        module_space_free(m->base, m->pages);
    kfree(m->symbols);
    kfree(m->names);
}

const void *module_export_find(const struct module *m, const char *name)
{
    for (unsigned i = 0; i < m->symbol_count; i++)
        if (m->symbols[i].exported && strcmp(m->names + m->symbols[i].name, name) == 0)
            return m->base + m->symbols[i].offset;
    return NULL;
}
