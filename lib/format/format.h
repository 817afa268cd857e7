/*
 * format.h: snprintf for where there is no C library; a program has its own. Any context; allocates
 * nothing.
 *
 * Formats: %d %i %u %x %X %lu %lx %llu %llx %zu %p %s %c %%, width, precision for %s, 0 and - flags. A
 * conversion it does not know is copied as it stands, so that the mistake can be seen.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* As C's: the length that the whole text would have. */
int snprintf(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *out, size_t size, const char *format, va_list args);
