/*
 * x86.h: the nucleus's own, but the interrupt flag is a variable, and the test says what the time-stamp
 * counter and CPUID do.
 */
#pragma once

#define interrupts_on     kernel_interrupts_on
#define interrupts_off    kernel_interrupts_off
#define interrupts_are_on kernel_interrupts_are_on
#define tsc_read          kernel_tsc_read
#define cpuid             kernel_cpuid
#include "kernel/arch/x86/include/arch/x86.h"
#undef interrupts_on
#undef interrupts_off
#undef interrupts_are_on
#undef tsc_read
#undef cpuid

void interrupts_on(void);
void interrupts_off(void);
bool interrupts_are_on(void);
uint64_t tsc_read(void);
struct cpuid_regs cpuid(uint32_t leaf, uint32_t sub);
