/*
 * program.c: an ordinary Linux C program that uses the GPU: it compiles and runs an OpenCL C kernel and a
 * built-in matrix product on the device and checks both against its own processor. tests/vm/libmalv compiles
 * it inside a machine with Debian's gcc: gcc program.c -lmalv.
 */
#include <malv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 10000u
#define SIDE  48u

static struct malv_device *device;

/* Ends the program with a line about a call that failed. */
static void check(int error, const char *what)
{
    if (error != 0) {
        printf("%s: %s\n", what, malv_error_text(error));
        exit(1);
    }
}

static struct malv_buffer floats(unsigned int count)
{
    struct malv_buffer buffer;
    check(malv_buffer_create(device, count * sizeof(float), VGPGPU_BUFFER_GUEST, &buffer), "buffer");
    check(malv_buffer_map(device, &buffer), "map");
    return buffer;
}

static void run(struct malv_batch *batch)
{
    uint64_t fence;
    check(malv_submit(device, 0, batch, &fence), "submit");
    check(malv_wait(device, 0, fence, UINT64_MAX), "wait");
    malv_batch_free(batch);
}

/* y = 3 x + y, on the device and here. */
static unsigned int saxpy_mistakes(void)
{
    static const char source[] = "kernel void saxpy(float a, global const float *x, global float *y)\n"
                                 "{\n"
                                 "    size_t i = get_global_id(0);\n"
                                 "    y[i] = a * x[i] + y[i];\n"
                                 "}\n";
    const uint64_t items = COUNT;
    const float a = 3;
    struct malv_buffer x = floats(COUNT), y = floats(COUNT);
    const struct malv_arg args[] = {malv_arg_value(&a, sizeof(a)), malv_arg_buffer(&x, 0),
                                    malv_arg_buffer(&y, 0)};
    uint32_t program, kernel, arg_count;
    struct malv_batch batch;
    unsigned int mistakes = 0;
    for (unsigned int i = 0; i < COUNT; i++) {
        ((float *)x.memory)[i] = (float)(i % 100);
        ((float *)y.memory)[i] = (float)(i % 7);
    }
    check(malv_program_build(device, VGPGPU_PROGRAM_OPENCL_C, source, strlen(source), NULL, NULL, 0,
                             &program), "build");
    check(malv_kernel_create(device, program, "saxpy", &kernel, &arg_count), "kernel");
    malv_batch_init(&batch);
    check(malv_batch_launch(&batch, kernel, 1, &items, NULL, args, arg_count), "launch");
    run(&batch);
    for (unsigned int i = 0; i < COUNT; i++)
        mistakes += ((float *)y.memory)[i] != 3 * (float)(i % 100) + (float)(i % 7);
    return mistakes;
}

/* c = a b, on the device and here; the numbers are small and whole, so both are exact. */
static unsigned int gemm_mistakes(void)
{
    struct malv_buffer a = floats(SIDE * SIDE), b = floats(SIDE * SIDE), c = floats(SIDE * SIDE);
    const float *x = a.memory, *y = b.memory, *z = c.memory;
    struct vgpgpu_tensor ta = malv_matrix(&a, VGPGPU_F32, 0, SIDE, SIDE, SIDE),
                         tb = malv_matrix(&b, VGPGPU_F32, 0, SIDE, SIDE, SIDE),
                         tc = malv_matrix(&c, VGPGPU_F32, 0, SIDE, SIDE, SIDE);
    struct malv_batch batch;
    unsigned int mistakes = 0;
    for (unsigned int i = 0; i < SIDE * SIDE; i++) {
        ((float *)a.memory)[i] = (float)(i % 11) - 5;
        ((float *)b.memory)[i] = (float)(i % 13) - 6;
    }
    malv_batch_init(&batch);
    check(malv_batch_gemm(&batch, 1, &ta, &tb, 0, &tc), "gemm");
    run(&batch);
    for (unsigned int i = 0; i < SIDE; i++)
        for (unsigned int j = 0; j < SIDE; j++) {
            float sum = 0;
            for (unsigned int k = 0; k < SIDE; k++)
                sum += x[i * SIDE + k] * y[k * SIDE + j];
            mistakes += sum != z[i * SIDE + j];
        }
    return mistakes;
}

/* A long batch in steps, each on a part of a buffer of its own; after each step its part is read, though the batch goes
 * on. */
static unsigned int steps_mistakes(void)
{
    enum { STEPS = 4, PART = 1024 };
    struct malv_buffer all = floats(STEPS * PART), parts[STEPS];
    struct malv_batch batch;
    unsigned int mistakes = 0;
    uint64_t fence;
    malv_batch_init(&batch);
    for (uint32_t i = 0; i < STEPS; i++) {
        const float number = (float)(i + 1);
        check(malv_sub_buffer_create(device, &all, i * PART * sizeof(float), PART * sizeof(float), &parts[i]), "part");
        check(malv_buffer_map(device, &parts[i]), "map");
        for (unsigned int j = 0; j < PART; j++)
            check(malv_batch_fill(&batch, &parts[i], j * sizeof(float), sizeof(float), &number, sizeof(number)), "fill");
        if (i + 1 < STEPS)
            check(malv_batch_signal(&batch, STEPS - 1 - i), "signal");
    }
    check(malv_buffer_destroy(device, &all), "destroy"); /* the parts stay */
    check(malv_submit(device, 1, &batch, &fence), "submit");
    for (unsigned int i = 0; i < STEPS; i++) {
        check(malv_wait(device, 1, fence - (STEPS - 1 - i), UINT64_MAX), "wait");
        for (unsigned int j = 0; j < PART; j++)
            mistakes += ((float *)parts[i].memory)[j] != (float)(i + 1);
    }
    for (unsigned int i = 0; i < STEPS; i++)
        check(malv_buffer_destroy(device, &parts[i]), "destroy");
    malv_batch_free(&batch);
    return mistakes;
}

int main(void)
{
    unsigned int saxpy, gemm, steps;
    check(malv_device_open(NULL, &device), "open");
    saxpy = saxpy_mistakes();
    gemm = gemm_mistakes();
    steps = steps_mistakes();
    printf("saxpy: %u mistakes, gemm: %u mistakes, steps: %u mistakes\n", saxpy, gemm, steps);
    malv_device_close(device);
    return saxpy + gemm + steps != 0;
}
