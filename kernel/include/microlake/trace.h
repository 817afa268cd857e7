/*
 * trace.h: tracepoints and counters: what the machine does, seen while it does it.
 *
 * A tracepoint is declared at the top of a C file and passed in its code:
 *
 *     TRACEPOINT(thread_wake, "thread=%u cpu=%u");
 *     TRACE(thread_wake, t->id, cpu, 0);
 *
 * The text says how up to three 64-bit words are shown: %u decimal, %x hexadecimal, %p code by its
 * symbol, %s text packed into this word and the ones behind it (TRACE_TEXT). A point that is off costs
 * a load and a branch that is not taken. One that is on writes a record into its CPU's ring, where the
 * newest overwrites the oldest.
 *
 *     COUNTER(context_switches);
 *     COUNT(context_switches, 1);
 *
 * A counter has a cell on each CPU: counting is one addition without a lock, in any context.
 *
 * The nucleus's own are there from the start. A module announces its own with TRACE_SET and
 * trace_register() in init, and takes them back with trace_unregister() in exit.
 */
#pragma once

#include <microlake/cpu.h>
#include <microlake/list.h>
#include <microlake/types.h>

#define TRACE_NAME_MAX   32
#define TRACE_FORMAT_MAX 64
#define COUNTERS_MAX     128 /* of the nucleus and all modules together */

struct tracepoint {
    const char *name;
    const char *format;
    bool on;     /* written under the registry's lock, read by everybody */
    uint32_t id; /* set by trace_register(); never used again for another point */
};

struct counter {
    const char *name;
    uint32_t slot; /* set by trace_register(); 0 until then: counted for nobody */
};

/* What one linked image declares; the linker script gathers the pointers. */
struct trace_set {
    struct tracepoint *const *points, *const *points_end;
    struct counter *const *counters, *const *counters_end;
    struct list link; /* guarded by the registry's lock */
};

extern struct tracepoint *const tracepoints_start[], *const tracepoints_end[];
extern struct counter *const counters_start[], *const counters_end[];
#define TRACE_SET                                                                                  \
    {.points = tracepoints_start, .points_end = tracepoints_end, .counters = counters_start,       \
     .counters_end = counters_end}

#define TRACEPOINT(name_, format_)                                                                 \
    _Static_assert(sizeof(#name_) <= TRACE_NAME_MAX && sizeof(format_) <= TRACE_FORMAT_MAX,        \
                   "a tracepoint's name or format is too long");                                   \
    static struct tracepoint trace_point_##name_ = {.name = #name_, .format = (format_)};          \
    static struct tracepoint *const trace_pointer_##name_                                          \
        __attribute__((used, section(".tracepoints"))) = &trace_point_##name_

#define COUNTER(name_)                                                                             \
    _Static_assert(sizeof(#name_) <= TRACE_NAME_MAX, "a counter's name is too long");              \
    static struct counter counter_##name_ = {.name = #name_};                                      \
    static struct counter *const counter_pointer_##name_                                           \
        __attribute__((used, section(".counters"))) = &counter_##name_

/* Passes a tracepoint. Any context. */
#define TRACE(name_, a, b, c)                                                                      \
    do {                                                                                           \
        if (unlikely(__atomic_load_n(&trace_point_##name_.on, __ATOMIC_RELAXED)))                  \
            trace_record(&trace_point_##name_, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c));       \
    } while (0)

/* Bytes 8 * nth ... of an array of at least 8 * (nth + 1) bytes, as a word for %s. */
#define TRACE_TEXT(array, nth)                                                                     \
    ({                                                                                             \
        uint64_t trace_word_;                                                                      \
        __builtin_memcpy(&trace_word_, (array) + 8 * (nth), 8);                                    \
        trace_word_;                                                                               \
    })

/* Where struct cpu has its cells; GS leads to it. */
#define CPU_COUNTERS_OFFSET 48

#define COUNT(name_, n)                                                                            \
    __asm__ volatile("addq %1, %%gs:%c2(,%0,8)" ::"r"((uint64_t)counter_##name_.slot),             \
                     "er"((uint64_t)(n)), "i"(CPU_COUNTERS_OFFSET)                                 \
                     : "cc")

/*
 * Announces a set; it must live until it is unregistered. Points that the machine was told to switch
 * on are on at once. ERR_LIMIT: too many counters. ERR_INVALID: a name or format is too long. Thread
 * context.
 */
int trace_register(struct trace_set *set);
void trace_unregister(struct trace_set *set);

/*
 * Switches on the points named, separated by commas, blanks or line ends ("all": each), and off all
 * others. ERR_NOT_FOUND: there is no such point; ERR_NO_MEMORY for the rings, which are made when a
 * point is switched on for the first time: then nothing has changed. Thread context.
 */
int trace_set(const char *names);

/* For listing: the nth point and the nth counter. ERR_NOT_FOUND at the end. Thread context. */
struct trace_point_info {
    char name[TRACE_NAME_MAX];
    char format[TRACE_FORMAT_MAX];
    uint32_t id;
    bool on;
};
int trace_point_info(unsigned nth, struct trace_point_info *out);

struct counter_info {
    char name[TRACE_NAME_MAX];
    uint64_t value; /* the sum over all CPUs, each as it is just now */
};
int counter_info(unsigned nth, struct counter_info *out);

struct trace_event {
    uint64_t time; /* time_now() */
    uint32_t cpu;
    uint32_t point; /* its id */
    uint64_t words[3];
};

/* Each reader sees all events; zeroed, it starts with the oldest that there are. */
struct trace_reader {
    uint64_t at[MAX_CPUS]; /* events of each CPU read or lost */
    uint64_t lost;         /* events overwritten before this reader came to them */
};

/* The next event, the oldest of all CPUs. false: there is none now. Any context. */
bool trace_read(struct trace_reader *reader, struct trace_event *out);

/* TRACE() calls it. Any context. */
void trace_record(const struct tracepoint *point, uint64_t a, uint64_t b, uint64_t c);
