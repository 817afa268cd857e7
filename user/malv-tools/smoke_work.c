/*
 * smoke_work.c: checks of programs, launches, fences, queues and the built-in matrix product.
 */
#include "smoke.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WIDTH  96u
#define HEIGHT 40u
#define STEPS  200u /* commands of one submission, each after the one before */
#define ROUNDS 100u
#define QUEUES 8u
#define SIDE   64u

static const char source[] =
    "__kernel void grid(__global uint *out, uint factor, __local uint *row)\n"
    "{\n"
    "    size_t x = get_global_id(0), y = get_global_id(1), l = get_local_id(0);\n"
    "    row[l] = (uint)x * factor;\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    out[y * get_global_size(0) + x] = row[get_local_size(0) - 1 - l] + (uint)y * BASE;\n"
    "}\n"
    "__kernel void advance(__global uint *cell, uint at)\n"
    "{\n"
    "    if (cell[0] == at)\n"
    "        cell[0] = at + 1;\n"
    "}\n";

/* Builds the program above and makes one of its kernels. */
static int kernel_make(struct smoke *s, const char *name, uint32_t *kernel, uint32_t *args)
{
    uint32_t program;
    char log[400];
    int error = malv_program_build(s->device, VGPGPU_PROGRAM_OPENCL_C, source, strlen(source),
                                   "-DBASE=1000u", log, sizeof(log), &program);
    if (error == -ENOEXEC) {
        fprintf(stderr, "%s", log);
    }
    return error != 0 ? error : malv_kernel_create(s->device, program, name, kernel, args);
}

void check_build(struct smoke *s)
{
    uint32_t kernel, args;
    SUCCEED(kernel_make(s, "grid", &kernel, &args), "a program");
    EXPECT(args == 3, "a kernel of three arguments has another number of them");
    SUCCEED(malv_kernel_destroy(s->device, kernel), "the end of a kernel");
    EXPECT(malv_kernel_destroy(s->device, kernel) == -ENOENT, "a kernel ends twice");
}

void check_build_error(struct smoke *s)
{
    static const char broken[] = "__kernel void broken(__global int *p) { p[0] = nowhere; }";
    uint32_t program, kernel;
    char log[400];
    EXPECT(malv_program_build(s->device, VGPGPU_PROGRAM_OPENCL_C, broken, strlen(broken), NULL, log,
                              sizeof(log), &program) == -ENOEXEC,
           "a program with a mistake is not refused");
    EXPECT(strstr(log, "nowhere") != NULL, "the log does not say what the mistake is");
    EXPECT(malv_program_build(s->device, 99, source, strlen(source), NULL, NULL, 0, &program) != 0,
           "a program of an unknown kind is not refused");
    EXPECT(kernel_make(s, "missing", &kernel, NULL) != 0, "a kernel that is not there is found");
}

void check_launch(struct smoke *s)
{
    static const uint64_t global[] = {WIDTH, HEIGHT}, local[] = {8, 1};
    struct malv_buffer buffer;
    struct malv_batch batch;
    uint32_t kernel, factor = 7;
    SUCCEED(kernel_make(s, "grid", &kernel, NULL), "a program");
    SUCCEED(smoke_buffer(s, WIDTH * HEIGHT * sizeof(uint32_t), &buffer), "a buffer");
    const struct malv_arg args[] = {malv_arg_buffer(&buffer, 0), malv_arg_value(&factor, 4),
                                    malv_arg_local(8 * sizeof(uint32_t))};
    malv_batch_init(&batch);
    malv_batch_launch(&batch, kernel, 2, global, local, args, 3);
    SUCCEED(smoke_run(s, 0, &batch), "a launch");
    const uint32_t *out = buffer.memory;
    for (uint32_t i = 0; i < WIDTH * HEIGHT; i++) {
        uint32_t x = i % WIDTH, mirrored = x / 8 * 8 + 7 - x % 8;
        EXPECT(out[i] == mirrored * factor + i / WIDTH * 1000u, "a wrong number in the result");
    }
}

static int steps_record(struct malv_batch *batch, uint32_t kernel, const struct malv_buffer *cell,
                        uint32_t from, uint32_t to)
{
    static const uint64_t one[] = {1};
    for (uint32_t at = from; at < to; at++) {
        const struct malv_arg args[] = {malv_arg_buffer(cell, 0), malv_arg_value(&at, 4)};
        malv_batch_launch(batch, kernel, 1, one, one, args, 2);
    }
    return batch->error;
}

/* Each launch does its step only when the one before has done its own. */
void check_batch(struct smoke *s)
{
    struct malv_buffer cell;
    struct malv_batch batch;
    uint32_t kernel;
    SUCCEED(kernel_make(s, "advance", &kernel, NULL), "a program");
    SUCCEED(smoke_buffer(s, 4096, &cell), "a buffer");
    malv_batch_init(&batch);
    SUCCEED(steps_record(&batch, kernel, &cell, 0, STEPS), "recording");
    malv_batch_barrier(&batch);
    SUCCEED(smoke_run(s, 0, &batch), "a batch of launches");
    EXPECT(*(uint32_t *)cell.memory == STEPS, "launches of one batch were out of order");
}

