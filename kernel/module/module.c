/*
 * module.c: loads and unloads modules with what they need. Thread context.
 *
 * One load or unload goes on at a time. A module's init or exit may load and unload others: the
 * lock knows its owner. The steps of a load lie in a chain, so that a circle of needs is seen.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/thread.h>
#include <microlake/trace.h>
#include <microlake/wait.h>

#include "kernel/module/internal.h"

#define ENTRY_MAX      80 /* of a list of modules: a name, and an option's */
#define COMPLAINT_MAX  224
#define COMPLAINTS_MAX 1024

TRACEPOINT(module_load, "module=%s");
TRACEPOINT(module_unload, "module=%s");

/* A module on its way: its needs are being loaded. */
struct load_step {
    const char *name;
    const struct load_step *outer;
};

static struct mutex load_mutex = MUTEX_INIT(load_mutex);
static struct thread *load_owner;          /* written under load_mutex */
static unsigned load_depth;                /* guarded by load_mutex */
static const struct load_step *load_chain; /* guarded by load_mutex */

static char complaints[COMPLAINTS_MAX]; /* guarded by load_mutex */
static size_t complaints_used;          /* guarded by load_mutex */

static int load_named(const char *name);

static void load_lock(void)
{
    struct thread *self = thread_current();

    /* Only this thread itself can have set the owner to itself. */
    if (__atomic_load_n(&load_owner, __ATOMIC_RELAXED) != self) {
        mutex_lock(&load_mutex);
        __atomic_store_n(&load_owner, self, __ATOMIC_RELAXED);
    }
    if (load_depth++ == 0)
        complaints_used = 0;
}

static void load_unlock(void)
{
    if (--load_depth > 0)
        return;
    __atomic_store_n(&load_owner, NULL, __ATOMIC_RELAXED);
    mutex_unlock(&load_mutex);
}

void module_complain(const char *format, ...)
{
    char line[COMPLAINT_MAX];
    va_list args;
    size_t size;

    va_start(args, format);
    vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    log_error("%s", line);
    size = strlen(line);
    line[size++] = '\n';
    size = MIN(size, sizeof(complaints) - complaints_used);
    memcpy(complaints + complaints_used, line, size);
    complaints_used += size;
}

size_t module_complaints(char *out, size_t size)
{
    size_t used;

    /* The lock's other users begin with none. */
    mutex_lock(&load_mutex);
    used = complaints_used;
    memcpy(out, complaints, MIN(used, size));
    mutex_unlock(&load_mutex);
    return used;
}

/* Logs what is wrong with a file. `name` is the one asked for, or NULL when only bytes were given.
 */
static void decode_error_log(const char *name, int result, const struct kmodfile *file)
{
    const struct kmod_manifest *manifest = &file->manifest;

    if (!name)
        name = result >= KMODFILE_MANIFEST_VERSION ? manifest->name : "(given as bytes)";
    if (result == KMODFILE_MANIFEST_ABI)
        module_complain("module %s: built for ABI %u, this kernel has %u: rebuild it", name,
                  manifest->abi_version, KMOD_ABI_VERSION);
    else
        module_complain("module %s: it %s", name, kmodfile_result_text(result));
}

/*
 * Takes a module away that has been stopped. Its memory goes when nobody can be inside any more; if
 * it left references behind, that is never, and the memory stays.
 */
static void module_dispose(struct module *m)
{
    module_table_remove(m);
    if (m->refs != 0) {
        module_complain("module %s: %u references were not given back: its memory stays", m->name,
                  m->refs);
        return;
    }
    cpus_pass();
    module_image_free(m);
    kfree(m);
}

static int need_load(struct module *m, const char *need)
{
    int result = load_named(need);

    if (result != OK) {
        module_complain("module %s: cannot load %s, which it needs: %s", m->name, need,
                  status_name(result));
        return result;
    }
    if (m->need_count == MODULE_NEEDS_MAX) {
        module_complain("module %s: it needs more than %d modules", m->name, MODULE_NEEDS_MAX);
        return ERR_LIMIT;
    }
    m->needs[m->need_count++] = module_find(need);
    return OK;
}

static int needs_load(struct module *m, const char *needs)
{
    struct load_step step = {m->name, load_chain};
    char need[KMOD_NAME_MAX];
    size_t cursor = 0;
    int result = OK;

    load_chain = &step;
    while (result == OK && kmod_need_next(needs, &cursor, need))
        result = need_load(m, need);
    load_chain = step.outer;
    return result;
}

static int module_start(struct module *m)
{
    int result;

    module_table_add(m);
    result = m->init();
    if (result == OK) {
        module_table_live(m);
        TRACE(module_load, TRACE_TEXT(m->name, 0), TRACE_TEXT(m->name, 1), TRACE_TEXT(m->name, 2));
        log_info("module %s %s: loaded", m->name, m->version);
        return OK;
    }
    module_complain("module %s: its init failed: %s", m->name, status_name(result));
    return result < 0 ? result : ERR_INVALID;
}

/* Makes and starts a module from a checked file. */
static int module_create(const struct kmodfile *file)
{
    struct module *m = kzalloc(sizeof(*m));
    int result;

    if (!m) {
        module_complain("module %s: no memory", file->manifest.name);
        return ERR_NO_MEMORY;
    }
    strlcpy(m->name, file->manifest.name, sizeof(m->name));
    strlcpy(m->version, file->manifest.version, sizeof(m->version));
    result = needs_load(m, file->manifest.needs);
    if (result == OK)
        result = module_image_build(m, file);
    if (result != OK) {
        module_image_free(m);
        kfree(m);
        return result;
    }
    result = module_start(m);
    if (result != OK) {
        module_table_fail(m);
        module_dispose(m);
    }
    return result;
}

