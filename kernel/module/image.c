/*
 * image.c: from a decoded module file to code and data in memory.
 *
 * The image is one range of module space: code (read, execute), data (read, write), read-only data,
 * each in pages of its own. All is written before any page becomes executable, so that no page is
 * ever both.
 */
#include <microlake/aspace.h>
#include <microlake/log.h>
#include <microlake/memory.h>

#include "kernel/mm/module_space.h"
#include "kernel/module/exports.h"
#include "kernel/module/internal.h"

#define MISSING_SHOWN 8 /* lines about missing symbols, before the rest is only counted */

_Static_assert(KMODFILE_PAGE == PAGE_SIZE, "areas begin on pages");

static const unsigned area_prot[KMODFILE_AREAS] = {
    [KMODFILE_TEXT] = PROT_READ | PROT_EXEC,
    [KMODFILE_DATA] = PROT_READ | PROT_WRITE,
    [KMODFILE_RODATA] = PROT_READ,
};

/* Allocates the image and fills all of its pages. */
static int image_fill(struct module *m, const struct kmodfile *file)
{
    m->pages = file->pages;
    m->base = module_space_alloc(m->pages);
    if (!m->base) {
        module_complain("module %s: no memory for its %zu pages", m->name, m->pages);
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < KMODFILE_AREAS; i++) {
        const struct kmodfile_part *part = &file->areas[i];
        uint8_t *to = m->base + part->offset;

        memcpy(to, part->bytes, part->size);
        memset(to + part->size, 0, part->pages * PAGE_SIZE - part->size);
        m->area_pages[i] = part->pages;
    }
    m->symbols = (const struct kmodfile_symbol *)(m->base + file->symbols_offset);
    m->symbol_count = file->header->symbol_count;
    m->export_count = file->header->export_count;
    m->names = (const char *)m->base + file->names_offset;
    return OK;
}

static policy_link_fn *policy_links; /* atomic */

void policy_link_watch(policy_link_fn *fn)
{
    __atomic_store_n(&policy_links, fn, __ATOMIC_RELEASE);
}

static bool imports(const struct kmodfile *file, const char *name)
{
    for (unsigned i = 0; i < file->header->import_count; i++)
        if (strcmp(file->names + file->imports[i].name, name) == 0)
            return true;
    return false;
}

/* Who is to be asked about the module's links; NULL: nobody. */
static policy_link_fn *links_watched(const struct kmodfile *file)
{
    policy_link_fn *fn = __atomic_load_n(&policy_links, __ATOMIC_ACQUIRE);

    return fn && imports(file, "policy_register") && !imports(file, "policy_class_register") ? fn : NULL;
}

/* The nucleus's exports come first: a module cannot replace them. */
static const void *import_find(const struct module *m, const char *name, unsigned *cursor)
{
    const void *address = export_find(name, cursor);

    for (unsigned i = 0; !address && i < m->need_count; i++)
        address = module_export_find(m->needs[i], name);
    return address;
}

/* Links everything, or names what is missing. The imports come sorted, and so the cursor only goes
 * forward; in a file where they are not, some are not found. */
static int image_link(struct module *m, const struct kmodfile *file)
{
    const struct kmodfile_header *h = file->header;
    struct kmodfile_linker linker = {file, m->base, (uintptr_t)m->base, file->places};
    policy_link_fn *watch = links_watched(file);
    unsigned missing = 0, cursor = 0;
    int result = kmodfile_link(&linker, &h->own, linker.base);

    for (unsigned i = 0; i < h->import_count && result == KMODFILE_OK; i++) {
        const char *name = file->names + file->imports[i].name;
        const void *address = import_find(m, name, &cursor);

        if (address && watch)
            address = watch(m, m->name, name, address);
        if (!address && missing++ < MISSING_SHOWN)
            module_complain("module %s: neither the kernel nor a module it needs exports %s", m->name,
                      name);
        if (!missing)
            result = kmodfile_link(&linker, &file->imports[i].places, (uintptr_t)address);
    }
    if (result != KMODFILE_OK) {
        module_complain("module %s: it %s", m->name, kmodfile_result_text(result));
        return ERR_BAD_FORMAT;
    }
    if (missing > MISSING_SHOWN)
        module_complain("module %s: %u more symbols are missing", m->name, missing - MISSING_SHOWN);
    return missing ? ERR_NOT_FOUND : OK;
}

static bool in_text(const struct module *m, uintptr_t address)
{
    return address - (uintptr_t)m->base < m->area_pages[KMODFILE_TEXT] * PAGE_SIZE;
}

/* Takes init and exit from the linked manifest. */
static int entries_take(struct module *m, const struct kmodfile *file)
{
    const struct kmod_manifest *manifest =
        (const struct kmod_manifest *)(m->base + file->header->manifest);

    if (!in_text(m, (uintptr_t)manifest->init) ||
        (manifest->exit && !in_text(m, (uintptr_t)manifest->exit))) {
        module_complain("module %s: its manifest's init or exit is not a function of the module",
                  m->name);
        return ERR_BAD_FORMAT;
    }
    m->init = manifest->init;
    m->exit = manifest->exit;
    return OK;
}

static int image_protect(struct module *m, const struct kmodfile *file)
{
    int result = OK;

    for (unsigned i = 0; i < KMODFILE_AREAS && result == OK; i++) {
        const struct kmodfile_part *part = &file->areas[i];

        result = module_space_protect(m->base + part->offset, part->pages, area_prot[i]);
    }
    module_space_publish(m->base, m->pages);
    if (result != OK)
        module_complain("module %s: its memory cannot be protected: %s", m->name, status_name(result));
    return result;
}

int module_image_build(struct module *m, const struct kmodfile *file)
{
    int result = image_fill(m, file);

    if (result == OK)
        result = image_link(m, file);
    if (result == OK)
        result = entries_take(m, file);
    if (result == OK)
        result = image_protect(m, file);
    return result;
}

void module_image_free(struct module *m)
{
    if (m->base)
        module_space_free(m->base, m->pages);
}

const void *module_export_find(const struct module *m, const char *name)
{
    for (unsigned i = 0; i < m->export_count; i++)
        if (strcmp(m->names + m->symbols[i].name, name) == 0)
            return m->base + m->symbols[i].offset;
    return NULL;
}
