/*
 * terminal.h: the terminal that malv runs on, for --tty: raw while the machine has it, and as it
 * was afterwards, whatever becomes of malv.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

struct terminal {
    bool raw;
    struct termios saved;
    pid_t guard;  /* a process that puts it back when malv is killed; valid while raw */
    int guard_fd; /* its end is the guard's sign */
};

/* Standard input is a terminal. */
bool terminal_there(void);

/* Its size; 0 and 0 when it has none. */
void terminal_size(uint16_t *rows, uint16_t *columns);

/* Makes it raw. Nothing happens when it is. False: a line on standard error said why. */
bool terminal_enter(struct terminal *terminal);

/* Puts it back. Nothing happens when it is not raw. */
void terminal_leave(struct terminal *terminal);

/* malv was stopped and goes on: whoever had it meanwhile may have changed it. */
void terminal_again(const struct terminal *terminal);
