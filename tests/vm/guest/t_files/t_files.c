/*
 * t_files.c: files, folders, links, pipes, polling, devices, and what /proc shows.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tests/vm/guest/check.h"

static char folder[64];

static char *in_folder(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

static void test_read_write(void)
{
    char text[16] = {0};
    int fd = open(in_folder("a"), O_RDWR | O_CREAT | O_EXCL, 0644);

    CHECK(fd >= 0);
    CHECK(write(fd, "hello world", 11) == 11);
    CHECK(lseek(fd, 6, SEEK_SET) == 6);
    CHECK(read(fd, text, sizeof(text)) == 5 && strcmp(text, "world") == 0);
    CHECK(read(fd, text, sizeof(text)) == 0);
    CHECK(pread(fd, text, 5, 0) == 5 && memcmp(text, "hello", 5) == 0);
    CHECK(pwrite(fd, "J", 1, 0) == 1);
    CHECK(lseek(fd, 0, SEEK_CUR) == 11);
    CHECK(lseek(fd, -5, SEEK_END) == 6);
    CHECK_ERRNO(lseek(fd, -100, SEEK_SET), EINVAL);
    CHECK_ERRNO(pread(fd, text, 1, -1), EINVAL);
    CHECK(close(fd) == 0);
    CHECK_ERRNO(close(fd), EBADF);
    CHECK_ERRNO(open(in_folder("a"), O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
    CHECK_ERRNO(read(fd, text, 1), EBADF);
    CHECK_ERRNO(open(in_folder("none"), O_RDONLY), ENOENT);
    CHECK_ERRNO(open(in_folder("a/b"), O_RDONLY), ENOTDIR);
    fd = open(in_folder("a"), O_RDONLY);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    CHECK_ERRNO(read(fd, bad_address(), 4), EFAULT);
    close(fd);
}

static void test_append_truncate(void)
{
    struct stat st;
    char text[8];
    int fd = open(in_folder("t"), O_RDWR | O_CREAT | O_APPEND, 0600), other;

    CHECK(fd >= 0);
    CHECK(write(fd, "12345", 5) == 5);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(write(fd, "678", 3) == 3);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 8 && S_ISREG(st.st_mode));
    CHECK((st.st_mode & 0777) == 0600);
    CHECK(ftruncate(fd, 3) == 0);
    CHECK(ftruncate(fd, 6) == 0);
    CHECK(pread(fd, text, 8, 0) == 6 && memcmp(text, "123\0\0\0", 6) == 0);
    other = open(in_folder("t"), O_WRONLY | O_TRUNC);
    CHECK(other >= 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
    close(other);
    close(fd);
}

static void test_large(void)
{
    static char block[65536], back[65536];
    int fd = open(in_folder("large"), O_RDWR | O_CREAT, 0600);

    CHECK(fd >= 0);
    for (int i = 0; i < 16; i++) {
        memset(block, i + 1, sizeof(block));
        CHECK(write(fd, block, sizeof(block)) == sizeof(block));
    }
    for (int i = 0; i < 16; i++) {
        CHECK(pread(fd, back, sizeof(back), i * 65536l) == sizeof(back));
        CHECK(back[0] == i + 1 && back[65535] == i + 1);
    }
    /* a hole reads as zeroes */
    CHECK(pwrite(fd, "x", 1, 5 << 20) == 1);
    CHECK(pread(fd, back, 100, 3 << 20) == 100 && back[50] == 0);
    close(fd);
}

static void test_vectors(void)
{
    char a[4] = {0}, b[8] = {0};
    struct iovec out[2] = {{"abc", 3}, {"defgh", 5}}, in[2] = {{a, 3}, {b, 8}};
    int fd = open(in_folder("v"), O_RDWR | O_CREAT, 0600);

    CHECK(fd >= 0);
    CHECK(writev(fd, out, 2) == 8);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(readv(fd, in, 2) == 8);
    CHECK(strcmp(a, "abc") == 0 && strcmp(b, "defgh") == 0);
    CHECK_ERRNO(writev(fd, out, bad_count()), EINVAL);
    close(fd);
}

static void test_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR), copy, high;

    CHECK(fd >= 0);
    copy = dup(fd);
    CHECK(copy > fd);
    CHECK(dup2(fd, 100) == 100);
    CHECK(dup2(fd, fd) == fd);
    CHECK_ERRNO(dup2(99, 98), EBADF);
    CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
    high = fcntl(fd, F_DUPFD_CLOEXEC, 50);
    CHECK(high >= 50);
    CHECK(fcntl(high, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFD) == 0);
    CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK((fcntl(copy, F_GETFL) & O_NONBLOCK) != 0);
    CHECK_ERRNO(fcntl(777, F_GETFD), EBADF);
    close(fd), close(copy), close(100), close(high);
    /* the lowest number is given */
    CHECK(open("/dev/null", O_RDONLY) == fd);
    close(fd);
}

