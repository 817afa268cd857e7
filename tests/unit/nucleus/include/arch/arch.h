/*
 * arch.h: the nucleus's own, but a guarded call is left by longjmp().
 */
#pragma once

#include <setjmp.h>

#include "kernel/arch/x86/include/arch/arch.h"

extern jmp_buf guard_jump;

/* Must be a macro: setjmp() notes the caller's frame. */
#define guard_save(g) ((void)(g), (uint64_t)setjmp(guard_jump))
