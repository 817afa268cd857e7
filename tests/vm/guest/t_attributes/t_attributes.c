/*
 * t_attributes.c: time stamps and owners of files, files without a name, and vectors with
 * flags, locks.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define NAME "/tmp/t_attributes.file"

static int make_file(void)
{
    return open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
}

static void test_times(void)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, {1000000000, 123456789}};
    int fd = make_file();
    struct stat st;

    CHECK(fd >= 0 && futimens(fd, times) == 0);
    CHECK(fstat(fd, &st) == 0);
    CHECK(st.st_mtim.tv_sec == 1000000000 && st.st_mtim.tv_nsec == 123456789);
    times[1].tv_nsec = UTIME_OMIT;
    CHECK(utimensat(AT_FDCWD, NAME, times, 0) == 0);
    CHECK(stat(NAME, &st) == 0 && st.st_mtim.tv_sec == 1000000000);
    CHECK(utimensat(AT_FDCWD, NAME, NULL, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(stat(NAME, &st) == 0 && st.st_mtim.tv_sec > 1000000000);
    times[1].tv_nsec = 1000000000;
    CHECK_ERRNO(utimensat(AT_FDCWD, NAME, times, 0), EINVAL);
    CHECK_ERRNO(utimensat(AT_FDCWD, NAME ".none", NULL, 0), ENOENT);
    CHECK_ERRNO(utimensat(AT_FDCWD, NAME, bad_address(), 0), EFAULT);
    close(fd);
}

static void test_owners(void)
{
    int fd = make_file();

    CHECK(chown(NAME, (uid_t)-1, (gid_t)-1) == 0 && lchown(NAME, getuid(), getgid()) == 0);
    CHECK(fchown(fd, getuid(), (gid_t)-1) == 0);
    CHECK(fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH) == 0);
    CHECK_ERRNO(chown(NAME ".none", 0, 0), ENOENT);
    CHECK_ERRNO(fchown(-1, 0, 0), EBADF);
    close(fd);
}

static void test_memfd(void)
{
    int fd = memfd_create("name", MFD_CLOEXEC);
    struct stat st;
    char *map;

    CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(ftruncate(fd, 8192) == 0 && fstat(fd, &st) == 0 && st.st_size == 8192);
    map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && pwrite(fd, "x", 1, 5000) == 1 && map[5000] == 'x');
    CHECK(munmap(map, 8192) == 0);
    CHECK_ERRNO(memfd_create("name", 0x800), EINVAL);
    CHECK_ERRNO(memfd_create(bad_address(), 0), EFAULT);
    close(fd);
}

static void test_fallocate(void)
{
    int fd = make_file(), p[2];
    struct stat st;

    CHECK(fallocate(fd, 0, 100, 900) == 0 && fstat(fd, &st) == 0 && st.st_size == 1000);
    CHECK(fallocate(fd, 0, 0, 10) == 0 && fstat(fd, &st) == 0 && st.st_size == 1000);
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 9000) == 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 1000);
    CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK(pipe(p) == 0);
    CHECK_ERRNO(fallocate(p[1], 0, 0, 1), ESPIPE);
    sync();
    CHECK(syncfs(fd) == 0);
    close(fd);
    close(p[0]);
    close(p[1]);
}

static void test_vectors(void)
{
    char a[3], b[5];
    struct iovec out[2] = {{"abc", 3}, {"defgh", 5}}, in[2] = {{a, 3}, {b, 5}};
    int fd = make_file();

    CHECK(pwritev2(fd, out, 2, -1, 0) == 8 && lseek(fd, 0, SEEK_CUR) == 8);
    CHECK(preadv2(fd, in, 2, 1, 0) == 7 && memcmp(a, "bcd", 3) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && preadv2(fd, in, 2, -1, 0) == 8);
    CHECK(memcmp(b, "defgh", 5) == 0);
    CHECK_ERRNO(preadv2(fd, in, 2, 0, 0x40000000), EOPNOTSUPP);
    CHECK_ERRNO(preadv2(fd, in, 2, -2, 0), EINVAL);
    close(fd);
}

static void test_flock(void)
{
    int a = make_file(), b = open(NAME, O_RDONLY);

    CHECK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
    CHECK_ERRNO(flock(a, LOCK_EX | LOCK_NB), EAGAIN);
    CHECK(flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0);
    CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
    CHECK_ERRNO(flock(a, 77), EINVAL);
    close(a);
    CHECK(flock(b, LOCK_EX | LOCK_NB) == 0);
    close(b);
}

static int record(int fd, int command, int type, long start, long length)
{
    struct flock l = {.l_type = (short)type, .l_start = start, .l_len = length};

    return fcntl(fd, command, &l);
}

/* What another process may lock: its exit status says so. */
static int other_may(int fd, long start, long length)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(record(fd, F_SETLK, F_WRLCK, start, length) == 0);
    return waitpid(child, &status, 0) == child && WEXITSTATUS(status);
}

static void test_records(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_start = 15, .l_len = 1};
    int fd = make_file(), again, status;
    pid_t child;

    CHECK(record(fd, F_SETLK, F_WRLCK, 10, 30) == 0 && record(fd, F_SETLK, F_UNLCK, 20, 10) == 0);
    CHECK(!other_may(fd, 0, 0) && !other_may(fd, 19, 1) && !other_may(fd, 39, 1));
    CHECK(other_may(fd, 20, 10) && other_may(fd, 40, 0) && other_may(fd, 0, 10));
    child = fork();
    if (child == 0)
        _exit(fcntl(fd, F_GETLK, &l) != 0 || l.l_type != F_WRLCK || l.l_start != 10 ||
              l.l_len != 10 || l.l_pid != getppid());
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    again = open(NAME, O_RDONLY);
    CHECK_ERRNO(record(again, F_SETLK, F_WRLCK, 0, 1), EBADF);
    CHECK_ERRNO(record(fd, F_SETLK, 9, 0, 1), EINVAL);
    close(again); /* any close lets all go */
    CHECK(other_may(fd, 0, 0));
    close(fd);
}

static void test_record_wait(void)
{
    int fd = make_file(), p[2], status;
    pid_t child;
    char byte;

    CHECK(pipe(p) == 0);
    child = fork();
    if (child == 0) {
        if (record(fd, F_SETLK, F_WRLCK, 0, 0) != 0 || write(p[1], "x", 1) != 1)
            _exit(1);
        usleep(30000);
        _exit(0); /* the end lets it go */
    }
    CHECK(read(p[0], &byte, 1) == 1);
    CHECK_ERRNO(record(fd, F_SETLK, F_RDLCK, 5, 1), EAGAIN);
    CHECK(record(fd, F_SETLKW, F_RDLCK, 5, 1) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(fd);
    close(p[0]);
    close(p[1]);
}

static void test_identity(void)
{
    CHECK(setreuid((uid_t)-1, getuid()) == 0 && setregid((gid_t)-1, getgid()) == 0);
    CHECK(setresuid(getuid(), (uid_t)-1, getuid()) == 0 && setresgid(getgid(), getgid(), -1u) == 0);
    CHECK(personality(0xffffffff) == 0);
    CHECK_ERRNO(mlockall(0), EINVAL);
    CHECK_ERRNO(mlockall(64), EINVAL);
    CHECK(munlockall() == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"times", test_times}, {"identity", test_identity}, {"owners", test_owners},
        {"memfd", test_memfd}, {"vectors", test_vectors},   {"fallocate", test_fallocate},
        {"flock", test_flock}, {"records", test_records},   {"record_wait", test_record_wait},
    };
    int status = RUN_TESTS(tests, argc, argv);

    unlink(NAME);
    return status;
}
