/*
 * t_names.c: several names of one file, moves that replace nothing or trade places, names of pipes
 * and devices, and the three times of a file. An argument "in=DIR" says where; /tmp else.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <time.h>
#include <utime.h>

#include "tests/vm/guest/check.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#endif

static const char *base = "/tmp";

/* A path in the folder of this run; four may be in use at once. */
static const char *path(const char *name)
{
    static char texts[4][200];
    static unsigned next;
    char *text = texts[next++ % 4];

    snprintf(text, sizeof(texts[0]), "%s/t_names.d/%s", base, name);
    return text;
}

static int make(const char *name, const char *content)
{
    int fd = open(path(name), O_RDWR | O_CREAT | O_TRUNC, 0644);

    if (fd >= 0 && write(fd, content, strlen(content)) != (ssize_t)strlen(content))
        return -1;
    return fd;
}

static const char *content(const char *name)
{
    static char text[64];
    int fd = open(path(name), O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close(fd);
    if (n < 0)
        return "?";
    text[n] = '\0';
    return text;
}

static void test_links(void)
{
    int fd = make("a", "one");
    struct stat a, b;

    CHECK(fd >= 0 && link(path("a"), path("b")) == 0);
    CHECK(stat(path("a"), &a) == 0 && stat(path("b"), &b) == 0);
    CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_nlink == 2 && b.st_nlink == 2);
    CHECK(pwrite(fd, "two", 3, 0) == 3 && strcmp(content("b"), "two") == 0);
    CHECK(chmod(path("b"), 0600) == 0 && stat(path("a"), &a) == 0 && (a.st_mode & 0777) == 0600);
    CHECK_ERRNO(link(path("a"), path("b")), EEXIST);
    CHECK(rename(path("a"), path("b")) == 0 && access(path("a"), F_OK) == 0); /* the same file */
    CHECK(unlink(path("a")) == 0 && strcmp(content("b"), "two") == 0);
    CHECK(fstat(fd, &a) == 0 && a.st_nlink == 1);
    CHECK(link(path("b"), path("c")) == 0 && unlink(path("b")) == 0);
    CHECK(rename(path("c"), path("d")) == 0 && strcmp(content("d"), "two") == 0);
    CHECK(unlink(path("d")) == 0 && fstat(fd, &a) == 0 && a.st_nlink == 0);
    close(fd);
}

