/*
 * files.c: see files.h.
 */
#include "host/files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool complain(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, path, what);
    return false;
}

static bool read_all(int fd, uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t n = read(fd, to, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        size -= (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const uint8_t *from, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, from, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        from += n;
        size -= (size_t)n;
    }
    return true;
}

static bool open_file_read(const char *path, int fd, size_t most, uint8_t **out, size_t *size)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return complain(path, strerror(errno));
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size > most)
        return complain(path, "it is not a file, or too large");
    *size = (size_t)status.st_size;
    *out = malloc(*size + 1);
    if (*out && read_all(fd, *out, *size))
        return true;
    free(*out);
    return complain(path, "it cannot be read");
}

bool file_read(const char *path, size_t most, uint8_t **out, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return complain(path, strerror(errno));
    bool done = open_file_read(path, fd, most, out, size);
    close(fd);
    return done;
}

bool file_write(const char *path, const void *data, size_t size, unsigned mode)
{
    char *fresh;
    int fd;

    if (asprintf(&fresh, "%s.new", path) < 0)
        return complain(path, "no memory");
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    bool done = fd >= 0 && write_all(fd, data, size);
    if (fd >= 0)
        done &= close(fd) == 0;
    done = done && rename(fresh, path) == 0;
    if (!done) {
        complain(path, strerror(errno));
        unlink(fresh);
    }
    free(fresh);
    return done;
}
