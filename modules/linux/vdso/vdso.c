/*
 * vdso.c: the shared object that the kernel maps into every program: clocks and the CPU's number
 * without a system call. It runs in user mode, has no data of its own, and needs no relocation.
 *
 * The clock is the kernel's own (microlake/time.h): the same formula on the same counter, so that
 * times read here and by call fit together. What can't be read here is left to the call.
 */
#include <stddef.h>
#include <stdint.h>

#include "modules/linux/vdso/vvar.h"

#define NS_PER_SEC     1000000000u
#define CPU_NUMBER     0x3b /* the segment whose limit is the CPU's number */
#define EXPORTED(name) __attribute__((visibility("default"))) name

struct time_spec {
    int64_t sec, nsec;
};
struct time_val {
    int64_t sec, usec;
};
struct time_zone {
    int32_t minutes_west, dst;
};

enum { CALL_GETTIMEOFDAY = 96, CALL_TIME = 201, CALL_CLOCK_GETTIME = 228, CALL_CLOCK_GETRES = 229 };

/* Sets of clocks by number: REALTIME, its coarse form, TAI; and MONOTONIC, RAW, coarse, BOOTTIME.
 */
#define WALL_CLOCKS      (1u << 0 | 1u << 5 | 1u << 11)
#define MONOTONIC_CLOCKS (1u << 1 | 1u << 4 | 1u << 6 | 1u << 7)

/* Placed by vdso.lds. Not const: the kernel changes it. */
extern struct vvar vvar_page __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct time_spec *out);
int __vdso_clock_getres(int clock, struct time_spec *out);
int __vdso_gettimeofday(struct time_val *out, struct time_zone *zone);
int64_t __vdso_time(int64_t *out);
int __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused);

static inline long call(long number, long a, long b)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b)
                     : "rcx", "r11", "memory");
    return result;
}

/* Not before what comes before it in the program: readings on two CPUs keep their order. */
static inline uint64_t tsc_read_ordered(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static inline uint32_t set_of(int clock)
{
    return (unsigned)clock < 32 ? 1u << clock : 0;
}

/* ns of the clock that `ready` stands for; 0: it can't be read here. */
static inline uint64_t read_ns(uint32_t ready)
{
    const struct vvar *v = &vvar_page;
    uint32_t sequence;
    uint64_t ns;

    do {
        sequence = __atomic_load_n(&v->sequence, __ATOMIC_ACQUIRE);
        if (!(v->ready & ready))
            return 0;
        ns = v->base_ns +
             (uint64_t)((__int128)(int64_t)(tsc_read_ordered() - v->base_tsc) * (int64_t)v->mult >>
                        VVAR_SHIFT);
        if (ready == VVAR_WALL)
            ns += v->wall_offset;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__builtin_expect(
        (sequence & 1) || sequence != __atomic_load_n(&v->sequence, __ATOMIC_RELAXED), 0));
    return ns;
}

int EXPORTED(__vdso_clock_gettime)(int clock, struct time_spec *out)
{
    uint32_t set = set_of(clock);
    uint64_t ns = 0;

    if (set & MONOTONIC_CLOCKS)
        ns = read_ns(VVAR_MONOTONIC);
    else if (set & WALL_CLOCKS)
        ns = read_ns(VVAR_WALL);
    if (__builtin_expect(ns == 0, 0))
        return (int)call(CALL_CLOCK_GETTIME, clock, (long)out);
    out->sec = (int64_t)(ns / NS_PER_SEC);
    out->nsec = (int64_t)(ns % NS_PER_SEC);
    return 0;
}

int EXPORTED(__vdso_clock_getres)(int clock, struct time_spec *out)
{
    if (!(set_of(clock) & (MONOTONIC_CLOCKS | WALL_CLOCKS)))
        return (int)call(CALL_CLOCK_GETRES, clock, (long)out);
    if (out)
        *out = (struct time_spec){0, 1};
    return 0;
}

int EXPORTED(__vdso_gettimeofday)(struct time_val *out, struct time_zone *zone)
{
    uint64_t ns = read_ns(VVAR_WALL);

    if (ns == 0)
        return (int)call(CALL_GETTIMEOFDAY, (long)out, (long)zone);
    if (out)
        *out = (struct time_val){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000)};
    if (zone)
        *zone = (struct time_zone){0, 0};
    return 0;
}

int64_t EXPORTED(__vdso_time)(int64_t *out)
{
    uint64_t ns = read_ns(VVAR_WALL);
    int64_t seconds;

    if (ns == 0)
        return call(CALL_TIME, (long)out, 0);
    seconds = (int64_t)(ns / NS_PER_SEC);
    if (out)
        *out = seconds;
    return seconds;
}

int EXPORTED(__vdso_getcpu)(uint32_t *cpu, uint32_t *node, void *unused)
{
    uint32_t number;

    (void)unused;
    __asm__ volatile("lsl %1, %0" : "=r"(number) : "r"((uint32_t)CPU_NUMBER) : "cc");
    if (cpu)
        *cpu = number;
    if (node)
        *node = 0;
    return 0;
}

/* The names without prefix are there too, as on Linux. */
#define ALIAS(name) __attribute__((weak, alias(name), visibility("default")))
int clock_gettime(int clock, struct time_spec *out) ALIAS("__vdso_clock_gettime");
int clock_getres(int clock, struct time_spec *out) ALIAS("__vdso_clock_getres");
int gettimeofday(struct time_val *out, struct time_zone *zone) ALIAS("__vdso_gettimeofday");
int64_t time(int64_t *out) ALIAS("__vdso_time");
int getcpu(uint32_t *cpu, uint32_t *node, void *unused) ALIAS("__vdso_getcpu");
