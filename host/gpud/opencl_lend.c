/*
 * opencl_lend.c: batches of small launches, on PoCL's device that is this host's processor.
 *
 * A command that one processor makes and another runs and frees goes from cache to cache, and PoCL wakes a second
 * thread for each command that follows another: where kernels are small, these two are most of what they cost. So a
 * thread of PoCL's makes the commands, in a native kernel, and then runs them, and none begins before all are there.
 * And where no kernel of several such batches has work for a second thread, the others are parked: each in a native
 * kernel that sleeps, so that none is there to be woken, until something else is given to the device.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "device_opencl.h"

#define PARK_AFTER 3u         /* narrow batches that follow each other */
#define PARK_MOST  16u        /* threads; to wake more takes longer than they save */
#define PARK_NS    100000000u /* whatever comes, nobody is away for longer */

/* What the native kernels get, copies that OpenCL makes. */
struct lent {
    void (*give)(void *data);
    void *data;
};

struct parked {
    struct opencl_park *park;
    unsigned turn;
};

static void CL_CALLBACK park_run(void *argument)
{
    const struct parked *parked = argument;
    struct opencl_park *park = parked->park;
    uint64_t now = now_ns(), end = now + PARK_NS;
    for (; atomic_load(&park->turn) == parked->turn && now < end; now = now_ns()) {
        const struct timespec left = {.tv_nsec = (long)(end - now)};
        syscall(SYS_futex, &park->turn, FUTEX_WAIT_PRIVATE, parked->turn, &left, NULL, 0);
    }
    atomic_fetch_sub(&park->threads, 1);
}

/* A context and a queue of their own: nothing that the guest owns waits for who is parked. */
static bool park_open_locked(struct device *device)
{
    struct opencl_park *park = &device->park;
    cl_int error;
    if (park->queue)
        return true;
    if (!park->context)
        park->context = opencl.CreateContext(NULL, 1, &device->id, NULL, NULL, &error);
    if (park->context)
        park->queue = opencl.CreateCommandQueue(park->context, device->id,
                                                CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &error);
    return park->queue != NULL;
}

/* All threads of the device but one. */
static void others_park_locked(struct device *device)
{
    struct opencl_park *park = &device->park;
    struct parked parked = {park, atomic_load(&park->turn)};
    if (!park_open_locked(device))
        return;
    while (atomic_load(&park->threads) + 1 < device->units) {
        atomic_fetch_add(&park->threads, 1);
        if (opencl.EnqueueNativeKernel(park->queue, park_run, &parked, sizeof(parked), 0, NULL, NULL, 0,
                                       NULL, NULL)) {
            atomic_fetch_sub(&park->threads, 1);
            break;
        }
    }
    opencl.Flush(park->queue);
}

static void park(struct device *device)
{
    struct opencl_park *park = &device->park;
    if (device->units > PARK_MOST)
        return;
    pthread_mutex_lock(&park->lock);
    if (++park->narrow > PARK_AFTER && !atomic_load(&park->threads))
        others_park_locked(device);
    pthread_mutex_unlock(&park->lock);
}

void opencl_unpark(struct device *device)
{
    struct opencl_park *park = &device->park;
    pthread_mutex_lock(&park->lock);
    park->narrow = 0;
    if (atomic_load(&park->threads)) {
        atomic_fetch_add(&park->turn, 1);
        syscall(SYS_futex, &park->turn, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&park->lock);
}

static void CL_CALLBACK lent_run(void *argument)
{
    const struct lent *lent = argument;
    lent->give(lent->data);
}

bool opencl_batch_lend(struct device_queue *queue, bool narrow, void (*give)(void *data), void *data)
{
    struct device *device = queue->context->device;
    struct lent lent = {give, data};
    if (!device->lends || queue->active != queue->handle || atomic_load(&queue->under_way) ||
        !opencl_batch_get(queue))
        return false;
    if (narrow)
        park(device);
    else
        opencl_unpark(device);
    queue->is_lent = true;
    if (!opencl.EnqueueNativeKernel(queue->handle, lent_run, &lent, sizeof(lent), 0, NULL, NULL, 0, NULL,
                                    NULL)) {
        opencl.Flush(queue->handle);
        return true;
    }
    queue->is_lent = false;
    return false;
}
