/*
 * time_internal.h: clocks and timers, for the nucleus only.
 */
#pragma once

#include <microlake/time.h>

struct cpu;

void time_init_early(void); /* starts the comparison of clocks */
void time_init(void);       /* from here on time_now() counts */

/* One setting of a CPU's APIC timer, to compare the clocks when it is set again. */
struct timer_span {
    uint64_t tsc, error;
    uint32_t ns; /* 0: there was none */
};

/* Sets this CPU's timer to ns (at least 1) from now; span: this CPU's. Interrupts off. */
void time_arm(struct timer_span *span, uint32_t ns);

void timer_cpu_init(struct cpu *c);
void timer_interrupt(void);

/* Asks for a timer interrupt on this CPU at or before `due`. Interrupts off. */
void timer_program(uint64_t due);
