/*
 * line_out.c: bytes on their way to the screen: OPOST's changes, the column of the cursor, and how
 * typed bytes are echoed. See line.h.
 */
#include <microlake/memory.h>

#include "modules/linux/tty/line.h"

#define TAB 8u

static bool output_flag(const struct line *l, uint32_t flag)
{
    return l->termios.output & flag;
}

static uint8_t upper(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z' ? (uint8_t)(byte - 'a' + 'A') : byte;
}

static size_t cook_newline(struct line *l, uint8_t *out)
{
    size_t n = 0;

    if (output_flag(l, LINUX_ONLCR))
        out[n++] = '\r';
    if (output_flag(l, LINUX_ONLRET | LINUX_ONLCR))
        l->column = 0;
    out[n++] = '\n';
    return n;
}

static size_t cook_return(struct line *l, uint8_t *out)
{
    if (output_flag(l, LINUX_ONOCR) && l->column == 0)
        return 0;
    out[0] = output_flag(l, LINUX_OCRNL) ? '\n' : '\r';
    if (!output_flag(l, LINUX_OCRNL) || output_flag(l, LINUX_ONLRET))
        l->column = 0;
    return 1;
}

static size_t cook_tab(struct line *l, uint8_t *out)
{
    size_t width = TAB - l->column % TAB;

    l->column += (uint32_t)width;
    if ((l->termios.output & LINUX_TABDLY) != LINUX_TABDLY) {
        out[0] = '\t';
        return 1;
    }
    memset(out, ' ', width);
    return width;
}

/* At most LINE_COOKED_MAX bytes. */
static size_t cook_byte(struct line *l, uint8_t byte, uint8_t *out)
{
    switch (byte) {
    case '\n':
        return cook_newline(l, out);
    case '\r':
        return cook_return(l, out);
    case '\t':
        return cook_tab(l, out);
    case '\b':
        l->column -= l->column > 0;
        break;
    default:
        if (line_is_control(byte))
            break;
        if (output_flag(l, LINUX_OLCUC))
            byte = upper(byte);
        l->column += !line_is_continued(l, byte);
        break;
    }
    out[0] = byte;
    return 1;
}

size_t line_cook(struct line *l, const uint8_t *bytes, size_t count, uint8_t *out, size_t room,
                 size_t *used)
{
    size_t n = 0, i = 0;

    if (!output_flag(l, LINUX_OPOST)) {
        n = MIN(count, room);
        memcpy(out, bytes, n);
        *used = n;
        return n;
    }
    while (i < count && room - n >= LINE_COOKED_MAX)
        n += cook_byte(l, bytes[i++], out + n);
    *used = i;
    return n;
}

void line_echo(struct line *l, const struct line_port *port, uint8_t byte)
{
    uint8_t out[LINE_COOKED_MAX];
    size_t used, n = line_cook(l, &byte, 1, out, sizeof(out), &used);

    port->echo(port->context, out, n);
}

void line_echo_char(struct line *l, const struct line_port *port, uint8_t byte)
{
    if (line_local(l, LINUX_ECHOCTL) && line_is_control(byte) && byte != '\t') {
        line_echo(l, port, '^');
        byte ^= 0100;
    }
    line_echo(l, port, byte);
}

void line_echo_erased(struct line *l, const struct line_port *port)
{
    if (!l->erasing)
        return;
    line_echo(l, port, '/');
    l->erasing = false;
}
