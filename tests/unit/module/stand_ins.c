/*
 * stand_ins.c: locks, threads, heap, log and boot archive for one thread on the build machine.
 */
#include "stand_ins.h"

#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/trace.h>

#include "kernel/module/exports.h"
#include "kernel/module/symbols.h"

#include "fixtures/fixtures.h"

#define RECORDS 64
#define FILES   8

static char notes[RECORDS][64], lines[RECORDS][160];
static unsigned note_count, line_count;
static struct boot_file files[FILES];
static unsigned file_count;
static struct thread self = {.affinity = 5};
static unsigned locks_held;

const char *option_modules, *option_unsigned;
unsigned heap_live, allocation_fails;

/* ---- exports and functions of the "nucleus" ---------------------------------------------------
 */

#define EXPORT(name)                                                                               \
    {                                                                                              \
#name, (const void *)(name)                                                                \
    }
const struct export_entry export_table[] = {
    EXPORT(fixture_note),      EXPORT(log_line),   EXPORT(module_load),
    EXPORT(module_of_address), EXPORT(module_ref), EXPORT(module_unload),
};
const unsigned export_count = ARRAY_SIZE(export_table);

const uint64_t symbol_base = 0xffffffff80100000;
const unsigned symbol_count = 3;
const uint32_t symbol_offsets[] = {0, 0x40, 0x1000, 0};
const uint16_t symbol_name_starts[] = {0, 6, 12, 0};
const char symbol_names[] = "start\0panic\0last\0";

/* ---- records ------------------------------------------------------------------------------------
 */

void records_reset(void)
{
    note_count = line_count = 0;
}

void fixture_note(const char *text)
{
    assert_true(note_count < RECORDS);
    snprintf(notes[note_count++], sizeof(notes[0]), "%s", text);
}

/* Notes must come in the order in which a test asks for them: each is taken out. */
bool noted(const char *text)
{
    if (note_count == 0 || strcmp(notes[0], text) != 0)
        return false;
    note_count--;
    memmove(notes, notes + 1, note_count * sizeof(notes[0]));
    return true;
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;

    if (level > LOG_WARN || line_count == RECORDS)
        return;
    va_start(args, format);
    vsnprintf(lines[line_count++], sizeof(lines[0]), format, args);
    va_end(args);
}

bool logged(const char *part)
{
    for (unsigned i = 0; i < line_count; i++)
        if (strstr(lines[i], part))
            return true;
    return false;
}

unsigned log_count(void)
{
    return line_count;
}

/* ---- heap
 * ------------------------------------------------------------------------------------------ */

bool allocation_may(void)
{
    return allocation_fails == 0 || --allocation_fails != 0;
}

void *kmalloc(size_t size)
{
    void *p = allocation_may() ? malloc(size) : NULL;

    heap_live += p != NULL;
    return p;
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);

    if (p)
        memset(p, 0, size);
    return p;
}

void kfree(void *p)
{
    heap_live -= p != NULL;
    free(p);
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    return (size_t)snprintf(dst, size, "%s", src);
}

/* ---- boot archive -------------------------------------------------------------------------------
 */

void archive_reset(void)
{
    file_count = 0;
    option_modules = option_unsigned = NULL;
}

void archive_add(const char *path, const void *data, size_t size)
{
    assert_true(file_count < FILES);
    files[file_count++] = (struct boot_file){.path = path, .data = data, .size = size};
}

uint8_t *fixture_read(const char *name, size_t *size)
{
    char path[128];
    FILE *file;
    uint8_t *data;

    snprintf(path, sizeof(path), "build/tests/fixtures/%s.kmod", name);
    file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    data = malloc(*size);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

/* A fixture's bytes stay until the test program ends, as the boot archive's do. */
static int fixture_find(const char *path, struct boot_file *out)
{
    static struct {
        char name[KMOD_NAME_MAX];
        uint8_t *data;
        size_t size;
    } cache[16];
    char name[KMOD_NAME_MAX];

    if (sscanf(path, "lib/modules/%31[a-z0-9_].kmod", name) != 1)
        return ERR_NOT_FOUND;
    for (unsigned i = 0; i < ARRAY_SIZE(cache); i++) {
        if (cache[i].data && strcmp(cache[i].name, name) != 0)
            continue;
        if (!cache[i].data)
            cache[i].data = fixture_read(name, &cache[i].size);
        strcpy(cache[i].name, name);
        out->data = cache[i].data;
        out->size = cache[i].size;
        return out->data ? OK : ERR_NOT_FOUND;
    }
    return ERR_NOT_FOUND;
}

int boot_file_find(const char *path, struct boot_file *out)
{
    for (unsigned i = 0; i < file_count; i++) {
        if (strcmp(files[i].path, path) == 0) {
            *out = files[i];
            return OK;
        }
    }
    return fixture_find(path, out);
}

const char *boot_option(const char *name, unsigned nth)
{
    if (nth > 0)
        return NULL;
    if (strcmp(name, "module.unsigned") == 0)
        return option_unsigned;
    return strcmp(name, "modules") == 0 ? option_modules : NULL;
}

/* ---- one thread, one CPU
 * --------------------------------------------------------------------------- */

struct thread *thread_current(void)
{
    return &self;
}

int thread_set_affinity(struct thread *t, cpu_mask_t mask)
{
    t->affinity = mask;
    return OK;
}

void thread_yield(void)
{
    assert_int_equal(locks_held, 1); /* only the loader's mutex */
}

/* Runs at once and to its end; without memory now and then. */
int thread_create(const char *name, void (*entry)(void *), void *arg, struct thread **out)
{
    struct thread other = {.affinity = ~0ull}, before = self;

    (void)name;
    if (!allocation_may())
        return ERR_NO_MEMORY;
    self = other;
    entry(arg);
    self = before;
    *out = &self;
    return OK;
}

int thread_join(struct thread *t, uint64_t due)
{
    (void)t, (void)due;
    return OK;
}

void thread_unref(struct thread *t)
{
    (void)t;
}

unsigned cpu_count(void)
{
    return 3;
}

void mutex_lock(struct mutex *m)
{
    assert_int_equal(m->held, 0);
    m->held = 1;
    locks_held++;
}

void mutex_unlock(struct mutex *m)
{
    assert_int_equal(m->held, 1);
    m->held = 0;
    locks_held--;
}

bool spin_trylock(struct spinlock *lock)
{
    if (lock->next != lock->serving)
        return false;
    lock->next++;
    locks_held++;
    return true;
}

void spin_unlock(struct spinlock *lock)
{
    lock->serving++;
    locks_held--;
}

uint64_t spin_lock_irqsave(struct spinlock *lock)
{
    assert_true(spin_trylock(lock));
    return 7;
}

void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
    assert_int_equal(flags, 7);
    spin_unlock(lock);
}

uint64_t interrupts_disable(void)
{
    return 9;
}

void interrupts_restore(uint64_t flags)
{
    assert_int_equal(flags, 9);
}

void trace_record(const struct tracepoint *point, uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    fail_msg("the tracepoint %s is off and was passed", point->name);
}

void stand_ins_check_idle(void)
{
    struct module_info info;

    assert_int_equal(module_info(0, &info), ERR_NOT_FOUND);
    assert_int_equal(locks_held, 0);
    assert_int_equal(heap_live, 0);
    assert_int_equal(space_pages_live, 0);
    assert_int_equal(space_mixed, 0);
    assert_int_equal(self.affinity, 5);
}
