/*
 * t_mounts.c: file systems in memory at other places, places that lead to others, what tells of
 * them, and another root. It needs the right to mount; a namespace of its own keeps Linux as it
 * was.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define BASE "/tmp/t_mounts.d"

static bool file_has(const char *path, const char *text)
{
    static char all[65536];
    int fd = open(path, O_RDONLY);
    size_t n = 0;
    ssize_t r;

    while (fd >= 0 && (r = read(fd, all + n, sizeof(all) - 1 - n)) > 0)
        n += (size_t)r;
    close(fd);
    all[n] = '\0';
    return strstr(all, text) != NULL;
}

static int make(const char *path)
{
    return close(open(path, O_WRONLY | O_CREAT, 0644));
}

static void test_tmpfs(void)
{
    struct stat above, in;
    struct statfs space;

    CHECK(mkdir(BASE "/m", 0755) == 0 && make(BASE "/m/hidden") == 0);
    CHECK(mount("my source", BASE "/m", "tmpfs", 0, "size=1m,mode=750") == 0);
    CHECK(stat(BASE, &above) == 0 && stat(BASE "/m", &in) == 0 && above.st_dev != in.st_dev);
    CHECK((in.st_mode & 07777) == 0750 && access(BASE "/m/hidden", F_OK) == -1);
    CHECK(statfs(BASE "/m", &space) == 0 && space.f_type == 0x01021994);
    CHECK(file_has("/proc/mounts", "my\\040source " BASE "/m tmpfs rw"));
    CHECK(file_has("/proc/self/mountinfo", " / " BASE "/m rw"));
    CHECK(make(BASE "/m/f") == 0 && mkdir(BASE "/m/d", 0755) == 0 && make(BASE "/m/d/g") == 0);
    CHECK_ERRNO(rmdir(BASE "/m"), EBUSY);
    CHECK_ERRNO(rename(BASE "/m", BASE "/n"), EBUSY);
    CHECK_ERRNO(link(BASE "/m/f", BASE "/f"), EXDEV);
    CHECK(umount(BASE "/m") == 0 && access(BASE "/m/hidden", F_OK) == 0);
    CHECK(access(BASE "/m/f", F_OK) == -1 && !file_has("/proc/mounts", BASE "/m"));
    CHECK(unlink(BASE "/m/hidden") == 0 && rmdir(BASE "/m") == 0);
}

static void test_busy(void)
{
    int fd;

    CHECK(mkdir(BASE "/m", 0755) == 0 && mount("none", BASE "/m", "tmpfs", 0, NULL) == 0);
    CHECK(mkdir(BASE "/m/d", 0755) == 0 && make(BASE "/m/d/f") == 0);
    fd = open(BASE "/m/d/f", O_RDWR);
    CHECK_ERRNO(umount(BASE "/m"), EBUSY);
    CHECK(umount2(BASE "/m", MNT_DETACH) == 0 && access(BASE "/m/d", F_OK) == -1);
    CHECK(write(fd, "still", 5) == 5 && close(fd) == 0);
    CHECK_ERRNO(umount(BASE "/m"), EINVAL);
    CHECK_ERRNO(umount(BASE "/none"), ENOENT);
    CHECK_ERRNO(umount2(BASE "/m", 64), EINVAL);
    CHECK_ERRNO(mount("none", BASE "/m", "nosuchfs", 0, NULL), ENODEV);
    CHECK_ERRNO(mount("none", BASE "/none", "tmpfs", 0, NULL), ENOENT);
    CHECK(rmdir(BASE "/m") == 0);
}

static void test_read_only(void)
{
    CHECK(mkdir(BASE "/m", 0755) == 0 && mount("none", BASE "/m", "tmpfs", MS_RDONLY, NULL) == 0);
    CHECK_ERRNO(open(BASE "/m/f", O_WRONLY | O_CREAT, 0644), EROFS);
    CHECK(file_has("/proc/mounts", BASE "/m tmpfs ro"));
    CHECK(mount("none", BASE "/m", "", MS_REMOUNT, NULL) == 0 && make(BASE "/m/f") == 0);
    CHECK(mount("none", BASE "/m", "", MS_REMOUNT | MS_RDONLY, NULL) == 0);
    CHECK_ERRNO(open(BASE "/m/f", O_WRONLY), EROFS);
    CHECK_ERRNO(unlink(BASE "/m/f"), EROFS);
    CHECK(umount(BASE "/m") == 0 && rmdir(BASE "/m") == 0);
}

/* Who has a file open has that one, whatever is put over its name. */
static void test_covered_file(void)
{
    struct stat there;
    char byte = 0;
    int fd;

    CHECK(make(BASE "/empty") == 0);
    fd = open(BASE "/file", O_RDWR | O_CREAT, 0644);
    CHECK(write(fd, "x", 1) == 1);
    CHECK(mount(BASE "/empty", BASE "/file", NULL, MS_BIND, NULL) == 0);
    CHECK(pread(fd, &byte, 1, 0) == 1 && byte == 'x' && close(fd) == 0);
    fd = open(BASE "/file", O_RDONLY);
    CHECK(read(fd, &byte, 1) == 0 && close(fd) == 0);
    CHECK_ERRNO(unlink(BASE "/file"), EBUSY);
    CHECK_ERRNO(rename(BASE "/file", BASE "/elsewhere"), EBUSY);
    CHECK_ERRNO(rename(BASE "/empty", BASE "/file"), EBUSY);
    CHECK(umount(BASE "/file") == 0 && stat(BASE "/empty", &there) == 0 && there.st_nlink == 1);
    CHECK(unlink(BASE "/file") == 0 && unlink(BASE "/empty") == 0);
}

