/*
 * time.c: the clock, from the time-stamp counter. Its rate comes from the option tsc_khz=, from CPUID,
 * or from a comparison with the local APIC timer, which hypervisors run at 1 GHz; the comparison
 * spans the whole of start-up, so that nothing waits for it.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/boot.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/time.h>
#include "time_internal.h"

#define MIN_COMPARE 200000u /* ns of APIC timer: 0.1 % at a microsecond of reading error */

static uint64_t early_tsc;
static uint32_t early_count;

/* Readers take base and rate together through the sequence count. */
static struct {
    uint32_t sequence;
    uint64_t base_tsc, base_ns, mult, khz;
} clock;

static uint64_t wall_offset;

void time_init_early(void)
{
    apic_timer_free_run();
    early_tsc = tsc_read();
    early_count = apic_timer_count();
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
    uint32_t passed;
    uint64_t tsc;

    do {
        passed = early_count - apic_timer_count();
        tsc = tsc_read();
    } while (passed < MIN_COMPARE);
    return (tsc - early_tsc) * 1000000 / passed;
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
    *out = (struct time_rate){clock.base_tsc, clock.base_ns, clock.mult};
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
    if (!khz)
        khz = khz_compare();
    rate_set(early_tsc, 0, khz);
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
