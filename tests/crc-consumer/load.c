/*
 * load.c: many requests at once, work that goes on while the module is unloaded, and a device that
 * is lost in the middle.
 */
#include "consumer.h"

#include <microlake/time.h>

#include "tests/kernel/crew.h"

#define THREADS 12u /* on two processors, and more than there are lanes */
#define ROUNDS  20u
#define LARGE   (DATA_BYTES / 2)
#define SMALL   4096u
#define LOST_NS (120 * NS_PER_SEC)

static struct crew crew;
static bool crew_works;
static uint32_t mistakes; /* atomic */

/* A part of the noise that `state` chooses. */
static void part_check(uint64_t *state, size_t most)
{
    size_t from = ktest_random(state) % (DATA_BYTES / 2);
    size_t bytes = 1 + ktest_random(state) % most;

    if (gpu_crc(0, noise + from, bytes, GPU_CRC_DEVICE) != crc_expected(0, noise + from, bytes))
        __atomic_fetch_add(&mistakes, 1, __ATOMIC_RELAXED);
}

static void rounds_work(void *arg)
{
    uint64_t state = (uintptr_t)arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        part_check(&state, LARGE);
        part_check(&state, SMALL); /* with these, lanes change hands often */
        part_check(&state, SMALL);
    }
}

static void endless_work(void *arg)
{
    uint64_t state = (uintptr_t)arg;

    while (!crew_stops(&crew))
        part_check(&state, LARGE);
}

static void crew_start(void (*work)(void *arg))
{
    crew = (struct crew){.count = 0};
    mistakes = 0;
    for (uintptr_t i = 1; i <= THREADS; i++)
        crew_add(&crew, "crc", work, (void *)(i * 7919), 1);
}

void case_many_at_once(void)
{
    struct gpu_crc_figures figures;

    device_awaited();
    crew_start(rounds_work);
    EXPECT(crew_wait(&crew, 120));
    EXPECT(mistakes == 0);
    gpu_crc_figures(&figures);
    EXPECT(figures.in_work == 0);
}

/* Returns with threads at work: whoever unloads this module finds it so. */
void case_work_is_left(void)
{
    device_awaited();
    crew_start(endless_work);
    crew_works = true;
    thread_sleep(time_now() + 20 * NS_PER_MS, 0);
}

void load_stop(void)
{
    if (!crew_works)
        return;
    crew_works = false;
    EXPECT(crew_end(&crew, 120));
    EXPECT(mistakes == 0);
}

/* Somebody outside ends the device while this works. */
void case_goes_on_when_lost(void)
{
    const struct host_channel *host = host_channel();
    uint64_t due = time_now() + LOST_NS;
    struct gpu_crc_figures figures;

    EXPECT(device_awaited());
    crew_start(endless_work);
    if (host->write)
        host->write(1, "working\n", 8);
    do {
        thread_sleep(time_now() + NS_PER_MS, 0);
        gpu_crc_figures(&figures);
    } while (!figures.given_up && time_now() < due);
    EXPECT(figures.given_up > 0);
    thread_sleep(time_now() + 20 * NS_PER_MS, 0);
    EXPECT(crew_end(&crew, 120));
    EXPECT(mistakes == 0);
}

/* Somebody outside ends what works for the device, and it is replaced: it is used again. */
void case_device_comes_back(void)
{
    struct gpu_crc_figures before, after;
    uint64_t state = 1;

    case_goes_on_when_lost();
    EXPECT(device_awaited());
    gpu_crc_figures(&before);
    part_check(&state, LARGE);
    gpu_crc_figures(&after);
    EXPECT(after.on_device == before.on_device + 1 && mistakes == 0);
}