/* In a process's folder a mount is either refused or there to be seen and taken away; and the process
 * goes when it ends. */
static void test_process_folder(void)
{
    struct stat there;
    char path[32];
    pid_t child = fork();
    bool made;

    if (child == 0)
        for (;;)
            pause();
    snprintf(path, sizeof(path), "/proc/%d/stat", child);
    made = mount("/dev/null", path, NULL, MS_BIND, NULL) == 0;
    CHECK(made || errno == ENOENT);
    CHECK(stat(path, &there) == 0 && S_ISCHR(there.st_mode) == made);
    CHECK(!made || umount(path) == 0);
    /* Over the folder itself: it is kept for as long as the mount, and no longer. */
    snprintf(path, sizeof(path), "/proc/%d", child);
    made = mount("none", path, "tmpfs", 0, NULL) == 0;
    CHECK((made || errno == ENOENT) && (!made || umount(path) == 0));
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    CHECK_ERRNO(access(path, F_OK), ENOENT);
}

static void test_bind(void)
{
    CHECK(mkdir(BASE "/a", 0755) == 0 && mkdir(BASE "/b", 0755) == 0 && make(BASE "/a/f") == 0);
    CHECK(mount(BASE "/a", BASE "/b", NULL, MS_BIND, NULL) == 0);
    CHECK(access(BASE "/b/f", F_OK) == 0 && make(BASE "/b/g") == 0);
    CHECK(access(BASE "/a/g", F_OK) == 0 && umount(BASE "/b") == 0);
    CHECK(access(BASE "/b/f", F_OK) == -1 && access(BASE "/a/f", F_OK) == 0);
    CHECK_ERRNO(mount(BASE "/a/f", BASE "/b", NULL, MS_BIND, NULL), ENOTDIR);
    CHECK(unlink(BASE "/a/f") == 0 && unlink(BASE "/a/g") == 0);
    CHECK(rmdir(BASE "/a") == 0 && rmdir(BASE "/b") == 0);
}