void check_fences(struct smoke *s)
{
    struct malv_buffer cell;
    struct malv_batch batch;
    uint64_t fence = 0, last = 0;
    uint32_t kernel;
    SUCCEED(kernel_make(s, "advance", &kernel, NULL), "a program");
    SUCCEED(smoke_buffer(s, 4096, &cell), "a buffer");
    malv_batch_init(&batch);
    for (uint32_t at = 0; at < ROUNDS; at++) {
        malv_batch_reset(&batch);
        SUCCEED(steps_record(&batch, kernel, &cell, at, at + 1), "recording");
        SUCCEED(malv_submit(s->device, 3, &batch, &fence), "a submission");
        EXPECT(fence > last, "a queue's fences do not grow");
        last = fence;
    }
    malv_batch_free(&batch);
    SUCCEED(malv_wait(s->device, 3, fence, SMOKE_WAIT_NS), "waiting for the last");
    EXPECT(*(uint32_t *)cell.memory == ROUNDS, "submissions of one queue were out of order");
    for (uint64_t before = 1; before <= fence; before++) {
        SUCCEED(malv_wait(s->device, 3, before, 0), "looking at a fence that is signalled");
    }
    EXPECT(malv_wait(s->device, 3, fence + 1, 0) == -EINVAL,
           "a fence that never was is waited for");
}

void check_queues(struct smoke *s)
{
    struct malv_buffer cells[QUEUES];
    struct malv_batch batch;
    uint64_t fences[QUEUES] = {0};
    uint32_t kernel;
    SUCCEED(kernel_make(s, "advance", &kernel, NULL), "a program");
    for (uint32_t q = 0; q < QUEUES; q++) {
        SUCCEED(smoke_buffer(s, 4096, &cells[q]), "a buffer");
    }
    malv_batch_init(&batch);
    for (uint32_t at = 0; at < ROUNDS; at++) {
        uint32_t q = at % QUEUES;
        malv_batch_reset(&batch);
        SUCCEED(steps_record(&batch, kernel, &cells[q], at / QUEUES, at / QUEUES + 1), "recording");
        SUCCEED(malv_submit(s->device, q * 9, &batch, &fences[q]), "a submission");
    }
    malv_batch_free(&batch);
    for (uint32_t q = 0; q < QUEUES; q++) {
        SUCCEED(malv_wait(s->device, q * 9, fences[q], SMOKE_WAIT_NS), "a queue's end");
        EXPECT(*(uint32_t *)cells[q].memory == ROUNDS / QUEUES + (q < ROUNDS % QUEUES),
               "a queue lost work");
    }
}

static float element(uint32_t salt, uint32_t i)
{
    return (float)((i * 7 + salt) % 15) - 7;
}

/* Small whole numbers: the result is exact, in whatever order it is summed. */
static bool product_is_right(const float *c)
{
    for (uint32_t i = 0; i < SIDE; i++) {
        for (uint32_t j = 0; j < SIDE; j++) {
            float sum = 0;
            for (uint32_t k = 0; k < SIDE; k++) {
                sum += element(1, i * SIDE + k) * element(2, k * SIDE + j);
            }
            if (c[i * SIDE + j] != sum) {
                return false;
            }
        }
    }
    return true;
}

void check_gemm(struct smoke *s)
{
    struct malv_buffer buffers[3];
    struct vgpgpu_tensor tensors[3];
    struct malv_batch batch;
    if (!(malv_operation_types(s->device, VGPGPU_GEMM) >> VGPGPU_F32 & 1)) {
        s->skipped = "this device has no built-in matrix product";
        return;
    }
    for (uint32_t b = 0; b < 3; b++) {
        SUCCEED(smoke_buffer(s, SIDE * SIDE * sizeof(float), &buffers[b]), "a buffer");
        tensors[b] = malv_matrix(&buffers[b], VGPGPU_F32, 0, SIDE, SIDE, SIDE);
        for (uint32_t i = 0; i < SIDE * SIDE; i++) {
            ((float *)buffers[b].memory)[i] = element(b, i);
        }
    }
    malv_batch_init(&batch);
    malv_batch_gemm(&batch, 1, &tensors[1], &tensors[2], 0, &tensors[0]);
    SUCCEED(smoke_run(s, 0, &batch), "a matrix product");
    EXPECT(product_is_right(buffers[0].memory), "a wrong number in the product");
}

/* A failed submission is its queue's only: others go on, and so does the device. */
void check_work_errors(struct smoke *s)
{
    static const uint64_t one[] = {1};
    struct malv_buffer cell, none = {.id = 4000, .size = 4096};
    struct malv_batch batch;
    uint32_t kernel, zero = 0;
    SUCCEED(kernel_make(s, "advance", &kernel, NULL), "a program");
    SUCCEED(smoke_buffer(s, 4096, &cell), "a buffer");
    const struct malv_arg bad[] = {malv_arg_buffer(&none, 0), malv_arg_value(&zero, 4)};
    malv_batch_init(&batch);
    malv_batch_launch(&batch, kernel, 1, one, NULL, bad, 2);
    EXPECT(smoke_run(s, 1, &batch) == -ENOENT, "a launch with no buffer is not refused");
    const struct malv_arg good[] = {malv_arg_buffer(&cell, 0), malv_arg_value(&zero, 4)};
    malv_batch_init(&batch);
    malv_batch_launch(&batch, kernel, 1, one, NULL, good, 1);
    EXPECT(smoke_run(s, 2, &batch) == -EINVAL, "a launch with an argument too few is not refused");
    malv_batch_init(&batch);
    malv_batch_launch(&batch, kernel + 1000, 1, one, NULL, good, 2);
    EXPECT(smoke_run(s, 3, &batch) == -ENOENT, "a launch of no kernel is not refused");
    malv_batch_init(&batch);
    EXPECT(malv_batch_launch(&batch, kernel, 4, one, NULL, good, 2) == -EINVAL,
           "a launch over four dimensions is not refused");
    EXPECT(smoke_run(s, 4, &batch) == -EINVAL, "a batch with an error is submitted");
    malv_batch_init(&batch);
    malv_batch_launch(&batch, kernel, 1, one, NULL, good, 2);
    SUCCEED(smoke_run(s, 5, &batch), "good work after the bad");
    EXPECT(*(uint32_t *)cell.memory == 1, "good work after the bad did nothing");
}
