/*
 * t_splice.c: moving bytes between files without the program's memory; pipes with names, packets
 * and other sizes; opening again what is open.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define A    "/tmp/t_splice.a"
#define B    "/tmp/t_splice.b"
#define FIFO "/tmp/t_splice.fifo"
#define BIG  200000

static char big[BIG], seen[BIG];

static int make(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    return fd >= 0 && write(fd, bytes, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0 ? fd
                                                                                             : -1;
}

static void test_sendfile(void)
{
    int a = make(A, "0123456789", 10), b = make(B, "", 0), p[2];
    off_t at = 3;

    CHECK(sendfile(b, a, &at, 4) == 4 && at == 7 && lseek(a, 0, SEEK_CUR) == 0);
    CHECK(sendfile(b, a, NULL, 100) == 10 && lseek(a, 0, SEEK_CUR) == 10);
    CHECK(pread(b, seen, 100, 0) == 14 && memcmp(seen, "34560123456789", 14) == 0);
    CHECK(sendfile(b, a, NULL, 100) == 0);
    CHECK(pipe(p) == 0 && lseek(a, 0, SEEK_SET) == 0 && sendfile(p[1], a, NULL, 5) == 5);
    CHECK(read(p[0], seen, 100) == 5 && memcmp(seen, "01234", 5) == 0);
    CHECK_ERRNO(sendfile(a, b, (off_t *)bad_address(), 1), EFAULT);
    CHECK_ERRNO(sendfile(p[0], a, NULL, 1), EBADF);
    CHECK_ERRNO(sendfile(b, p[0], &at, 1), ESPIPE);
    at = -1;
    CHECK_ERRNO(sendfile(b, a, &at, 1), EINVAL);
    close(p[0]);
    close(p[1]);
    close(a);
    close(b);
}

/* A large file through a socket, which takes it in pieces. */
static void test_sendfile_socket(void)
{
    int a = make(A, big, BIG), s[2], status, fd;
    size_t n = 0;
    pid_t child;
    ssize_t r;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    child = fork();
    if (child == 0) {
        close(s[0]);
        for (size_t sent = 0; sent < BIG; sent += (size_t)r)
            if ((r = sendfile(s[1], a, NULL, BIG - sent)) <= 0)
                _exit(1);
        _exit(0);
    }
    close(s[1]);
    while ((r = read(s[0], seen + n, BIG - n)) > 0)
        n += (size_t)r;
    CHECK(n == BIG && memcmp(seen, big, BIG) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    fd = open("/dev/zero", O_RDONLY);
    CHECK(fd >= 0 && close(fd) == 0);
    close(s[0]);
    close(a);
}

static void test_copy_range(void)
{
    int a = make(A, big, BIG), b = make(B, "abc", 3), p[2];
    off_t in = 10, out = 1;

    CHECK(copy_file_range(a, &in, b, &out, 1000, 0) == 1000 && in == 1010 && out == 1001);
    CHECK(pread(b, seen, BIG, 0) == 1001 && seen[0] == 'a' &&
          memcmp(seen + 1, big + 10, 1000) == 0);
    CHECK(copy_file_range(a, NULL, b, NULL, BIG, 0) == BIG && lseek(b, 0, SEEK_CUR) == BIG);
    CHECK(pread(b, seen, BIG, 0) == BIG && memcmp(seen, big, BIG) == 0);
    CHECK(copy_file_range(a, NULL, b, NULL, 10, 0) == 0);
    in = 0;
    out = 50;
    CHECK_ERRNO(copy_file_range(a, &in, a, &out, 100, 0), EINVAL);
    CHECK(copy_file_range(a, &in, a, &out, 50, 0) == 50);
    CHECK_ERRNO(copy_file_range(a, &in, b, &out, 1, 1), EINVAL);
    CHECK(pipe(p) == 0);
    CHECK_ERRNO(copy_file_range(a, &in, p[1], NULL, 1, 0), EINVAL);
    close(p[0]);
    close(p[1]);
    close(a);
    close(b);
}

static void test_splice(void)
{
    int a = make(A, "0123456789", 10), b = make(B, "", 0), p[2], q[2];
    loff_t at = 2, to = 5;

    CHECK(pipe(p) == 0 && pipe(q) == 0);
    CHECK(splice(a, &at, p[1], NULL, 6, 0) == 6 && at == 8);
    CHECK(tee(p[0], q[1], 4, 0) == 4);
    CHECK(splice(p[0], NULL, b, &to, 100, 0) == 6 && to == 11);
    CHECK(pread(b, seen, 100, 5) == 6 && memcmp(seen, "234567", 6) == 0);
    CHECK(splice(q[0], NULL, p[1], NULL, 100, 0) == 4);
    CHECK(read(p[0], seen, 100) == 4 && memcmp(seen, "2345", 4) == 0);
    CHECK_ERRNO(splice(p[0], NULL, b, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(tee(p[0], q[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(splice(a, NULL, b, NULL, 1, 0), EINVAL);
    CHECK_ERRNO(splice(p[0], &at, b, NULL, 1, 0), ESPIPE);
    CHECK_ERRNO(splice(p[0], NULL, p[1], NULL, 1, 0), EINVAL);
    CHECK_ERRNO(tee(p[0], a, 1, 0), EINVAL);
    close(p[0]);
    close(p[1]);
    close(q[0]);
    close(q[1]);
    close(a);
    close(b);
}

static void test_vmsplice(void)
{
    struct iovec out[2] = {{"abc", 3}, {"defg", 4}}, in = {seen, 100};
    int p[2];

    CHECK(pipe(p) == 0 && vmsplice(p[1], out, 2, 0) == 7);
    CHECK(vmsplice(p[0], &in, 1, 0) == 7 && memcmp(seen, "abcdefg", 7) == 0);
    close(p[0]);
    close(p[1]);
}

static void test_sizes(void)
{
    int p[2];
    ssize_t n = 0, r;

    CHECK(pipe2(p, O_NONBLOCK) == 0 && fcntl(p[0], F_GETPIPE_SZ) == 65536);
    CHECK(fcntl(p[1], F_SETPIPE_SZ, 5000) == 8192 && fcntl(p[0], F_GETPIPE_SZ) == 8192);
    while ((r = write(p[1], big, 4096)) > 0)
        n += r;
    CHECK(n == 8192 && r == -1 && errno == EAGAIN);
    CHECK_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK(fcntl(p[1], F_SETPIPE_SZ, 1 << 20) == 1 << 20 && write(p[1], big, 4096) == 4096);
    CHECK(read(p[0], seen, BIG) == 12288 && memcmp(seen + 8192, big, 4096) == 0);
    CHECK_ERRNO(fcntl(0x7fff, F_GETPIPE_SZ), EBADF);
    close(p[0]);
    close(p[1]);
}

static void test_packets(void)
{
    int p[2];

    CHECK(pipe2(p, O_DIRECT | O_NONBLOCK) == 0);
    CHECK(write(p[1], "one", 3) == 3 && write(p[1], "second", 6) == 6);
    CHECK(read(p[0], seen, 2) == 2 && memcmp(seen, "on", 2) == 0); /* the rest of it is lost */
    CHECK(read(p[0], seen, 100) == 6 && memcmp(seen, "second", 6) == 0);
    CHECK(write(p[1], big, 5000) == 5000);
    CHECK(read(p[0], seen, BIG) == 4096 && read(p[0], seen, BIG) == 904);
    CHECK(fcntl(p[1], F_SETFL, O_NONBLOCK) == 0);
    CHECK(write(p[1], "a", 1) == 1 && write(p[1], "b", 1) == 1 && read(p[0], seen, 100) == 2);
    close(p[0]);
    close(p[1]);
}

static void test_fifo(void)
{
    struct pollfd poller;
    int r, w, status;
    pid_t child;

    CHECK(mkfifo(FIFO, 0600) == 0);
    CHECK_ERRNO(open(FIFO, O_WRONLY | O_NONBLOCK), ENXIO);
    r = open(FIFO, O_RDONLY | O_NONBLOCK);
    CHECK(r >= 0 && read(r, seen, 1) == 0);
    poller = (struct pollfd){r, POLLIN, 0};
    CHECK(poll(&poller, 1, 0) == 0);
    w = open(FIFO, O_WRONLY);
    CHECK(w >= 0 && write(w, "xyz", 3) == 3 && poll(&poller, 1, 0) == 1);
    CHECK(read(r, seen, 100) == 3);
    CHECK_ERRNO(read(r, seen, 1), EAGAIN);
    CHECK_ERRNO(lseek(r, 0, SEEK_SET), ESPIPE);
    CHECK(close(w) == 0 && read(r, seen, 1) == 0 && poll(&poller, 1, 0) == 1);
    CHECK(poller.revents == POLLHUP && close(r) == 0);
    child = fork();
    if (child == 0) {
        w = open(FIFO, O_WRONLY);
        _exit(write(w, "child", 5) != 5);
    }
    r = open(FIFO, O_RDONLY); /* each waits for the other */
    CHECK(r >= 0 && read(r, seen, 100) == 5 && memcmp(seen, "child", 5) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0 && read(r, seen, 1) == 0);
    CHECK(close(r) == 0 && unlink(FIFO) == 0);
}

static void test_again(void)
{
    char path[64];
    int p[2], fd;

    CHECK(pipe(p) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && write(p[1], "again", 5) == 5 && read(fd, seen, 100) == 5 && close(fd) == 0);
    snprintf(path, sizeof(path), "/dev/fd/%d", p[1]);
    fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0 && read(p[0], seen, 9) == 1);
    close(p[0]);
    close(p[1]);
    fd = make(A, "gone", 4);
    CHECK(unlink(A) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    p[0] = open(path, O_RDONLY);
    CHECK(p[0] >= 0 && read(p[0], seen, 100) == 4 && close(p[0]) == 0 && close(fd) == 0);
    CHECK(open("/proc/self/exe", O_RDONLY | O_CLOEXEC) >= 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"sendfile", test_sendfile},     {"sendfile_socket", test_sendfile_socket},
        {"copy_range", test_copy_range}, {"splice", test_splice},
        {"vmsplice", test_vmsplice},     {"sizes", test_sizes},
        {"packets", test_packets},       {"fifo", test_fifo},
        {"again", test_again},
    };
    int status;

    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 251);
    signal(SIGPIPE, SIG_IGN);
    status = RUN_TESTS(tests, argc, argv);
    unlink(A);
    unlink(B);
    return status;
}
