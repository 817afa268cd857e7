/*
 * message.c: error lines.
 */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

int message_error(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fputs("digits: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return -1;
}
