/*
 * line.c: bytes that are typed, on their way to a reader. See line.h.
 */
#include "modules/linux/tty/line.h"

#include <microlake/memory.h>

#include "modules/linux/abi/signal.h"

#define BITS_SIZE (LINE_SIZE / 8)

/* Positions are looked at without the lock by those who wait. */
static uint32_t position(const uint32_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static bool bit_get(const uint64_t *bits, uint32_t at)
{
    return bits[at % LINE_SIZE / 64] >> (at % 64) & 1;
}

static void bit_set(uint64_t *bits, uint32_t at, bool on)
{
    uint64_t *word = &bits[at % LINE_SIZE / 64];
    uint64_t bit = 1ull << (at % 64);

    *word = on ? *word | bit : *word & ~bit;
}

int line_init(struct line *l)
{
    *l = (struct line){
        .termios =
            {
                .input = LINUX_ICRNL | LINUX_IXON,
                .output = LINUX_OPOST | LINUX_ONLCR,
                .control = LINUX_B38400 | LINUX_CS8 | LINUX_CREAD,
                .local = LINUX_ISIG | LINUX_ICANON | LINUX_ECHO | LINUX_ECHOE | LINUX_ECHOK |
                         LINUX_ECHOCTL | LINUX_ECHOKE | LINUX_IEXTEN,
                .chars = "\003\034\177\025\004\000\001\000\021\023\032\000\022\017\027\026",
                .input_speed = 38400,
                .output_speed = 38400,
            },
        .text = kmalloc(LINE_SIZE),
        .ends = kzalloc(2 * BITS_SIZE),
    };
    if (!l->text || !l->ends) {
        line_free(l);
        return ERR_NO_MEMORY;
    }
    l->marks = l->ends + BITS_SIZE / sizeof(*l->ends);
    return OK;
}

void line_free(struct line *l)
{
    kfree(l->text);
    kfree(l->ends);
    l->text = NULL;
    l->ends = NULL;
}

void line_flush(struct line *l)
{
    l->done = l->tail = l->head;
    l->literal = l->erasing = false;
}

/* ---- Coming in
 * ------------------------------------------------------------------------------------- */

/* There is always room for one more: line_receive() sees to it. */
static void put(struct line *l, uint8_t byte, bool end, bool mark)
{
    l->text[l->head % LINE_SIZE] = byte;
    bit_set(l->ends, l->head, end);
    bit_set(l->marks, l->head, mark);
    __atomic_store_n(&l->head, l->head + 1, __ATOMIC_RELAXED);
    if (end)
        __atomic_store_n(&l->done, l->head, __ATOMIC_RELAXED);
}

static void put_marked(struct line *l, uint8_t byte, bool end)
{
    if (byte == 0xff && line_input(l, LINUX_PARMRK) && LINE_SIZE - (l->head - l->tail) > 1)
        put(l, byte, false, false);
    put(l, byte, end, false);
}

static void echo_typed(struct line *l, const struct line_port *port, uint8_t byte)
{
    if (!line_local(l, LINUX_ECHO))
        return;
    line_echo_erased(l, port);
    if (l->head == l->done)
        l->start_column = l->column;
    if (byte == '\n')
        line_echo(l, port, byte);
    else
        line_echo_char(l, port, byte);
}

/* Ctrl-S and Ctrl-Q. */
static bool take_flow(struct line *l, const struct line_port *port, uint8_t byte)
{
    if (!line_input(l, LINUX_IXON))
        return false;
    if (line_is(l, LINUX_VSTART, byte)) {
        port->stop(port->context, false);
        return true;
    }
    if (line_is(l, LINUX_VSTOP, byte)) {
        port->stop(port->context, true);
        return true;
    }
    return false;
}

static bool take_signal(struct line *l, const struct line_port *port, uint8_t byte)
{
    int signal = line_is(l, LINUX_VINTR, byte)   ? LINUX_SIGINT
                 : line_is(l, LINUX_VQUIT, byte) ? LINUX_SIGQUIT
                 : line_is(l, LINUX_VSUSP, byte) ? LINUX_SIGTSTP
                                                 : 0;

    if (signal == 0 || !line_local(l, LINUX_ISIG))
        return false;
    if (!line_local(l, LINUX_NOFLSH))
        line_flush(l);
    port->signal(port->context, signal);
    if (line_input(l, LINUX_IXON))
        port->stop(port->context, false);
    if (line_local(l, LINUX_ECHO))
        line_echo_char(l, port, byte);
    return true;
}

/* Keys that change the line that is being typed. */
static bool take_edit(struct line *l, const struct line_port *port, uint8_t byte)
{
    bool extended = line_local(l, LINUX_IEXTEN);

    if (line_is(l, LINUX_VERASE, byte)) {
        line_erase(l, port, LINUX_VERASE);
    } else if (line_is(l, LINUX_VKILL, byte)) {
        line_erase(l, port, LINUX_VKILL);
    } else if (extended && line_is(l, LINUX_VWERASE, byte)) {
        line_erase(l, port, LINUX_VWERASE);
    } else if (extended && line_is(l, LINUX_VLNEXT, byte)) {
        l->literal = true;
        if (line_local(l, LINUX_ECHO)) {
            line_echo_erased(l, port);
            if (line_local(l, LINUX_ECHOCTL)) {
                line_echo(l, port, '^');
                line_echo(l, port, '\b');
            }
        }
    } else if (extended && line_local(l, LINUX_ECHO) && line_is(l, LINUX_VREPRINT, byte)) {
        line_reprint(l, port);
    } else {
        return false;
    }
    return true;
}

/* What ends a line. */
static bool take_end(struct line *l, const struct line_port *port, uint8_t byte)
{
    if (byte == '\n') {
        if (line_local(l, LINUX_ECHO | LINUX_ECHONL)) {
            line_echo_erased(l, port);
            line_echo(l, port, byte);
        }
        put(l, byte, true, false);
    } else if (line_is(l, LINUX_VEOF, byte)) {
        put(l, 0, true, true);
    } else if (line_is(l, LINUX_VEOL, byte) ||
               (line_is(l, LINUX_VEOL2, byte) && line_local(l, LINUX_IEXTEN))) {
        echo_typed(l, port, byte);
        put_marked(l, byte, true);
    } else {
        return false;
    }
    return true;
}

/* The changes that IGNCR, ICRNL and INLCR ask for. False: the byte vanishes. */
static bool map_input(const struct line *l, uint8_t *byte)
{
    if (*byte == '\r') {
        if (line_input(l, LINUX_IGNCR))
            return false;
        if (line_input(l, LINUX_ICRNL))
            *byte = '\n';
    } else if (*byte == '\n' && line_input(l, LINUX_INLCR)) {
        *byte = '\r';
    }
    return true;
}

/* Full of a line that has no end yet: only what is no text of it still counts. */
static bool is_crammed(const struct line *l)
{
    return line_local(l, LINUX_ICANON) && l->head - l->tail >= LINE_SIZE - 1;
}

static void take_text(struct line *l, const struct line_port *port, uint8_t byte)
{
    if (is_crammed(l))
        return;
    echo_typed(l, port, byte);
    put_marked(l, byte, false);
}

static void take_byte(struct line *l, const struct line_port *port, uint8_t byte)
{
    if (line_input(l, LINUX_ISTRIP))
        byte &= 0x7f;
    if (line_input(l, LINUX_IUCLC) && line_local(l, LINUX_IEXTEN) && byte >= 'A' && byte <= 'Z')
        byte = (uint8_t)(byte - 'A' + 'a');
    if (l->literal) {
        l->literal = false;
        take_text(l, port, byte);
        return;
    }
    if (take_flow(l, port, byte) || take_signal(l, port, byte))
        return;
    if (l->stopped && line_input(l, LINUX_IXON) && line_input(l, LINUX_IXANY))
        port->stop(port->context, false);
    if (!map_input(l, &byte))
        return;
    if (line_local(l, LINUX_ICANON) && (take_edit(l, port, byte) || take_end(l, port, byte)))
        return;
    take_text(l, port, byte);
}

/* A line without an end never fills the ring: its reader could not go on. */
static bool has_room(const struct line *l)
{
    bool endless = line_local(l, LINUX_ICANON) && l->done == l->tail;

    return endless || l->head - l->tail < LINE_SIZE - 1;
}

size_t line_receive(struct line *l, const uint8_t *bytes, size_t count,
                    const struct line_port *port)
{
    size_t i = 0;

    while (i < count && has_room(l))
        take_byte(l, port, bytes[i++]);
    return i;
}

/* ---- Going to a reader
 * ----------------------------------------------------------------------------- */

bool line_ready(const struct line *l, uint32_t least)
{
    if (line_local(l, LINUX_ICANON))
        return position(&l->done) != position(&l->tail);
    return position(&l->head) - position(&l->tail) >= least;
}

/* Positions of whole lines, or of all there is. */
static uint32_t limit_of(const struct line *l)
{
    return line_local(l, LINUX_ICANON) ? l->done : l->head;
}

uint32_t line_count(const struct line *l)
{
    uint32_t limit = limit_of(l), count = limit - l->tail;

    for (uint32_t at = l->tail; at != limit && line_local(l, LINUX_ICANON); at++)
        count -= bit_get(l->marks, at);
    return count;
}

/* Moves the tail over one position. True: a line ended there. */
static bool step(struct line *l)
{
    bool end = line_local(l, LINUX_ICANON) && bit_get(l->ends, l->tail);

    __atomic_store_n(&l->tail, l->tail + 1, __ATOMIC_RELAXED);
    if (!line_local(l, LINUX_ICANON))
        l->done = l->tail;
    return end;
}

size_t line_take(struct line *l, uint8_t *out, size_t size, bool *ended)
{
    bool canonical = line_local(l, LINUX_ICANON);
    size_t n = 0;

    *ended = false;
    while (!*ended && l->tail != limit_of(l)) {
        bool mark = canonical && bit_get(l->marks, l->tail);

        if (n == size && !mark)
            break;
        if (!mark)
            out[n++] = line_at(l, l->tail);
        *ended = step(l);
    }
    return n;
}

void line_set_termios(struct line *l, const struct linux_termios *fresh)
{
    bool changed = (l->termios.local ^ fresh->local) & LINUX_ICANON;

    l->termios = *fresh;
    if (!changed)
        return;
    memset(l->ends, 0, 2 * BITS_SIZE);
    l->literal = l->erasing = false;
    l->done = l->tail;
    if (line_local(l, LINUX_ICANON) && l->head != l->tail) {
        bit_set(l->ends, l->head - 1, true); /* what is there counts as a line */
        l->done = l->head;
    }
}
