/*
 * show.h: what a person sees: drawn digits, progress.
 */
#pragma once

#include "model.h"

/* Draws a few digits of the set side by side with their answers on standard output. */
void show_digits(const struct digits_set *set, const uint32_t *answers);

/* One line on standard error that the next one overwrites; nothing unless that is a terminal. */
void show_progress(uint32_t done, uint32_t total);

/* Takes the progress line away. */
void show_progress_end(void);
