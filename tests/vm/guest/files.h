/*
 * files.h: whole reads and writes of small files, the kernel's for instance.
 */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* At most `room` bytes of the file; how many there were. False: it can't be read. */
static inline bool file_read(const char *path, void *to, size_t room, size_t *bytes)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = -1;

    *bytes = 0;
    if (fd < 0)
        return false;
    while (*bytes < room && (n = read(fd, (char *)to + *bytes, room - *bytes)) > 0)
        *bytes += (size_t)n;
    close(fd);
    return n >= 0;
}

/* The same with a NUL behind it. */
static inline bool text_read(const char *path, char *text, size_t size)
{
    size_t length;
    bool read = file_read(path, text, size - 1, &length);

    text[length] = '\0';
    return read;
}

/* The text in one write(). */
static inline bool file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    ssize_t n;

    if (fd < 0)
        return false;
    n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text);
}
