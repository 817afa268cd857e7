/*
 * stream.h: the standard streams of the command: the launcher's channel, or the kernel log without
 * one. Thread context.
 */
#pragma once

#include <microlake/types.h>

long stream_read(vaddr_t at, size_t size, bool nonblock);
long stream_write(unsigned stream, vaddr_t at, size_t size);

/* The same from kernel memory: the personality's own messages. */
void stream_print(unsigned stream, const char *text, size_t size);

/* Sends a line that has no end yet to the log. */
void stream_flush(void);
