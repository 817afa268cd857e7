/*
 * main.c: malv_commands_test, a program that uses what of libmalv no other test does: rows copied and filled,
 * batches without an order, what the device tells of kernels and programs, times, and a time limit of its
 * own. Prints "ok NAME" or "FAIL NAME: why"; ends with 1 when one failed.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/malv_check.h"

#define BYTES 65536u
#define PITCH 512u
#define ROWS  100u
#define WIDTH 200u

/* Far longer than a kernel of a few lines takes to build on a busy host. */
#define LIMIT_MS 10000u

static struct malv_device *device;
static struct malv_buffer first, second;

static void buffer_make(struct malv_device *on, struct malv_buffer *buffer)
{
    check(malv_buffer_create(on, BYTES, VGPGPU_BUFFER_GUEST, buffer), "a buffer");
    check(malv_buffer_map(on, buffer), "a mapping");
}

static uint32_t kernel_make(struct malv_device *on, const char *source, const char *name,
                            uint32_t *program)
{
    uint32_t kernel;
    check(malv_program_build(on, VGPGPU_PROGRAM_OPENCL_C, source, strlen(source), NULL, NULL, 0,
                             program),
          "a program");
    check(malv_kernel_create(on, *program, name, &kernel, NULL), "a kernel");
    return kernel;
}

static int submit_and_wait(struct malv_batch *batch, bool unordered)
{
    uint64_t fence;
    int status = unordered ? malv_submit_unordered(device, 0, batch, &fence)
                           : malv_submit(device, 0, batch, &fence);
    malv_batch_free(batch);
    return status ? status : malv_wait(device, 0, fence, UINT64_MAX);
}

/* Rows of a picture go into the middle of another one, whose rest stays as it was. */
static void rows_test(void)
{
    const struct malv_rows from = {&first, 8, PITCH}, to = {&second, 100, PITCH + 16};
    const struct malv_rows filled = {&first, 400, PITCH};
    static uint8_t want[BYTES];
    const uint32_t pattern = 0xa1b2c3d4;
    struct malv_batch batch;
    uint8_t *source = first.memory, *target = second.memory;
    for (unsigned i = 0; i < BYTES; i++) {
        source[i] = (uint8_t)(i * 31 + i / 256);
        target[i] = want[i] = (uint8_t)(i * 7);
    }
    for (unsigned row = 0; row < ROWS; row++)
        memcpy(want + 100 + row * (PITCH + 16), source + 8 + row * PITCH, WIDTH);
    malv_batch_init(&batch);
    malv_batch_copy_2d(&batch, &from, &to, WIDTH, ROWS);
    malv_batch_fill_2d(&batch, &filled, 12, ROWS, &pattern, sizeof(pattern));
    check(submit_and_wait(&batch, false), "rows");
    const char *why = memcmp(target, want, BYTES) ? "the copy is not what it should be" : NULL;
    for (unsigned row = 0; row < ROWS; row++)
        for (unsigned i = 0; i < 3; i++)
            if (memcmp(source + 400 + row * PITCH + i * 4, &pattern, 4))
                why = "a row is not filled";
    report("rows", why);
}

static int rows_try(uint64_t offset, uint64_t pitch, uint64_t width, uint64_t rows)
{
    const struct malv_rows from = {&first, offset, pitch}, to = {&second, 0, 256};
    struct malv_batch batch;
    malv_batch_init(&batch);
    int status = malv_batch_copy_2d(&batch, &from, &to, width, rows);
    malv_batch_free(&batch);
    return status;
}

static void bad_rows_test(void)
{
    const struct malv_rows at = {&first, 2, PITCH};
    struct malv_batch batch;
    const uint32_t pattern = 0;
    bool good = rows_try(0, 256, 0, 1) == -EINVAL && rows_try(0, 256, 8, 0) == -EINVAL &&
                rows_try(0, 4, 8, 2) == -EINVAL && rows_try(BYTES, 256, 8, 1) == -ERANGE &&
                rows_try(0, 1ull << 62, 8, 5) == -ERANGE && rows_try(8, 256, 256, 256) == -ERANGE;
    malv_batch_init(&batch);
    good &= malv_batch_fill_2d(&batch, &at, 12, 2, &pattern, sizeof(pattern)) == -EINVAL;
    malv_batch_free(&batch);
    report("bad rows", good ? NULL : "one of them was taken");
}

