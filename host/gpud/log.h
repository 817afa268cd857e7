/*
 * log.h: gpud's messages, one line each on standard error, marked with the machine they concern. Those of a
 * machine's own processes go by way of its keeper (said.h).
 * Any thread may log. A guest cannot flood the log: log_guest() falls silent after a few lines.
 */
#pragma once

/* Names the machine in later lines of this process; 0: the broker. */
void log_machine(unsigned number);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/*
 * For a process that reads what a guest wrote, or in which libraries and guests' kernels print: its lines go
 * into `fd`, unmarked; standard input, output and error lead nowhere. With GPUD_LIBRARY_OUTPUT in the environment
 * the last two stay as they are.
 */
void log_into(int fd);
/* For what a guest or a front end did wrong: at most 20 lines a process. */
void log_guest(const char *format, ...) __attribute__((format(printf, 1, 2)));
