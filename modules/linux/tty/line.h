/*
 * line.h: the line discipline, Linux's N_TTY: what becomes of bytes that are typed before a program
 * reads them, what is echoed, and what becomes of bytes that a program writes.
 *
 * Pure code: it knows no locks, no processes and no device. The caller holds a lock over all calls
 * with one line, and the port's functions run under it.
 */
#pragma once

#include <microlake/types.h>

#include "modules/linux/abi/tty.h"

#define LINE_SIZE 4096u /* a power of two; the longest line has one byte less, and its end */

/* What a line needs of its surroundings. */
struct line_port {
    void (*echo)(void *context, const uint8_t *bytes, size_t count);
    void (*signal)(void *context, int signal); /* a key asks for it */
    void (*stop)(void *context, bool stop);    /* holds output back, or lets it go on */
    void *context;
};

/* Input stands in a ring, at position modulo LINE_SIZE: from tail to done whole lines, from done to
 * head the line that is being typed. Without ICANON done is not used. */
struct line {
    struct linux_termios termios;
    uint32_t head, done, tail;
    uint32_t column;       /* where the cursor stands */
    uint32_t start_column; /* where it stood when the line that is being typed began */
    bool literal;          /* the next byte is taken as it is (VLNEXT) */
    bool erasing;          /* between the \ and / of ECHOPRT */
    bool stopped;          /* by VSTOP */
    uint64_t *ends;        /* a bit for each position: a line ends behind it */
    uint64_t *marks;       /* ... and the byte is no text: VEOF */
    uint8_t *text;
};

/* Sets Linux's first settings. ERR_NO_MEMORY. */
int line_init(struct line *l);
void line_free(struct line *l);

/* Bytes come in. Returns how many were taken: fewer than count when the ring is full. */
size_t line_receive(struct line *l, const uint8_t *bytes, size_t count,
                    const struct line_port *port);

/* A read may go on: with ICANON a line is there, else `least` bytes are. */
bool line_ready(const struct line *l, uint32_t least);

/* Takes bytes out for a reader. *ended: with ICANON, the line's end was among them. */
size_t line_take(struct line *l, uint8_t *out, size_t size, bool *ended);

/* Bytes that could be read now, for FIONREAD. */
uint32_t line_count(const struct line *l);

/* Forgets all input. */
void line_flush(struct line *l);

/* New settings; what was typed stays, as text of the new mode. */
void line_set_termios(struct line *l, const struct linux_termios *fresh);

/* Bytes on their way out: fills out with what they become, and says in *used how many were taken.
 * Returns the bytes in out. room is at least LINE_COOKED_MAX. */
#define LINE_COOKED_MAX 8u
size_t line_cook(struct line *l, const uint8_t *bytes, size_t count, uint8_t *out, size_t room,
                 size_t *used);

/* ---- Shared by the files of the line discipline ------------------------------------------------
 */

static inline bool line_local(const struct line *l, uint32_t flag)
{
    return l->termios.local & flag;
}

static inline bool line_input(const struct line *l, uint32_t flag)
{
    return l->termios.input & flag;
}

/* A control character that is set, and this is it; 0 switches one off. */
static inline bool line_is(const struct line *l, unsigned place, uint8_t byte)
{
    return byte != 0 && l->termios.chars[place] == byte;
}

static inline uint8_t line_at(const struct line *l, uint32_t position)
{
    return l->text[position % LINE_SIZE];
}

static inline bool line_is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Not the first byte of a character. */
static inline bool line_is_continued(const struct line *l, uint8_t byte)
{
    return line_input(l, LINUX_IUTF8) && (byte & 0xc0) == 0x80;
}

void line_echo(struct line *l, const struct line_port *port, uint8_t byte);      /* as it is */
void line_echo_char(struct line *l, const struct line_port *port, uint8_t byte); /* as ^X */
void line_echo_erased(struct line *l, const struct line_port *port);

/* VERASE, VWERASE, VKILL (which: the place in c_cc) and VREPRINT. */
void line_erase(struct line *l, const struct line_port *port, unsigned which);
void line_reprint(struct line *l, const struct line_port *port);
