/*
 * cpu.h: the same net on the CPU in plain C, to compare the device with.
 */
#pragma once

#include "model.h"

#define CPU_MAX_THREADS 64u

/* The net on one image of DIGITS_PIXELS pixels: DIGITS_CLASSES probabilities. Any thread. */
void cpu_infer(const struct digits_model *model, const uint8_t *image, float *probabilities);

/*
 * The net on a whole set by `threads` (1..CPU_MAX_THREADS) threads; probabilities are
 * [count][DIGITS_CLASSES]. `meanwhile`, if not NULL, is called with `argument` while they work. The
 * time from start to the last thread's end is `*spent_ns`. 0, or -1 with a message on
 * standard error (from `meanwhile` too).
 */
int cpu_pass(const struct digits_model *model, const struct digits_set *set, uint32_t threads,
             int (*meanwhile)(void *argument), void *argument, float *probabilities,
             uint64_t *spent_ns);