/* name: what the manifest must say; NULL: anything. */
static int load_image(const char *name, const void *data, size_t size)
{
    struct kmodfile *file = kmalloc(sizeof(*file));
    int result;

    if (!file) {
        module_complain("module %s: no memory", name ? name : "(given as bytes)");
        return ERR_NO_MEMORY;
    }
    result = kmodfile_decode(data, module_content_size(data, size), file);
    if (result != KMODFILE_OK) {
        decode_error_log(name, result, file);
        result = ERR_BAD_FORMAT;
    } else if (name && strcmp(name, file->manifest.name) != 0) {
        module_complain("module %s: its manifest calls it %s: file and manifest must agree", name,
                  file->manifest.name);
        result = ERR_BAD_FORMAT;
    } else if (module_find(file->manifest.name)) {
        module_complain("module %s: it is loaded already: unload it first", file->manifest.name);
        result = ERR_EXISTS;
    } else {
        result = module_signature_check(file->manifest.name, data, size, name != NULL);
        if (result == OK)
            result = module_create(file);
    }
    kfree(file);
    return result;
}

static bool load_circular(const char *name)
{
    for (const struct load_step *step = load_chain; step; step = step->outer) {
        if (strcmp(step->name, name) == 0) {
            module_complain("module %s: it needs itself, by way of %s: the needs go in a circle", name,
                      load_chain->name);
            return true;
        }
    }
    return false;
}

static int load_named(const char *name)
{
    char path[sizeof("lib/modules/.kmod") + KMOD_NAME_MAX];
    struct boot_file file;
    struct module *m;

    if (!kmod_name_valid(name, KMOD_NAME_MAX)) {
        module_complain("module name is not [a-z0-9_]+ or longer than %d characters", KMOD_NAME_MAX - 1);
        return ERR_INVALID;
    }
    m = module_find(name);
    if (m && m->state == MODULE_LIVE)
        return OK;
    if (m) {
        module_complain("module %s: it is starting or stopping and cannot be used yet", name);
        return ERR_BUSY;
    }
    if (load_circular(name))
        return ERR_INVALID;
    snprintf(path, sizeof(path), "lib/modules/%s.kmod", name);
    if (boot_file_find(path, &file) != OK) {
        module_complain("module %s: %s is not in the boot archive", name, path);
        return ERR_NOT_FOUND;
    }
    return load_image(name, file.data, file.size);
}

int module_load(const char *name)
{
    int result;

    load_lock();
    result = load_named(name);
    load_unlock();
    return result;
}

int module_load_bytes(const void *data, size_t size)
{
    int result;

    load_lock();
    result = load_image(NULL, data, size);
    load_unlock();
    return result;
}

static int unload_named(const char *name)
{
    struct module *m = module_find(name);

    if (!m) {
        module_complain("module %s: it is not loaded", name);
        return ERR_NOT_FOUND;
    }
    if (!m->exit) {
        module_complain("module %s: it cannot be unloaded: it has no exit function", name);
        return ERR_UNSUPPORTED;
    }
    if (module_table_stop(m) != OK) {
        module_complain("module %s: it is in use: %u modules need it, %u references are held", name,
                  m->users, m->refs);
        return ERR_BUSY;
    }
    m->exit();
    TRACE(module_unload, TRACE_TEXT(m->name, 0), TRACE_TEXT(m->name, 1), TRACE_TEXT(m->name, 2));
    module_dispose(m);
    log_info("module %s: unloaded", name);
    return OK;
}

int module_unload(const char *name)
{
    int result;

    load_lock();
    result = unload_named(name);
    load_unlock();
    return result;
}

enum list_pass { PASS_BOOT, PASS_LATE };

/* "name", or "name?option": only in machines that were started with that option. A "+" behind it: the
 * module can wait until the command runs. */
static int load_entry(char *entry, enum list_pass pass, bool *late)
{
    char *option = strchr(entry, '?'), *end = entry + strlen(entry) - 1;
    bool waits = *end == '+';

    if (waits)
        *end = '\0';
    if (option)
        *option++ = '\0';
    if (option && !boot_option(option, 0))
        return OK;
    *late |= waits;
    return waits == (pass == PASS_LATE) ? module_load(entry) : OK;
}

/*
 * Loads the pass's entries of a text, in which commas, blanks and line ends separate entries. Goes on
 * after an error; returns the first one.
 */
static int load_listed(const char *text, size_t size, enum list_pass pass, bool *late)
{
    int first_error = OK;

    for (size_t at = 0; at < size;) {
        char entry[ENTRY_MAX + 1];
        size_t length = 0;

        for (; at < size && !strchr(", \t\r\n", text[at]); at++)
            if (length < ENTRY_MAX)
                entry[length++] = text[at];
        entry[length] = '\0';
        if (length == 0) {
            at++;
            continue;
        }
        int result = load_entry(entry, pass, late);
        if (first_error == OK)
            first_error = result;
    }
    return first_error;
}

int module_load_boot(bool *late)
{
    struct boot_file list;
    const char *names;
    int result = OK;

    *late = false;
    if (boot_file_find("etc/modules", &list) == OK)
        result = load_listed((const char *)list.data, list.size, PASS_BOOT, late);
    else
        log_warn("modules: the boot archive has no etc/modules: only those of modules= are loaded");
    for (unsigned nth = 0; (names = boot_option("modules", nth)); nth++) {
        bool ignored = false;
        int more = load_listed(names, strlen(names), PASS_BOOT, &ignored);

        if (result == OK)
            result = more;
    }
    return result;
}

int module_load_late(void)
{
    struct boot_file list;
    bool late = false;

    if (boot_file_find("etc/modules", &list) != OK)
        return OK;
    return load_listed((const char *)list.data, list.size, PASS_LATE, &late);
}
