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
static const char *mark = "gpud: ";
static char machine_mark[40];
static atomic_uint guest_lines;

void log_machine(unsigned number)
{
    snprintf(machine_mark, sizeof(machine_mark), "gpud: machine %u: ", number);
    mark = machine_mark;
}

void log_into(int fd)
{
    const char *all = getenv("GPUD_LIBRARY_OUTPUT");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    log_fd = fd;
    mark = "";
    if (null < 0)
        _exit(1); /* never with the user's own */
    dup2(null, STDIN_FILENO);
    if (!all || !*all) {
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    if (null > STDERR_FILENO)
        close(null);
}

static void log_write(const char *format, va_list values)
{
    char line[512];
    int used = snprintf(line, sizeof(line), "%s", mark);
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
