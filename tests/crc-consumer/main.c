/*
 * main.c: crc_consumer checks what gpu_crc answers against checksums of its own: many sizes and
 * places, pages in any order, no memory, and what it costs.
 */
#include "consumer.h"

#include <microlake/gpu.h>
#include <microlake/time.h>

#include "lib/crc32c/crc32c.h"
#include "uapi/kmod.h"

#define SEED          0x9e3779b97f4a7c15ull
#define AWAIT_NS      (120 * NS_PER_SEC)
#define PAGES         40u
#define FIGURE_ORDERS 13u /* 4 KiB to 16 MiB */

uint8_t *noise;
static paddr_t frames;
static uint32_t steps[256]; /* a byte's register: one table, one byte a step, unlike gpu_crc's */

uint32_t crc_expected(uint32_t crc, const uint8_t *bytes, size_t count)
{
    crc = ~crc;
    while (count--)
        crc = crc >> 8 ^ steps[(crc ^ *bytes++) & 255];
    return ~crc;
}

bool device_awaited(void)
{
    uint64_t due = time_now() + AWAIT_NS;
    struct vgpgpu_config config;
    struct gpu_crc_figures figures;

    if (gpu_device_info(0, &config) == ERR_NOT_FOUND)
        return false;
    do {
        gpu_crc_figures(&figures);
        if (figures.ready)
            return true;
        thread_sleep(time_now() + NS_PER_MS, 0);
    } while (time_now() < due);
    EXPECT(!"gpu_crc has its device");
    return false;
}

static void expect_crc(uint32_t before, size_t from, size_t bytes, enum gpu_crc_way way)
{
    EXPECT(gpu_crc(before, noise + from, bytes, way) == crc_expected(before, noise + from, bytes));
}

static void sums_are_right(void)
{
    static const size_t sizes[] = {0,    1,    7,    8,     9,     15,    16,    63,     64,     65,
                                   4095, 4096, 4097, 16383, 16384, 16385, 32776, 100003, 1048579};
    static const size_t places[] = {0, 1, 3, 4, 7, 8, 13, 4088, 4095, 70001};
    struct gpu_crc_figures before, after;
    bool there = device_awaited();

    gpu_crc_figures(&before);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
        for (unsigned p = 0; p < ARRAY_SIZE(places); p++)
            for (enum gpu_crc_way way = GPU_CRC_FASTEST; way <= GPU_CRC_DEVICE; way++)
                expect_crc(i * 77 + p, places[p], sizes[i], way);
    expect_crc(0, 0, DATA_BYTES, GPU_CRC_DEVICE);
    expect_crc(0, 1, DATA_BYTES - 1, GPU_CRC_DEVICE);
    gpu_crc_figures(&after);
    EXPECT(after.given_up == before.given_up);
    EXPECT(!there || after.on_device > before.on_device + ARRAY_SIZE(places));
    EXPECT(there || (after.on_device == 0 && after.crossing == UINT64_MAX));
}

static void parts_are_put_together(void)
{
    for (size_t cut = 0; cut < 5000; cut += 499) {
        uint32_t first = crc_expected(0, noise, cut),
                 second = crc_expected(0, noise + cut, 5000 - cut);

        EXPECT(gpu_crc_combine(first, second, 5000 - cut) == crc_expected(0, noise, 5000));
    }
}

/* Every third page, from the last to the first; parts that begin and end anywhere in them. */
static void pages_in_any_order(void)
{
    struct vgpgpu_segment segments[PAGES];
    uint8_t *copy = kmalloc(PAGES * PAGE_SIZE);
    uint32_t crc = 5;

    EXPECT(copy != NULL);
    if (!copy)
        return;
    for (unsigned i = 0; i < PAGES; i++) {
        const uint8_t *page = noise + (PAGES - 1 - i) * 3 * PAGE_SIZE;

        segments[i] = (struct vgpgpu_segment){virt_to_phys(page), PAGE_SIZE};
        memcpy(copy + i * PAGE_SIZE, page, PAGE_SIZE);
    }
    for (size_t from = 0; from < 3 * PAGE_SIZE; from += 1021)
        for (enum gpu_crc_way way = GPU_CRC_FASTEST; way <= GPU_CRC_DEVICE; way++) {
            size_t bytes = PAGES * PAGE_SIZE - from - from / 3;

            crc = 5;
            EXPECT(gpu_crc_segments(&crc, segments, PAGES, from, bytes, way) == OK);
            EXPECT(crc == crc_expected(5, copy + from, bytes));
        }
    kfree(copy);
    EXPECT(gpu_crc_segments(&crc, segments, PAGES, 1, PAGES * PAGE_SIZE, GPU_CRC_DEVICE) ==
           ERR_RANGE);
    EXPECT(gpu_crc_segments(&crc, segments, PAGES, UINT64_MAX, 2, GPU_CRC_DEVICE) == ERR_RANGE);
}

