/* cache.c: see cache.h. */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "user.h"

#define PREFIX "gpud-cache-"
#define TRIES  16u

static const char *base_folder(void)
{
    const char *base = getenv("TMPDIR");
    return base && base[0] == '/' && strlen(base) < CACHE_PATH_BYTES - 32 ? base : "/tmp";
}

static int entry_remove(const char *path, const struct stat *file, int kind, struct FTW *where)
{
    (void)file;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Opens a folder of this user's, or a machine's, and takes its lock. -1: it is not one, is gone, or is in use. */
static int folder_lock(const char *path)
{
    struct stat file;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &file) == 0 && user_is_ours(file.st_uid) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        fstat(fd, &file) == 0 && file.st_nlink)
        return fd;
    close(fd);
    return -1;
}

static int folder_give(struct cache_folder *folder, uid_t owner)
{
    if (owner == geteuid() || fchown(folder->lock, owner, owner) == 0)
        return 0;
    int why = errno;
    cache_folder_remove(folder);
    errno = why;
    return -1;
}

/* Between its making and its locking, another gpud may take the folder for left over: once more. */
int cache_folder_make(struct cache_folder *folder, uid_t owner)
{
    for (unsigned i = 0; i < TRIES; i++) {
        snprintf(folder->path, sizeof(folder->path), "%s/" PREFIX "XXXXXX", base_folder());
        if (!mkdtemp(folder->path))
            break;
        folder->lock = folder_lock(folder->path);
        if (folder->lock >= 0)
            return folder_give(folder, owner);
        errno = EBUSY;
    }
    folder->path[0] = 0;
    return -1;
}

void cache_folder_remove(struct cache_folder *folder)
{
    if (!folder->path[0])
        return;
    nftw(folder->path, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    close(folder->lock);
    folder->path[0] = 0;
}

void cache_folder_forget(struct cache_folder *folder)
{
    if (folder->path[0])
        close(folder->lock);
}

void cache_stale_remove(void)
{
    DIR *base = opendir(base_folder());
    struct dirent *entry;
    while (base && (entry = readdir(base)) != NULL) {
        struct cache_folder stale;
        int length =
            snprintf(stale.path, sizeof(stale.path), "%s/%s", base_folder(), entry->d_name);
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) || length >= (int)sizeof(stale.path))
            continue;
        stale.lock = folder_lock(stale.path);
        if (stale.lock >= 0)
            cache_folder_remove(&stale);
    }
    if (base)
        closedir(base);
}
