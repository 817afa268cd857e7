/*
 * line_edit.c: erasing in the line that is being typed, and showing it again. See line.h.
 */
#include "modules/linux/tty/line.h"

#define TAB 8u

/* The column behind the typed text that ends before position `end`. */
static uint32_t column_before(const struct line *l, uint32_t end)
{
    uint32_t column = l->start_column;

    for (uint32_t at = l->done; at != end; at++) {
        uint8_t byte = line_at(l, at);

        if (byte == '\t')
            column = (column / TAB + 1) * TAB;
        else if (line_is_control(byte))
            column += line_local(l, LINUX_ECHOCTL) ? 2 : 0;
        else
            column += !line_is_continued(l, byte);
    }
    return column;
}

static void echo_back(struct line *l, const struct line_port *port)
{
    line_echo(l, port, '\b');
    line_echo(l, port, ' ');
    line_echo(l, port, '\b');
}

/* Takes the character at `at`, of `bytes` bytes, from the screen. */
static void echo_erase(struct line *l, const struct line_port *port, uint32_t at, uint32_t bytes)
{
    uint8_t byte = line_at(l, at);

    if (line_local(l, LINUX_ECHOPRT)) {
        if (!l->erasing)
            line_echo(l, port, '\\');
        l->erasing = true;
        line_echo_char(l, port, byte);
        for (uint32_t i = 1; i < bytes; i++)
            line_echo(l, port, line_at(l, at + i));
    } else if (byte == '\t') {
        uint32_t column = column_before(l, at);

        for (uint32_t back = (column / TAB + 1) * TAB - column; back > 0; back--)
            line_echo(l, port, '\b');
    } else {
        if (line_is_control(byte) && line_local(l, LINUX_ECHOCTL))
            echo_back(l, port);
        if (!line_is_control(byte) || line_local(l, LINUX_ECHOCTL))
            echo_back(l, port);
    }
}

static bool is_word(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

/* Where the last character of the line begins; l->head: only a part of one is there. */
static uint32_t last_character(const struct line *l)
{
    uint32_t at = l->head;

    do {
        at--;
    } while (line_is_continued(l, line_at(l, at)) && at != l->done);
    return line_is_continued(l, line_at(l, at)) ? l->head : at;
}

/* VKILL where the screen can't show it by erasing. */
static void kill_line(struct line *l, const struct line_port *port)
{
    l->head = l->done;
    line_echo_erased(l, port);
    line_echo_char(l, port, l->termios.chars[LINUX_VKILL]);
    if (line_local(l, LINUX_ECHOK))
        line_echo(l, port, '\n');
}

static void erase_one(struct line *l, const struct line_port *port, unsigned which, uint32_t at)
{
    uint32_t bytes = l->head - at;

    l->head = at;
    if (!line_local(l, LINUX_ECHO))
        return;
    if (which == LINUX_VERASE && !line_local(l, LINUX_ECHOE))
        line_echo_char(l, port, l->termios.chars[LINUX_VERASE]);
    else
        echo_erase(l, port, at, bytes);
}

void line_erase(struct line *l, const struct line_port *port, unsigned which)
{
    const uint32_t neat = LINUX_ECHOK | LINUX_ECHOKE | LINUX_ECHOE;
    bool in_word = false;

    if (l->head == l->done)
        return;
    if (which == LINUX_VKILL && !line_local(l, LINUX_ECHO)) {
        l->head = l->done;
        return;
    }
    if (which == LINUX_VKILL && (l->termios.local & neat) != neat) {
        kill_line(l, port);
        return;
    }
    while (l->head != l->done) {
        uint32_t at = last_character(l);

        if (at == l->head || (which == LINUX_VWERASE && in_word && !is_word(line_at(l, at))))
            break;
        in_word |= is_word(line_at(l, at));
        erase_one(l, port, which, at);
        if (which == LINUX_VERASE)
            break;
    }
    if (l->head == l->done && line_local(l, LINUX_ECHO))
        line_echo_erased(l, port);
}

void line_reprint(struct line *l, const struct line_port *port)
{
    line_echo_erased(l, port);
    line_echo_char(l, port, l->termios.chars[LINUX_VREPRINT]);
    line_echo(l, port, '\n');
    l->start_column = l->column;
    for (uint32_t at = l->done; at != l->head; at++)
        line_echo_char(l, port, line_at(l, at));
}