static bool same_file(const char *a, const char *b)
{
    struct stat first, second;

    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* What is mounted below a place that leads to another covers nothing at the other. */
static void test_over_bound(void)
{
    char here[128];

    CHECK(mkdir(BASE "/a", 0755) == 0 && mkdir(BASE "/b", 0755) == 0 && mkdir(BASE "/a/d", 0755) == 0);
    CHECK(mkdir(BASE "/a/d/e", 0755) == 0 && make(BASE "/a/d/f") == 0);
    CHECK(mount(BASE "/a", BASE "/b", NULL, MS_BIND, NULL) == 0);
    CHECK(mount("none", BASE "/b/d/e", "tmpfs", 0, NULL) == 0 && make(BASE "/b/d/e/in") == 0);
    CHECK(access(BASE "/a/d/e/in", F_OK) == -1 && same_file(BASE "/a/d", BASE "/b/d"));
    CHECK(access(BASE "/b/d/e/../f", F_OK) == 0 && !same_file(BASE "/a/d/e", BASE "/b/d/e"));
    CHECK(file_has("/proc/mounts", BASE "/b/d/e tmpfs") && !file_has("/proc/mounts", " " BASE "/a"));
    CHECK_ERRNO(rmdir(BASE "/a/d/e"), EBUSY);
    CHECK_ERRNO(rename(BASE "/a/d/e", BASE "/a/e"), EBUSY);
    CHECK_ERRNO(umount(BASE "/b"), EBUSY);
    CHECK(chdir(BASE "/b/d") == 0 && getcwd(here, sizeof(here)) && strcmp(here, BASE "/b/d") == 0);
    CHECK(access("e/in", F_OK) == 0 && chdir("..") == 0 && getcwd(here, sizeof(here)));
    CHECK(strcmp(here, BASE "/b") == 0 && chdir("/") == 0);
    CHECK(mount("/dev/null", BASE "/b/d/f", NULL, MS_BIND, NULL) == 0);
    CHECK(same_file(BASE "/b/d/f", "/dev/null") && !same_file(BASE "/a/d/f", "/dev/null"));
    CHECK_ERRNO(unlink(BASE "/a/d/f"), EBUSY);
    CHECK(umount(BASE "/b/d/f") == 0 && umount(BASE "/b/d/e") == 0 && umount(BASE "/b") == 0);
    CHECK(unlink(BASE "/a/d/f") == 0 && rmdir(BASE "/a/d/e") == 0 && rmdir(BASE "/a/d") == 0);
    CHECK(rmdir(BASE "/a") == 0 && rmdir(BASE "/b") == 0);
}

/* A second mount over a place that leads to another covers the place, and not the other. */
static void test_stacked(void)
{
    CHECK(make(BASE "/x") == 0 && make(BASE "/y") == 0 && make(BASE "/z") == 0);
    CHECK(mount(BASE "/x", BASE "/y", NULL, MS_BIND, NULL) == 0 && same_file(BASE "/x", BASE "/y"));
    CHECK(mount(BASE "/z", BASE "/y", NULL, MS_BIND, NULL) == 0 && same_file(BASE "/z", BASE "/y"));
    CHECK(!same_file(BASE "/x", BASE "/z"));
    CHECK(umount(BASE "/y") == 0 && same_file(BASE "/x", BASE "/y"));
    CHECK(umount(BASE "/y") == 0 && !same_file(BASE "/x", BASE "/y"));
    CHECK(link(BASE "/y", BASE "/name") == 0 && mount(BASE "/z", BASE "/name", NULL, MS_BIND, NULL) == 0);
    CHECK(umount(BASE "/name") == 0 && same_file(BASE "/y", BASE "/name"));
    CHECK(mount(BASE "/z", BASE "/y", NULL, MS_BIND, NULL) == 0 && !same_file(BASE "/y", BASE "/name"));
    CHECK(umount(BASE "/y") == 0 && same_file(BASE "/y", BASE "/name") && unlink(BASE "/name") == 0);
    CHECK(unlink(BASE "/x") == 0 && unlink(BASE "/y") == 0 && unlink(BASE "/z") == 0);
    CHECK(mkdir(BASE "/m", 0755) == 0 && mount("one", BASE "/m", "tmpfs", 0, NULL) == 0);
    CHECK(make(BASE "/m/one") == 0 && mount("two", BASE "/m", "tmpfs", 0, NULL) == 0);
    CHECK(access(BASE "/m/one", F_OK) == -1 && umount(BASE "/m") == 0);
    CHECK(access(BASE "/m/one", F_OK) == 0 && umount(BASE "/m") == 0 && rmdir(BASE "/m") == 0);
}

/* What is mounted in a folder is seen at another place of it only when that was asked for. */
static void test_bound_deep(void)
{
    CHECK(mkdir(BASE "/a", 0755) == 0 && mkdir(BASE "/b", 0755) == 0 && mkdir(BASE "/a/d", 0755) == 0);
    CHECK(mount("none", BASE "/a/d", "tmpfs", 0, NULL) == 0 && make(BASE "/a/d/in") == 0);
    CHECK(mount(BASE "/a", BASE "/b", NULL, MS_BIND, NULL) == 0);
    CHECK(access(BASE "/b/d", F_OK) == 0 && access(BASE "/b/d/in", F_OK) == -1);
    CHECK(umount(BASE "/b") == 0 && mount(BASE "/a", BASE "/b", NULL, MS_BIND | MS_REC, NULL) == 0);
    CHECK(access(BASE "/b/d/in", F_OK) == 0 && umount2(BASE "/b", MNT_DETACH) == 0);
    CHECK(umount(BASE "/a/d") == 0 && rmdir(BASE "/a/d") == 0 && rmdir(BASE "/a") == 0);
    CHECK(rmdir(BASE "/b") == 0);
}

/* A folder that shows the one it lies in does so once. */
static void test_bound_in_itself(void)
{
    char here[128];

    CHECK(mkdir(BASE "/a", 0755) == 0 && mkdir(BASE "/b", 0755) == 0 && make(BASE "/f") == 0);
    CHECK(mount(BASE, BASE "/a", NULL, MS_BIND | MS_REC, NULL) == 0);
    CHECK(access(BASE "/a/f", F_OK) == 0 && access(BASE "/a/a/f", F_OK) == -1);
    CHECK(mount(BASE, BASE "/b", NULL, MS_BIND | MS_REC, NULL) == 0);
    CHECK(access(BASE "/b/f", F_OK) == 0 && access(BASE "/b/b/f", F_OK) == -1);
    CHECK(chdir(BASE "/b/b") == 0 && getcwd(here, sizeof(here)) && strcmp(here, BASE "/b/b") == 0);
    CHECK(access("../f", F_OK) == 0 && access("../../../t_mounts.d/f", F_OK) == 0 && chdir("/") == 0);
    CHECK(umount2(BASE "/b", MNT_DETACH) == 0 && umount2(BASE "/a", MNT_DETACH) == 0);
    CHECK(unlink(BASE "/f") == 0 && rmdir(BASE "/a") == 0 && rmdir(BASE "/b") == 0);
}

/* Who takes a mount away while it is used takes along what is mounted in it. */
static void test_inner(void)
{
    int fd;

    CHECK(mkdir(BASE "/m", 0755) == 0 && mount("none", BASE "/m", "tmpfs", 0, NULL) == 0);
    CHECK(mkdir(BASE "/m/n", 0755) == 0 && mount("none", BASE "/m/n", "tmpfs", 0, NULL) == 0);
    CHECK(mkdir(BASE "/m/n/o", 0755) == 0 && mount(BASE, BASE "/m/n/o", NULL, MS_BIND, NULL) == 0);
    CHECK(mkdir(BASE "/seen", 0755) == 0 && mount("none", BASE "/m/n/o/seen", "tmpfs", 0, NULL) == 0);
    fd = open(BASE "/m/n/f", O_RDWR | O_CREAT, 0644);
    CHECK_ERRNO(umount(BASE "/m"), EBUSY);
    CHECK(umount2(BASE "/m", MNT_DETACH) == 0 && !file_has("/proc/mounts", BASE "/m"));
    CHECK(access(BASE "/m/n", F_OK) == -1 && write(fd, "still", 5) == 5 && close(fd) == 0);
    CHECK(rmdir(BASE "/seen") == 0 && rmdir(BASE "/m") == 0);
}

static int in_other_root(void)
{
    char text[64];

    if (chroot(BASE "/r") != 0 || access("/in", F_OK) != 0 || access("/tmp", F_OK) == 0)
        return 1;
    if (chdir("/d") != 0 || !getcwd(text, sizeof(text)) || strcmp(text, "/d") != 0)
        return 2;
    if (access("../../../in", F_OK) != 0 || access("/link", F_OK) != 0)
        return 3;
    return 0;
}

static void test_root(void)
{
    int status;
    pid_t child;

    CHECK(mkdir(BASE "/r", 0755) == 0 && make(BASE "/r/in") == 0 && mkdir(BASE "/r/d", 0755) == 0);
    CHECK(symlink("/in", BASE "/r/link") == 0);
    CHECK_ERRNO(chroot(BASE "/r/in"), ENOTDIR);
    child = fork();
    if (child == 0)
        _exit(in_other_root());
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(unlink(BASE "/r/in") == 0 && unlink(BASE "/r/link") == 0);
    CHECK(rmdir(BASE "/r/d") == 0 && rmdir(BASE "/r") == 0);
}

static void test_table(void)
{
    CHECK(file_has("/proc/self/mounts", " / ") && file_has("/proc/self/mounts", " /proc proc "));
    CHECK(file_has("/proc/self/mountinfo", " / / ") && file_has("/proc/mounts", " /dev "));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"tmpfs", test_tmpfs}, {"busy", test_busy}, {"read_only", test_read_only},
        {"bind", test_bind},   {"covered_file", test_covered_file},
        {"process_folder", test_process_folder}, {"root", test_root}, {"table", test_table},
        {"over_bound", test_over_bound}, {"stacked", test_stacked}, {"bound_deep", test_bound_deep},
        {"bound_in_itself", test_bound_in_itself}, {"inner", test_inner},
    };
    int status;

    if (unshare(CLONE_NEWNS) == 0)
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mkdir(BASE, 0755) != 0)
        return 1;
    status = RUN_TESTS(tests, argc, argv);
    return rmdir(BASE) == 0 ? status : 1;
}
