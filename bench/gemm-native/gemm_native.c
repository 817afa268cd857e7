/*
 * gemm_native.c: how long a product of two f32 matrices takes through gpud's built-in operation and
 * through oneDNN called directly, by turns in the same run. Prints one JSON object; value and
 * baseline are the medians over all turns.
 *
 *     gemm-native [GPUD]     GPUD: the program, build/host/gpud by default
 */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/gpucmd/tensor.h"
#include "tests/vhost-front/front.h"

#define SIDE    1024u
#define BYTES   (SIDE * SIDE * sizeof(float))
#define TURNS   41u
#define WARM_UP 3u
#define WAIT_MS 60000
#define CONTEXT 1u

static struct {
    struct front *front;
    struct vgpgpu_fence_slot *slot;
    uint64_t fence;
    struct front_batch batch;
    float *numbers[3]; /* c, a, b */
} through;

static struct {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    dnnl_exec_arg_t args[3];
    float *numbers[3];
} direct;

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "gemm-native: %s failed\n", what);
    exit(1);
}

static void numbers_fill(float *numbers)
{
    for (unsigned i = 0; i < SIDE * SIDE; i++)
        numbers[i] = (float)(i % 13) - 6;
}

static void through_prepare(const char *socket)
{
    struct vgpgpu_tensor tensors[3];
    const struct vgpgpu_gemm gemm = {.alpha = 1};
    through.front = front_open(socket, 64u << 20);
    uint64_t page = front_pages(through.front, 1);
    through.slot = front_at(through.front, page);
    check(!front_context_create(through.front, CONTEXT, page), "gpud: a context");
    check(through.front->config.operations[VGPGPU_GEMM], "gpud: a built-in gemm");
    for (uint32_t i = 0; i < 3; i++) {
        struct vgpgpu_segment segment = {front_pages(through.front, BYTES / VGPGPU_PAGE), BYTES};
        check(!front_buffer_guest(through.front, CONTEXT, i + 1, BYTES, &segment, 1),
              "gpud: a buffer");
        through.numbers[i] = front_at(through.front, segment.address);
        numbers_fill(through.numbers[i]);
        tensors[i] = tensor_matrix(i + 1, VGPGPU_F32, 0, SIDE, SIDE, SIDE);
    }
    batch_operation(&through.batch, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
}

static void through_run(void)
{
    front_submit(through.front, CONTEXT, 0, ++through.fence, through.batch.commands,
                 through.batch.bytes);
    check(!front_wait(through.front, through.slot, through.fence, 0, WAIT_MS), "gpud: a wait");
    check(!through.slot->status, "gpud: a gemm");
}

static void direct_prepare(void)
{
    static const int args[3] = {DNNL_ARG_DST, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS};
    const dnnl_dims_t sides = {SIDE, SIDE};
    dnnl_memory_desc_t layout;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_desc_t chosen;
    dnnl_engine_t cpu;
    check(!dnnl_engine_create(&cpu, dnnl_cpu, 0) &&
              !dnnl_stream_create(&direct.stream, cpu, dnnl_stream_in_order) &&
              !dnnl_memory_desc_init_by_tag(&layout, 2, sides, dnnl_f32, dnnl_ab) &&
              !dnnl_matmul_desc_init(&matmul, &layout, &layout, NULL, &layout) &&
              !dnnl_primitive_desc_create(&chosen, &matmul, NULL, cpu, NULL) &&
              !dnnl_primitive_create(&direct.primitive, chosen),
          "oneDNN: a matrix product");
    for (unsigned i = 0; i < 3; i++) {
        direct.numbers[i] = aligned_alloc(VGPGPU_PAGE, BYTES);
        check(direct.numbers[i], "memory");
        numbers_fill(direct.numbers[i]);
        direct.args[i].arg = args[i];
        check(!dnnl_memory_create(&direct.args[i].memory, &layout, cpu, direct.numbers[i]),
              "oneDNN: memory");
    }
}

static void direct_run(void)
{
    check(!dnnl_primitive_execute(direct.primitive, direct.stream, 3, direct.args) &&
              !dnnl_stream_wait(direct.stream),
          "oneDNN: a run");
}

static double run_time(void (*run)(void))
{
    double start = now_us();
    run();
    return now_us() - start;
}

/* A pause lets the other side's threads, which look for more work for a while, go to sleep. */
static double turn_time(void (*run)(void))
{
    usleep(20000);
    return run_time(run);
}

static void measure(void)
{
    static double by_gpud[TURNS], by_hand[TURNS];
    for (unsigned i = 0; i < WARM_UP; i++) {
        direct_run();
        through_run();
    }
    for (unsigned i = 0; i < TURNS; i++) {
        by_gpud[i] = turn_time(through_run);
        by_hand[i] = turn_time(direct_run);
    }
    check(memcmp(direct.numbers[0], through.numbers[0], BYTES) == 0,
          "the same result on both ways");
    qsort(by_gpud, TURNS, sizeof(double), compare);
    qsort(by_hand, TURNS, sizeof(double), compare);
    printf("{\"row\": \"gemm_native_1024\", \"value\": %.1f, \"unit\": \"us\", "
           "\"baseline_name\": \"direct oneDNN in C\", \"baseline\": %.1f, \"runs\": %u}\n",
           by_gpud[TURNS / 2], by_hand[TURNS / 2], TURNS);
}

int main(int argc, char **argv)
{
    const char *gpud_path = argc > 1 ? argv[1] : "build/host/gpud";
    char folder[] = "/tmp/gemm-native-XXXXXX", socket[64];
    if (argc > 2 || access(gpud_path, X_OK) != 0) {
        fprintf(stderr, "gemm-native: no gpud at %s: run `make build/host/gpud` first\n",
                gpud_path);
        return 2;
    }
    check(mkdtemp(folder), "a folder in /tmp");
    snprintf(socket, sizeof(socket), "%s/gpu", folder);
    pid_t gpud = gpud_start(gpud_path, socket, NULL);
    through_prepare(socket);
    direct_prepare();
    measure();
    front_close(through.front);
    int status = gpud_stop(gpud);
    rmdir(folder);
    return status ? 1 : 0;
}
