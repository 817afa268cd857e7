/*
 * machine.h: one machine's device, inside its front: its contexts, what they own, and the threads
 * that serve its queues. The device itself is in another process (remote.h).
 *
 * Threads
 *   connection  vhost-user messages (front.c); stops rings and resets
 *   control     the control ring, in order; ends what waits for running work; refills events
 *   submit      the submit ring, and the ends of batches; looks for a short while after work, then
 *               sleeps
 *   watch       the time limit (watch.c)
 *
 * Locks, outermost first: a ring's lock; objects_lock; a timeline's lock; the watch's;
 * garbage_lock; the remote's. The event ring's lock, then event_lock, are taken with no other of
 * these held but a ring's.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "device.h"
#include "remote.h"
#include "submit_decode.h"
#include "vhost_user.h"

#define MAX_CONTEXTS      256u
#define MAX_OBJECTS       4096u
#define MAX_SEGMENTS      16384u
#define MAX_SUBMIT_BYTES  (256u << 10)
#define MAX_PROGRAM_BYTES (4u << 20)
#define ENOUGH_RUNNING    (MAX_RUNNING - VIRTQUEUE_MAX_SIZE) /* submissions; a destruction may need a ring more */
#define STOP_LIMIT_MS     5000u /* a machine that stops waits this long for its work */
#define END_LIMIT_MS      100u  /* and one that has gone this long */

struct machine;
struct context;

/*
 * An object of a context. The table of its context holds one reference, each submission that names
 * it one more: destroying it takes it out of the table, and the last one to let go frees it. A sub-buffer
 * is this side's alone: it holds a reference to the buffer that its bytes are in.
 */
struct object {
    atomic_uint references;
    atomic_uint sub_count;  /* of these, the sub-buffers' */
    struct object *parent;  /* of a sub-buffer, whose bytes are there; itself none */
    bool gone;              /* objects_lock: a buffer with sub-buffers that the guest has destroyed, */
    bool counted;           /* objects_lock: and that was counted */
    enum object_kind kind;
    struct context *context; /* reference held */
    uint32_t handle;         /* 0: the device process has not made it */
    bool guest;              /* a buffer in guest memory */
    struct object_facts facts;
};

/* A batch on its way. */
struct submission {
    struct submission *next; /* timeline's lock, then garbage_lock */
    struct timeline *timeline;
    uint64_t fence;
    uint64_t room; /* its SIGNALs' values are less than this below the fence, */
    unsigned notes; /* the remote's lock: and so many of them the device process may still tell of */
    uint64_t queued_ns;
    uint64_t start_ns; /* when it was handed over */
    uint64_t end_ns;
    uint32_t status; /* enum vgpgpu_status */
    bool ended;      /* timeline's lock */
    uint64_t reached; /* timeline's lock: the value that it has come to, 0: none; the times are that one's */
    atomic_uint holds; /* threads that tell of a SIGNAL: it is not freed meanwhile */
    unsigned reference_count;
    struct object *references[]; /* one reference each */
};

/* One in-order queue of a context and its slot in the fence page. */
struct timeline {
    pthread_mutex_t lock;
    struct context *context;
    unsigned index;
    uint32_t handle;                 /* submit thread: of its queue; 0 until first used */
    struct submission *first, *last; /* lock: not yet signalled, in order */
    uint64_t submitted;              /* submit thread: newest fence value taken */
    struct vgpgpu_fence_slot *slot;  /* guest memory */
    uint64_t signalled;              /* lock: this side's copy of what the slot says */
    uint64_t end_ns;                 /* lock: when the newest batch signalled had ended, */
    uint64_t value_ns;               /* lock: or had come as far as its SIGNAL */
    bool failed;                     /* lock */
    _Atomic uint64_t since_ns;       /* when its oldest batch became that */
    struct timeline *watch_before, *watch_after; /* the watch's lock */
};

struct context {
    atomic_uint references; /* the table's, one per object, one per submission */
    uint32_t id;
    struct machine *machine;
    struct remote *remote; /* changes once, with the submit ring's lock held */
    uint32_t epoch;  /* of the device process that has it: lost when the remote's is another */
    uint32_t handle; /* there; 0: it was not made */
    struct guest_memory *memory;           /* reference held: the fence page lies in it */
    struct object **objects[OBJECT_KINDS]; /* objects_lock: [1 .. MAX_OBJECTS] */
    struct timeline timelines[VGPGPU_QUEUES_PER_CONTEXT];
    struct context *next_due;  /* event_lock */
    bool due;                  /* event_lock: an event waits for room in the ring */
    struct vgpgpu_event event; /* event_lock */
};

/* A reply that waits until the device has let go of an object or a context. */
struct deferred {
    struct deferred *next;
    struct object *object; /* one of the two; its last reference but one is the device's */
    struct context *context;
    uint16_t head;
    struct chain *chain; /* where the reply goes */
    struct guest_memory *memory; /* held: the chain points into it */
};

/* What the time limit looks at. */
struct watch {
    uint64_t limit_ns;         /* the machine's; 0: none */
    _Atomic uint64_t least_ns; /* the shortest there has been */
    int wake;                  /* eventfd: that has changed */
    pthread_mutex_t lock;
    struct timeline *first;         /* lock: the timelines with work under way */
    _Atomic uint64_t call_since_ns; /* a request to a device process; 0: none is under way */
    struct remote *_Atomic call_remote; /* the process that is, or was, asked */
};

