/*
 * remote.h: the device as the front sees it: another process, which can be ended at any time and
 * started anew. The keeper does both when asked. One process serves all contexts of the machine but
 * those with a time limit of their own: each of these has one for itself.
 *
 * A device process and all that is in it has an epoch. What belongs to a former one is lost: nothing
 * can be made in it or asked of it, and what is posted for it ends at once with ERR_LOST.
 *
 * Threads: remote_call() and what is named after it are the control thread's; all other functions
 * are any thread's. No lock but a ring's may be held, unless it says so.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "keeper.h"
#include "link.h"

#define MAX_RUNNING LINK_BATCHES /* submissions on the device at a time */

struct machine;
struct submission;
struct timeline;

/* What the keeper gives a front: descriptors. */
struct remote_ends {
    int keeper;                 /* the socket to it */
    int shared[KEEPER_DEVICES]; /* a struct link_shared for each device process */
    int ended;                  /* eventfd: a device process has ended batches, and we sleep */
};

enum remote_state { REMOTE_NONE, REMOTE_STARTING, REMOTE_UP, REMOTE_DYING };

struct flight {
    struct submission *submission; /* NULL: free */
    uint32_t round;                /* counts what was here: a token fits once */
};

struct remote {
    struct machine *machine;
    unsigned index;         /* the keeper's number for it */
    atomic_bool owned;         /* the context that has it for itself is in being */
    _Atomic uint64_t limit_ns; /* that context's; 0: the machine's */
    struct link_shared *shared;
    int socket;             /* control thread; -1: none */
    uint64_t memory_serial; /* control thread: the table that the device process has */

    pthread_mutex_t lock;
    enum remote_state state;           /* lock */
    int arrived;                       /* lock: the socket of a new device process, or -1 */
    atomic_uint epoch;                 /* changes with the lock held */
    uint64_t posted;                   /* lock: what ->shared says, which others may change */
    _Atomic uint64_t taken;            /* changes with the lock held: ends */
    uint32_t *free_handles;            /* lock */
    uint32_t free_count, free_room;    /* lock */
    uint32_t handle_count;             /* lock: handles 1 to this were used */
    struct flight flights[MAX_RUNNING]; /* lock */
    uint16_t free_flights[MAX_RUNNING]; /* lock */
    uint32_t free_flight_count;        /* lock */
    const struct timeline *late;       /* lock: why it is dying: this one's work took too long */
    bool late_call;                    /* lock: or what it was asked did */
};

/* Makes ->remotes ready, without processes. 0, or -1 after a line in the log. */
int remotes_init(struct machine *machine, const struct remote_ends *ends);

/* Has a device process started unless there is one; waits for it. An enum vgpgpu_status. */
uint32_t remote_ensure(struct remote *remote);
/* Ends the device process. `late`, if any, is the timeline whose oldest batch took too long. */
void remote_kill(struct remote *remote, const struct timeline *late, bool late_call);
/* Ends all of them. */
void remotes_kill(struct machine *machine);
/* One for a context alone, whose work and requests have this limit; NULL: all are taken. The control
 * thread's. */
struct remote *remote_take(struct machine *machine, uint64_t limit_ns);
/* The context is no more. Any thread. */
void remote_leave(struct remote *remote);

/* Whether the device process of that epoch is there, and is not about to end. */
bool remote_is_up(struct remote *remote, uint32_t epoch);

/* Whether ends are to be taken: a look that costs nothing. */
bool remotes_have_ends(struct machine *machine);
/* Takes the ends of batches. */
void remotes_ends_take(struct machine *machine);
/* The same, and what the keeper has to say: that a device process has gone, or is there. */
void remotes_pump(struct machine *machine);
/* Whether this side wants to be woken for ends. */
void remotes_sleep(struct machine *machine, bool sleeps);

/* A handle for something new in the device process; 0: no memory, or that process is no more. */
uint32_t remote_handle(struct remote *remote, uint32_t epoch);
/* Gives back one that nothing was made for. */
void remote_handle_drop(struct remote *remote, uint32_t epoch, uint32_t handle);

/* Makes a queue of a context. 0: no memory, or the context is lost. */
uint32_t remote_queue_create(struct remote *remote, uint32_t epoch, uint32_t context);
/* Destroys what a handle stands for and gives the handle back. */
void remote_destroy(struct remote *remote, uint32_t epoch, uint32_t handle);
/* Waits until that has been done to all that was destroyed so far. */
void remote_settle(struct remote *remote, uint32_t epoch);
/* Hands over a batch; its end comes to submission_done(), perhaps before this returns. */
void remote_submit(struct remote *remote, uint32_t epoch, uint32_t queue,
                   struct submission *submission, uint32_t flags, const void *commands,
                   uint32_t bytes);

/*
 * Asks the device process. ->position and ->payload_bytes are filled in here. *payload, unless
 * NULL, is the answer's, malloc'd and with a NUL behind it, or NULL. Returns the answer's status, or
 * ERR_LOST, or ERR_TIMEOUT.
 */
uint32_t remote_call(struct remote *remote, uint32_t epoch, struct link_request *request,
                     const struct iovec *parts, unsigned count, struct link_answer *answer,
                     char **payload);
/* Makes sure that it has this memory table. */
uint32_t remote_call_memory(struct remote *remote, uint32_t epoch, struct guest_memory *memory);
