/*
 * internal.h: what the files of kernel/gpu share. Nobody else includes it.
 *
 * Locks, outermost first: gpu_residency_lock, a device's start_lock, a context's lock (sleeping); then a
 * context's submit_lock, a device's lock (spinning, interrupts off).
 */
#pragma once

#include <microlake/aspace.h>
#include <microlake/gpu.h>
#include <microlake/gpu_memory.h>
#include <microlake/list.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/wait.h>

/* ---- Numbers
 * ------------------------------------------------------------------------------------- */

/* Objects by number. A number is taken before its object exists, and given back after it is gone.
 */
struct gpu_table {
    void **slots;   /* NULL free, GPU_TAKEN, or the object */
    uint32_t size;  /* slots there are */
    uint32_t limit; /* highest number */
    uint32_t hint;  /* where to look for a free slot first */
};

extern char gpu_taken_mark;
#define GPU_TAKEN ((void *)&gpu_taken_mark)

/* Callers hold the lock that guards the table. ERR_LIMIT, ERR_NO_MEMORY. */
int gpu_table_take(struct gpu_table *t, uint32_t *id);
void *gpu_table_get(const struct gpu_table *t, uint32_t id);        /* NULL: free, or only taken */
void gpu_table_set(struct gpu_table *t, uint32_t id, void *object); /* NULL gives the number back */
void *gpu_table_pop(struct gpu_table *t); /* takes any object out; NULL: none is left */
void gpu_table_close(struct gpu_table *t);

/* ---- Memory
 * -------------------------------------------------------------------------------------- */

struct gpu_block {
    paddr_t base;
    uint64_t first; /* its first page's place in the memory */
    unsigned order;
};

/* Frames of a buffer. A buffer holds one reference, every memory object made of it another. */
struct gpu_memory {
    uint32_t refs;
    uint32_t count, room; /* blocks there are, and there is room for */
    uint64_t pages;
    struct gpu_block *blocks; /* in the order of the buffer's bytes */
};

int gpu_memory_create(uint64_t size, uint32_t max_blocks, struct gpu_memory **out);
void gpu_memory_unref(struct gpu_memory *m);
const struct gpu_block *gpu_memory_block(const struct gpu_memory *m, uint64_t page);
int gpu_memory_object(struct gpu_memory *m, struct memobj **out);

/* Segments for the device, neighbours merged; `out` has room for m->count. Returns how many. */
uint32_t gpu_memory_segments(const struct gpu_memory *m, struct vgpgpu_segment *out);

/* ---- Objects
 * ------------------------------------------------------------------------------------- */

/* Which managed buffers lie on a device. Guarded by gpu_residency_lock. */
struct gpu_residency {
    struct list buffers; /* managed ones of all contexts, struct gpu_managed; first: touched longest ago */
    struct list uses;    /* batches under way that name some, oldest first */
    uint64_t quota;      /* bytes that may be resident */
    uint64_t resident, shade_resident; /* bytes; in truth, and in the shadow */
    uint64_t touches, batches, buffers_made;
    struct gpu_context *asking; /* whose batch room is made for, in which queue; NULL: nobody's */
    uint32_t asking_queue;
    struct gpu_memory_buffer *candidates[GPU_MEMORY_CANDIDATES]; /* of the question being asked */
};

struct gpu_device {
    struct list link; /* guarded by the list's lock */
    const struct gpu_driver_ops *ops;
    void *driver;
    struct module *owner; /* of ops; held while there are users. NULL: the nucleus */
    struct mutex start_lock;
    bool started;                /* guarded by start_lock */
    struct vgpgpu_config config; /* constant once started */
    bool lost;                   /* set once; read without a lock */
    struct spinlock lock;
    struct gpu_table contexts; /* guarded by lock */
    uint32_t users;            /* guarded by the list's lock */
    struct gpu_residency residency;
};

struct gpu_managed;

