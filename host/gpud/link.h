/*
 * link.h: what passes between a machine's two processes, the front and the device process.
 *
 * Two ways. Over a socket pair go requests that are answered: they make things, and may take long
 * (a build). Through shared memory go messages without an answer, batches and destructions, in
 * order; the ends of batches come back the same way. Things have handles, small numbers that the
 * front chooses. The front may give a handle to something new once it has posted the destruction of
 * the old: a request names how far in the messages the device process must be before it.
 *
 * The device process believes the front. The front believes nothing: what it reads here, a guest's
 * kernel may have written.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "device.h"
#include "guest_memory.h"

#define LINK_MESSAGE_ROOM (4u << 20) /* bytes, a power of two */
#define LINK_BATCHES      4096u      /* under way at a time */
#define LINK_ENDS         8192u      /* a power of two: an end and a note for each of them */
#define LINK_LOG_BYTES    (1u << 20) /* of a build's log or a query, what is more is cut off */

enum link_message_kind { LINK_PADDING, LINK_BATCH, LINK_QUEUE_CREATE, LINK_DESTROY };

/* Followed by a batch's commands, in which handles stand for the guest's identifiers. */
struct link_message {
    uint32_t bytes; /* with this header, a multiple of 8 */
    uint32_t kind;  /* enum link_message_kind */
    uint32_t handle;
    uint32_t parent; /* the context of a new queue; enum vgpgpu_submit_flags of a batch */
    uint64_t token;  /* of a batch: comes back with its end; its low half is a place, less than LINK_BATCHES */
};

/* The end of a batch; or a note, with the token alone, that it has come to a SIGNAL: ->progress says which. */
struct link_end {
    uint64_t token;
    uint32_t status; /* enum vgpgpu_status */
    uint32_t note;   /* 1: the batch goes on */
    uint64_t start_ns, end_ns;
};

/*
 * The newest SIGNAL that a batch has come to, in the place that its token names. There is one note of it at most
 * that the front has not taken: the front clears ->noted, then reads the rest; the device process writes the rest,
 * then sets it, and posts a note if it was clear.
 */
struct link_progress {
    _Atomic uint64_t before; /* the SIGNAL's */
    _Atomic uint64_t start_ns, end_ns;
    atomic_uint noted;
};

/* Whom the front wakes when it has posted something. */
enum link_sleep {
    LINK_NOBODY,  /* somebody looks by himself */
    LINK_RUNNER,  /* who sleeps on ->device_sleeps */
    LINK_STANDBY, /* who sleeps on ->standby_calls: the runner is at work */
};

/* Each counter has one writer, and a cache line of its own. They count from 0 and never wrap. */
struct link_shared {
    _Alignas(64) _Atomic uint64_t posted;   /* front: bytes of messages */
    _Alignas(64) _Atomic uint64_t consumed; /* device process: the same */
    _Alignas(64) _Atomic uint64_t ended;    /* device process: ends */
    _Alignas(64) atomic_uint device_sleeps; /* enum link_sleep; a futex */
    _Alignas(64) atomic_uint standby_calls; /* front: counts; a futex */
    _Alignas(64) atomic_uint front_sleeps;  /* 1: the front wants its eventfd signalled */
    _Alignas(64) struct link_end ends[LINK_ENDS];
    _Alignas(64) struct link_progress progress[LINK_BATCHES];
    _Alignas(64) uint8_t messages[LINK_MESSAGE_ROOM];
};

enum link_request_kind {
    LINK_MEMORY, /* `count` regions follow, with a descriptor each: the newest table */
    LINK_CONTEXT,
    LINK_BUFFER,  /* `count` segments follow; none: the device's memory */
    LINK_PROGRAM, /* options with a NUL, then the source follow */
    LINK_KERNEL,  /* its name follows, with a NUL; the answer's payload is what arguments it wants */
    LINK_QUERY,   /* of `handle`; the answer's payload is what there is from `size` on */
    LINK_COUNT,   /* the answer's payload is a struct link_counts */
    LINK_REQUEST_KINDS
};

struct link_request {
    uint32_t kind; /* enum link_request_kind */
    uint32_t handle;
    uint32_t parent;   /* handle of the context, or of a kernel's program */
    uint32_t count;    /* of regions or segments; kind of a program; what is asked */
    uint64_t position; /* ->consumed must have come this far */
    uint64_t size;     /* of a buffer; of a program's options with their NUL */
    uint64_t payload_bytes;
};

struct link_answer {
    uint32_t status; /* enum vgpgpu_status */
    uint32_t value;
    uint64_t payload_bytes;
};

/* What is there. */
struct link_counts {
    uint32_t contexts, queues, buffers, programs, kernels;
    uint32_t batches;  /* under way */
    uint32_t mappings; /* of scattered buffers */
    uint32_t sub_buffers; /* the front's */
};

/* Wakes who has said in ->device_sleeps that he sleeps. */
void link_device_wake(struct link_shared *shared);

/*
 * Sends all of the pieces, and descriptors with the first. Not to be called by two threads at a
 * time. 0, or -1: the other side is gone.
 */
int link_send(int socket, const struct iovec *parts, unsigned count, const int *fds,
              unsigned fd_count);
/* Receives exactly `bytes`. 0, or -1. */
int link_receive(int socket, void *target, size_t bytes);
/* The same; up to GUEST_MEMORY_REGIONS descriptors that came are the caller's. */
int link_receive_fds(int socket, void *target, size_t bytes, int *fds, unsigned *fd_count);
