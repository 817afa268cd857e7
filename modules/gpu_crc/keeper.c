/*
 * keeper.c: the thread that has the device: opens it, measures from which size on it is worth its
 * way, and opens it anew when it was lost. Requests borrow the device; it is closed when nobody has
 * it any more.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "crc.h"

#define RETRY_NS    NS_PER_SEC
#define LARGE_ORDER 10u /* 4 MiB: what is measured, or less where there is no such block */
#define SMALL_BYTES 65536ull
#define ROUNDS      5u
#define LEAST_BYTES PAGE_SIZE /* no crossing is below */

static struct mutex lock = MUTEX_INIT(lock);
static struct wait_queue news = WAIT_QUEUE_INIT(news); /* something of what follows has changed */
static struct crc_device *device;                      /* NULL: none; guarded by lock */
static unsigned borrowed;                              /* guarded by lock */
static bool broken;                                    /* nobody may borrow it; guarded by lock */
static bool stopping;                                  /* atomic */
static uint64_t crossing = UINT64_MAX;                 /* guarded by lock */
static struct gpu_crc_figures figures;                 /* the counts are atomic */
static struct thread *keeper;

/* ---- Measuring ---- */

static uint64_t processor_time(const void *memory, uint64_t bytes)
{
    uint64_t start = time_now();
    uint32_t reg = processor_register(0, memory, bytes);

    __asm__ volatile("" : : "r"(reg));
    return time_now() - start;
}

/* UINT64_MAX: it failed. */
static uint64_t device_time(struct crc_device *d, paddr_t memory, uint64_t bytes)
{
    const struct vgpgpu_segment segment = {memory, bytes};
    uint64_t start = time_now();
    uint32_t reg;

    return crc_device_register(d, &segment, 1, 0, bytes, &reg) == OK ? time_now() - start
                                                                     : UINT64_MAX;
}

struct times {
    uint64_t small, large; /* ns, the best of a few */
};

static void times_take(struct crc_device *d, paddr_t memory, uint64_t large, struct times *there,
                       struct times *here)
{
    const void *data = phys_to_virt(memory);

    *there = *here = (struct times){UINT64_MAX, UINT64_MAX};
    device_time(d, memory, large); /* the first launch of a kernel builds it for good */
    for (unsigned i = 0; i < ROUNDS; i++) {
        there->small = MIN(there->small, device_time(d, memory, SMALL_BYTES));
        there->large = MIN(there->large, device_time(d, memory, large));
        here->small = MIN(here->small, processor_time(data, SMALL_BYTES));
        here->large = MIN(here->large, processor_time(data, large));
    }
}

/* Both times are straight lines over the size: where they meet. */
static uint64_t lines_cross(const struct times *there, const struct times *here, uint64_t large)
{
    int64_t between = (int64_t)(large - SMALL_BYTES), ahead, faster, meet;

    if (there->small == UINT64_MAX || there->large == UINT64_MAX)
        return UINT64_MAX;
    ahead = (int64_t)(there->small - here->small); /* of the processor, at the small size */
    faster = (int64_t)(here->large - here->small) - (int64_t)(there->large - there->small);
    if (faster <= 0)
        return UINT64_MAX;
    meet = (int64_t)SMALL_BYTES + ahead * between / faster;
    return (uint64_t)MAX(meet, (int64_t)LEAST_BYTES);
}

static uint64_t crossing_measure(struct crc_device *d)
{
    uint64_t fixed = boot_option_number("gpu_crc.crossing", 0), large, result;
    unsigned order = LARGE_ORDER;
    struct times there, here;
    paddr_t memory;

    if (fixed)
        return fixed;
    while (!(memory = frame_alloc(order, FRAME_ZERO)))
        if (PAGE_SIZE << --order <= SMALL_BYTES)
            return UINT64_MAX;
    large = PAGE_SIZE << order;
    times_take(d, memory, large, &there, &here);
    frame_free(memory, order);
    result = lines_cross(&there, &here, large);
    log_info("gpu_crc: %lu KiB take the device %lu us, the processor %lu us; it is faster from %lu "
             "bytes on",
             large >> 10, there.large / NS_PER_US, here.large / NS_PER_US, result);
    return result;
}

/* ---- Having it ---- */

static bool is_stopping(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

static void device_offer(struct crc_device *d, uint64_t from)
{
    mutex_lock(&lock);
    device = d;
    crossing = from;
    broken = false;
    mutex_unlock(&lock);
}

/* True when the device is to be closed and nobody has it. */
static bool device_is_free(void)
{
    bool result;

    mutex_lock(&lock);
    broken |= is_stopping();
    result = broken && borrowed == 0;
    mutex_unlock(&lock);
    return result;
}

static void device_withdraw(void)
{
    struct crc_device *d;

    mutex_lock(&lock);
    d = device;
    device = NULL;
    crossing = UINT64_MAX;
    mutex_unlock(&lock);
    crc_device_close(d);
}

static void keep(void *arg)
{
    struct crc_device *d;

    (void)arg;
    while (!is_stopping()) {
        if (crc_device_open(&d) == OK) {
            device_offer(d, crossing_measure(d));
            WAIT_UNTIL(&news, device_is_free(), TIME_NEVER, 0);
            device_withdraw();
        }
        WAIT_UNTIL(&news, is_stopping(), time_now() + RETRY_NS, 0);
    }
}

int keeper_start(void)
{
    return thread_create("gpu_crc", keep, NULL, &keeper);
}

void keeper_stop(void)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    wait_wake_all(&news);
    thread_join(keeper, TIME_NEVER);
    thread_unref(keeper);
}

/* ---- Lending it ---- */

struct crc_device *keeper_borrow(uint64_t bytes, enum gpu_crc_way way)
{
    struct crc_device *d = NULL;

    mutex_lock(&lock);
    if (device && !broken && (way == GPU_CRC_DEVICE || bytes >= crossing)) {
        d = device;
        borrowed++;
    }
    mutex_unlock(&lock);
    if (!d)
        __atomic_fetch_add(&figures.on_processor, 1, __ATOMIC_RELAXED);
    return d;
}

void keeper_return(struct crc_device *d, int result)
{
    __atomic_fetch_add(result == OK ? &figures.on_device : &figures.given_up, 1, __ATOMIC_RELAXED);
    mutex_lock(&lock);
    borrowed--;
    broken |= crc_device_failed(d);
    mutex_unlock(&lock);
    wait_wake_all(&news);
}

void keeper_figures(struct gpu_crc_figures *out)
{
    *out = (struct gpu_crc_figures){
        .on_device = __atomic_load_n(&figures.on_device, __ATOMIC_RELAXED),
        .on_processor = __atomic_load_n(&figures.on_processor, __ATOMIC_RELAXED),
        .given_up = __atomic_load_n(&figures.given_up, __ATOMIC_RELAXED),
    };
    mutex_lock(&lock);
    out->ready = device && !broken;
    out->crossing = crossing;
    out->in_work = device ? crc_device_in_work(device) : 0;
    mutex_unlock(&lock);
}
