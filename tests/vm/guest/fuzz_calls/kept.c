/*
 * kept.c: what the rounds must leave as it was: files that nobody may write, and the tree of mounts.
 *
 * Workers begin as root: they may mount something over any name. So all that is looked at here is opened
 * before the first of them starts, and what they have mounted is taken away after each round.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ------------------------------------------------------------------------------------------ */

struct kept {
    const char *path;
    int fd;
    size_t size;
    uint8_t *before;      /* what was in it at the start */
    const uint8_t *pages; /* what a program that maps it sees */
};

static struct kept kept[] = {{.path = "/bin/true"}, {.path = "/bin/fuzz_calls"}};

static bool kept_open(struct kept *k)
{
    struct stat facts;
    void *pages;

    k->fd = open(k->path, O_RDONLY);
    if (k->fd < 0 || fstat(k->fd, &facts) != 0)
        return false;
    k->size = (size_t)facts.st_size;
    k->before = malloc(k->size);
    pages = mmap(NULL, k->size, PROT_READ, MAP_SHARED, k->fd, 0);
    k->pages = pages;
    return k->before && pages != MAP_FAILED && pread(k->fd, k->before, k->size, 0) == (ssize_t)k->size;
}

/* Says where bytes at an offset of the file differ from what they were. */
static bool bytes_same(const struct kept *k, const char *how, const uint8_t *bytes, size_t size, size_t offset)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == k->before[offset + i])
            continue;
        printf("# %s, %s, differs at byte %zu of %zu: %#x instead of %#x\n", k->path, how, offset + i, k->size,
               bytes[i], k->before[offset + i]);
        return false;
    }
    return true;
}

static bool kept_same(const struct kept *k)
{
    uint8_t bytes[PAGE];

    for (size_t done = 0; done < k->size;) {
        size_t wanted = k->size - done < sizeof(bytes) ? k->size - done : sizeof(bytes);
        ssize_t n = pread(k->fd, bytes, wanted, (off_t)done);

        if (n <= 0) {
            printf("# %s: %zu of %zu bytes can be read: %m\n", k->path, done, k->size);
            return false;
        }
        if (!bytes_same(k, "read", bytes, (size_t)n, done))
            return false;
        done += (size_t)n;
    }
    return bytes_same(k, "mapped", k->pages, k->size, 0);
}

bool kept_whole(void)
{
    bool whole = true;

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        whole = kept_same(&kept[i]) && whole;
    return whole;
}

/* ---- mounts ------------------------------------------------------------------------------------------ */

static int mounts_fd;
static unsigned last_before; /* the highest number of a mount at the start */

/* A path as mountinfo has it: three octal digits behind a backslash are a character. */
static void path_unescape(char *path)
{
    char *to = path;

    for (const char *at = path; *at; to++) {
        if (at[0] == '\\' && at[1] && at[2] && at[3]) {
            *to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 4;
        } else {
            *to = *at++;
        }
    }
    *to = '\0';
}

/* The number of the youngest mount below a number, and where it is. 0: there is none. */
static unsigned mount_below(unsigned limit, char path[PAGE])
{
    FILE *lines = fdopen(dup(mounts_fd), "r");
    char line[3 * PAGE];
    unsigned last = 0;

    if (!lines)
        return 0;
    rewind(lines);
    while (fgets(line, sizeof(line), lines)) {
        char at[PAGE];
        unsigned id;

        if (sscanf(line, "%u %*u %*s %*s %4095s", &id, at) != 2 || id <= last || id >= limit)
            continue;
        last = id;
        strcpy(path, at);
    }
    fclose(lines);
    if (last)
        path_unescape(path);
    return last;
}

/* Tries all, from the youngest on; true: one more is gone. */
static bool mounts_undo_once(void)
{
    char path[PAGE];
    unsigned id = UINT_MAX;
    bool gone = false;

    while ((id = mount_below(id, path)) > last_before)
        gone = umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || gone;
    return gone;
}

/* A mount may hide a younger one, made from below it. */
void mounts_undo(void)
{
    char path[PAGE];

    while (mounts_undo_once())
        ;
    if (mount_below(UINT_MAX, path) > last_before)
        printf("# a mount at %s stays\n", path);
}

bool kept_setup(void)
{
    char path[PAGE];

    mounts_fd = open("/proc/self/mountinfo", O_RDONLY);
    last_before = mounts_fd < 0 ? 0 : mount_below(UINT_MAX, path);
    if (last_before == 0)
        return false;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (!kept_open(&kept[i]))
            return false;
    return true;
}
