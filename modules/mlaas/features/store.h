/*
 * store.h: what the files of module features share.
 *
 *     ring.c      rows of a set on each CPU (ring.h)
 *     store.c     the sets
 *     files.c     /sys/kernel/mlaas/features/NAME
 *     recorder.c  /dev/mlfeatures
 *
 * A set has a place in a table as long as it is registered. Files and recorders name places, with
 * the registration's number, because they may outlive it.
 */
#pragma once

#include <microlake/wait.h>

#include "ring.h"

struct place {
    struct features_set *set; /* NULL: free */
    uint64_t number;          /* of this registration */
    struct features_ring *ring;
    unsigned recorders; /* as long as there are some, the ring is a large one */
};

/* Guards the table, and each set's rings against change. */
extern struct mutex store_lock;
extern struct place store_places[FEATURES_SETS_MAX];

/* NULL: no set of that name. */
struct place *place_find_locked(const char *name);

/* A recorder comes: the set keeps more rows. ERR_NO_MEMORY. */
int place_record_locked(struct place *place);
/* It goes. */
void place_release_locked(struct place *place);

/* files.c */
int files_start(struct place *place);
void files_stop(struct place *place);

/* recorder.c */
int recorder_start(void);
void recorder_stop(void);
