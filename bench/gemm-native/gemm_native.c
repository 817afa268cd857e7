/*
 * gemm_native.c: how long a product of two f32 matrices takes through gpud's built-in operation and
 * through oneDNN called directly, by turns in the same run: several in a row, as programs do, and
 * each alone after a pause, where the processors that gpud's processes wake are asleep. Value and
 * baseline are the medians over all.
 */
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench/native/native.h"
#include "lib/gpucmd/tensor.h"

#define SIDE    1024u
#define BYTES   (SIDE * SIDE * sizeof(float))
#define MEMORY  (64ull << 20)
#define TURNS   41u
#define ROWS    12u
#define ROW     8u
#define WARM_UP 3u

static struct native *through;
static struct front_batch product;
static float *numbers_there[3]; /* c, a, b */

static struct {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    dnnl_exec_arg_t args[3];
    float *numbers[3];
} direct;

static void numbers_fill(float *numbers)
{
    for (unsigned i = 0; i < SIDE * SIDE; i++)
        numbers[i] = (float)(i % 13) - 6;
}

static void through_prepare(void)
{
    const struct vgpgpu_gemm gemm = {.alpha = 1};
    struct vgpgpu_tensor tensors[3];
    native_check(through->front->config.operations[VGPGPU_GEMM], "gpud: a built-in gemm");
    for (uint32_t i = 0; i < 3; i++) {
        numbers_there[i] = native_buffer(through, i + 1, BYTES);
        numbers_fill(numbers_there[i]);
        tensors[i] = tensor_matrix(i + 1, VGPGPU_F32, 0, SIDE, SIDE, SIDE);
    }
    batch_operation(&product, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
}

static void through_run(void)
{
    native_run(through, &product, 0);
}

static void direct_prepare(void)
{
    static const int args[3] = {DNNL_ARG_DST, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS};
    const dnnl_dims_t sides = {SIDE, SIDE};
    dnnl_memory_desc_t layout;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_desc_t chosen;
    dnnl_engine_t cpu;
    native_check(!dnnl_engine_create(&cpu, dnnl_cpu, 0) &&
                     !dnnl_stream_create(&direct.stream, cpu, dnnl_stream_in_order) &&
                     !dnnl_memory_desc_init_by_tag(&layout, 2, sides, dnnl_f32, dnnl_ab) &&
                     !dnnl_matmul_desc_init(&matmul, &layout, &layout, NULL, &layout) &&
                     !dnnl_primitive_desc_create(&chosen, &matmul, NULL, cpu, NULL) &&
                     !dnnl_primitive_create(&direct.primitive, chosen),
                 "oneDNN: a matrix product");
    for (unsigned i = 0; i < 3; i++) {
        direct.numbers[i] = aligned_alloc(VGPGPU_PAGE, BYTES);
        native_check(direct.numbers[i], "memory");
        numbers_fill(direct.numbers[i]);
        direct.args[i].arg = args[i];
        native_check(!dnnl_memory_create(&direct.args[i].memory, &layout, cpu, direct.numbers[i]),
                     "oneDNN: memory");
    }
}

static void direct_run(void)
{
    native_check(!dnnl_primitive_execute(direct.primitive, direct.stream, 3, direct.args) &&
                     !dnnl_stream_wait(direct.stream),
                 "oneDNN: a run");
}

/* A pause lets the other side's threads, which look for more work for a while, go to sleep. */
static void runs_time(void (*run)(void), double *times, unsigned count)
{
    usleep(20000);
    for (unsigned i = 0; i < count; i++) {
        double start = native_now_us();
        run();
        times[i] = native_now_us() - start;
    }
}

/* `turns` times `count` runs one after the other on each side. */
static void row_measure(const char *name, unsigned turns, unsigned count)
{
    static double by_gpud[TURNS + ROWS * ROW], by_hand[TURNS + ROWS * ROW];
    for (unsigned i = 0; i < turns; i++) {
        runs_time(through_run, by_gpud + i * count, count);
        runs_time(direct_run, by_hand + i * count, count);
    }
    native_check(memcmp(direct.numbers[0], numbers_there[0], BYTES) == 0,
                 "the same result on both ways");
    native_row(name, "direct oneDNN in C", by_gpud, by_hand, turns * count);
}

static void measure(struct native *n)
{
    through = n;
    through_prepare();
    direct_prepare();
    for (unsigned i = 0; i < WARM_UP; i++) {
        direct_run();
        through_run();
    }
    row_measure("gemm_native_1024", ROWS, ROW);
    row_measure("gemm_native_1024_alone", TURNS, 1);
}

int main(int argc, char **argv)
{
    return native_main(argc, argv, MEMORY, measure);
}
