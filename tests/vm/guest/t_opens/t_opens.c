/*
 * t_opens.c: openat2, files without a name, extended attributes, locks of open files and the check
 * for deadlock, holes, epolls in epolls.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/vm/guest/check.h"

#ifndef FALLOC_FL_PUNCH_HOLE
#define FALLOC_FL_KEEP_SIZE  1
#define FALLOC_FL_PUNCH_HOLE 2
#define FALLOC_FL_ZERO_RANGE 16
#endif

#define BASE "/dev/shm/t_opens.d"

static long open2(int folder, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {flags, mode, resolve};

    return syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

static int make(const char *path)
{
    return close(open(path, O_WRONLY | O_CREAT, 0644));
}

static void test_resolve(void)
{
    int d, fd;

    CHECK(mkdir(BASE "/d", 0755) == 0 && make(BASE "/d/f") == 0 && make(BASE "/up") == 0);
    CHECK(symlink("f", BASE "/d/l") == 0 && symlink("/etc", BASE "/d/abs") == 0);
    CHECK(symlink("../up", BASE "/d/out") == 0);
    d = open(BASE "/d", O_RDONLY | O_DIRECTORY);
    fd = (int)open2(d, "f", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERRNO(open2(d, "l", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP);
    fd = (int)open2(d, "l", O_RDONLY, 0, RESOLVE_BENEATH);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERRNO(open2(d, "../up", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open2(d, "out", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open2(d, "abs", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open2(d, "/f", O_RDONLY, 0, RESOLVE_BENEATH), EXDEV);
    fd = (int)open2(d, "/../f", O_RDONLY, 0, RESOLVE_IN_ROOT);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK_ERRNO(open2(d, "out", O_RDONLY, 0, RESOLVE_IN_ROOT), ENOENT);
    CHECK_ERRNO(open2(d, "/etc", O_RDONLY, 0, RESOLVE_IN_ROOT), ENOENT);
    CHECK_ERRNO(open2(AT_FDCWD, "/proc/self/fd/0", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS), ELOOP);
    CHECK_ERRNO(open2(AT_FDCWD, "/proc/self", O_RDONLY, 0, RESOLVE_NO_XDEV), EXDEV);
    CHECK_ERRNO(open2(d, "f", 1ull << 40, 0, 0), EINVAL);
    CHECK_ERRNO(open2(d, "f", O_RDONLY, 0600, 0), EINVAL);
    CHECK_ERRNO(open2(d, "f", O_RDONLY, 0, 1 << 9), EINVAL);
    CHECK_ERRNO(syscall(SYS_openat2, d, "f", bad_address(), 24), EFAULT);
    CHECK_ERRNO(syscall(SYS_openat2, d, "f", bad_address(), 23), EINVAL);
    CHECK(unlink(BASE "/d/f") == 0 && unlink(BASE "/d/l") == 0 && unlink(BASE "/d/abs") == 0);
    CHECK(unlink(BASE "/d/out") == 0 && rmdir(BASE "/d") == 0 && unlink(BASE "/up") == 0);
    close(d);
}

static void test_dangling(void)
{
    CHECK(symlink("made", BASE "/l") == 0 && symlink(BASE "/l", BASE "/ll") == 0);
    CHECK_ERRNO(open(BASE "/l", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK(make(BASE "/ll") == 0 && access(BASE "/made", F_OK) == 0);
    CHECK(unlink(BASE "/l") == 0 && unlink(BASE "/ll") == 0 && unlink(BASE "/made") == 0);
}

static void test_nameless(void)
{
    int fd = open(BASE, O_TMPFILE | O_RDWR, 0640), other;
    char path[64], text[8];
    struct stat st;

    CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 0777) == 0640);
    CHECK(write(fd, "hidden", 6) == 6);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, path, AT_FDCWD, BASE "/named", AT_SYMLINK_FOLLOW) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1);
    other = open(BASE "/named", O_RDONLY);
    CHECK(other >= 0 && read(other, text, 8) == 6 && memcmp(text, "hidden", 6) == 0);
    CHECK(close(other) == 0 && unlink(BASE "/named") == 0);
    CHECK_ERRNO(open(BASE, O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERRNO(open(BASE "/none", O_TMPFILE | O_RDWR, 0600), ENOENT);
    close(fd);
    fd = open(BASE, O_TMPFILE | O_RDWR | O_EXCL, 0600);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, BASE "/named", AT_SYMLINK_FOLLOW), ENOENT);
    close(fd);
}

static void test_xattr(void)
{
    char text[64];
    int fd;

    CHECK(make(BASE "/f") == 0 && symlink("f", BASE "/l") == 0);
    if (setxattr(BASE "/f", "user.one", "1234", 4, 0) != 0 && errno == EOPNOTSUPP) {
        unlink(BASE "/f"); /* an older Linux has none there */
        unlink(BASE "/l");
        return;
    }
    fd = open(BASE "/f", O_RDWR);
    CHECK(getxattr(BASE "/l", "user.one", text, 64) == 4 && memcmp(text, "1234", 4) == 0);
    CHECK(getxattr(BASE "/f", "user.one", NULL, 0) == 4);
    CHECK_ERRNO(getxattr(BASE "/f", "user.one", text, 3), ERANGE);
    CHECK_ERRNO(fgetxattr(fd, "user.two", text, 64), ENODATA);
    CHECK_ERRNO(fsetxattr(fd, "user.one", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(fsetxattr(fd, "user.two", "x", 1, XATTR_REPLACE), ENODATA);
    CHECK(fsetxattr(fd, "user.two", "", 0, 0) == 0 && fgetxattr(fd, "user.two", text, 64) == 0);
    CHECK(setxattr(BASE "/f", "user.one", "567", 3, XATTR_REPLACE) == 0);
    CHECK(getxattr(BASE "/f", "user.one", text, 64) == 3 && memcmp(text, "567", 3) == 0);
    CHECK(flistxattr(fd, text, 64) == 18 && memchr(text, 't', 18));
    CHECK_ERRNO(flistxattr(fd, text, 17), ERANGE);
    CHECK_ERRNO(lsetxattr(BASE "/l", "user.x", "x", 1, 0), EPERM);
    CHECK_ERRNO(setxattr(BASE "/f", "nothing.x", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(setxattr(BASE "/f", "user.x", "x", 1, 4), EINVAL);
    CHECK_ERRNO(setxattr(BASE "/none", "user.x", "x", 1, 0), ENOENT);
    CHECK(removexattr(BASE "/f", "user.one") == 0 && fremovexattr(fd, "user.two") == 0);
    CHECK_ERRNO(removexattr(BASE "/f", "user.one"), ENODATA);
    CHECK(listxattr(BASE "/f", text, 64) == 0 && close(fd) == 0);
    CHECK(unlink(BASE "/f") == 0 && unlink(BASE "/l") == 0);
}

static int lock(int fd, int command, int type, long start, long length)
{
    struct flock l = {.l_type = (short)type, .l_start = start, .l_len = length};

    return fcntl(fd, command, &l);
}

static void test_open_file_locks(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_len = 1};
    int a, b;

    CHECK(make(BASE "/f") == 0);
    a = open(BASE "/f", O_RDWR);
    b = open(BASE "/f", O_RDWR);
    CHECK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10) == 0);
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_RDLCK, 5, 10), EAGAIN);
    CHECK_ERRNO(lock(b, F_SETLK, F_RDLCK, 5, 10), EAGAIN);
    CHECK(fcntl(b, F_OFD_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_pid == -1);
    CHECK(lock(b, F_OFD_SETLK, F_WRLCK, 10, 10) == 0);
    CHECK(close(open(BASE "/f", O_RDWR)) == 0); /* lets only the process's locks go */
    CHECK_ERRNO(lock(b, F_OFD_SETLK, F_RDLCK, 0, 1), EAGAIN);
    CHECK(close(a) == 0 && lock(b, F_OFD_SETLK, F_RDLCK, 0, 1) == 0);
    l.l_pid = 1;
    CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &l), EINVAL);
    CHECK(close(b) == 0 && unlink(BASE "/f") == 0);
}