static void test_many_descriptors(void)
{
    int fds[300];

    for (int i = 0; i < 300; i++)
        CHECK((fds[i] = open("/dev/zero", O_RDONLY)) >= 0);
    CHECK(fds[299] >= 299);
    for (int i = 0; i < 300; i++)
        CHECK(close(fds[i]) == 0);
}

static void test_folders(void)
{
    bool seen[3] = {false};
    struct dirent *entry;
    struct stat st;
    char cwd[256];
    DIR *dir;
    int fd;

    CHECK(mkdir(in_folder("d"), 0755) == 0);
    CHECK_ERRNO(mkdir(in_folder("d"), 0755), EEXIST);
    CHECK(stat(in_folder("d"), &st) == 0 && S_ISDIR(st.st_mode));
    for (int i = 0; i < 3; i++) {
        char name[16];

        snprintf(name, sizeof(name), "d/%c", 'x' + i);
        fd = open(in_folder(name), O_CREAT | O_WRONLY, 0600);
        CHECK(fd >= 0);
        close(fd);
    }
    CHECK((dir = opendir(in_folder("d"))) != NULL);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] >= 'x' && entry->d_name[0] <= 'z')
            seen[entry->d_name[0] - 'x'] = true;
    }
    closedir(dir);
    CHECK(seen[0] && seen[1] && seen[2]);
    CHECK_ERRNO(rmdir(in_folder("d")), ENOTEMPTY);
    CHECK_ERRNO(unlink(in_folder("d")), EISDIR);
    CHECK_ERRNO(rmdir(in_folder("d/x")), ENOTDIR);
    CHECK(chdir(in_folder("d")) == 0);
    CHECK(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, in_folder("d")) == 0);
    CHECK_ERRNO(syscall(79, cwd, 2), ERANGE);
    CHECK(access("x", F_OK) == 0 && access("../d/./y", R_OK) == 0);
    CHECK(unlink("x") == 0 && unlink("y") == 0 && unlink("z") == 0);
    CHECK_ERRNO(unlink("x"), ENOENT);
    CHECK(chdir("..") == 0);
    CHECK(rmdir("d") == 0);
    CHECK_ERRNO(open(in_folder("."), O_WRONLY), EISDIR);
    fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    CHECK_ERRNO(read(fd, cwd, 1), EISDIR);
    CHECK(openat(fd, "a", O_RDONLY) >= 0);
    CHECK(close(fd + 1) == 0 && close(fd) == 0);
    CHECK_ERRNO(open(in_folder("a"), O_RDONLY | O_DIRECTORY), ENOTDIR);
}

static void test_rename(void)
{
    struct stat st;
    int fd = open(in_folder("from"), O_CREAT | O_WRONLY, 0600);

    CHECK(fd >= 0 && write(fd, "1", 1) == 1);
    close(fd);
    CHECK(rename(in_folder("from"), in_folder("to")) == 0);
    CHECK_ERRNO(stat(in_folder("from"), &st), ENOENT);
    CHECK(stat(in_folder("to"), &st) == 0 && st.st_size == 1);
    CHECK(mkdir(in_folder("r"), 0700) == 0 && mkdir(in_folder("r/s"), 0700) == 0);
    CHECK_ERRNO(rename(in_folder("r"), in_folder("r/s/t")), EINVAL);
    CHECK_ERRNO(rename(in_folder("r"), in_folder("to")), ENOTDIR);
    CHECK_ERRNO(rename(in_folder("to"), in_folder("r")), EISDIR);
    CHECK(rename(in_folder("to"), in_folder("r/s/moved")) == 0);
    CHECK_ERRNO(rename(in_folder("r/s/moved"), in_folder("r/s")), ENOTEMPTY);
    CHECK_ERRNO(rename(in_folder("r/s/moved"), in_folder("r")), ENOTEMPTY);
    CHECK(stat(in_folder("r/s/moved"), &st) == 0);
    CHECK(unlink(in_folder("r/s/moved")) == 0);
    CHECK(rmdir(in_folder("r/s")) == 0 && rmdir(in_folder("r")) == 0);
}