/* Each kernel counts in a place of its own; behind the barrier one adds up. */
static void unordered_test(void)
{
    static const char source[] =
        "kernel void put(global int *c, int at) { c[at] = at * 3 + 1; }"
        "kernel void sum(global int *c, int n) { int s = 0; for (int i = 0; i < n; i++) s += c[i]; c[n] = s; }";
    enum { PLACES = 20 };
    const uint64_t one = 1;
    const int32_t places = PLACES;
    struct malv_batch batch;
    uint32_t program, sum;
    uint32_t put = kernel_make(device, source, "put", &program);
    check(malv_kernel_create(device, program, "sum", &sum, NULL), "a kernel");
    memset(first.memory, 0, BYTES);
    malv_batch_init(&batch);
    for (int32_t i = 0; i < PLACES; i++) {
        const struct malv_arg args[] = {malv_arg_buffer(&first, 0), malv_arg_value(&i, sizeof(i))};
        malv_batch_launch(&batch, put, 1, &one, NULL, args, 2);
    }
    malv_batch_barrier(&batch);
    const struct malv_arg args[] = {malv_arg_buffer(&first, 0), malv_arg_value(&places, sizeof(places))};
    malv_batch_launch(&batch, sum, 1, &one, NULL, args, 2);
    check(submit_and_wait(&batch, true), "a batch without an order");
    report("no order", ((const int32_t *)first.memory)[PLACES] == 3 * PLACES * (PLACES - 1) / 2 + PLACES
                           ? NULL
                           : "the sum is wrong");
    check(malv_kernel_destroy(device, put) || malv_kernel_destroy(device, sum) ||
              malv_program_destroy(device, program),
          "the end of a kernel");
}

static void questions_test(void)
{
    static const char source[] = "kernel void triple(global int *c) { c[0] *= 3; }";
    struct vgpgpu_kernel_info info;
    const uint64_t one = 1;
    uint32_t program, again, kernel = kernel_make(device, source, "triple", &program);
    size_t bytes = 0, bytes_again = 0;
    check(malv_kernel_info(device, kernel, &info), "a question about a kernel");
    report("kernel info", info.arg_count == 1 && info.max_group ? NULL : "it is not this kernel's");
    int status = malv_program_binary(device, program, NULL, 0, &bytes);
    if (status == -EOPNOTSUPP) {
        report("binary", NULL); /* a device need not have any */
        return;
    }
    check(status, "the size of a binary");
    void *binary = malloc(bytes ? bytes : 1);
    check(malv_program_binary(device, program, binary, bytes, &bytes_again), "a binary");
    check(malv_kernel_destroy(device, kernel) || malv_program_destroy(device, program),
          "the end of a kernel");
    check(malv_program_build(device, VGPGPU_PROGRAM_BINARY, binary, bytes, NULL, NULL, 0, &again),
          "a program from its binary");
    check(malv_kernel_create(device, again, "triple", &kernel, NULL), "its kernel");
    free(binary);
    struct malv_batch batch;
    const struct malv_arg arg = malv_arg_buffer(&first, 0);
    *(int32_t *)first.memory = 14;
    malv_batch_init(&batch);
    malv_batch_launch(&batch, kernel, 1, &one, NULL, &arg, 1);
    check(submit_and_wait(&batch, false), "work of a program from its binary");
    report("binary", bytes == bytes_again && *(int32_t *)first.memory == 42 ? NULL : "it does not work");
    report("no such object", malv_kernel_info(device, 999, &info) == -ENOENT &&
                                     malv_program_binary(device, 999, NULL, 0, &bytes) == -ENOENT
                                 ? NULL
                                 : "the device answered");
}

