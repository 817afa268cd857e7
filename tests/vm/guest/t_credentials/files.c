/*
 * files.c: what users may do with each other's files.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/vm/guest/t_credentials/children.h"

#define USER  1000
#define OTHER 1001
#define TEAM  2000

/* A path in the scratch folder; valid until the next but three. */
static const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", scratch(), name);
    return path;
}

static void make(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    int fd = open(at(name), O_CREAT | O_RDWR, 0600);

    REQUIRE(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
    REQUIRE(chown(at(name), uid, gid) == 0 && chmod(at(name), mode) == 0);
}

static void become(uid_t uid, gid_t gid)
{
    REQUIRE(setgroups(0, NULL) == 0 && setgid(gid) == 0 && setuid(uid) == 0);
}

/* Which of reading and writing open() allows: 4 and 2. */
static int rights(const char *name)
{
    int found = 0, fd = open(at(name), O_RDONLY);

    if (fd >= 0) {
        found |= 4;
        close(fd);
    }
    fd = open(at(name), O_WRONLY);
    if (fd >= 0) {
        found |= 2;
        close(fd);
    }
    return found;
}

void child_permissions(void)
{
    gid_t team = TEAM;

    make("own", USER, 0, 0400);
    make("team", 0, TEAM, 0060);
    make("all", 0, 0, 0004);
    make("none", 0, 0, 0600);
    make("owner_last", USER, USER, 0066);
    REQUIRE(rights("none") == 6); /* root */
    REQUIRE(setgroups(1, &team) == 0 && setgid(USER) == 0 && setuid(USER) == 0);
    REQUIRE(rights("own") == 4);
    REQUIRE(rights("team") == 6);
    REQUIRE(rights("all") == 4);
    REQUIRE(rights("none") == 0);
    REQUIRE(rights("owner_last") == 0); /* the owner's bits count for the owner, even if fewer */
    REQUIRE_ERRNO(open(at("none"), O_RDONLY), EACCES);
    REQUIRE_ERRNO(open(at("own"), O_RDONLY | O_TRUNC), EACCES);
    REQUIRE_ERRNO(truncate(at("own"), 0), EACCES);
    REQUIRE_ERRNO(open(at("all"), O_RDONLY | O_NOATIME), EPERM);
    REQUIRE(open(at("none"), O_PATH) >= 0);
}

void child_folders(void)
{
    struct stat s;
    int fd;

    REQUIRE(mkdir(at("closed"), 0755) == 0 && mkdir(at("open"), 0777) == 0);
    REQUIRE(chmod(at("open"), 0777) == 0);
    make("closed/file", 0, 0, 0666);
    become(USER, USER);
    REQUIRE_ERRNO(open(at("closed/new"), O_CREAT | O_WRONLY, 0600), EACCES);
    REQUIRE_ERRNO(mkdir(at("closed/new"), 0700), EACCES);
    REQUIRE_ERRNO(mkdir(at("closed/file"), 0700), EEXIST);
    REQUIRE_ERRNO(symlink("x", at("closed/new")), EACCES);
    REQUIRE_ERRNO(unlink(at("closed/file")), EACCES);
    REQUIRE_ERRNO(unlink(at("closed/nothing")), ENOENT);
    REQUIRE_ERRNO(rename(at("closed/file"), at("open/file")), EACCES);
    REQUIRE((fd = open(at("open/new"), O_CREAT | O_RDWR, 0040)) >=
            0); /* it has what it asked for */
    REQUIRE(write(fd, "x", 1) == 1 && fstat(fd, &s) == 0);
    REQUIRE(s.st_uid == USER && s.st_gid == USER);
    REQUIRE_ERRNO(open(at("open/new"), O_RDONLY), EACCES);
    REQUIRE(mkdir(at("open/folder"), 0700) == 0 && stat(at("open/folder"), &s) == 0);
    REQUIRE(s.st_uid == USER);
    REQUIRE(rename(at("open/new"), at("open/renamed")) == 0 && unlink(at("open/renamed")) == 0);
}

void child_sticky(void)
{
    REQUIRE(mkdir(at("shared"), 0777) == 0 && chmod(at("shared"), 01777) == 0);
    make("shared/theirs", OTHER, OTHER, 0666);
    make("shared/mine", USER, USER, 0666);
    become(USER, USER);
    REQUIRE_ERRNO(unlink(at("shared/theirs")), EPERM);
    REQUIRE_ERRNO(rename(at("shared/theirs"), at("shared/taken")), EPERM);
    REQUIRE_ERRNO(rename(at("shared/mine"), at("shared/theirs")), EPERM);
    REQUIRE(rename(at("shared/mine"), at("shared/still_mine")) == 0);
    REQUIRE(unlink(at("shared/still_mine")) == 0);
}

void child_owners(void)
{
    gid_t team = TEAM;
    struct stat s;

    make("mine", USER, USER, 0644);
    make("theirs", OTHER, OTHER, 0666);
    REQUIRE(setgroups(1, &team) == 0 && setgid(USER) == 0 && setuid(USER) == 0);
    REQUIRE(chmod(at("mine"), 06755) == 0 && stat(at("mine"), &s) == 0);
    REQUIRE((s.st_mode & 07777) == 06755);
    REQUIRE(chown(at("mine"), (uid_t)-1, TEAM) == 0 && stat(at("mine"), &s) == 0);
    REQUIRE(s.st_gid == TEAM && (s.st_mode & 07777) == 0755);
    REQUIRE_ERRNO(chown(at("mine"), OTHER, (gid_t)-1), EPERM);
    REQUIRE_ERRNO(chown(at("mine"), (uid_t)-1, 3000), EPERM);
    REQUIRE(chown(at("mine"), USER, (gid_t)-1) == 0);
    REQUIRE_ERRNO(chmod(at("theirs"), 0777), EPERM);
    REQUIRE_ERRNO(chown(at("theirs"), USER, USER), EPERM);
    /* Who may write may say "now", and nothing else. */
    REQUIRE(utimensat(AT_FDCWD, at("theirs"), NULL, 0) == 0);
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    REQUIRE_ERRNO(utimensat(AT_FDCWD, at("theirs"), old, 0), EPERM);
    REQUIRE(utimensat(AT_FDCWD, at("mine"), old, 0) == 0);
}

void child_access(void)
{
    make("root_only", 0, 0, 0600);
    make("program", 0, 0, 0755);
    REQUIRE(access(at("root_only"), R_OK | W_OK) == 0);
    REQUIRE_ERRNO(access(at("root_only"), X_OK), EACCES);
    REQUIRE(setresuid(USER, 0, 0) == 0); /* acts as root, for somebody else */
    REQUIRE_ERRNO(access(at("root_only"), R_OK), EACCES);
    REQUIRE(faccessat(AT_FDCWD, at("root_only"), R_OK, AT_EACCESS) == 0);
    REQUIRE(access(at("program"), X_OK | R_OK) == 0);
    REQUIRE_ERRNO(access(at("program"), W_OK), EACCES);
}

void child_set_group(void)
{
    struct stat s;

    REQUIRE(mkdir(at("team"), 0777) == 0 && chown(at("team"), 0, TEAM) == 0);
    REQUIRE(chmod(at("team"), 02777) == 0);
    become(USER, USER);
    REQUIRE(mkdir(at("team/below"), 0755) == 0 && stat(at("team/below"), &s) == 0);
    REQUIRE(s.st_uid == USER && s.st_gid == TEAM && (s.st_mode & 02000));
    make("team/below/file", (uid_t)-1, (gid_t)-1, 0600);
    REQUIRE(stat(at("team/below/file"), &s) == 0 && s.st_gid == TEAM);
}

void child_search(void)
{
    REQUIRE(mkdir(at("unread"), 0755) == 0 && mkdir(at("unsearched"), 0755) == 0);
    make("unread/file", 0, 0, 0644);
    make("unsearched/file", 0, 0, 0644);
    REQUIRE(chmod(at("unread"), 0711) == 0 && chmod(at("unsearched"), 0744) == 0);
    become(USER, USER);
    REQUIRE(rights("unread/file") == 4);
    REQUIRE_ERRNO(open(at("unread"), O_RDONLY | O_DIRECTORY), EACCES);
    REQUIRE(open(at("unsearched"), O_RDONLY | O_DIRECTORY) >= 0);
    REQUIRE_ERRNO(open(at("unsearched/file"), O_RDONLY), EACCES);
    REQUIRE_ERRNO(access(at("unsearched/file"), F_OK), EACCES);
    REQUIRE_ERRNO(chdir(at("unsearched")), EACCES);
    REQUIRE(chdir(at("unread")) == 0);
}

void child_sockets(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct ucred credentials;
    socklen_t size = sizeof(credentials);

    snprintf(name.sun_path, sizeof(name.sun_path), "%s", at("socket"));
    REQUIRE(bind(server, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(server, 1) == 0);
    REQUIRE(chmod(name.sun_path, 0700) == 0);
    become(USER, TEAM);
    REQUIRE_ERRNO(connect(client, (struct sockaddr *)&name, sizeof(name)), EACCES);
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    REQUIRE(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0);
    REQUIRE(credentials.uid == USER && credentials.gid == TEAM && credentials.pid == getpid());
}

/* The inside of a process is its user's. */
void child_proc(void)
{
    char path[64], text[256];
    pid_t parent = getppid();

    become(USER, USER);
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)parent);
    REQUIRE_ERRNO(readlink(path, text, sizeof(text)), EACCES);
    REQUIRE_ERRNO(open(path, O_RDONLY), EACCES);
    snprintf(path, sizeof(path), "/proc/%d/cwd", (int)parent);
    REQUIRE_ERRNO(readlink(path, text, sizeof(text)), EACCES);
    REQUIRE_ERRNO(chdir(path), EACCES);
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)parent);
    REQUIRE_ERRNO(open(path, O_RDONLY), EACCES);
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)parent);
    REQUIRE_ERRNO(open(path, O_RDONLY | O_DIRECTORY), EACCES);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)parent);
    REQUIRE(close(open(path, O_RDONLY)) == 0);
    REQUIRE(readlink("/proc/self/cwd", text, sizeof(text)) > 0);
}
