/*
 * cpu.c: the reference. Layers work on planes with a border of zeros, so that the convolution needs
 * no look at the edges.
 */
#include "cpu.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "clock.h"
#include "message.h"

#define BORDERED (DIGITS_SIZE + 2)

typedef float plane[BORDERED][BORDERED]; /* an image with its border */

/* Each of one convolution's output planes from all input planes. The border of `out` is zero. */
static void conv3x3_relu(const plane *in, uint32_t in_channels, const float *weight,
                         const float *bias, plane *out, uint32_t out_channels)
{
    for (uint32_t to = 0; to < out_channels; to++) {
        for (uint32_t i = 0; i < DIGITS_PIXELS; i++) {
            uint32_t y = i / DIGITS_SIZE;
            uint32_t x = i % DIGITS_SIZE;
            const float *taps = weight + to * in_channels * 9;
            float sum = bias[to];
            for (uint32_t from = 0; from < in_channels; from++, taps += 9) {
                for (uint32_t tap = 0; tap < 9; tap++) {
                    sum += in[from][y + tap / 3][x + tap % 3] * taps[tap];
                }
            }
            out[to][y + 1][x + 1] = sum > 0 ? sum : 0;
        }
    }
}

static void max_pool(const plane *in, float *out)
{
    for (uint32_t channel = 0; channel < DIGITS_CHANNELS2; channel++) {
        for (uint32_t y = 1; y <= DIGITS_SIZE; y += 2) {
            for (uint32_t x = 1; x <= DIGITS_SIZE; x += 2) {
                float top = fmaxf(in[channel][y][x], in[channel][y][x + 1]);
                float bottom = fmaxf(in[channel][y + 1][x], in[channel][y + 1][x + 1]);
                *out++ = fmaxf(top, bottom);
            }
        }
    }
}

static void dense(const float *in, const float *weight, const float *bias, float *out)
{
    for (uint32_t class = 0; class < DIGITS_CLASSES; class ++) {
        float sum = bias[class];
        for (uint32_t i = 0; i < DIGITS_FEATURES; i++) {
            sum += in[i] * weight[class * DIGITS_FEATURES + i];
        }
        out[class] = sum;
    }
}

static void softmax(float *values)
{
    float largest = values[0];
    float sum = 0;
    for (uint32_t i = 1; i < DIGITS_CLASSES; i++) {
        largest = fmaxf(largest, values[i]);
    }
    for (uint32_t i = 0; i < DIGITS_CLASSES; i++) {
        values[i] = expf(values[i] - largest);
        sum += values[i];
    }
    for (uint32_t i = 0; i < DIGITS_CLASSES; i++) {
        values[i] /= sum;
    }
}

void cpu_infer(const struct digits_model *model, const uint8_t *image, float *probabilities)
{
    plane input[1];
    plane first[DIGITS_CHANNELS1];
    plane second[DIGITS_CHANNELS2];
    float features[DIGITS_FEATURES];
    const float *const *tensors = model->tensors;

    memset(input, 0, sizeof(input));
    memset(first, 0, sizeof(first));
    for (uint32_t i = 0; i < DIGITS_PIXELS; i++) {
        input[0][i / DIGITS_SIZE + 1][i % DIGITS_SIZE + 1] = image[i] * (1.0f / DIGITS_MAX_PIXEL);
    }
    conv3x3_relu(input, 1, tensors[DIGITS_CONV1_WEIGHT], tensors[DIGITS_CONV1_BIAS], first,
                 DIGITS_CHANNELS1);
    conv3x3_relu(first, DIGITS_CHANNELS1, tensors[DIGITS_CONV2_WEIGHT], tensors[DIGITS_CONV2_BIAS],
                 second, DIGITS_CHANNELS2);
    max_pool(second, features);
    dense(features, tensors[DIGITS_DENSE_WEIGHT], tensors[DIGITS_DENSE_BIAS], probabilities);
    softmax(probabilities);
}

/* One thread's share of a pass: written before it starts and read after it ended. */
struct share {
    pthread_t thread;
    const struct digits_model *model;
    const struct digits_set *set;
    float *probabilities;
    uint32_t first;
    uint32_t end;
    uint64_t end_ns; /* when it was done */
};

static void *share_work(void *argument)
{
    struct share *share = argument;
    for (uint32_t i = share->first; i < share->end; i++) {
        cpu_infer(share->model, share->set->images + (size_t)i * DIGITS_PIXELS,
                  share->probabilities + (size_t)i * DIGITS_CLASSES);
    }
    share->end_ns = clock_now_ns();
    return NULL;
}

/* Joins the first `count` threads; the time at which the last one was done. */
static uint64_t shares_join(struct share *shares, uint32_t count)
{
    uint64_t end_ns = 0;
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(shares[i].thread, NULL);
        end_ns = shares[i].end_ns > end_ns ? shares[i].end_ns : end_ns;
    }
    return end_ns;
}

int cpu_pass(const struct digits_model *model, const struct digits_set *set, uint32_t threads,
             int (*meanwhile)(void *argument), void *argument, float *probabilities,
             uint64_t *spent_ns)
{
    struct share shares[CPU_MAX_THREADS];
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < threads; i++) {
        shares[i] = (struct share){
            .model = model,
            .set = set,
            .probabilities = probabilities,
            .first = (uint32_t)((uint64_t)set->count * i / threads),
            .end = (uint32_t)((uint64_t)set->count * (i + 1) / threads),
        };
        int error = pthread_create(&shares[i].thread, NULL, share_work, &shares[i]);
        if (error != 0) {
            shares_join(shares, i);
            return message_error("can't start thread %u: %s; lower --cpu-threads", i + 1,
                                 strerror(error));
        }
    }
    int result = meanwhile != NULL ? meanwhile(argument) : 0;
    *spent_ns = shares_join(shares, threads) - start_ns;
    return result;
}