static void test_link_errors(void)
{
    struct stat st;

    CHECK(mkdir(path("dir"), 0755) == 0 && close(make("f", "x")) == 0);
    CHECK(symlink("f", path("soft")) == 0);
    CHECK_ERRNO(link(path("dir"), path("dir2")), EPERM);
    CHECK_ERRNO(link(path("none"), path("g")), ENOENT);
    CHECK_ERRNO(link(path("f"), "/dev/t_names"), EXDEV);
    CHECK(link(path("soft"), path("soft2")) == 0 && lstat(path("soft2"), &st) == 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK(linkat(AT_FDCWD, path("soft"), AT_FDCWD, path("g"), AT_SYMLINK_FOLLOW) == 0);
    CHECK(lstat(path("g"), &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 2);
    CHECK_ERRNO(linkat(AT_FDCWD, path("f"), AT_FDCWD, path("h"), 1), EINVAL);
    CHECK(stat(path("dir"), &st) == 0 && st.st_nlink == 2 && mkdir(path("dir/sub"), 0755) == 0);
    CHECK(stat(path("dir"), &st) == 0 && st.st_nlink == 3 && rmdir(path("dir/sub")) == 0);
    CHECK(unlink(path("f")) == 0 && unlink(path("g")) == 0 && rmdir(path("dir")) == 0);
    CHECK(unlink(path("soft")) == 0 && unlink(path("soft2")) == 0);
}

static void test_no_replace(void)
{
    close(make("a", "A"));
    close(make("b", "B"));
    CHECK_ERRNO(renameat2(AT_FDCWD, path("a"), AT_FDCWD, path("b"), RENAME_NOREPLACE), EEXIST);
    CHECK(renameat2(AT_FDCWD, path("a"), AT_FDCWD, path("c"), RENAME_NOREPLACE) == 0);
    CHECK(strcmp(content("c"), "A") == 0 && strcmp(content("b"), "B") == 0);
    CHECK_ERRNO(renameat2(AT_FDCWD, path("c"), AT_FDCWD, path("b"), 3), EINVAL);
    CHECK(unlink(path("b")) == 0 && unlink(path("c")) == 0);
}

static void test_exchange(void)
{
    struct stat st;

    close(make("a", "A"));
    CHECK(mkdir(path("d"), 0755) == 0);
    CHECK_ERRNO(renameat2(AT_FDCWD, path("a"), AT_FDCWD, path("none"), RENAME_EXCHANGE), ENOENT);
    CHECK(renameat2(AT_FDCWD, path("a"), AT_FDCWD, path("d"), RENAME_EXCHANGE) == 0);
    CHECK(stat(path("a"), &st) == 0 && S_ISDIR(st.st_mode) && strcmp(content("d"), "A") == 0);
    close(make("a/in", "I"));
    CHECK(renameat2(AT_FDCWD, path("a/in"), AT_FDCWD, path("d"), RENAME_EXCHANGE) == 0);
    CHECK(strcmp(content("d"), "I") == 0 && strcmp(content("a/in"), "A") == 0);
    CHECK_ERRNO(renameat2(AT_FDCWD, path("a"), AT_FDCWD, path("a/in"), RENAME_EXCHANGE), EINVAL);
    CHECK(unlink(path("a/in")) == 0 && rmdir(path("a")) == 0 && unlink(path("d")) == 0);
}

static void test_special(void)
{
    struct stat st;

    CHECK(mkfifo(path("pipe"), 0640) == 0 && stat(path("pipe"), &st) == 0);
    CHECK(S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0640);
    CHECK_ERRNO(mkfifo(path("pipe"), 0640), EEXIST);
    CHECK(mknod(path("sock"), S_IFSOCK | 0600, 0) == 0 && stat(path("sock"), &st) == 0);
    CHECK(S_ISSOCK(st.st_mode));
    CHECK_ERRNO(open(path("sock"), O_RDONLY), ENXIO);
    CHECK(mknod(path("plain"), 0600, 0) == 0 && stat(path("plain"), &st) == 0);
    CHECK(S_ISREG(st.st_mode) && st.st_size == 0);
    CHECK_ERRNO(mknod(path("dir"), S_IFDIR | 0700, 0), EPERM);
    CHECK(unlink(path("pipe")) == 0 && unlink(path("sock")) == 0 && unlink(path("plain")) == 0);
}

static bool same_time(const struct timespec *a, long sec, long nsec)
{
    return a->tv_sec == sec && a->tv_nsec == nsec;
}

static void test_times(void)
{
    struct timespec both[2] = {{1111111111, 5}, {1222222222, 6}};
    struct timeval us[2] = {{1000000001, 7}, {1000000002, 8}};
    struct utimbuf seconds = {900000001, 900000002};
    struct stat st, now;
    int fd = make("t", "x");

    CHECK(futimens(fd, both) == 0 && fstat(fd, &st) == 0);
    CHECK(same_time(&st.st_atim, 1111111111, 5) && same_time(&st.st_mtim, 1222222222, 6));
    CHECK(st.st_ctim.tv_sec > 1222222222);
    both[0].tv_nsec = UTIME_OMIT;
    both[1] = (struct timespec){1333333333, 9};
    CHECK(utimensat(AT_FDCWD, path("t"), both, 0) == 0 && stat(path("t"), &st) == 0);
    CHECK(same_time(&st.st_atim, 1111111111, 5) && same_time(&st.st_mtim, 1333333333, 9));
    CHECK(utimes(path("t"), us) == 0 && stat(path("t"), &st) == 0);
    CHECK(same_time(&st.st_atim, 1000000001, 7000) && same_time(&st.st_mtim, 1000000002, 8000));
    CHECK(utime(path("t"), &seconds) == 0 && stat(path("t"), &st) == 0);
    CHECK(same_time(&st.st_atim, 900000001, 0) && same_time(&st.st_mtim, 900000002, 0));
    CHECK(strcmp(content("t"), "x") == 0 && pwrite(fd, "y", 1, 0) == 1);
    CHECK(stat(path("t"), &now) == 0 && now.st_mtim.tv_sec > 1400000000);
    CHECK(strcmp(content("t"), "y") == 0);
    both[0] = (struct timespec){0, 1000000000};
    CHECK_ERRNO(futimens(fd, both), EINVAL);
    CHECK(close(fd) == 0 && unlink(path("t")) == 0);
}

static void test_folder_times(void)
{
    struct timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    struct stat st;

    CHECK(mkdir(path("d"), 0755) == 0 && utimensat(AT_FDCWD, path("d"), old, 0) == 0);
    CHECK(stat(path("d"), &st) == 0 && same_time(&st.st_mtim, 1000000000, 0));
    close(make("d/f", ""));
    CHECK(stat(path("d"), &st) == 0 && st.st_mtim.tv_sec > 1000000000);
    CHECK(symlink("x", path("l")) == 0);
    CHECK(utimensat(AT_FDCWD, path("l"), old, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(lstat(path("l"), &st) == 0 && same_time(&st.st_mtim, 1000000000, 0));
    CHECK(unlink(path("d/f")) == 0 && rmdir(path("d")) == 0 && unlink(path("l")) == 0);
}

static void test_owner(void)
{
    struct stat st;
    int fd = make("o", "x");

    if (getuid() == 0) {
        CHECK(fchmod(fd, 04755) == 0 && fchown(fd, 12, 34) == 0 && stat(path("o"), &st) == 0);
        CHECK(st.st_uid == 12 && st.st_gid == 34 && (st.st_mode & 07777) == 0755);
        CHECK(chown(path("o"), (uid_t)-1, 56) == 0 && fstat(fd, &st) == 0);
        CHECK(st.st_uid == 12 && st.st_gid == 56);
    }
    CHECK(close(fd) == 0 && unlink(path("o")) == 0);
}

static void test_removed(void)
{
    struct stat st;
    char text[8];
    int fd = make("r", "gone");

    CHECK(unlink(path("r")) == 0 && fstat(fd, &st) == 0 && st.st_size == 4);
    CHECK(ftruncate(fd, 2) == 0 && fstat(fd, &st) == 0 && st.st_size == 2);
    CHECK(fchmod(fd, 0600) == 0 && pwrite(fd, "more", 4, 2) == 4);
    CHECK(pread(fd, text, 8, 0) == 6 && memcmp(text, "gomore", 6) == 0);
    close(fd);
}

static void test_space(void)
{
    struct statfs s;

    CHECK(statfs(path("."), &s) == 0 && s.f_bsize > 0 && s.f_blocks > 0);
    CHECK(s.f_bfree <= s.f_blocks && s.f_namelen == 255);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"links", test_links},     {"link_errors", test_link_errors},
        {"times", test_times},     {"folder_times", test_folder_times},
        {"owner", test_owner},     {"no_replace", test_no_replace},
        {"special", test_special}, {"exchange", test_exchange},
        {"removed", test_removed}, {"space", test_space},
    };
    int status;

    if (argc > 1 && strncmp(argv[1], "in=", 3) == 0) {
        base = argv[1] + 3;
        argv++;
        argc--;
    }
    if (mkdir(path(""), 0755) != 0)
        return 1;
    umask(0);
    status = RUN_TESTS(tests, argc, argv);
    return rmdir(path("")) == 0 ? status : 1;
}