static void test_links(void)
{
    char text[64] = {0};
    struct stat st;
    int fd;

    CHECK(symlink("a", in_folder("link")) == 0);
    CHECK(readlink(in_folder("link"), text, sizeof(text)) == 1 && text[0] == 'a');
    CHECK(lstat(in_folder("link"), &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(stat(in_folder("link"), &st) == 0 && S_ISREG(st.st_mode));
    fd = open(in_folder("link"), O_RDONLY);
    CHECK(fd >= 0);
    close(fd);
    CHECK_ERRNO(open(in_folder("link"), O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERRNO(readlink(in_folder("a"), text, sizeof(text)), EINVAL);
    CHECK(symlink("loop", in_folder("loop")) == 0);
    CHECK_ERRNO(open(in_folder("loop"), O_RDONLY), ELOOP);
    CHECK(unlink(in_folder("link")) == 0 && unlink(in_folder("loop")) == 0);
    CHECK(stat(in_folder("a"), &st) == 0);
}

static void test_unlinked_open(void)
{
    char text[4];
    int fd = open(in_folder("gone"), O_RDWR | O_CREAT, 0600);

    CHECK(fd >= 0 && write(fd, "1234", 4) == 4);
    CHECK(unlink(in_folder("gone")) == 0);
    CHECK(pread(fd, text, 4, 0) == 4 && memcmp(text, "1234", 4) == 0);
    close(fd);
    CHECK_ERRNO(open(in_folder("gone"), O_RDONLY), ENOENT);
}

static void test_mapping(void)
{
    int fd = open(in_folder("map"), O_RDWR | O_CREAT, 0600);
    char *shared, *private, text[8];

    CHECK(fd >= 0 && write(fd, "abcdefgh", 8) == 8);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(shared != MAP_FAILED && private != MAP_FAILED);
    CHECK(memcmp(shared, "abcdefgh", 8) == 0 && shared[8] == 0);
    private[0] = 'P';
    CHECK(shared[0] == 'a');
    shared[1] = 'S';
    CHECK(pread(fd, text, 8, 0) == 8 && memcmp(text, "aScdefgh", 8) == 0);
    CHECK(pwrite(fd, "W", 1, 2) == 1 && shared[2] == 'W');
    CHECK(msync(shared, 4096, MS_SYNC) == 0);
    CHECK(munmap(shared, 4096) == 0 && munmap(private, 4096) == 0);
    close(fd);
    fd = open(in_folder("map"), O_RDONLY);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    close(fd);
}

static void test_pipe(void)
{
    static char big[70000];
    char text[8] = {0};
    int p[2];

    CHECK(pipe(p) == 0);
    CHECK(write(p[1], "abc", 3) == 3);
    CHECK(read(p[0], text, sizeof(text)) == 3 && strcmp(text, "abc") == 0);
    CHECK_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(pread(p[0], text, 1, 0), ESPIPE);
    CHECK_ERRNO(read(p[1], text, 1), EBADF);
    CHECK_ERRNO(write(p[0], text, 1), EBADF);
    CHECK(fcntl(p[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(p[1], F_SETFL, O_NONBLOCK) == 0);
    CHECK_ERRNO(read(p[0], text, 1), EAGAIN);
    CHECK(write(p[1], big, sizeof(big)) == 65536);
    CHECK_ERRNO(write(p[1], big, 1), EAGAIN);
    CHECK(close(p[1]) == 0);
    for (size_t left = 65536; left > 0;) {
        ssize_t n = read(p[0], big, sizeof(big));

        CHECK(n > 0);
        left -= (size_t)n;
    }
    CHECK(read(p[0], text, 1) == 0);
    CHECK(close(p[0]) == 0);
    CHECK(pipe2(p, O_CLOEXEC) == 0 && fcntl(p[0], F_GETFD) == FD_CLOEXEC);
    close(p[0]), close(p[1]);
}

static void *write_later(void *arg)
{
    usleep(20000);
    if (write(*(int *)arg, "x", 1) != 1)
        return (void *)1;
    return NULL;
}

static void test_poll(void)
{
    struct pollfd fds[2];
    pthread_t thread;
    char c;
    int p[2];

    CHECK(pipe(p) == 0);
    fds[0] = (struct pollfd){p[0], POLLIN, 0};
    fds[1] = (struct pollfd){p[1], POLLOUT, 0};
    CHECK(poll(fds, 1, 0) == 0);
    CHECK(poll(fds, 1, 10) == 0);
    CHECK(poll(fds, 2, -1) == 1 && fds[1].revents == POLLOUT && fds[0].revents == 0);
    CHECK(pthread_create(&thread, NULL, write_later, &p[1]) == 0);
    CHECK(poll(fds, 1, 60000) == 1 && fds[0].revents == POLLIN);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(read(p[0], &c, 1) == 1);
    close(p[1]);
    CHECK(poll(fds, 1, 60000) == 1 && (fds[0].revents & POLLHUP));
    fds[0].fd = 500;
    CHECK(poll(fds, 1, 60000) == 1 && fds[0].revents == POLLNVAL);
    fds[0].fd = -1;
    CHECK(poll(fds, 1, 0) == 0 && fds[0].revents == 0);
    close(p[0]);
}

static void test_select(void)
{
    struct timeval soon = {0, 10000};
    fd_set set;
    int p[2];

    CHECK(pipe(p) == 0);
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    CHECK(select(p[0] + 1, &set, NULL, NULL, &soon) == 0 && !FD_ISSET(p[0], &set));
    CHECK(write(p[1], "x", 1) == 1);
    FD_SET(p[0], &set);
    CHECK(select(p[0] + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &set));
    close(p[0]), close(p[1]);
}

static void test_devices(void)
{
    char text[64];
    struct stat st;
    int fd = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
    int full = open("/dev/full", O_RDWR), urandom = open("/dev/urandom", O_RDONLY), sum = 0;

    CHECK(fd >= 0 && zero >= 0 && full >= 0 && urandom >= 0);
    CHECK(read(fd, text, 1) == 0 && write(fd, text, 64) == 64);
    memset(text, 1, sizeof(text));
    CHECK(read(zero, text, 64) == 64 && text[0] == 0 && text[63] == 0);
    CHECK_ERRNO(write(full, text, 1), ENOSPC);
    CHECK(read(urandom, text, 64) == 64);
    for (int i = 0; i < 64; i++)
        sum |= text[i];
    CHECK(sum != 0);
    CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, text), ENOTTY);
    CHECK(!isatty(fd));
    CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
    close(fd), close(zero), close(full), close(urandom);
}

static void test_proc(void)
{
    char text[4096] = {0}, path[64];
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t n;

    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    CHECK(atoi(text) == getpid());
    close(fd);
    n = readlink("/proc/self/exe", text, sizeof(text) - 1);
    CHECK(n > 0);
    text[n] = '\0';
    CHECK(strstr(text, "t_files") != NULL);
    snprintf(path, sizeof(path), "/proc/%d/maps", getpid());
    CHECK((fd = open(path, O_RDONLY)) >= 0);
    memset(text, 0, sizeof(text));
    CHECK(read(fd, text, sizeof(text) - 1) > 0);
    CHECK(strstr(text, "r-xp") != NULL && strstr(text, "[stack]") != NULL);
    close(fd);
    CHECK((fd = open("/proc/self/cmdline", O_RDONLY)) >= 0);
    CHECK(read(fd, text, sizeof(text) - 1) > 0 && strstr(text, "t_files") != NULL);
    close(fd);
    CHECK((fd = open("/proc/meminfo", O_RDONLY)) >= 0);
    CHECK(read(fd, text, sizeof(text) - 1) > 0 && strncmp(text, "MemTotal:", 9) == 0);
    close(fd);
    CHECK_ERRNO(open("/proc/0", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("/proc/self/none", O_RDONLY), ENOENT);
}

static void test_paths(void)
{
    char name[300];
    struct stat st;

    memset(name, 'n', sizeof(name));
    name[299] = '\0';
    CHECK_ERRNO(open(in_folder(""), O_WRONLY), EISDIR);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    CHECK_ERRNO(open(bad_address(), O_RDONLY), EFAULT);
    CHECK(stat("//proc/.././proc/self/", &st) == 0 && S_ISDIR(st.st_mode));
    CHECK(stat("/..", &st) == 0);
    CHECK_ERRNO(stat(in_folder("a/"), &st), ENOTDIR);
    CHECK_ERRNO(openat(777, "a", O_RDONLY), EBADF);
}

static void remove_rest(void)
{
    static const char *const names[] = {"a", "t", "large", "v", "map"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(in_folder(names[i]));
    rmdir(folder);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"read_write", test_read_write},
        {"append_truncate", test_append_truncate},
        {"large", test_large},
        {"vectors", test_vectors},
        {"descriptors", test_descriptors},
        {"many_descriptors", test_many_descriptors},
        {"folders", test_folders},
        {"rename", test_rename},
        {"links", test_links},
        {"unlinked_open", test_unlinked_open},
        {"mapping", test_mapping},
        {"pipe", test_pipe},
        {"poll", test_poll},
        {"select", test_select},
        {"devices", test_devices},
        {"proc", test_proc},
        {"paths", test_paths},
    };
    int status;

    snprintf(folder, sizeof(folder), "/tmp/t_files.%d", getpid());
    if (mkdir(folder, 0755) != 0) {
        printf("FAIL setup: cannot make %s\n", folder);
        return 1;
    }
    status = RUN_TESTS(tests, argc, argv);
    remove_rest();
    return status;
}
