/*
 * files.c: reading and writing what the tests look at.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

const char *file_text(const char *path)
{
    static char text[1 << 16];
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return NULL;
    while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)n;
    close(fd);
    text[used] = '\0';
    return n == 0 ? text : NULL;
}

bool file_is(const char *path, const char *text)
{
    const char *is = file_text(path);

    if (!is || strcmp(is, text) != 0)
        printf("%s is \"%s\", not \"%s\"\n", path, is ? is : "?", text);
    return is && strcmp(is, text) == 0;
}

bool file_has(const char *path, const char *part)
{
    const char *is = file_text(path);

    return is && strstr(is, part);
}

int file_put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

    if (fd < 0)
        return errno;
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        error = errno;
    close(fd);
    return error;
}

static const char *stat_find(const char *name)
{
    const char *line = file_text(LAB "stats");
    size_t length = strlen(name);

    for (; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            return line + length + 1;
    return NULL;
}

long stat_of(const char *name)
{
    const char *value = stat_find(name);

    return value ? atol(value) : -1;
}

bool stat_is(const char *name, const char *value)
{
    const char *is = stat_find(name);
    size_t length = is ? strcspn(is, "\n") : 0;

    if (!is || length != strlen(value) || strncmp(is, value, length) != 0)
        printf("%s is \"%.*s\", not \"%s\"\n", name, (int)length, is ? is : "?", value);
    return is && length == strlen(value) && strncmp(is, value, length) == 0;
}

bool decided_by(const char *policy)
{
    const char *is = file_text(ASK);

    if (!is || strlen(is) != strlen(policy) + 1 || strncmp(is, policy, strlen(policy)) != 0) {
        printf("it is %s that decides, not %s\n", is ? is : "?", policy);
        return false;
    }
    return true;
}
