/*
 * bare.h: for the first program of a machine without malv's drivers, which Linux is in bench/:
 * writes frames of uapi/hostctl.h to the control channel's serial line by itself, and ends the
 * machine.
 */
#pragma once

void bare_begin(void);
void bare_write(const char *text);
__attribute__((noreturn)) void bare_end(int status);

/* For programs that run in both ways: after bare_begin() over the control channel, else on standard output
 * and with exit(). */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
__attribute__((noreturn)) void say_end(int status);
