/*
 * files.c: see files.h.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES 64

/* In a machine with a root folder of its own the boot archive is at ARCHIVE. */
#define ARCHIVE "/sys/kernel/archive"

struct places places = {
    .mlaas = "/sys/kernel/mlaas",
    .log = "/sys/kernel/malv/log",
    .gpu = "/sys/kernel/malv/gpu",
    .profiles = {"/etc/mlaas/profiles", ARCHIVE "/etc/mlaas/profiles"},
    .modules = {"/lib/modules", ARCHIVE "/lib/modules"},
};

bool name_is_valid(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) < NAME_BYTES;
}

int path_write(char *out, size_t size, const char *folder, const char *name, const char *file)
{
    if (!name_is_valid(name)) {
        return -ENOENT;
    }
    int length = file != NULL ? snprintf(out, size, "%s/%s/%s", folder, name, file)
                              : snprintf(out, size, "%s/%s", folder, name);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static int text_read(int fd, char *text, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t got = read(fd, text + used, size - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            text[used] = '\0';
            return 0;
        }
        used += (size_t)got;
    }
    return -EFBIG;
}

int input_read(char *text, size_t size)
{
    return text_read(STDIN_FILENO, text, size);
}

int file_read(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int error = text_read(fd, text, size);
    close(fd);
    return error;
}

int file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t length = strlen(text);
    ssize_t written = write(fd, text, length);
    int error = written < 0 ? -errno : (size_t)written != length ? -EPROTO : 0;
    close(fd);
    return error;
}

const char *reason_of(int error)
{
    switch (error) {
    case -EACCES:
    case -EPERM:
        return geteuid() != 0 ? "that takes root's rights"
                              : "the policy misbehaved and is retired: unload its module and load it again";
    case -EOPNOTSUPP:
    case -ENOSYS:
        return "this class, or this policy of it, can't do that";
    default:
        return strerror(-error);
    }
}
