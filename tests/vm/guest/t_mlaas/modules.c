/*
 * modules.c: modules that a program loads and unloads: init_module, finit_module, delete_module, and what
 * the loader says is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define FOLDER "/lib/modules/"
#define ERROR  MLAAS "load_error"
#define BYTES  (1u << 20)

static unsigned char bytes[BYTES];

static int finit(int fd, const char *parameters, int flags)
{
    return syscall(SYS_finit_module, fd, parameters, flags) == 0 ? 0 : errno;
}

static int init(const void *image, size_t size, const char *parameters)
{
    return syscall(SYS_init_module, image, size, parameters) == 0 ? 0 : errno;
}

static int drop(const char *name)
{
    return syscall(SYS_delete_module, name, O_NONBLOCK) == 0 ? 0 : errno;
}

static int load(const char *path)
{
    int fd = open(path, O_RDONLY), error = finit(fd, "", 0);

    close(fd);
    return error;
}

/* A file's bytes in `bytes`. */
static size_t bytes_read(const char *path)
{
    size_t used = 0;
    int fd = open(path, O_RDONLY);
    ssize_t n;

    while ((n = read(fd, bytes + used, BYTES - used)) > 0)
        used += (size_t)n;
    close(fd);
    return used;
}

static void *nowhere(void)
{
    volatile uintptr_t at = 8;

    return (void *)at;
}

bool module_comes_and_goes(void)
{
    size_t size = bytes_read(FOLDER "template.kmod");

    NEED(size > 1000);
    NEED(load(FOLDER "template.kmod") == 0);
    NEED(file_is(ERROR, ""));
    NEED(file_has("/proc/modules", "template "));
    NEED(file_has(MLAAS "modules", "template "));
    NEED(load(FOLDER "template.kmod") == EEXIST);
    NEED(file_is(ERROR, "module template: it is loaded already: unload it first\n"));
    NEED(drop("template") == 0);
    NEED(!file_has("/proc/modules", "template "));
    NEED(drop("template") == ENOENT);
    NEED(file_is(ERROR, "module template: it is not loaded\n"));
    NEED(init(bytes, size, "an=option") == 0); /* which nobody looks at */
    NEED(drop("template") == 0);
    return true;
}

/* Whatever is wrong, nothing stays of it. */
bool module_damaged(void)
{
    size_t size = bytes_read(FOLDER "template.kmod");

    bytes[size / 2] ^= 1;
    NEED(init(bytes, size, "") == EKEYREJECTED);
    NEED(file_is(ERROR, "module template: its signature is wrong: the file has been changed\n"));
    bytes[size / 2] ^= 1;
    NEED(init(bytes, size - 1, "") != 0);
    NEED(init(bytes, size / 2, "") == ENOEXEC);
    NEED(init("this is no module", 17, "") == ENOEXEC);
    NEED(init(bytes, 0, "") == ENOEXEC);
    NEED(init(bytes, 1ull << 40, "") == ENOMEM);
    NEED(init(nowhere(), size, "") == EFAULT);
    NEED(init(bytes, size, nowhere()) == EFAULT);
    bytes[size - 100] ^= 1; /* in the trailer: the key or the signature */
    NEED(init(bytes, size, "") == EKEYREJECTED);
    NEED(!file_has("/proc/modules", "template "));
    return true;
}

bool module_bad_calls(void)
{
    int fd = open(FOLDER "template.kmod", O_RDONLY), ends[2];

    NEED(fd >= 0 && pipe(ends) == 0);
    NEED(finit(-1, "", 0) == EBADF);
    NEED(finit(ends[0], "", 0) == EINVAL);
    NEED(finit(fd, "", 8) == EINVAL);
    NEED(finit(fd, "", 4) == EOPNOTSUPP);
    NEED(finit(fd, nowhere(), 0) == EFAULT);
    close(fd);
    fd = open("/tmp/empty", O_RDWR | O_CREAT | O_TRUNC, 0644);
    NEED(finit(fd, "", 0) == EINVAL);
    NEED(write(fd, "text", 4) == 4);
    NEED(finit(fd, "", 0) == ENOEXEC);
    close(fd);
    fd = open("/tmp/empty", O_WRONLY);
    NEED(finit(fd, "", 0) == EBADF);
    close(fd);
    fd = open("/tmp", O_RDONLY | O_DIRECTORY);
    NEED(finit(fd, "", 0) == EINVAL);
    close(fd);
    NEED(drop(nowhere()) == EFAULT);
    NEED(drop("") == ENOENT);
    NEED(drop("a_name_that_is_longer_than_any_modules_name") == ENOENT);
    NEED(drop("linux") == EBUSY);     /* it has no exit */
    NEED(drop("mlaas_lab") == EBUSY); /* nor has this */
    NEED(drop("mlaas") == EAGAIN);    /* another one needs it */
    NEED(file_has(ERROR, "module mlaas: it is in use: 1 modules need it"));
    fd = open("/sys/kernel/malv/log", O_RDONLY);
    NEED(drop("kinfo") == EAGAIN); /* a file of its is open */
    close(fd);
    return true;
}

bool module_rights(void)
{
    int status, fd = open(FOLDER "template.kmod", O_RDONLY);
    pid_t child = fork();

    if (child == 0) {
        if (setgid(1000) != 0 || setuid(1000) != 0)
            _exit(1);
        _exit(finit(fd, "", 0) == EPERM && finit(-1, nowhere(), 99) == EPERM &&
                      init(nowhere(), 1, "") == EPERM && drop("template") == EPERM && drop(nowhere()) == EPERM
                  ? 0
                  : 1);
    }
    close(fd);
    NEED(waitpid(child, &status, 0) == child && status == 0);
    return true;
}

/* The policy that decides goes, and comes again without being asked to decide. */
bool module_of_policy(void)
{
    for (unsigned i = 0; i < 5; i++) {
        NEED(file_put(MLAAS "classes/sched/policy", "sched_fair") == 0);
        NEED(drop("sched_fair") == 0);
        NEED(file_has(MLAAS "classes/sched/policy", "[round_robin]"));
        NEED(load(FOLDER "sched_fair.kmod") == 0);
        NEED(file_has(MLAAS "classes/sched/policy", "sched_fair"));
    }
    return true;
}
