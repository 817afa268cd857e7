/*
 * meeting.c: see meeting.h.
 */
#include "meeting.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"

#define BACKLOG 16

static bool path_fits(int length)
{
    return length > 0 && length < PATH_MAX;
}

/* Is it a folder of ours that nobody else may look into? */
static bool folder_is_safe(const char *folder, char why[PATH_MAX])
{
    struct stat status;
    if (lstat(folder, &status)) {
        snprintf(why, PATH_MAX, "%.3000s: %s", folder, strerror(errno));
        return false;
    }
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077)) {
        snprintf(why, PATH_MAX, "%.3000s is not a folder of yours alone: remove it", folder);
        return false;
    }
    return true;
}

static bool folder_name(char folder[PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat status;
    if (runtime && *runtime == '/')
        return path_fits(snprintf(folder, PATH_MAX, "%s/malv", runtime));
    snprintf(folder, PATH_MAX, "/run/user/%u", (unsigned)geteuid());
    if (!stat(folder, &status) && S_ISDIR(status.st_mode) && status.st_uid == geteuid())
        return path_fits(snprintf(folder, PATH_MAX, "/run/user/%u/malv", (unsigned)geteuid()));
    return path_fits(snprintf(folder, PATH_MAX, "/tmp/malv-%u", (unsigned)geteuid()));
}

bool meeting_folder(bool make, char folder[PATH_MAX], char why[PATH_MAX])
{
    if (!folder_name(folder)) {
        snprintf(why, PATH_MAX, "XDG_RUNTIME_DIR is too long");
        return false;
    }
    if (make && mkdir(folder, 0700) && errno != EEXIST) {
        snprintf(why, PATH_MAX, "can't make %.3000s: %s", folder, strerror(errno));
        return false;
    }
    return folder_is_safe(folder, why);
}

static bool address_make(struct sockaddr_un *out, const char *folder, const char *entry)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s", folder, entry);
    return length > 0 && (size_t)length < sizeof(out->sun_path);
}

/* A connection to what listens there; -1: nobody does. */
static int address_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A name belongs to the one who made its link first, for as long as he lives. */
static bool name_take(const char *folder, const char *name, const char *number, char why[PATH_MAX])
{
    struct sockaddr_un address;
    if (!address_make(&address, folder, name)) {
        snprintf(why, PATH_MAX, "the path of its socket is too long");
        return false;
    }
    for (unsigned tries = 0; tries < 2; tries++) {
        if (!symlink(number, address.sun_path))
            return true;
        int fd = errno == EEXIST ? address_connect(&address) : -1;
        if (fd >= 0) {
            close(fd);
            snprintf(why, PATH_MAX, "a machine named %s is running already", name);
            return false;
        }
        if (unlink(address.sun_path) && errno != ENOENT)
            break;
    }
    snprintf(why, PATH_MAX, "can't make its name in %.3000s: %s", folder, strerror(errno));
    return false;
}

int meeting_open(const char *name, char why[PATH_MAX])
{
    char folder[PATH_MAX], number[16];
    struct sockaddr_un address;
    if (!meeting_folder(true, folder, why))
        return -1;
    snprintf(number, sizeof(number), "%d", getpid());
    if (!address_make(&address, folder, number)) {
        snprintf(why, PATH_MAX, "the path %.3000s is too long for a socket", folder);
        return -1;
    }
    unlink(address.sun_path); /* of a process before us that had this number */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    bool bound = fd >= 0 && !bind(fd, (const struct sockaddr *)&address, sizeof(address)) &&
                 !listen(fd, BACKLOG);
    umask(mask);
    if (!bound)
        snprintf(why, PATH_MAX, "can't make a socket in %.3000s: %s", folder, strerror(errno));
    if (bound && (!name || name_take(folder, name, number, why)))
        return fd;
    if (bound)
        unlink(address.sun_path);
    if (fd >= 0)
        close(fd);
    return -1;
}

void meeting_close(const char *name)
{
    char folder[PATH_MAX], why[PATH_MAX], number[16];
    struct sockaddr_un address;
    if (!meeting_folder(false, folder, why))
        return;
    snprintf(number, sizeof(number), "%d", getpid());
    if (address_make(&address, folder, number))
        unlink(address.sun_path);
    if (name && address_make(&address, folder, name))
        unlink(address.sun_path);
}

/* ---- Finding ----------------------------------------------------------------------------------- */

/* The name whose link leads to a number. */
static void name_find(const char *folder, const char *number, char out[64])
{
    const struct dirent *entry;
    DIR *names = opendir(folder);
    *out = '\0';
    while (names && (entry = readdir(names))) {
        char path[PATH_MAX + 256], target[16];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        if (!strcmp(target, number) && strlen(entry->d_name) < 64)
            strcpy(out, entry->d_name);
    }
    if (names)
        closedir(names);
}

static bool is_number(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

unsigned meeting_list(struct meeting_machine out[MEETING_MACHINES])
{
    char folder[PATH_MAX], why[PATH_MAX];
    const struct dirent *entry;
    unsigned count = 0;
    DIR *sockets = meeting_folder(false, folder, why) ? opendir(folder) : NULL;
    while (sockets && count < MEETING_MACHINES && (entry = readdir(sockets))) {
        struct sockaddr_un address;
        if (!is_number(entry->d_name) || !address_make(&address, folder, entry->d_name))
            continue;
        int fd = address_connect(&address);
        if (fd < 0) { /* its malv was killed */
            unlink(address.sun_path);
            continue;
        }
        close(fd);
        out[count].pid = (pid_t)strtol(entry->d_name, NULL, 10);
        name_find(folder, entry->d_name, out[count++].name);
    }
    if (sockets)
        closedir(sockets);
    return count;
}

static void machines_name(const struct meeting_machine *machines, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fprintf(stderr, " %d%s%s", machines[i].pid, *machines[i].name ? "=" : "", machines[i].name);
    fputc('\n', stderr);
}

/* The only machine; false: there is none, or there are several. */
static bool only_one(char which[16])
{
    static struct meeting_machine machines[MEETING_MACHINES];
    unsigned count = meeting_list(machines);
    if (count == 1) {
        snprintf(which, 16, "%d", machines[0].pid);
        return true;
    }
    if (count == 0) {
        message("no machine of yours is running; start one with malv run");
        return false;
    }
    fprintf(stderr, "malv: there are %u machines; say --machine and one of:", count);
    machines_name(machines, count);
    return false;
}

static int unknown(const char *which, bool ended)
{
    static struct meeting_machine machines[MEETING_MACHINES];
    unsigned count = meeting_list(machines);
    fprintf(stderr, "malv: %s %s%s", ended ? "the machine" : "there is no machine", which,
            ended ? " has ended" : "");
    if (count == 0) {
        fprintf(stderr, "; none of yours is running\n");
        return -1;
    }
    fprintf(stderr, "; there are:");
    machines_name(machines, count);
    return -1;
}

int meeting_connect(const char *which)
{
    char folder[PATH_MAX], why[PATH_MAX], only[16];
    struct sockaddr_un address;
    struct stat status;
    if (!which && !only_one(only))
        return -1;
    if (!meeting_folder(false, folder, why) || strchr(which ? which : only, '/') ||
        !address_make(&address, folder, which ? which : only))
        return unknown(which ? which : only, false);
    int fd = address_connect(&address);
    if (fd >= 0)
        return fd;
    bool ended = !lstat(address.sun_path, &status);
    if (ended)
        unlink(address.sun_path);
    return unknown(which ? which : only, ended);
}
