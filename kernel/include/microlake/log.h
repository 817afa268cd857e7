/*
 * log.h: the kernel log (a ring, copied to the console) and the end of the line. Any context.
 *
 * Formats are those of lib/format/format.h.
 */
#pragma once

#include <microlake/types.h>
#include <stdarg.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One line, without its newline: "net: link is up". Lines above the `log=` option's level stay in
 * the ring only. */
void log_line(enum log_level level, const char *format, ...) __printf(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Prints registers, a symbolised backtrace and the message, and ends the machine with status 101. */
void panic(const char *format, ...) __printf(1, 2) __noreturn;

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (unlikely(!(condition)))                                                                \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition);                  \
    } while (0)

/* As C's. Returns the length the whole text would have. */
int snprintf(char *out, size_t size, const char *format, ...) __printf(3, 4);
int vsnprintf(char *out, size_t size, const char *format, va_list args);

/* Copies up to size bytes of the log ring from position *at on; advances *at. Returns bytes. */
size_t log_read(uint64_t *at, char *out, size_t size);
