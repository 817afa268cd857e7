/*
 * kernels_test.c: the kernels of digits against its CPU code, on the build machine's OpenCL: each
 * layer alone on random values against a plain sum, then the whole net on the held-out digits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "opencl.h"
#include "user/examples/digits/cpu.h"
#include "user/examples/digits/kernels.h"

#define SEED      20u
#define TOLERANCE 1e-4
#define ARG(x)                                                                                     \
    {                                                                                              \
        sizeof(x), &(x)                                                                            \
    }

/* The OpenCL implementation keeps what it allocated until the process ends. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static struct opencl opencl;

static int setup(void **state)
{
    (void)state;
    srandom(SEED);
    opencl_open(&opencl, digits_kernels, strlen(digits_kernels));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    opencl_close(&opencl);
    return 0;
}

static float *random_floats(size_t count)
{
    float *values = malloc(count * sizeof(float));
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)(random() % 2001 - 1000) / 1000;
    }
    return values;
}

/* Pixel (x, y) of a plane, 0 outside. */
static double pixel_at(const float *plane, int y, int x)
{
    return y < 0 || y > 7 || x < 0 || x > 7 ? 0 : (double)plane[y * 8 + x];
}

static double conv_expected(const float *in, const float *weight, double bias, uint32_t channels,
                            int y, int x)
{
    double sum = bias;
    for (uint32_t c = 0; c < channels; c++) {
        for (int tap = 0; tap < 9; tap++) {
            sum += pixel_at(in + c * 64, y + tap / 3 - 1, x + tap % 3 - 1) *
                   (double)weight[c * 9 + (uint32_t)tap];
        }
    }
    return sum > 0 ? sum : 0;
}

static void test_convolution(void **state)
{
    (void)state;
    const uint32_t in_channels = 5, out_channels = 7, images = 3;
    float *in = random_floats(images * in_channels * 64);
    float *weight = random_floats(out_channels * in_channels * 9);
    float *bias = random_floats(out_channels);
    float *out = calloc(images * out_channels * 64, sizeof(float));
    cl_mem in_mem = opencl_buffer(&opencl, images * in_channels * 64 * sizeof(float), in);
    cl_mem weight_mem = opencl_buffer(&opencl, out_channels * in_channels * 9 * 4, weight);
    cl_mem bias_mem = opencl_buffer(&opencl, out_channels * sizeof(float), bias);
    cl_mem out_mem = opencl_buffer(&opencl, images * out_channels * 64 * sizeof(float), NULL);
    const size_t global[] = {64, out_channels, images};
    const struct opencl_arg args[] = {ARG(in_mem), ARG(weight_mem), ARG(bias_mem), ARG(in_channels),
                                      ARG(out_mem)};
    opencl_launch(&opencl, "conv3x3_relu", 3, global, args, 5);
    opencl_read(&opencl, out_mem, images * out_channels * 64 * sizeof(float), out);
    for (uint32_t i = 0; i < images * out_channels * 64; i++) {
        uint32_t image = i / 64 / out_channels, channel = i / 64 % out_channels;
        double expected =
            conv_expected(in + image * in_channels * 64, weight + channel * in_channels * 9,
                          (double)bias[channel], in_channels, (int)(i % 64 / 8), (int)(i % 8));
        assert_true(fabs(expected - (double)out[i]) < TOLERANCE);
    }
    clReleaseMemObject(in_mem);
    clReleaseMemObject(weight_mem);
    clReleaseMemObject(bias_mem);
    clReleaseMemObject(out_mem);
    free(in);
    free(weight);
    free(bias);
    free(out);
}

static void test_pool(void **state)
{
    (void)state;
    const uint32_t planes = 6;
    float *in = random_floats(planes * 64);
    float out[6 * 16];
    cl_mem in_mem = opencl_buffer(&opencl, planes * 64 * sizeof(float), in);
    cl_mem out_mem = opencl_buffer(&opencl, sizeof(out), NULL);
    const size_t global[] = {16, 3, 2};
    const struct opencl_arg args[] = {ARG(in_mem), ARG(out_mem)};
    opencl_launch(&opencl, "max_pool", 3, global, args, 2);
    opencl_read(&opencl, out_mem, sizeof(out), out);
    for (uint32_t i = 0; i < planes * 16; i++) {
        const float *block = in + i / 16 * 64 + i % 16 / 4 * 16 + i % 4 * 2;
        float expected = fmaxf(fmaxf(block[0], block[1]), fmaxf(block[8], block[9]));
        assert_true(out[i] == expected);
    }
    clReleaseMemObject(in_mem);
    clReleaseMemObject(out_mem);
    free(in);
}

/* The device's buffers of the whole net. */
struct net {
    cl_mem tensors[DIGITS_TENSOR_COUNT];
    cl_mem images, pixels, conv1, conv2, features, scores, probabilities, answers;
};

