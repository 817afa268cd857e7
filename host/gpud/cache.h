/*
 * cache.h: the folders that machines' built kernels are kept in, one each, in $TMPDIR or /tmp. A folder
 * is locked as long as its keeper lives, so that the next gpud can tell what a killed one left.
 */
#pragma once

#include <sys/types.h>

#define CACHE_PATH_BYTES 128u

struct cache_folder {
    char path[CACHE_PATH_BYTES]; /* "": there is none */
    int lock;                    /* descriptor of the folder, locked; valid while there is a path */
};

/* Makes a folder that only `owner`, and root, can enter. 0, or -1 with errno. */
int cache_folder_make(struct cache_folder *folder, uid_t owner);

/* Removes it with all that is in it. Safe to call when there is none. */
void cache_folder_remove(struct cache_folder *folder);

/* Closes a child's copy of the lock; the folder stays its parent's to remove. */
void cache_folder_forget(struct cache_folder *folder);

/* Removes the folders of this user's gpuds that live no more. */
void cache_stale_remove(void);