static void times_test(void)
{
    struct malv_times before, times;
    struct malv_batch batch;
    const uint32_t zero = 0;
    check(malv_times(device, 0, &before), "times");
    malv_batch_init(&batch);
    malv_batch_fill(&batch, &first, 0, BYTES, &zero, sizeof(zero));
    check(submit_and_wait(&batch, false), "a fill");
    check(malv_times(device, 0, &times), "times");
    bool good = times.fence == before.fence + 1 && times.queued_ns > before.queued_ns &&
                times.ready_ns >= times.queued_ns && times.start_ns >= times.ready_ns &&
                times.end_ns > times.start_ns;
    report("times", good ? NULL : "they are not in order");
    report("times of no queue", malv_times(device, 64, &times) == -EINVAL ? NULL : "there are some");
}

/* An event loop's way to wait. */
static void notify_test(void)
{
    struct pollfd polled = {.fd = malv_device_fd(device), .events = POLLIN};
    const uint32_t zero = 0;
    struct malv_batch batch;
    uint64_t fence;
    malv_batch_init(&batch);
    malv_batch_fill(&batch, &first, 0, BYTES, &zero, sizeof(zero));
    check(malv_submit(device, 7, &batch, &fence), "a submission");
    check(malv_notify(device, 7, fence), "to be told");
    bool told = poll(&polled, 1, -1) == 1 && polled.revents == POLLIN;
    report("told by poll()", told && malv_wait(device, 7, fence, 0) == 0 ? NULL : "not at its end");
    bool refused = malv_notify(device, 7, fence + 1) == -EINVAL && malv_notify(device, 64, 0) == -EINVAL;
    report("told of no fence", refused ? NULL : "it was taken");
    check(malv_notify(device, 7, 0), "no longer");
    malv_batch_free(&batch);
}

/* A kernel of a device with a limit never ends; this program's other device works meanwhile and after. */
static void limit_test(void)
{
    static const char source[] =
        "kernel void forever(global volatile int *c) { while (!c[0]) c[1]++; }";
    const uint64_t one = 1;
    struct malv_device *limited;
    struct malv_buffer cells, none;
    struct malv_batch batch;
    uint64_t fence;
    uint32_t program;
    unsigned rounds = 0;
    check(malv_device_open(NULL, &limited), "a second device");
    check(malv_device_limit(limited, LIMIT_MS), "a limit");
    report("a limit once", malv_device_limit(limited, LIMIT_MS) == -EINVAL ? NULL : "and again");
    buffer_make(limited, &cells);
    const struct malv_arg arg = malv_arg_buffer(&cells, 0);
    malv_batch_init(&batch);
    malv_batch_launch(&batch, kernel_make(limited, source, "forever", &program), 1, &one, NULL, &arg, 1);
    check(malv_submit(limited, 3, &batch, &fence), "a kernel for ever");
    malv_batch_free(&batch);
    int status;
    do {
        malv_batch_init(&batch);
        malv_batch_fill(&batch, &first, 0, BYTES, &rounds, sizeof(rounds));
        check(submit_and_wait(&batch, false), "work of another");
        if (((uint32_t *)first.memory)[BYTES / 4 - 1] != rounds++)
            report("others go on", "their work is wrong");
        status = malv_wait(limited, 3, fence, 50000000);
    } while (status == -ETIMEDOUT);
    report("a kernel that never ends", status == -ETIME ? NULL : malv_error_text(status));
    report("it is lost", malv_buffer_create(limited, BYTES, VGPGPU_BUFFER_DEVICE, &none) == -ENODEV
                             ? NULL
                             : "it goes on");
    malv_batch_init(&batch);
    malv_batch_fill(&batch, &first, 0, BYTES, &rounds, sizeof(rounds));
    check(submit_and_wait(&batch, false), "work of another, after");
    report("others go on", rounds > 1 ? NULL : "nobody worked");
    malv_buffer_destroy(limited, &cells);
    malv_device_close(limited);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(malv_device_open(NULL, &device), "the device");
    buffer_make(device, &first);
    buffer_make(device, &second);
    report("a limit too late", malv_device_limit(device, LIMIT_MS) == -EINVAL ? NULL : "it was taken");
    rows_test();
    bad_rows_test();
    unordered_test();
    questions_test();
    times_test();
    notify_test();
    limit_test();
    malv_device_close(device);
    report_gpu_empty();
    return failed;
}