static void net_create(struct net *net, const struct digits_model *model,
                       const struct digits_set *set, uint32_t batch)
{
    for (uint32_t i = 0; i < DIGITS_TENSOR_COUNT; i++) {
        net->tensors[i] = opencl_buffer(&opencl, model->bytes[i], model->tensors[i]);
    }
    net->images = opencl_buffer(&opencl, set->count * DIGITS_PIXELS, set->images);
    net->pixels = opencl_buffer(&opencl, batch * DIGITS_PIXELS * 4, NULL);
    net->conv1 = opencl_buffer(&opencl, batch * DIGITS_CHANNELS1 * DIGITS_PIXELS * 4, NULL);
    net->conv2 = opencl_buffer(&opencl, batch * DIGITS_CHANNELS2 * DIGITS_PIXELS * 4, NULL);
    net->features = opencl_buffer(&opencl, batch * DIGITS_FEATURES * 4, NULL);
    net->scores = opencl_buffer(&opencl, batch * DIGITS_CLASSES * 4, NULL);
    net->probabilities = opencl_buffer(&opencl, set->count * DIGITS_CLASSES * 4, NULL);
    net->answers = opencl_buffer(&opencl, set->count * 4, NULL);
}

static void net_free(struct net *net)
{
    for (uint32_t i = 0; i < DIGITS_TENSOR_COUNT; i++) {
        clReleaseMemObject(net->tensors[i]);
    }
    clReleaseMemObject(net->images);
    clReleaseMemObject(net->pixels);
    clReleaseMemObject(net->conv1);
    clReleaseMemObject(net->conv2);
    clReleaseMemObject(net->features);
    clReleaseMemObject(net->scores);
    clReleaseMemObject(net->probabilities);
    clReleaseMemObject(net->answers);
}

static void net_conv(struct net *net, cl_mem in, uint32_t in_channels, enum digits_tensor weight,
                     cl_mem out, uint32_t out_channels, uint32_t images)
{
    const size_t global[] = {DIGITS_PIXELS, out_channels, images};
    const struct opencl_arg args[] = {ARG(in), ARG(net->tensors[weight]),
                                      ARG(net->tensors[weight + 1]), ARG(in_channels), ARG(out)};
    opencl_launch(&opencl, "conv3x3_relu", 3, global, args, 5);
}

static void net_batch(struct net *net, uint32_t first, uint32_t images)
{
    const uint32_t features = DIGITS_FEATURES, classes = DIGITS_CLASSES;
    const size_t pixels = images * DIGITS_PIXELS, one[] = {images};
    const size_t pool[] = {DIGITS_POOLED, DIGITS_CHANNELS2, images};
    const size_t dense[] = {DIGITS_CLASSES, images};
    const struct opencl_arg scale_args[] = {ARG(net->images), ARG(first), ARG(net->pixels)};
    const struct opencl_arg pool_args[] = {ARG(net->conv2), ARG(net->features)};
    const struct opencl_arg dense_args[] = {
        ARG(net->features), ARG(net->tensors[DIGITS_DENSE_WEIGHT]),
        ARG(net->tensors[DIGITS_DENSE_BIAS]), ARG(features), ARG(net->scores)};
    const struct opencl_arg softmax_args[] = {ARG(net->scores), ARG(classes), ARG(first),
                                              ARG(net->probabilities), ARG(net->answers)};
    opencl_launch(&opencl, "scale_pixels", 1, &pixels, scale_args, 3);
    net_conv(net, net->pixels, 1, DIGITS_CONV1_WEIGHT, net->conv1, DIGITS_CHANNELS1, images);
    net_conv(net, net->conv1, DIGITS_CHANNELS1, DIGITS_CONV2_WEIGHT, net->conv2, DIGITS_CHANNELS2,
             images);
    opencl_launch(&opencl, "max_pool", 3, pool, pool_args, 2);
    opencl_launch(&opencl, "dense", 2, dense, dense_args, 5);
    opencl_launch(&opencl, "softmax_argmax", 1, one, softmax_args, 5);
}

static void outcome_compare(struct net *net, const struct digits_model *model,
                            const struct digits_set *set)
{
    float *probabilities = calloc(set->count, DIGITS_CLASSES * sizeof(float));
    uint32_t *answers = calloc(set->count, sizeof(*answers));
    uint32_t right = 0;
    opencl_read(&opencl, net->probabilities, set->count * DIGITS_CLASSES * 4, probabilities);
    opencl_read(&opencl, net->answers, set->count * 4, answers);
    for (uint32_t i = 0; i < set->count; i++) {
        float expected[DIGITS_CLASSES];
        cpu_infer(model, set->images + i * DIGITS_PIXELS, expected);
        for (uint32_t j = 0; j < DIGITS_CLASSES; j++) {
            float difference = fabsf(expected[j] - probabilities[i * DIGITS_CLASSES + j]);
            assert_true((double)difference < TOLERANCE);
        }
        right += answers[i] == set->labels[i];
    }
    assert_in_range(right, 354, set->count);
    free(probabilities);
    free(answers);
}

static void test_net(void **state)
{
    (void)state;
    const uint32_t batch = 100; /* the last batch is a smaller one */
    struct digits_model model;
    struct digits_set set;
    struct net net;
    assert_int_equal(model_load(&model, "user/examples/digits/weights.mtf"), 0);
    assert_int_equal(set_load(&set, "user/examples/digits/heldout.mtf"), 0);
    net_create(&net, &model, &set, batch);
    for (uint32_t first = 0; first < set.count; first += batch) {
        net_batch(&net, first, set.count - first < batch ? set.count - first : batch);
    }
    outcome_compare(&net, &model, &set);
    net_free(&net);
    model_free(&model);
    set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_net),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
