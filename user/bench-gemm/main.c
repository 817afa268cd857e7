/*
 * main.c: gemm_bench, products of f32 matrices of n x n on the machine's own processor and on its
 * GPU. Prints one JSON object a line: for each n the median microseconds of both. The two results
 * must be equal, the numbers being small and whole. bench/run reads it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/bench-common/bench.h"

#define SMALLEST 4u
#define LARGEST  1024u
#define ROUNDS   5u
#define SLOW_US  1e6 /* a product that takes longer is timed once */

static struct malv_device *device;
static struct malv_buffer buffers[3]; /* c, a, b */
static float own[LARGEST * LARGEST];

/* Row by row, so that memory is read in its order and the compiler can use vectors. */
static void multiply_here(unsigned n)
{
    const float *a = buffers[1].memory, *b = buffers[2].memory;
    memset(own, 0, n * n * sizeof(float));
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < n; k++) {
            const float factor = a[i * n + k], *row = b + k * n;
            float *out = own + i * n;
            for (unsigned j = 0; j < n; j++)
                out[j] += factor * row[j];
        }
}

static void multiply_there(unsigned n)
{
    struct vgpgpu_tensor c = malv_matrix(&buffers[0], VGPGPU_F32, 0, n, n, n),
                         a = malv_matrix(&buffers[1], VGPGPU_F32, 0, n, n, n),
                         b = malv_matrix(&buffers[2], VGPGPU_F32, 0, n, n, n);
    struct malv_batch batch;
    uint64_t fence;
    malv_batch_init(&batch);
    malv_batch_gemm(&batch, 1, &a, &b, 0, &c);
    bench_check(malv_submit(device, 0, &batch, &fence), "submit");
    bench_check(malv_wait(device, 0, fence, UINT64_MAX), "gemm");
    malv_batch_free(&batch);
}

static double measure(void (*multiply)(unsigned n), unsigned n)
{
    double times[ROUNDS];
    unsigned count = 0;
    do {
        double start = bench_now_us();
        multiply(n);
        times[count++] = bench_now_us() - start;
    } while (count < ROUNDS && times[0] < SLOW_US);
    return bench_median(times, count);
}

int main(void)
{
    bench_check(malv_device_open(NULL, &device), "open");
    for (unsigned i = 0; i < 3; i++) {
        bench_check(malv_buffer_create(device, sizeof(own), VGPGPU_BUFFER_GUEST, &buffers[i]), "buffer");
        bench_check(malv_buffer_map(device, &buffers[i]), "map");
        for (unsigned j = 0; j < LARGEST * LARGEST; j++)
            ((float *)buffers[i].memory)[j] = (float)(j % 13) - 6;
    }
    for (unsigned n = SMALLEST; n <= LARGEST; n *= 2) {
        double there = measure(multiply_there, n), here = measure(multiply_here, n);
        if (memcmp(own, buffers[0].memory, n * n * sizeof(float)) != 0) {
            fprintf(stderr, "gemm_bench: two different products of %u x %u\n", n, n);
            return 1;
        }
        printf("{\"name\": \"gemm_%u\", \"device\": %.1f, \"processor\": %.1f}\n", n, there, here);
        fflush(stdout);
    }
    malv_device_close(device);
    return 0;
}
