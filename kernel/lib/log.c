/*
 * log.c: the log ring, its copy on the console, and panic.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>
#include "kernel/mm/mm.h"

#define RING_SIZE    16384
#define LINE_MAX     240
#define PANIC_STATUS 101

static char ring[RING_SIZE];
static uint64_t ring_end; /* bytes ever written; guarded by ring_lock */
static struct spinlock ring_lock;
static enum log_level console_level = LOG_WARN;
static unsigned panicking;

void log_init(void)
{
    const char *level = boot_option("log", 0);
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (unsigned i = 0; level && i < ARRAY_SIZE(names); i++)
        if (!strcmp(level, names[i]))
            console_level = (enum log_level)i;
}

static void ring_put(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ring[ring_end++ % RING_SIZE] = text[i];
}

static void line_emit(enum log_level level, const char *text, size_t size)
{
    uint64_t flags;

    if (panicking) { /* the lock's holder may never come back */
        serial_write(text, size);
        return;
    }
    flags = spin_lock_irqsave(&ring_lock);
    ring_put(text, size);
    if (level <= console_level)
        serial_write(text, size);
    spin_unlock_irqrestore(&ring_lock, flags);
}

static size_t line_format(char line[LINE_MAX], const char *format, va_list args)
{
    uint64_t us = time_now() / NS_PER_US;
    size_t size = (size_t)snprintf(line, LINE_MAX, "[%5lu.%06lu] ", us / 1000000, us % 1000000);

    size += (size_t)vsnprintf(line + size, LINE_MAX - size, format, args);
    size = MIN(size, (size_t)LINE_MAX - 2);
    line[size++] = '\n';
    return size;
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_MAX];
    va_list args;
    size_t size;

    va_start(args, format);
    size = line_format(line, format, args);
    va_end(args);
    line_emit(level, line, size);
}

void panic(const char *format, ...)
{
    char line[LINE_MAX];
    struct thread *t = current_thread();
    va_list args;
    size_t size;

    interrupts_off();
    if (!__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL)) {
        machine_halt_others();
        va_start(args, format);
        size = line_format(line, format, args);
        va_end(args);
        serial_write("PANIC: ", 7);
        serial_write(line, size);
        log_error("on CPU %u, thread %lu '%s'", cpu_id(), t ? t->id : 0, t ? t->name : "none");
        backtrace_print(LOG_ERROR, BACKTRACE_MAX, (uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
    }
    machine_power_off(PANIC_STATUS);
}

size_t log_read(uint64_t *at, char *out, size_t size)
{
    uint64_t flags = spin_lock_irqsave(&ring_lock);
    size_t n = 0;

    if (ring_end > RING_SIZE && *at < ring_end - RING_SIZE)
        *at = ring_end - RING_SIZE; /* what was overwritten is lost */
    while (n < size && *at < ring_end)
        out[n++] = ring[(*at)++ % RING_SIZE];
    spin_unlock_irqrestore(&ring_lock, flags);
    return n;
}
