/*
 * main.c: kernel code that uses the GPU: sums 16 MiB on the device and compares with the CPU's own
 * sum.
 *
 * Loaded by name when somebody wants it. The work is done by a thread of its own, so that loading
 * takes no time; unloading waits for the thread.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/thread.h>

#include "gpu_sum.h"
#include "uapi/kmod.h"

#define START_DELAY_NS (10 * NS_PER_MS)
#define SEED           0x9e3779b97f4a7c15ull

static struct thread *worker;

/* xorshift64* (Marsaglia 2003, Vigna 2016): the same words at every run. */
static uint32_t next_word(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1dull) >> 32);
}

/* Fills the buffer through the kernel's own view of it; returns the sum. */
static uint64_t buffer_fill(struct gpu_context *ctx, uint32_t buffer)
{
    uint64_t state = SEED, sum = 0, run;

    for (uint64_t at = 0; at < SUM_BYTES; at += run) {
        uint32_t *words = gpu_buffer_at(ctx, buffer, at, &run);

        for (uint64_t i = 0; i < run / sizeof(*words); i++) {
            words[i] = next_word(&state);
            sum += words[i];
        }
    }
    return sum;
}

static void result_report(uint64_t device, uint64_t cpu, uint64_t took)
{
    log_info("gpu_sum: 16 MiB, device 0x%llx %s cpu 0x%llx, %llu us", (unsigned long long)device,
             device == cpu ? "=" : "is not", (unsigned long long)cpu,
             (unsigned long long)(took / NS_PER_US));
    host_stat("gpu_sum=%s 16 MiB in %llu us", device == cpu ? "ok" : "wrong",
              (unsigned long long)(took / NS_PER_US));
}

static int sum_compare(struct gpu_context *ctx)
{
    uint64_t device, cpu, took;
    uint32_t buffer;
    int r = gpu_buffer_create(ctx, SUM_BYTES, VGPGPU_BUFFER_GUEST, &buffer);

    if (r != OK)
        return r;
    cpu = buffer_fill(ctx, buffer);
    r = device_sum(ctx, buffer, &device, &took);
    if (r == OK)
        result_report(device, cpu, took);
    return r;
}

static void work(void *arg)
{
    struct gpu_context *ctx;
    int r;

    (void)arg;
    thread_sleep(time_now() + START_DELAY_NS, 0);
    r = gpu_context_open(0, &ctx);
    if (r == ERR_NOT_FOUND) {
        log_info("gpu_sum: this machine has no GPU; nothing was summed");
        host_stat("gpu_sum=none");
        return;
    }
    if (r == OK) {
        r = sum_compare(ctx);
        gpu_context_close(ctx);
    }
    if (r != OK) {
        log_error("gpu_sum: the device did not sum: %s", status_name(r));
        host_stat("gpu_sum=failed");
    }
}

static int gpu_sum_init(void)
{
    return thread_create("gpu_sum", work, NULL, &worker);
}

static void gpu_sum_exit(void)
{
    thread_join(worker, TIME_NEVER);
    thread_unref(worker);
}

KMOD_MANIFEST(.name = "gpu_sum", .version = "0.1.0", .needs = "", .init = gpu_sum_init,
              .exit = gpu_sum_exit);
