/*
 * time.c: the clock, from the time-stamp counter. Its rate comes from the option tsc_khz=, from CPUID,
 * or from comparisons with the local APIC timer, which hypervisors run at 1 GHz: the first spans the
 * whole of start-up, so that nothing waits for it; later ones, of longer spans, make the rate better.
 * The clock goes on from where it is when its rate changes.
 *
 * A busy host takes the processor away in the middle of a comparison. So the two counters are read in a
 * bracket: what lay between two readings of the time-stamp counter is the error.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/boot.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/spinlock.h>
#include <microlake/time.h>
#include "time_internal.h"

#define MIN_COMPARE 200000u /* ns of APIC timer: 0.1 % at a microsecond of reading error */
#define READINGS    4       /* at both ends of the first comparison: the best one counts */
#define ENOUGH      200000u /* a comparison whose span is so many times its error: 5 ppm at most */

/* Both counters at one moment: the APIC's was read between tsc and tsc + error. */
struct reading {
    uint64_t tsc, error;
    uint32_t count;
};

static struct reading early;

/* Readers take base and rate together through the sequence count. */
static struct {
    uint32_t sequence;
    uint64_t base_tsc, base_ns, mult, khz;
} clock;

static uint64_t wall_offset;
static uint64_t quality; /* of the best comparison so far: span / error; atomic, written under rate_lock */
static struct spinlock rate_lock;
static void (*rate_watcher)(void); /* atomic */

static struct reading reading_take(void)
{
    struct reading r = {.tsc = tsc_read()};

    r.count = apic_timer_count();
    r.error = tsc_read() - r.tsc;
    return r;
}

static struct reading reading_best(void)
{
    struct reading best = reading_take();

    for (unsigned i = 1; i < READINGS; i++) {
        struct reading r = reading_take();

        if (r.error < best.error)
            best = r;
    }
    return best;
}

void time_init_early(void)
{
    apic_timer_free_run();
    early = reading_best();
}

static uint64_t khz_from_cpuid(void)
{
    struct cpuid_regs r = cpuid(0, 0);

    if (r.eax >= 0x15) {
        r = cpuid(0x15, 0);
        if (r.eax && r.ebx && r.ecx)
            return (uint64_t)r.ecx * r.ebx / r.eax / 1000;
    }
    if (cpuid(1, 0).ecx >> 31) { /* a hypervisor */
        r = cpuid(0x40000000, 0);
        if (r.eax >= 0x40000010 && r.eax < 0x40010000)
            return cpuid(0x40000010, 0).eax;
    }
    return 0;
}

static uint64_t khz_compare(void)
{
    struct reading now;

    while (early.count - apic_timer_count() < MIN_COMPARE)
        cpu_relax();
    now = reading_best();
    quality = (now.tsc - early.tsc) / (now.error + early.error + 1);
    return (now.tsc - early.tsc) * 1000000 / (early.count - now.count);
}

static void rate_set(uint64_t tsc, uint64_t ns, uint64_t khz)
{
    __atomic_fetch_add(&clock.sequence, 1, __ATOMIC_ACQ_REL);
    clock.base_tsc = tsc;
    clock.base_ns = ns;
    clock.khz = khz;
    clock.mult = (1000000ull << TIME_RATE_SHIFT) / khz;
    __atomic_fetch_add(&clock.sequence, 1, __ATOMIC_ACQ_REL);
}

uint64_t time_from_tsc(uint64_t tsc)
{
    uint32_t sequence;
    uint64_t ns;

    do {
        sequence = __atomic_load_n(&clock.sequence, __ATOMIC_ACQUIRE);
        ns = clock.base_ns +
             (uint64_t)((__int128)(int64_t)(tsc - clock.base_tsc) * (int64_t)clock.mult >> TIME_RATE_SHIFT);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((sequence & 1) || sequence != __atomic_load_n(&clock.sequence, __ATOMIC_RELAXED));
    return ns;
}

uint64_t time_now(void)
{
    return time_from_tsc(tsc_read());
}

void time_rate(struct time_rate *out)
{
    uint32_t sequence;

    do {
        sequence = __atomic_load_n(&clock.sequence, __ATOMIC_ACQUIRE);
        *out = (struct time_rate){clock.base_tsc, clock.base_ns, clock.mult};
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((sequence & 1) || sequence != __atomic_load_n(&clock.sequence, __ATOMIC_RELAXED));
}

uint64_t time_tsc_khz(void)
{
    return clock.khz;
}

void time_init(void)
{
    uint64_t khz = boot_option_number("tsc_khz", 0);

    if (!khz)
        khz = khz_from_cpuid();
    if (khz)
        quality = ENOUGH;
    else
        khz = khz_compare();
    rate_set(early.tsc, 0, khz);
}

/* ---- better rates, from the spans between two settings of a CPU's timer ------------------------ */

void time_rate_watch(void (*changed)(void))
{
    __atomic_store_n(&rate_watcher, changed, __ATOMIC_RELEASE);
}

static bool comparison_helps(uint64_t its_quality)
{
    uint64_t best = __atomic_load_n(&quality, __ATOMIC_RELAXED);

    return best < ENOUGH && its_quality / 2 >= best;
}

static void rate_improve(uint64_t its_quality, uint64_t khz)
{
    void (*changed)(void) = __atomic_load_n(&rate_watcher, __ATOMIC_ACQUIRE);
    uint64_t now;

    spin_lock(&rate_lock);
    if (comparison_helps(its_quality)) {
        now = tsc_read();
        rate_set(now, time_from_tsc(now), khz);
        __atomic_store_n(&quality, its_quality, __ATOMIC_RELAXED);
        if (changed)
            changed();
    }
    spin_unlock(&rate_lock);
}

static void span_end(const struct timer_span *span)
{
    struct reading now;
    uint64_t passed;

    if (!span->ns || !comparison_helps((tsc_read() - span->tsc) / (span->error + 1)))
        return;
    now = reading_take();
    passed = now.tsc - span->tsc;
    if (now.count && comparison_helps(passed / (now.error + span->error + 1)))
        rate_improve(passed / (now.error + span->error + 1), passed * 1000000 / (span->ns - now.count));
}

void time_arm(struct timer_span *span, uint32_t ns)
{
    if (__atomic_load_n(&quality, __ATOMIC_RELAXED) >= ENOUGH) {
        apic_timer_arm(ns);
        return;
    }
    span_end(span);
    span->tsc = tsc_read();
    apic_timer_arm(ns);
    span->error = tsc_read() - span->tsc;
    span->ns = ns;
}

uint64_t time_wall_offset(void)
{
    uint64_t offset = __atomic_load_n(&wall_offset, __ATOMIC_RELAXED);

    if (!offset) {
        offset = rtc_read_seconds() * NS_PER_SEC - time_now();
        __atomic_store_n(&wall_offset, offset, __ATOMIC_RELAXED);
    }
    return offset;
}