/* Each has one byte and wants the other's: one of both is told. */
static void test_deadlock(void)
{
    int fd, p[2], q[2], status, r;
    pid_t child;
    char byte;

    CHECK(make(BASE "/f") == 0 && pipe(p) == 0 && pipe(q) == 0);
    fd = open(BASE "/f", O_RDWR);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
    child = fork();
    if (child == 0) {
        if (lock(fd, F_SETLK, F_WRLCK, 1, 1) != 0 || write(p[1], "x", 1) != 1)
            _exit(9);
        r = lock(fd, F_SETLKW, F_WRLCK, 0, 1);
        _exit(r == 0 ? 0 : errno == EDEADLK ? 1 : 9);
    }
    CHECK(read(p[0], &byte, 1) == 1);
    r = lock(fd, F_SETLKW, F_WRLCK, 1, 1);
    r = r == 0 ? 0 : errno == EDEADLK ? 1 : 9;
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK(r + WEXITSTATUS(status) == 1);
    CHECK(close(fd) == 0 && unlink(BASE "/f") == 0);
    close(p[0]);
    close(p[1]);
    close(q[0]);
    close(q[1]);
}

static void test_holes(void)
{
    static char text[20000];
    int fd = open(BASE "/f", O_RDWR | O_CREAT, 0600);
    struct stat st;

    memset(text, 'x', sizeof(text));
    CHECK(write(fd, text, sizeof(text)) == sizeof(text));
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 10000) == 0);
    CHECK(pread(fd, text, sizeof(text), 0) == sizeof(text) && text[4999] == 'x');
    CHECK(text[5000] == 0 && text[14999] == 0 && text[15000] == 'x');
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 19000, 5000) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == sizeof(text));
    CHECK(lseek(fd, 0, SEEK_DATA) == 0 && lseek(fd, 16000, SEEK_DATA) == 16000);
    CHECK(lseek(fd, 16000, SEEK_HOLE) <= 20000);
    CHECK_ERRNO(lseek(fd, 20000, SEEK_DATA), ENXIO);
    CHECK(close(fd) == 0 && unlink(BASE "/f") == 0);
}

