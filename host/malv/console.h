/*
 * console.h: the machine's console (its kernel log): shown as it comes, or kept for the case that
 * the machine dies.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CONSOLE_KEPT 16384

struct console {
    bool show;               /* write everything to standard error at once */
    bool raw;                /* standard error is a raw terminal: a new line needs a return too */
    size_t total;            /* bytes ever taken */
    char kept[CONSOLE_KEPT]; /* ring: byte i of the log is at i % CONSOLE_KEPT */
};

void console_take(struct console *console, const char *bytes, size_t count);

/*
 * Writes the kernel's panic, or else the last `lines` lines, to standard error, unless they were shown
 * already. True: there was a panic.
 */
bool console_tail(const struct console *console, unsigned lines);
