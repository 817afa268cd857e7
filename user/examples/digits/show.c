/*
 * show.c: draws in text.
 */
#include "show.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define SHOWN 4u /* digits side by side: they fit 80 columns */

static void show_row(const uint8_t *row)
{
    static const char shades[] = " .:-=+*#%@";
    for (uint32_t x = 0; x < DIGITS_SIZE; x++) {
        char shade = shades[row[x] * (sizeof(shades) - 2) / DIGITS_MAX_PIXEL];
        putchar(shade);
        putchar(shade);
    }
}

void show_digits(const struct digits_set *set, const uint32_t *answers)
{
    uint32_t shown = set->count < SHOWN ? set->count : SHOWN;
    putchar('\n');
    for (uint32_t y = 0; y < DIGITS_SIZE; y++) {
        for (uint32_t i = 0; i < shown; i++) {
            fputs("  ", stdout);
            show_row(set->images + i * DIGITS_PIXELS + y * DIGITS_SIZE);
        }
        putchar('\n');
    }
    for (uint32_t i = 0; i < shown; i++) {
        bool right = answers[i] == set->labels[i];
        printf("  %3s read as %u%-4s", "", answers[i], right ? "" : " (!)");
    }
    fputs("\n\n", stdout);
    fflush(stdout); /* now, not at the end of long work */
}

void show_progress(uint32_t done, uint32_t total)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\rpass %u of %u", done, total);
    }
}

void show_progress_end(void)
{
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
}
