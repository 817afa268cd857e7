/*
 * gpu_evict.c: the module of policy "gpu_evict" of class "gpu_memory": it expects each buffer's next use and
 * gives up who is expected last. evict/ has the algorithm, tools/train/gpu_evict.py trains its model, which
 * `mlctl model replace` can change. The option gpu_memory=gpu_evict makes it the machine's policy.
 */
#include <microlake/policy_module.h>

#include "evict/evict.h"
#include "modules/mlaas/models/include/models.h"
#include "uapi/kmod.h"

__asm__(".section .rodata.model\n"
        ".balign 64\n"
        "evict_model_bytes: .incbin \"modules/mlaas/gpu_evict/gpu_evict.mlm\"\n"
        "evict_model_end:\n"
        ".previous");
extern const uint8_t evict_model_bytes[], evict_model_end[];

static struct models_want want = {
    .name = "gpu_evict",
    .inputs = EVICT_INPUTS,
    .outputs = EVICT_GUESSES,
    .numbers = MODELS_INTEGER,
    .kinds = 1u << MLRT_FOREST,
    .bytes_max = 32768,
    .workspace_bytes = 1024,
    .path = MLRT_SCALAR,
};
static struct models_slot slot;
static struct evict evict; /* the class asks one question at a time */

static enum evict_guess model_ask(const int32_t *inputs)
{
    int32_t outputs[EVICT_GUESSES];

    models_run_integer(&slot, inputs, outputs);
    return (enum evict_guess)mlrt_largest_integer(outputs, EVICT_GUESSES);
}

static void touch(struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    evict_touch(&evict, b, t);
}

static void moved(struct gpu_memory_buffer *b, bool here, bool copied)
{
    evict_moved(&evict, b, here, copied);
}

static void freed(struct gpu_memory_buffer *b)
{
    evict_freed(&evict, b);
}

static uint32_t victim(const struct gpu_memory_question *q)
{
    return evict_victim(&evict, q);
}

static uint32_t prefetch(const struct gpu_memory_question *q)
{
    return evict_prefetch(&evict, q);
}

static const struct gpu_memory_ops ops = {
    .struct_size = sizeof(ops),
    .touch = touch,
    .freed = freed,
    .moved = moved,
    .victim = victim,
    .prefetch = prefetch,
};

static struct policy policy = {.name = "gpu_evict", .ops = &ops};

static int gpu_evict_init(void)
{
    int r;

    want.embedded = evict_model_bytes;
    want.embedded_bytes = (size_t)(evict_model_end - evict_model_bytes);
    evict_init(&evict, model_ask);
    r = models_open(&slot, &want);
    if (r != OK)
        return r;
    r = policy_offer(GPU_MEMORY_CLASS, &policy, false);
    if (r != OK)
        models_close(&slot);
    return r;
}

static void gpu_evict_exit(void)
{
    policy_unregister(GPU_MEMORY_CLASS, &policy);
    models_close(&slot);
}

KMOD_MANIFEST(.name = "gpu_evict", .version = "1.0.0", .needs = "models,mlrt", .init = gpu_evict_init,
              .exit = gpu_evict_exit);
