/*
 * watch.c: poll() on fences. A program asks to be told of a fence of each queue (MALV_IOC_NOTIFY); a thread for that
 * queue sleeps until it is signalled, and then whoever polls the file looks. Only programs that ask have such threads,
 * one for each queue that they asked for.
 */
#include <microlake/memory.h>
#include <microlake/thread.h>

#include "malvdev.h"

#define PERIOD_NS NS_PER_SEC /* how often one that sleeps looks whether the file is closed */

struct malv_watch {
    struct malv_file *file;
    uint32_t queue;
    uint64_t fence;        /* what was asked for; 0: nothing. Written under the file's lock, read without */
    uint64_t awaited;      /* what the thread sleeps for; this and the following: guarded by the file's lock */
    bool running;          /* the thread will look at `fence` again */
    struct thread *thread; /* NULL: there was none yet */
};

static uint64_t watch_fence(const struct malv_watch *w)
{
    return __atomic_load_n(&w->fence, __ATOMIC_ACQUIRE);
}

/* The fence to sleep for; 0: there is none, and the thread ends. */
static uint64_t watch_next(struct malv_watch *w, uint64_t seen)
{
    mutex_lock(&w->file->lock);
    w->awaited = w->fence == seen ? 0 : w->fence;
    w->running = w->awaited != 0;
    mutex_unlock(&w->file->lock);
    return w->awaited;
}

static void watch_run(void *arg)
{
    struct malv_watch *w = arg;
    uint64_t fence = 0;

    while ((fence = watch_next(w, fence))) {
        while (gpu_fence_wait(w->file->ctx, w->queue, fence, time_now() + PERIOD_NS, 0, NULL) == ERR_TIMED_OUT &&
               !__atomic_load_n(&w->file->closing, __ATOMIC_RELAXED))
            ;
        linux_poll_notify(&w->file->source);
    }
}

static void watch_join(struct malv_watch *w)
{
    if (!w->thread)
        return;
    thread_join(w->thread, TIME_NEVER);
    thread_unref(w->thread);
    w->thread = NULL;
}

/* A thread that has ended is made anew; one that sleeps for an earlier fence goes on to this one. */
static int watch_start_locked(struct malv_watch *w)
{
    int r;

    if (w->running)
        return OK;
    watch_join(w);
    r = thread_create("malv_notify", watch_run, w, &w->thread);
    w->running = r == OK;
    return r;
}

static struct malv_watch *watches_locked(struct malv_file *f)
{
    struct malv_watch *all = f->watches;

    if (all)
        return all;
    all = kzalloc(VGPGPU_QUEUES_PER_CONTEXT * sizeof(*all));
    for (uint32_t i = 0; all && i < VGPGPU_QUEUES_PER_CONTEXT; i++) {
        all[i].file = f;
        all[i].queue = i;
    }
    __atomic_store_n(&f->watches, all, __ATOMIC_RELEASE);
    return all;
}

static int notify_locked(struct malv_file *f, struct malv_watch *w, uint64_t fence)
{
    int r = fence ? gpu_fence_wait(f->ctx, w->queue, fence, 0, 0, NULL) : OK;

    if (r != OK && r != ERR_TIMED_OUT && r != ERR_LOST)
        return r;
    if (fence && w->running && fence < w->awaited)
        return ERR_INVALID;
    __atomic_store_n(&w->fence, fence, __ATOMIC_RELEASE);
    if (r == ERR_TIMED_OUT)
        return watch_start_locked(w);
    linux_poll_notify(&f->source);
    return OK;
}

int malv_notify(struct malv_file *f, uint32_t queue, uint64_t fence)
{
    struct malv_watch *all;
    int r;

    if (queue >= VGPGPU_QUEUES_PER_CONTEXT)
        return ERR_INVALID;
    mutex_lock(&f->lock);
    all = watches_locked(f);
    r = all ? notify_locked(f, &all[queue], fence) : ERR_NO_MEMORY;
    mutex_unlock(&f->lock);
    return r;
}

unsigned malv_poll(void *file, struct linux_poll_source **source)
{
    struct malv_file *f = file;
    const struct malv_watch *all = __atomic_load_n(&f->watches, __ATOMIC_ACQUIRE);

    *source = &f->source;
    for (uint32_t i = 0; all && i < VGPGPU_QUEUES_PER_CONTEXT; i++) {
        uint64_t fence = watch_fence(&all[i]);

        if (fence && gpu_fence_poll(f->ctx, i, fence))
            return LINUX_POLLIN;
    }
    return 0;
}

void malv_watches_close(struct malv_file *f)
{
    __atomic_store_n(&f->closing, true, __ATOMIC_RELAXED);
    for (uint32_t i = 0; f->watches && i < VGPGPU_QUEUES_PER_CONTEXT; i++)
        watch_join(&f->watches[i]);
    kfree(f->watches);
}
