/*
 * console.c: keeps the end of the machine's console.
 */
#include <stdio.h>

#include "console.h"

void console_take(struct console *console, const char *bytes, size_t count)
{
    if (console->show)
        fwrite(bytes, 1, count, stderr);
    for (size_t i = 0; i < count; i++)
        console->kept[console->total++ % CONSOLE_KEPT] = bytes[i];
}

static char console_byte(const struct console *console, size_t index)
{
    return console->kept[index % CONSOLE_KEPT];
}

/* What malv says next starts on a line of its own. */
static void end_line(const struct console *console)
{
    if (console_byte(console, console->total - 1) != '\n')
        fputc('\n', stderr);
}

void console_tail(const struct console *console, unsigned lines)
{
    size_t oldest = console->total > CONSOLE_KEPT ? console->total - CONSOLE_KEPT : 0;
    size_t from = console->total;
    if (from == oldest)
        return;
    if (console->show) {
        end_line(console);
        return;
    }
    /* The newline that ends the last line does not count. */
    if (console_byte(console, from - 1) == '\n')
        from--;
    while (from > oldest) {
        if (console_byte(console, from - 1) == '\n' && --lines == 0)
            break;
        from--;
    }
    for (size_t i = from; i < console->total; i++)
        fputc(console_byte(console, i), stderr);
    end_line(console);
}
