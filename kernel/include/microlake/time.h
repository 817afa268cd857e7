/*
 * time.h: clocks and one-shot timers.
 */
#pragma once

#include <microlake/types.h>
#include "lib/treap/treap.h"

#define TIME_NEVER UINT64_MAX

/* Nanoseconds since the machine's start; never goes back. Any context. */
uint64_t time_now(void);

/* Nanoseconds since 1970 at time_now() == 0, read once from the machine's clock. Thread context. */
uint64_t time_wall_offset(void);

/* Converts time-stamp counter readings, for code that reads rdtsc itself. */
uint64_t time_tsc_khz(void);
uint64_t time_from_tsc(uint64_t tsc);

/* How time_now() is made of the time-stamp counter, for code that runs in user mode:
 * base_ns + ((tsc - base_tsc) * mult >> TIME_RATE_SHIFT), signed and 128 bits wide. Any context. */
#define TIME_RATE_SHIFT 22
struct time_rate {
    uint64_t base_tsc, base_ns, mult;
};
void time_rate(struct time_rate *out);

/* `changed` is called when the rate has become better, with interrupts off: time_rate() tells the new one.
 * The clock goes on from where it is. NULL: nobody. */
void time_rate_watch(void (*changed)(void));

/* A one-shot timer. The callback runs in interrupt context on the CPU that armed it. */
struct timer {
    struct treap_node node; /* guarded by the timer lock of the CPU that armed it */
    uint64_t due;         /* time_now() value */
    void (*expired)(struct timer *t);
    unsigned cpu;
    bool armed;
};

void timer_init(struct timer *t, void (*expired)(struct timer *t));

/* Arms, or moves, a timer to an absolute time. Callers see to it that only one of them does so at a time.
 * Any context. */
void timer_arm(struct timer *t, uint64_t due);

/* Disarms; returns false when it was not armed. On return the callback does not run any more, unless
 * called from it. Not from interrupt context of another timer. */
bool timer_cancel(struct timer *t);
