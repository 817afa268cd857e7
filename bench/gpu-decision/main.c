/*
 * main.c: gpu_decision: the time stamp counter's ticks for a touch and for a choice of gpu_evict. In a machine
 * with --icount and tsc_khz=1000000 a tick is an instruction. Prints a line of JSON with the means.
 */
#include <stdio.h>

#include "lib/mlrt/mlrt.h"
#include "modules/mlaas/gpu_evict/evict/evict.h"

#define BUFFERS GPU_MEMORY_CANDIDATES
#define ROUNDS  30u

__asm__(".section .rodata\n"
        ".balign 64\n"
        "model_bytes: .incbin \"modules/mlaas/gpu_evict/gpu_evict.mlm\"\n"
        "model_end:\n"
        ".previous");
extern const uint8_t model_bytes[], model_end[];

static struct mlrt_model model;
static struct evict evict;
static uint64_t workspace[2048] __attribute__((aligned(32)));

static enum evict_guess model_ask(const int32_t *inputs)
{
    int32_t outputs[EVICT_GUESSES];

    mlrt_run_integer(&model, inputs, 1, outputs, workspace);
    return (enum evict_guess)mlrt_largest_integer(outputs, EVICT_GUESSES);
}

int main(void)
{
    static struct gpu_memory_buffer buffers[BUFFERS];
    struct gpu_memory_buffer *list[BUFFERS];
    struct gpu_memory_question q = {.list = list, .count = BUFFERS};
    uint64_t number = 0, touches = 0, choices = 0, start;
    unsigned sum = 0;

    if (mlrt_open(&model, model_bytes, (size_t)(model_end - model_bytes), MLRT_SCALAR) != MLRT_OK ||
        mlrt_workspace_bytes(&model, 1) > sizeof(workspace))
        return 1;
    evict_init(&evict, model_ask);
    for (unsigned i = 0; i < BUFFERS; i++) {
        buffers[i] = (struct gpu_memory_buffer){.id = i + 1, .program = 1, .bytes = 65536, .known = true, .resident = true};
        list[i] = &buffers[i];
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < BUFFERS; i++) {
            struct gpu_memory_touch t = {
                .number = ++number, .batch = number, .reads = true, .writes = i % 3 == 0, .quota = BUFFERS * 40000};

            start = __builtin_ia32_rdtsc();
            evict_touch(&evict, &buffers[i], &t);
            touches += __builtin_ia32_rdtsc() - start;
            buffers[i].touches++;
            buffers[i].last = number;
        }
        q.touches = number;
        start = __builtin_ia32_rdtsc();
        sum += evict_victim(&evict, &q);
        choices += __builtin_ia32_rdtsc() - start;
    }
    printf("{\"evict_touch\": %llu, \"evict_victim\": %llu, \"answers\": %u}\n",
           (unsigned long long)(touches / (ROUNDS * BUFFERS)), (unsigned long long)(choices / ROUNDS), sum);
    return 0;
}
