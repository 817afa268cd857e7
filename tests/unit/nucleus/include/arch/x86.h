/*
 * x86.h: the nucleus's own, but the interrupt flag is a variable.
 */
#pragma once

#define interrupts_on     kernel_interrupts_on
#define interrupts_off    kernel_interrupts_off
#define interrupts_are_on kernel_interrupts_are_on
#include "kernel/arch/x86/include/arch/x86.h"
#undef interrupts_on
#undef interrupts_off
#undef interrupts_are_on

void interrupts_on(void);
void interrupts_off(void);
bool interrupts_are_on(void);
