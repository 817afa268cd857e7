/*
 * figures.c: what gpud on CUDA takes, through the native front end, beside CUDA called directly in the same run, by
 * turns: medians, in microseconds. And whether both compute the same.
 *
 *     cuda_figures [GPUD]
 *
 * FIGURES_SMALL in the environment makes all small, for the stand-in. Ends with 77 where there is no driver.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench/native/native.h"
#include "direct.h"
#include "host/gpud/device.h"
#include "lib/gpucmd/tensor.h"

#define SPIN_US 5000u
#define TURNS   9u
#define MOST    200u

/* gpud's buffers: 1 to 3 in guest memory, 11 to 13 in the device's. */
#define GUEST(which) (1u + (which))
#define OWN(which)   (11u + (which))

static struct native *through;
static struct front_batch batch;
static void *guest[DIRECT_BUFFERS];
static uint64_t other_page; /* fences of a second context */
static size_t bytes;        /* of each buffer */
static bool small;

/* What is measured, on both sides; `argument` is the row's. */
struct figure {
    const char *name;
    void (*prepare)(unsigned argument); /* fills the batch */
    void (*direct)(unsigned argument);
    unsigned argument, small_argument, times;
};

static void gpud_run(void)
{
    native_run(through, &batch, SPIN_US);
}

/* ---- The rows */

static void launches_prepare(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        batch_launch(&batch, 1, 1, 1);
}

static void nothing_prepare(unsigned nothing)
{
    (void)nothing;
}

static void callback_direct(unsigned nothing)
{
    (void)nothing;
    direct_callback();
}

