/*
 * stand_ins.c: see stand_ins.h.
 */
#include "stand_ins.h"

#include <sys/mman.h>

#include <arch/x86.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/spinlock.h>
#include <microlake/trace.h>

#define GUARD_SIZE (1ul << 16)

struct cpu *cpus[MAX_CPUS];
struct cpu *running_cpu;
struct boot_info boot_info;
uint64_t direct_map;
jmp_buf guard_jump;

static struct cpu cpu_structs[TEST_CPUS];
static struct thread cpu_threads[TEST_CPUS];
static unsigned cpus_up, locks_held;
static bool interrupts_enabled = true;
static size_t direct_map_size;
static char lines[4096], panic_text[256];
static jmp_buf panic_jump;
static bool panic_expected;
static uint64_t random_state;

/* ---- processors -------------------------------------------------------------------------------
 */

void cpus_reset(unsigned count)
{
    memset(cpu_structs, 0, sizeof(cpu_structs));
    memset(cpu_threads, 0, sizeof(cpu_threads));
    for (unsigned i = 0; i < count; i++) {
        cpus[i] = &cpu_structs[i];
        cpus[i]->self = cpus[i];
        cpus[i]->id = i;
        cpus[i]->queue.cpu = i;
        cpus[i]->current = &cpu_threads[i];
    }
    cpus_up = count;
    locks_held = 0;
    interrupts_enabled = true;
    cpu_run_on(0);
}

void cpu_run_on(unsigned id)
{
    assert_true(id < cpus_up);
    running_cpu = cpus[id];
}

unsigned cpu_count(void)
{
    return cpus_up;
}

void interrupts_on(void)
{
    interrupts_enabled = true;
}

void interrupts_off(void)
{
    interrupts_enabled = false;
}

bool interrupts_are_on(void)
{
    return interrupts_enabled;
}

uint64_t interrupts_disable(void)
{
    uint64_t before = interrupts_enabled;

    interrupts_enabled = false;
    return before;
}

void interrupts_restore(uint64_t flags)
{
    interrupts_enabled = flags;
}

void preempt_disable(void)
{
    running_cpu->preempt_count++;
}

void preempt_enable(void)
{
    assert_true(running_cpu->preempt_count > 0);
    running_cpu->preempt_count--;
}

/* There is one thread: a lock that is held would be waited for for ever. */
void spin_lock(struct spinlock *lock)
{
    assert_int_equal(lock->next, lock->serving);
    lock->next++;
    locks_held++;
    preempt_disable();
}

void spin_unlock(struct spinlock *lock)
{
    assert_int_equal(lock->next, lock->serving + 1);
    lock->serving++;
    locks_held--;
    preempt_enable();
}

uint64_t spin_lock_irqsave(struct spinlock *lock)
{
    uint64_t flags = interrupts_disable();

    spin_lock(lock);
    return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
    spin_unlock(lock);
    interrupts_restore(flags);
}

void machine_check_idle(void)
{
    assert_int_equal(locks_held, 0);
    assert_true(interrupts_enabled);
    for (unsigned i = 0; i < cpus_up; i++)
        assert_int_equal(cpus[i]->preempt_count, 0);
}

void counter_add(const struct counter *counter, uint64_t n)
{
    running_cpu->counters[counter->slot] += n;
}

void trace_record(const struct tracepoint *point, uint64_t a, uint64_t b, uint64_t c)
{
    (void)a, (void)b, (void)c;
    fail_msg("the tracepoint %s is off and was passed", point->name);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

void memory_map(size_t size)
{
    void *p;

    if (direct_map) /* a failed test left it */
        memory_unmap();
    p = mmap(NULL, size + 2 * GUARD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
             -1, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    direct_map = (uint64_t)p + GUARD_SIZE;
    direct_map_size = size;
    assert_int_equal(mprotect((void *)direct_map, size, PROT_READ | PROT_WRITE), 0);
}

void memory_unmap(void)
{
    munmap((void *)(direct_map - GUARD_SIZE), direct_map_size + 2 * GUARD_SIZE);
    direct_map = 0;
}

paddr_t virt_to_phys(const void *va)
{
    return (uint64_t)va - direct_map;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    return (size_t)snprintf(dst, size, "%s", src);
}

/* ---- log and panic ----------------------------------------------------------------------------
 */

void log_line(enum log_level level, const char *format, ...)
{
    size_t used = strlen(lines);
    va_list args;

    if (level > LOG_WARN)
        return;
    va_start(args, format);
    vsnprintf(lines + used, sizeof(lines) - used, format, args);
    va_end(args);
}

bool logged(const char *part)
{
    return strstr(lines, part);
}

void log_forget(void)
{
    lines[0] = '\0';
}

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(panic_text, sizeof(panic_text), format, args);
    va_end(args);
    if (!panic_expected) {
        print_error("panic: %s\n", panic_text);
        abort();
    }
    panic_expected = false;
    longjmp(panic_jump, 1);
}

void assert_panics(const char *part, void (*call)(uint64_t, uint64_t), uint64_t a, uint64_t b)
{
    panic_expected = true;
    if (!setjmp(panic_jump)) {
        call(a, b);
        panic_expected = false;
        fail_msg("no panic that says \"%s\"", part);
    }
    if (!strstr(panic_text, part))
        fail_msg("the panic says \"%s\", not \"%s\"", panic_text, part);
}

/* ---- random numbers ---------------------------------------------------------------------------
 */

void random_seed(uint64_t seed)
{
    random_state = seed * 0x9e3779b97f4a7c15u + 1;
}

uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 0x2545f4914f6cdd1du >> 11) % limit;
}