/* The 1st, 2nd, 3rd... allocation fails: the answer is right all the same, and the device is kept
 * or comes back. */
static void no_memory(void)
{
    struct thread *self = thread_current();
    uint64_t left = 0;

    device_awaited();
    for (unsigned n = 1; n < 100 && !left; n++) {
        uint32_t crc;

        self->fail_allocation = n;
        crc = gpu_crc(0, noise, DATA_BYTES, GPU_CRC_DEVICE);
        left = self->fail_allocation;
        self->fail_allocation = 0;
        EXPECT(crc == crc_expected(0, noise, DATA_BYTES));
        device_awaited();
    }
    EXPECT(left > 0);
}

static uint64_t time_of(const uint8_t *at, size_t bytes, enum gpu_crc_way way)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < 5; i++) {
        uint64_t start = time_now();

        gpu_crc(0, at, bytes, way);
        best = MIN(best, time_now() - start);
    }
    return best;
}

/* For bench/run: microseconds of both ways over the size, and where gpu_crc crosses over. */
static void costs(void)
{
    struct gpu_crc_figures figures;
    paddr_t memory = frame_alloc(FIGURE_ORDERS - 1, FRAME_ZERO);

    EXPECT(device_awaited() && memory);
    for (unsigned order = 0; memory && order < FIGURE_ORDERS; order++) {
        size_t bytes = PAGE_SIZE << order;

        host_stat("crc_%lu=%lu %lu", bytes,
                  time_of(phys_to_virt(memory), bytes, GPU_CRC_DEVICE) / 100,
                  time_of(phys_to_virt(memory), bytes, GPU_CRC_PROCESSOR) / 100);
    }
    gpu_crc_figures(&figures);
    host_stat("crc_crossing=%lu", figures.crossing);
    if (memory)
        frame_free(memory, FIGURE_ORDERS - 1);
}

static const struct ktest_case cases[] = {
    {"sums_are_right", sums_are_right},
    {"parts_are_put_together", parts_are_put_together},
    {"pages_in_any_order", pages_in_any_order},
    {"no_memory", no_memory},
    {"many_at_once", case_many_at_once},
    {"work_is_left", case_work_is_left},
    {"goes_on_when_lost", case_goes_on_when_lost},
    {"device_comes_back", case_device_comes_back},
    {"costs", costs},
    {NULL, NULL},
};

static int consumer_init(void)
{
    uint64_t state = SEED;

    frames = frame_alloc(DATA_ORDER, 0);
    if (!frames)
        return ERR_NO_MEMORY;
    noise = phys_to_virt(frames);
    for (size_t at = 0; at < DATA_BYTES; at += sizeof(uint64_t))
        *(uint64_t *)(noise + at) = ktest_random(&state);
    for (uint32_t byte = 0; byte < 256; byte++) {
        steps[byte] = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            steps[byte] = steps[byte] >> 1 ^ (steps[byte] & 1 ? CRC32C_POLYNOMIAL : 0);
    }
    ktest_lend(cases);
    return OK;
}

static void consumer_exit(void)
{
    load_stop();
    ktest_lend(NULL);
    frame_free(frames, DATA_ORDER);
}

KMOD_MANIFEST(.name = "crc_consumer", .version = "1.0.0", .needs = "ktest,gpu_crc",
              .init = consumer_init, .exit = consumer_exit);
