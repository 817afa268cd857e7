/*
 * message.h: what the program says when something is wrong.
 */
#pragma once

/* One line on standard error, "digits: " before it. Returns -1, so that a caller can return it. */
int message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