struct gpu_buffer {
    uint64_t size, offset;       /* where it begins in the memory: not 0 for some sub-buffers */
    struct gpu_memory *memory;   /* NULL: not ours */
    struct gpu_managed *managed; /* NULL: it always lies in one place */
    bool hidden;                 /* a managed one's stand-in on the device: no program's business */
};

struct gpu_timeline {
    uint64_t last;     /* newest fence value; guarded by submit_lock */
    uint64_t armed;    /* what sleepers have asked the device to tell of, 0: nothing; guarded by submit_lock */
    uint64_t seen;     /* that the device has signalled: never more than it has */
    uint64_t usual_ns; /* how long waits take of late; a hint, not locked */
};

struct gpu_context {
    struct gpu_device *device;
    uint32_t id;
    struct gpu_memory *fence_memory;
    struct vgpgpu_fence_slot *fences; /* shared with the device */
    struct mutex lock;
    struct gpu_table objects[GPU_OBJECT_KINDS]; /* guarded by lock */
    struct spinlock submit_lock;
    struct gpu_timeline queues[VGPGPU_QUEUES_PER_CONTEXT];
    struct wait_queue sleepers; /* threads that wait for a fence of this context */
    bool manages;               /* it has had managed buffers; set once */
    bool given_up;              /* its work did not end in time: nobody waits for the rest before it is closed */
};

/* The nth device, started, with a user's claim on it. */
int gpu_device_get(unsigned nth, struct gpu_device **out);
void gpu_device_put(struct gpu_device *device);

/* Until when one waits for work, or for room, that does not come on: option gpu.patience=SECONDS, 0: for ever. */
uint64_t gpu_patience_due(void);
/* gpu_fence_wait() as long as work of the queue ends; else ERR_TIMED_OUT. */
int gpu_work_wait(struct gpu_context *ctx, uint32_t queue, uint64_t fence, unsigned flags,
                  enum vgpgpu_status *failed);

/* Waits until everything submitted so far has ended, nothing ends any more, or the device is lost. */
void gpu_context_drain(struct gpu_context *ctx);

/* Makes an object on the device under a new number; `object` is what the number stands for here. */
int gpu_object_create(struct gpu_context *ctx, struct gpu_create *what, void *object, uint32_t *id);
/* Takes an object off the device at once and gives its number back. Its work may still run. */
int gpu_object_remove(struct gpu_context *ctx, enum gpu_object_kind kind, uint32_t id);

/* Hands a batch to the device as it is. As gpu_submit(). */
int gpu_submit_plain(struct gpu_context *ctx, uint32_t queue, struct vgpgpu_submit *batch, unsigned flags,
                     uint64_t *fence);

/* Frees what a buffer's object holds here, when the device does not know it any more. */
void gpu_buffer_free(struct gpu_buffer *b);

extern struct gpu_stats gpu_counters; /* changed with gpu_count() only */

static inline void gpu_count(uint64_t *counter, int64_t change)
{
    __atomic_fetch_add(counter, (uint64_t)change, __ATOMIC_RELAXED);
}

/* ---- Managed buffers (residency.c)
 * ------------------------------------------------------------------------------------- */

void gpu_residency_init(struct gpu_device *d);

/* Makes an announced guest buffer managed, so that batches can name it. ERR_NO_MEMORY. */
int gpu_residency_manage(struct gpu_context *ctx, uint32_t id);

/* It will be named no more, and its work has ended: what lies on the device is given up. */
void gpu_residency_drop(struct gpu_context *ctx, struct gpu_buffer *b);

/* All of a context's, whose work has ended. The bytes on the device, which are free once it has destroyed
 * the context: until gpu_residency_left() says so whoever wants room waits, instead of finding none. */
uint64_t gpu_residency_leave(struct gpu_context *ctx);
void gpu_residency_left(struct gpu_context *ctx, uint64_t bytes);

/* gpu_submit() in a context with managed buffers. */
int gpu_residency_submit(struct gpu_context *ctx, uint32_t queue, struct vgpgpu_submit *batch,
                         unsigned flags, uint64_t *fence);
