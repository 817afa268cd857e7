/*
 * console.c: keeps the end of the machine's console.
 */
#include <stdio.h>

#include "console.h"

void console_take(struct console *console, const char *bytes, size_t count)
{
    if (console->show && !console->raw)
        fwrite(bytes, 1, count, stderr);
    for (size_t i = 0; i < count && console->show && console->raw; i++)
        fprintf(stderr, bytes[i] == '\n' ? "\r%c" : "%c", bytes[i]);
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

static size_t oldest_byte(const struct console *console)
{
    return console->total > CONSOLE_KEPT ? console->total - CONSOLE_KEPT : 0;
}

/* Where the last panic starts, or the end of the log. */
static size_t panic_find(const struct console *console)
{
    static const char word[] = "PANIC:";
    for (size_t at = console->total; at-- > oldest_byte(console);) {
        size_t i = 0;
        while (word[i] && at + i < console->total && console_byte(console, at + i) == word[i])
            i++;
        if (!word[i])
            return at;
    }
    return console->total;
}

/* Where the last `lines` lines start. */
static size_t lines_find(const struct console *console, unsigned lines)
{
    size_t from = console->total - (console_byte(console, console->total - 1) == '\n');
    while (from > oldest_byte(console)) {
        if (console_byte(console, from - 1) == '\n' && --lines == 0)
            break;
        from--;
    }
    return from;
}

bool console_tail(const struct console *console, unsigned lines)
{
    if (!console->total)
        return false;
    size_t panic = panic_find(console);
    bool panicked = panic < console->total;
    if (!console->show) {
        for (size_t i = panicked ? panic : lines_find(console, lines); i < console->total; i++)
            fputc(console_byte(console, i), stderr);
    }
    end_line(console);
    return panicked;
}
