/*
 * time_internal.h: clocks and timers, for the nucleus only.
 */
#pragma once

#include <microlake/time.h>

struct cpu;

void time_init_early(void); /* starts the comparison of clocks */
void time_init(void);       /* from here on time_now() counts */
void timer_cpu_init(struct cpu *c);
void timer_interrupt(void);

/* Asks for a timer interrupt on this CPU at or before `due`. Interrupts off. */
void timer_program(uint64_t due);