static int watch(int e, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(e, EPOLL_CTL_ADD, fd, &event);
}

static void test_nested(void)
{
    struct epoll_event event;
    int e[8], p[2];

    for (int i = 0; i < 8; i++)
        e[i] = epoll_create1(0);
    CHECK(pipe(p) == 0 && watch(e[0], p[0]) == 0 && watch(e[1], e[0]) == 0);
    CHECK(epoll_wait(e[1], &event, 1, 0) == 0 && write(p[1], "x", 1) == 1);
    CHECK(epoll_wait(e[1], &event, 1, 1000) == 1 && event.data.fd == e[0]);
    CHECK(epoll_wait(e[0], &event, 1, 0) == 1 && event.data.fd == p[0]);
    CHECK(read(p[0], &event, 1) == 1 && epoll_wait(e[1], &event, 1, 0) == 0);
    CHECK_ERRNO(watch(e[0], e[0]), EINVAL);
    CHECK_ERRNO(watch(e[0], e[1]), ELOOP);
    CHECK(watch(e[2], e[1]) == 0 && watch(e[3], e[2]) == 0);
    CHECK_ERRNO(watch(e[0], e[3]), ELOOP);
    CHECK(watch(e[5], e[4]) == 0 && watch(e[6], e[5]) == 0);
    CHECK_ERRNO(watch(e[4], e[3]), ELOOP); /* too long a chain */
    CHECK(write(p[1], "x", 1) == 1 && epoll_wait(e[3], &event, 1, 1000) == 1);
    for (int i = 0; i < 8; i++)
        close(e[i]);
    close(p[0]);
    close(p[1]);
}

/* ---- Tables of descriptors that processes share ---- */

static int raw_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

static void test_close_range(void)
{
    int fds[4];

    for (int i = 0; i < 4; i++)
        CHECK(dup2(0, fds[i] = 100 + i) == 100 + i);
    CHECK_ERRNO(raw_close_range(101, 100, 0), EINVAL);
    CHECK_ERRNO(raw_close_range(100, 101, 8), EINVAL);
    CHECK(raw_close_range(101, 102, 0) == 0 && fcntl(100, F_GETFD) == 0);
    CHECK(fcntl(101, F_GETFD) == -1 && fcntl(102, F_GETFD) == -1 && fcntl(103, F_GETFD) == 0);
    CHECK(raw_close_range(100, ~0u, 4) == 0);
    CHECK(fcntl(100, F_GETFD) == FD_CLOEXEC && fcntl(103, F_GETFD) == FD_CLOEXEC);
    CHECK(raw_close_range(100, ~0u, 2) == 0 && fcntl(100, F_GETFD) == -1);
}

/* A child with the same table, which closes all of it: whose was it? 0: the child's own. */
static int close_in_child(int (*separate)(void))
{
    int status, fd = dup(0), open;
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        _exit(separate());
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return -1;
    open = fcntl(fd, F_GETFD);
    close(fd);
    return open == 0 ? 0 : 1;
}

static int close_only(void)
{
    return raw_close_range(3, ~0u, 0);
}

static int close_own(void)
{
    return raw_close_range(3, ~0u, 2);
}

static int unshare_and_close(void)
{
    return unshare(CLONE_FILES) == 0 ? raw_close_range(3, ~0u, 0) : 1;
}

static void test_shared_table(void)
{
    CHECK(close_in_child(close_only) == 1);
    CHECK(close_in_child(close_own) == 0);
    CHECK(close_in_child(unshare_and_close) == 0);
}

/* A child with the same working folder, and one that leaves it. */
static void test_unshare_fs(void)
{
    char path[256];
    int status;
    pid_t pid;

    CHECK(chdir("/") == 0);
    for (int own = 0; own < 2; own++) {
        pid = (pid_t)syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0)
            _exit((own && unshare(CLONE_FS) != 0) || chdir(own ? "/proc" : "/tmp") != 0);
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(getcwd(path, sizeof(path)) && strcmp(path, "/tmp") == 0);
    }
    CHECK(unshare(0) == 0);
    CHECK_ERRNO(unshare(1), EINVAL);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"close_range", test_close_range},
        {"shared_table", test_shared_table},
        {"unshare_fs", test_unshare_fs},
        {"resolve", test_resolve},   {"dangling", test_dangling},
        {"nameless", test_nameless}, {"xattr", test_xattr},
        {"holes", test_holes},       {"open_file_locks", test_open_file_locks},
        {"nested", test_nested},     {"deadlock", test_deadlock},
    };
    int status;

    umask(0);
    if (mkdir(BASE, 0755) != 0)
        return 1;
    status = RUN_TESTS(tests, argc, argv);
    return rmdir(BASE) == 0 ? status : 1;
}
