/*
 * mem_readahead.c: the learned policy of the class "readahead". pattern.c has what it does for each kind of
 * accesses; a forest says which kind a stream's are. tools/train/mem_readahead.py makes it.
 */
#include <microlake/policy_module.h>

#include "modules/mlaas/models/include/models.h"
#include "pattern.h"
#include "uapi/kmod.h"

#define MODEL_BYTES_MAX 65536u
#define WORKSPACE_BYTES 512u

extern const uint8_t readahead_model[], readahead_model_end[]; /* image.S */

static struct models_want want = {.name = "mem_readahead",
                                  .inputs = PATTERN_FEATURES,
                                  .outputs = PATTERN_KINDS,
                                  .numbers = MODELS_INTEGER,
                                  .path = MLRT_SCALAR,
                                  .bytes_max = MODEL_BYTES_MAX,
                                  .workspace_bytes = WORKSPACE_BYTES,
                                  .embedded = readahead_model};
static struct models_slot slot;

static void model_ask(const int32_t *features, int32_t *votes)
{
    models_run_integer(&slot, features, votes);
}

static void stream_access(const struct readahead_stream *stream, const struct readahead_access *now,
                          const struct readahead_memory *memory, uint64_t *data, struct readahead_answer *answer)
{
    pattern_access((struct pattern *)data, stream, now, memory, model_ask, answer);
}

static const struct readahead_ops ops = {
    .struct_size = sizeof(ops), .access = stream_access, .words = sizeof(struct pattern) / sizeof(uint64_t)};
static struct policy policy = {.name = "mem_readahead", .ops = &ops, .extends = "ondemand"};

static int mem_readahead_init(void)
{
    int r;

    want.embedded_bytes = (size_t)(readahead_model_end - readahead_model);
    r = models_open(&slot, &want);
    if (r != OK)
        return r;
    r = policy_offer(READAHEAD_CLASS, &policy, false);
    if (r != OK)
        models_close(&slot);
    return r;
}

static void mem_readahead_exit(void)
{
    policy_unregister(READAHEAD_CLASS, &policy);
    models_close(&slot);
}

KMOD_MANIFEST(.name = "mem_readahead", .version = "0.1.0", .needs = "linux,models", .init = mem_readahead_init,
              .exit = mem_readahead_exit);
