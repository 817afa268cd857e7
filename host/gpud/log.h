/*
 * log.h: gpud's messages, one line each on standard error, marked with the machine they concern.
 * Any thread may log. A guest cannot flood the log: log_guest() falls silent after a few lines.
 */
#pragma once

/* Names the machine in later lines of this process; 0: the broker. */
void log_machine(unsigned number);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/*
 * From here on standard output and error lead nowhere, for a process in which libraries and guests' kernels
 * print; its own lines still come. With GPUD_LIBRARY_OUTPUT in the environment all of it comes.
 */
void log_alone(void);
/* For what a guest or a front end did wrong: at most 20 lines a process. */
void log_guest(const char *format, ...) __attribute__((format(printf, 1, 2)));
