/* log.c: see log.h. Each line is one write, so that lines of several processes do not mix. */
#include "log.h"

#include <stdarg.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GUEST_LINES 20

static int log_fd = STDERR_FILENO;
static unsigned machine_number;
static atomic_uint guest_lines;

void log_machine(unsigned number)
{
    machine_number = number;
}

void log_alone(void)
{
    if (getenv("GPUD_LIBRARY_OUTPUT"))
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (null < 0 || own < 0)
        return;
    log_fd = own;
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    close(null);
}

static void log_write(const char *format, va_list values)
{
    char line[512];
    int used = machine_number ? snprintf(line, sizeof(line), "gpud: machine %u: ", machine_number)
                              : snprintf(line, sizeof(line), "gpud: ");
    int more = vsnprintf(line + used, sizeof(line) - (size_t)used, format, values);
    if (more < 0)
        return;
    size_t length = (size_t)used + (size_t)more;
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    line[length++] = '\n';
    ssize_t written = write(log_fd, line, length);
    (void)written;
}

void log_line(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    log_write(format, values);
    va_end(values);
}

void log_guest(const char *format, ...)
{
    if (atomic_fetch_add(&guest_lines, 1) >= GUEST_LINES)
        return;
    va_list values;
    va_start(values, format);
    log_write(format, values);
    va_end(values);
}
