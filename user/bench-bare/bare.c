/*
 * bare.c: the control channel's serial line, driven by a program itself (bare.h).
 */
#include "bare.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

#include "lib/uart/uart.h"
#include "uapi/hostctl.h"

#define CONTROL_PORT 0x2f8 /* COM2 */
#define END_PORT     0x501 /* isa-debug-exit */

static bool bare;

void bare_begin(void)
{
    if (iopl(3))
        _exit(1);
    bare = true;
}

static void byte_send(uint8_t byte)
{
    while (!(inb(CONTROL_PORT + UART_LINE_STATUS) & UART_STATUS_EMPTY))
        continue;
    outb(byte, CONTROL_PORT);
}

static void frame_send(uint8_t type, const void *payload, size_t length)
{
    byte_send(type);
    byte_send((uint8_t)length);
    for (size_t i = 0; i < length; i++)
        byte_send(((const uint8_t *)payload)[i]);
}

void bare_write(const char *text)
{
    size_t length = strlen(text);
    frame_send(HOSTCTL_STDOUT, text, length < HOSTCTL_MAX_PAYLOAD ? length : HOSTCTL_MAX_PAYLOAD);
}

void bare_end(int status)
{
    uint8_t code = (uint8_t)status;
    frame_send(HOSTCTL_EXIT, &code, 1);
    outw(0, END_PORT);
    for (;;)
        pause();
}

void say(const char *format, ...)
{
    char line[240];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (bare)
        bare_write(line);
    else
        fputs(line, stdout);
}

void say_end(int status)
{
    if (bare)
        bare_end(status);
    exit(status);
}