/* A program's binary with its seal, which the guest reads in pieces. */
struct sealed {
    uint8_t *bytes; /* NULL: there is none */
    size_t count;
    const struct remote *remote; /* the program's, and so are these */
    uint32_t epoch, handle;
};

struct machine {
    struct vhost_session session;
    struct remote_ends ends;
    struct remote remotes[KEEPER_DEVICES]; /* the first is for all who have none for themselves */
    atomic_uint remote_count;              /* those after them have never been used */
    pthread_mutex_t keeper_lock;           /* held while the keeper's words are taken; outermost */
    struct device_info info;
    struct vgpgpu_config config;

    pthread_t control_thread;
    pthread_t submit_thread;
    pthread_t watch_thread;
    struct watch watch;
    int control_wake; /* eventfd */
    int submit_wake;  /* eventfd */

    pthread_mutex_t objects_lock;
    struct context *contexts[MAX_CONTEXTS + 1]; /* objects_lock */
    uint64_t device_bytes;                      /* objects_lock: DEVICE buffers in being */
    /* What is there, whether the guest still owns it or not. */
    atomic_uint context_count, queue_count, object_counts[OBJECT_KINDS];
    atomic_uint sub_count; /* of the buffers, sub-buffers */

    bool resumed;               /* contexts of a former front were there */
    atomic_bool lost;           /* the front is ending: fences are not written any more */
    atomic_uint running;        /* submissions whose fences are still to come */
    atomic_bool throttled;      /* the submit thread waits for `running` to fall */
    atomic_bool settles;        /* but not now: a destruction waits for what was submitted before it */
    atomic_uint deferred_count; /* replies that wait */
    struct deferred *deferred;  /* control thread */
    struct sealed sealed;       /* control thread */

    pthread_mutex_t garbage_lock;
    struct submission *garbage; /* garbage_lock: signalled, references still held */

    pthread_mutex_t event_lock;
    struct context *due;      /* event_lock */
    struct chain event_chain; /* the event ring's lock */
};

/*
 * Prepares the device of one machine at the end of `socket` and starts its threads. `info` is what
 * the probe found; work that takes longer than limit_ns, if not 0, costs the machine its device
 * process. 0, or -1 after a line in the log.
 */
int machine_start(struct machine *machine, int socket, const struct remote_ends *ends,
                  const struct device_info *info, uint64_t limit_ns);
/* The front end has gone: nothing is carried out any more, and work under way is ended. */
void machine_quiet(struct machine *machine);
/* What the guest owns, and what this side holds for it: the same, once all work has ended. */
void machine_count(struct machine *machine, struct link_counts *owned, struct link_counts *held);

/* object.c */
/* Whether its device process is no more: the guest can only destroy it. */
bool context_is_lost(const struct context *context);
struct context *context_hold(struct context *context);
void context_release(struct context *context);
struct object *object_create(struct context *context, enum object_kind kind);
/* A range of a buffer, which was checked, as a buffer. NULL: no memory. */
struct object *object_create_sub(struct object *buffer, uint64_t offset, uint64_t size);
void object_hold(struct object *object);
void object_release(struct object *object);
struct context *context_find_locked(struct machine *machine, uint32_t id);
struct object *object_find_locked(struct context *context, enum object_kind kind, uint32_t id);
/* Takes a context out of the machine and all objects out of its tables. The caller gets the table's
 * reference. */
struct context *context_remove(struct machine *machine, uint32_t id);

/* timeline.c */
void timeline_init(struct timeline *timeline, struct context *context, unsigned index,
                   struct vgpgpu_fence_slot *slot);
/* The same for a slot that a former front has written: work up to `submitted` is lost. */
void timeline_resume(struct timeline *timeline, struct context *context, unsigned index,
                     struct vgpgpu_fence_slot *slot, uint64_t submitted);
/* Puts a submission at the end of its timeline; before its work is started. */
void timeline_add(struct submission *submission);
/* Its work has ended: signals what is due, in order. Any thread, without the remote's lock. */
void submission_done(struct submission *submission, uint32_t status, uint64_t start_ns,
                     uint64_t end_ns);
/* All before the SIGNAL has ended whose value is `before` less than the submission's. Any thread, without the
 * remote's lock, which the submission was held under. */
void submission_reached(struct submission *submission, uint64_t before, uint64_t start_ns,
                        uint64_t end_ns);
/* Whether it is the oldest of its timeline. */
bool submission_is_first(struct submission *submission);
/* Lets go of what signalled submissions held. Control and submit threads. */
void garbage_collect(struct machine *machine);

/* event.c */
void event_raise(struct machine *machine, struct context *context,
                 const struct vgpgpu_event *event);
/* Sends events that wait, as far as the driver has given room. */
void events_flush(struct machine *machine);
/* A context that goes sends no more. */
void event_forget(struct machine *machine, struct context *context);

/* control_requests.c: makes the contexts that a killed front had, as lost ones; no request is in work. */
void control_resume(struct machine *machine);
/* control.c, submit.c: bodies of the threads. */
void *control_run(void *machine);
void *submit_run(void *machine);
/* Destroys all contexts; the control ring is locked by the caller and no work is running. */
void machine_reset(struct machine *machine);
