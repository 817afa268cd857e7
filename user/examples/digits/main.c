/*
 * main.c: digits, the example of a program that uses the GPU.
 *
 * Reads the held-out digits on the device and on the CPU, in turn, --rounds times, and says how
 * many were right, how long an image took, and how far the two are apart.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu.h"
#include "gpu.h"
#include "message.h"
#include "midway.h"
#include "model.h"
#include "options.h"
#include "show.h"

#define LEAST_ACCURACY     0.97
#define LARGEST_DIFFERENCE 1e-4 /* of a probability, between device and CPU */

struct timing {
    uint64_t ns;
    uint64_t images;
};

struct work {
    struct options options;
    struct digits_model model;
    struct digits_set set;
    struct gpu gpu;
    float *reference;       /* the CPU's probabilities, [set.count][DIGITS_CLASSES] */
    uint64_t first_pass_ns; /* the device's first pass, not part of its timing */
    struct timing gpu_time;
    struct timing cpu_time;
    double difference; /* the largest one, or a NaN */
};

static int work_midway(void *argument)
{
    const struct work *work = argument;
    return midway_run(work->options.midway);
}

static void timing_add(struct timing *timing, uint64_t ns, uint64_t images)
{
    timing->ns += ns;
    timing->images += images;
}

/*
 * After the first one, pass 0, 2, ... is the device's, 1, 3, ... the CPU's. The pass that begins
 * when half of the work is done runs the midway command; its time does not count when there are
 * others.
 */
static int work_pass(struct work *work, uint32_t pass)
{
    bool midway = work->options.midway != NULL && pass == work->options.rounds;
    bool on_gpu = pass % 2 == 0;
    uint64_t ns = 0;
    int result = on_gpu ? gpu_pass(&work->gpu, midway ? work_midway : NULL, work, &ns)
                        : cpu_pass(&work->model, &work->set, work->options.cpu_threads,
                                   midway ? work_midway : NULL, work, work->reference, &ns);
    if (result == 0 && (!midway || work->options.rounds == 1)) {
        timing_add(on_gpu ? &work->gpu_time : &work->cpu_time, ns, work->set.count);
    }
    return result;
}

/* Takes the newest two passes into work->difference. A NaN stays. */
static void work_compare(struct work *work)
{
    const float *probabilities = work->gpu.probabilities.memory;
    for (size_t i = 0; i < (size_t)work->set.count * DIGITS_CLASSES; i++) {
        double difference = fabs((double)probabilities[i] - (double)work->reference[i]);
        if (!(difference <= work->difference)) {
            work->difference = difference;
        }
        if (isnan(work->difference)) {
            return;
        }
    }
}

static int work_run(struct work *work)
{
    uint32_t passes = 2 * work->options.rounds;
    /* Back ends compile kernels for their sizes when these first run: that is timed apart. */
    if (gpu_pass(&work->gpu, NULL, NULL, &work->first_pass_ns) != 0) {
        return -1;
    }
    if (!work->options.quiet) {
        show_digits(&work->set, work->gpu.answers.memory);
    }
    for (uint32_t pass = 0; pass < passes; pass++) {
        if (!work->options.quiet) {
            show_progress(pass + 1, passes);
        }
        if (work_pass(work, pass) != 0) {
            return -1;
        }
        if (pass % 2 == 1 && !isnan(work->difference)) {
            work_compare(work);
        }
    }
    if (!work->options.quiet) {
        show_progress_end();
    }
    return 0;
}

static double timing_us(const struct timing *timing)
{
    return (double)timing->ns / 1000 / (double)timing->images;
}

/* Prints the outcome; 0 when it is good enough. */
static int work_report(const struct work *work)
{
    const uint32_t *answers = work->gpu.answers.memory;
    uint32_t count = work->set.count;
    uint32_t right = 0;
    for (uint32_t i = 0; i < count; i++) {
        right += answers[i] == work->set.labels[i];
    }
    double accuracy = (double)right / count;
    printf("accuracy: %u of %u held-out digits read right (%.2f %%)\n", right, count,
           100 * accuracy);
    printf("gpu: %.2f us per image, %u at once; the first pass took %.1f ms\n",
           timing_us(&work->gpu_time), work->gpu.batch, (double)work->first_pass_ns / 1e6);
    printf("cpu: %.2f us per image, %u thread%s\n", timing_us(&work->cpu_time),
           work->options.cpu_threads, work->options.cpu_threads == 1 ? "" : "s");
    printf("largest difference between gpu and cpu: %.2g (limit %.0e)\n", work->difference,
           LARGEST_DIFFERENCE);
    if (!(accuracy >= LEAST_ACCURACY)) {
        return message_error("fewer than %.0f %% were read right: is %s the net for these digits?",
                             100 * LEAST_ACCURACY, work->options.model);
    }
    if (!(work->difference <= LARGEST_DIFFERENCE)) {
        return message_error(
            "gpu and cpu disagree: do not trust this device, try another back end");
    }
    return 0;
}

static int work_do(struct work *work)
{
    if (model_load(&work->model, work->options.model) != 0 ||
        set_load(&work->set, work->options.data) != 0) {
        return -1;
    }
    uint32_t count = work->set.count;
    uint32_t batch = work->options.batch < count ? work->options.batch : count;
    work->reference = calloc(count, DIGITS_CLASSES * sizeof(float));
    if (work->reference == NULL) {
        return message_error("no memory for the results: give the machine more");
    }
    if (gpu_open(&work->gpu, work->options.device) != 0 ||
        gpu_load(&work->gpu, &work->model, &work->set, batch) != 0 || work_run(work) != 0) {
        return -1;
    }
    return work_report(work);
}

int main(int argc, char **argv)
{
    static struct work work;
    switch (options_parse(&work.options, argc, argv)) {
    case OPTIONS_HELP:
        return 0;
    case OPTIONS_WRONG:
        return 2;
    default:
        break;
    }
    int result = work_do(&work);
    gpu_close(&work.gpu);
    model_free(&work.model);
    set_free(&work.set);
    free(work.reference);
    return result == 0 ? 0 : 1;
}
