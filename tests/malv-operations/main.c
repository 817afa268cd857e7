/*
 * main.c: malv_operations_test, a program that runs built-in operations on the device and checks every
 * number against its own processor. Prints "ok NAME" or "FAIL NAME: why"; ends with 1 when one
 * failed. The numbers are small and whole: results are exact.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/malv_check.h"

#define M       61u
#define N       83u
#define K       129u
#define LEADING 160u
#define BYTES   (LEADING * LEADING * sizeof(float))

static struct malv_device *device;
static struct malv_buffer buffers[3]; /* c, a, b */

static void numbers_fill(struct malv_buffer *buffer, unsigned salt)
{
    float *numbers = buffer->memory;
    for (unsigned i = 0; i < LEADING * LEADING; i++)
        numbers[i] = (float)((i * 7 + salt) % 15) - 7;
}

static int submit_and_wait(struct malv_batch *batch, uint32_t queue)
{
    uint64_t fence;
    int status = malv_submit(device, queue, batch, &fence);
    malv_batch_free(batch);
    return status ? status : malv_wait(device, queue, fence, UINT64_MAX);
}

/* One element as this processor has it. `a` may stand transposed. */
static float product(const float *a, const float *b, bool transposed, unsigned i, unsigned j)
{
    float sum = 0;
    for (unsigned k = 0; k < K; k++)
        sum += (transposed ? a[k * LEADING + i] : a[i * LEADING + k]) * b[k * LEADING + j];
    return sum;
}

static void gemm_case(const char *name, bool transposed, float alpha, float beta)
{
    static float former[LEADING * LEADING];
    struct vgpgpu_tensor c = malv_matrix(&buffers[0], VGPGPU_F32, 0, M, N, LEADING),
                         a = malv_matrix(&buffers[1], VGPGPU_F32, 0, M, K, LEADING),
                         b = malv_matrix(&buffers[2], VGPGPU_F32, 0, K, N, LEADING);
    const float *got = buffers[0].memory;
    const char *why = NULL;
    struct malv_batch batch;
    for (unsigned i = 0; i < 3; i++)
        numbers_fill(&buffers[i], i);
    for (unsigned i = 0; i < LEADING * LEADING; i++)
        former[i] = got[i];
    if (transposed)
        a = tensor_transposed(malv_matrix(&buffers[1], VGPGPU_F32, 0, K, M, LEADING));
    malv_batch_init(&batch);
    malv_batch_gemm(&batch, alpha, &a, &b, beta, &c);
    check(submit_and_wait(&batch, 0), name);
    for (unsigned i = 0; i < LEADING * LEADING && !why; i++) {
        unsigned row = i / LEADING, column = i % LEADING;
        float want = former[i];
        if (row < M && column < N)
            want = alpha * product(buffers[1].memory, buffers[2].memory, transposed, row, column) +
                   beta * former[i];
        if (got[i] != want)
            why = row < M && column < N ? "a wrong number" : "a number beside the result";
    }
    report(name, why);
}

/* The larger of a and 0, plus b. */
static void elementwise_case(void)
{
    static const struct vgpgpu_step steps[2] = {{.op = VGPGPU_STEP_RELU},
                                                {.op = VGPGPU_STEP_ADD, .operand = 2}};
    struct vgpgpu_tensor c = malv_matrix(&buffers[0], VGPGPU_F32, 0, M, N, LEADING),
                         a = malv_matrix(&buffers[1], VGPGPU_F32, 0, M, N, LEADING),
                         b = malv_matrix(&buffers[2], VGPGPU_F32, 0, M, N, LEADING);
    const float *got = buffers[0].memory, *in = buffers[1].memory, *more = buffers[2].memory;
    const char *why = NULL;
    struct malv_batch batch;
    malv_batch_init(&batch);
    malv_batch_elementwise(&batch, &c, &a, &b, 1, steps, 2);
    check(submit_and_wait(&batch, 0), "elementwise");
    for (unsigned row = 0; row < M; row++)
        for (unsigned at = row * LEADING; at < row * LEADING + N && !why; at++)
            if (got[at] != (in[at] > 0 ? in[at] : 0) + more[at])
                why = "a wrong number";
    report("elementwise chain", why);
}

/* Rows of -3 and 5 in turn have mean 1 and variance 16. */
static void layer_norm_case(void)
{
    struct vgpgpu_tensor c = malv_matrix(&buffers[0], VGPGPU_F32, 0, M, 64, LEADING),
                         a = malv_matrix(&buffers[1], VGPGPU_F32, 0, M, 64, LEADING);
    float *in = buffers[1].memory, *got = buffers[0].memory;
    const char *why = NULL;
    struct malv_batch batch;
    for (unsigned i = 0; i < LEADING * LEADING; i++)
        in[i] = i % 2 ? 5 : -3;
    malv_batch_init(&batch);
    malv_batch_layer_norm(&batch, &c, &a, NULL, NULL, 0);
    check(submit_and_wait(&batch, 0), "layer norm");
    for (unsigned row = 0; row < M; row++)
        for (unsigned at = row * LEADING; at < row * LEADING + 64 && !why; at++) {
            float off = got[at] - (at % 2 ? 1 : -1);
            if (off > 1e-5f || off < -1e-5f)
                why = "a wrong number";
        }
    report("layer norm", why);
}

/* The device says what is wrong with a product that cannot be. */
static void refused_case(void)
{
    struct vgpgpu_tensor c = malv_matrix(&buffers[0], VGPGPU_F32, 0, M, N, LEADING),
                         a = malv_matrix(&buffers[1], VGPGPU_F32, 0, M, K, LEADING),
                         b = malv_matrix(&buffers[2], VGPGPU_F32, BYTES, K, N, LEADING);
    struct malv_batch batch;
    malv_batch_init(&batch);
    malv_batch_gemm(&batch, 1, &a, &b, 0, &c);
    report("refused", submit_and_wait(&batch, 1) ? NULL : "numbers beyond a buffer were taken");
}

int main(void)
{
    check(malv_device_open(NULL, &device), "open");
    if (!(malv_operation_types(device, VGPGPU_GEMM) >> VGPGPU_F32 & 1)) {
        printf("FAIL gemm: the device has no gemm: install libdnnl-dev on the host\n");
        return 1;
    }
    for (unsigned i = 0; i < 3; i++) {
        check(malv_buffer_create(device, BYTES, VGPGPU_BUFFER_GUEST, &buffers[i]), "buffer");
        check(malv_buffer_map(device, &buffers[i]), "map");
    }
    gemm_case("gemm", false, 1, 0);
    gemm_case("gemm added to a former result", false, 1, 1);
    gemm_case("gemm scaled", false, 0.5f, -2);
    gemm_case("gemm of a transposed matrix", true, 1, 0);
    elementwise_case();
    layer_norm_case();
    refused_case();
    malv_device_close(device);
    report_gpu_empty();
    return failed;
}