static void gemm_prepare(unsigned side, enum vgpgpu_type type, bool own)
{
    const struct vgpgpu_gemm gemm = {.alpha = 1};
    struct vgpgpu_tensor tensors[3];
    for (unsigned i = 0; i < 3; i++)
        tensors[i] = tensor_matrix(own ? OWN(i) : GUEST(i), type, 0, side, side, side);
    batch_operation(&batch, VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
}

static void gemm_f32_prepare(unsigned side)
{
    gemm_prepare(side, VGPGPU_F32, true);
}

static void gemm_f32_direct(unsigned side)
{
    direct_gemm(false, side, true);
}

static void gemm_bf16_prepare(unsigned side)
{
    gemm_prepare(side, VGPGPU_BF16, true);
}

static void gemm_bf16_direct(unsigned side)
{
    direct_gemm(true, side, true);
}

static void gemm_guest_prepare(unsigned side)
{
    gemm_prepare(side, VGPGPU_F32, false);
}

static void gemm_guest_direct(unsigned side)
{
    direct_gemm(false, side, false);
}

static void upload_prepare(unsigned count)
{
    batch_copy(&batch, GUEST(0), 0, OWN(0), 0, count);
}

static void upload_direct(unsigned count)
{
    direct_upload(0, count);
}

static void download_prepare(unsigned count)
{
    batch_copy(&batch, OWN(0), 0, GUEST(0), 0, count);
}

static void download_direct(unsigned count)
{
    direct_download(0, count);
}

static void copy_prepare(unsigned count)
{
    batch_copy(&batch, OWN(0), 0, OWN(1), 0, count);
}

static void copy_direct(unsigned count)
{
    direct_copy(count);
}

static void guest_copy_prepare(unsigned count)
{
    batch_copy(&batch, GUEST(0), 0, GUEST(1), 0, count);
}

static void guest_copy_direct(unsigned count)
{
    memcpy(direct_memory(1), direct_memory(0), count);
}

static void fill_prepare(unsigned count)
{
    static const uint32_t word = 0x01020304;
    batch_fill(&batch, OWN(0), 0, count, &word, sizeof(word));
}

static void wide_fill_prepare(unsigned count)
{
    static const uint32_t words[4] = {1, 2, 3, 4};
    batch_fill(&batch, OWN(0), 0, count, words, sizeof(words));
}

static void fill_direct(unsigned count)
{
    direct_fill(count);
}

static void rows_prepare(unsigned count)
{
    const struct vgpgpu_cmd_copy_2d rows = {.source = OWN(0), .target = OWN(1), .source_pitch = 2048,
                                            .target_pitch = 1024, .width = 1024, .rows = count / 2048};
    batch_copy_2d(&batch, &rows);
}

#define MIB (1u << 20)
static const struct figure figures[] = {
    {"nothing, and the wait (direct: a callback)", nothing_prepare, callback_direct, 0, 0, 100},
    {"an empty launch and the wait", launches_prepare, direct_launches, 1, 1, 100},
    {"64 empty launches and the wait", launches_prepare, direct_launches, 64, 64, 50},
    {"gemm F32 1024, device memory", gemm_f32_prepare, gemm_f32_direct, 1024, 24, 20},
    {"gemm F32 4096, device memory", gemm_f32_prepare, gemm_f32_direct, 4096, 32, 5},
    {"gemm BF16 4096, device memory", gemm_bf16_prepare, gemm_bf16_direct, 4096, 32, 5},
    {"gemm F32 1024, the machine's memory", gemm_guest_prepare, gemm_guest_direct, 1024, 24, 5},
    {"64 MiB to the device", upload_prepare, upload_direct, 64 * MIB, MIB / 16, 5},
    {"64 MiB from the device", download_prepare, download_direct, 64 * MIB, MIB / 16, 5},
    {"64 MiB within the device", copy_prepare, copy_direct, 64 * MIB, MIB / 16, 20},
    {"64 MiB in rows (direct: in one piece)", rows_prepare, copy_direct, 64 * MIB, MIB / 16, 5},
    {"64 MiB within the machine (direct: memcpy)", guest_copy_prepare, guest_copy_direct, 64 * MIB, MIB / 16, 5},
    {"64 MiB filled with 4 bytes", fill_prepare, fill_direct, 64 * MIB, MIB / 16, 20},
    {"64 MiB filled with 16 bytes (direct: 4)", wide_fill_prepare, fill_direct, 64 * MIB, MIB / 16, 20},
};

/* ---- Measuring */

static void row_print(const char *name, double by_gpud, double by_hand)
{
    printf("%-44s %12.1f %12.1f %7.2f\n", name, by_gpud, by_hand, by_gpud / by_hand);
    fflush(stdout);
}

static bool is_possible(const struct figure *figure)
{
    unsigned types = through->front->config.operations[VGPGPU_GEMM];
    if (strncmp(figure->name, "gemm", 4) != 0)
        return true;
    return types >> (strstr(figure->name, "BF16") ? VGPGPU_BF16 : VGPGPU_F32) & 1;
}

static void figure_measure(const struct figure *figure)
{
    static double by_gpud[TURNS * MOST], by_hand[TURNS * MOST];
    unsigned argument = small ? figure->small_argument : figure->argument, count = 0;
    batch.bytes = 0;
    figure->prepare(argument);
    gpud_run();
    figure->direct(argument);
    for (unsigned turn = 0; turn < (small ? 1 : TURNS); turn++)
        for (unsigned i = 0; i < figure->times; i++, count++) {
            double start = native_now_us();
            gpud_run();
            double middle = native_now_us();
            figure->direct(argument);
            by_gpud[count] = middle - start;
            by_hand[count] = native_now_us() - middle;
        }
    row_print(figure->name, native_median(by_gpud, count), native_median(by_hand, count));
}

/* Beside the one that is there. */
static void contexts_measure(void)
{
    double by_gpud[5];
    for (unsigned i = 0; i < 5; i++) {
        double start = native_now_us();
        native_check(!front_context_create(through->front, 2, other_page), "gpud: a second context");
        native_check(!front_context_destroy(through->front, 2), "gpud: the end of a context");
        by_gpud[i] = native_now_us() - start;
    }
    printf("%-44s %12.1f\n", "a second context, made and destroyed", native_median(by_gpud, 5));
}

/* ---- Whether both compute the same */

static void numbers_fill(float *numbers, unsigned count, float even, float odd)
{
    for (unsigned i = 0; i < count; i++)
        numbers[i] = i % 2 ? odd : even;
}

static void results_compare(unsigned side)
{
    unsigned count = side * side;
    for (unsigned i = 0; i < DIRECT_BUFFERS; i++) {
        for (unsigned at = 0; at < count; at++)
            ((float *)guest[i])[at] = (float)((at * 7 + i) % 13) - 6;
        memcpy(direct_memory(i), guest[i], count * sizeof(float));
        direct_upload(i, count * sizeof(float));
    }
    batch.bytes = 0;
    for (unsigned i = 0; i < DIRECT_BUFFERS; i++)
        batch_copy(&batch, GUEST(i), 0, OWN(i), 0, count * sizeof(float));
    gemm_f32_prepare(side);
    batch_copy(&batch, OWN(0), 0, GUEST(0), 0, count * sizeof(float));
    gpud_run();
    direct_gemm(false, side, true);
    direct_download(0, count * sizeof(float));
    native_check(memcmp(guest[0], direct_memory(0), count * sizeof(float)) == 0, "the same product on both ways");
}

/* 1 + 1/4096 is 1 in TF32. */
static void precision_check(unsigned side)
{
    const float fine = 1 + 1.0f / 4096;
    numbers_fill(guest[1], side * side, fine, fine);
    numbers_fill(guest[2], side * side, 1, 1);
    batch.bytes = 0;
    gemm_guest_prepare(side);
    gpud_run();
    float error = ((float *)guest[0])[side + 1] / ((float)side * fine) - 1;
    native_check(error < 1e-6f && error > -1e-6f, "a product of F32 that is not rounded to TF32");
}

static void buffers_make(void)
{
    for (unsigned i = 0; i < DIRECT_BUFFERS; i++) {
        guest[i] = native_buffer(through, GUEST(i), bytes);
        native_check(!front_buffer_device(through->front, NATIVE_CONTEXT, OWN(i), bytes), "gpud: device memory");
        memset(guest[i], 1, bytes);
    }
    direct_buffers(bytes);
    for (unsigned i = 0; i < DIRECT_BUFFERS; i++)
        memset(direct_memory(i), 1, bytes);
    other_page = front_pages(through->front, 1);
}

static void measure(struct native *n)
{
    through = n;
    buffers_make();
    native_kernel(n, 1, "empty", "kernel void empty(void) {}");
    const struct vgpgpu_config *config = &n->front->config;
    printf("%.*s, %.*s %.*s\n%-44s %12s %12s %7s\n", (int)sizeof(config->device_name), config->device_name,
           (int)sizeof(config->backend), config->backend, (int)sizeof(config->backend_version),
           config->backend_version, "microseconds (medians)", "gpud", "CUDA", "ratio");
    if (config->operations[VGPGPU_GEMM]) {
        results_compare(small ? 24 : 512);
        precision_check(small ? 24 : 512);
    }
    contexts_measure();
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        if (is_possible(&figures[i]))
            figure_measure(&figures[i]);
}

int main(int argc, char **argv)
{
    char why[DEVICE_WHY_BYTES];
    small = getenv("FIGURES_SMALL") != NULL;
    bytes = small ? MIB / 8 : 64 * MIB;
    setenv("GPUD_DEVICE", "cuda:0", 1);
    if (!direct_open(why)) {
        printf("%s\n", why);
        return 77;
    }
    int status = native_main(argc, argv, 8 * bytes + 64 * MIB, measure);
    direct_close();
    return status;
}
