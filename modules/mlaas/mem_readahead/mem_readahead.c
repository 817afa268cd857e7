/*
 * mem_readahead.c: the learned policy of the class "readahead". pattern.c has what it does for each kind of
 * accesses; a forest says which kind a stream's are. tools/train/mem_readahead.py makes it.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/policy.h>

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

static void kind_find(struct pattern *p, const struct readahead_stream *stream,
                      const struct readahead_memory *memory)
{
    int32_t features[PATTERN_FEATURES], votes[PATTERN_KINDS];
    unsigned best = 0;

    pattern_features(p, stream, memory, features);
    models_run_integer(&slot, features, votes);
    for (unsigned i = 1; i < PATTERN_KINDS; i++)
        if (votes[i] > votes[best])
            best = i;
    p->kind = (uint8_t)best;
    p->known = true;
}

static void stream_access(const struct readahead_stream *stream, const struct readahead_access *now,
                          const struct readahead_memory *memory, uint64_t data[READAHEAD_DATA],
                          uint64_t file[READAHEAD_FILE_DATA], struct readahead_answer *answer)
{
    struct pattern *p = (struct pattern *)data;

    (void)file;
    if (stream->mapped) {
        pattern_mapped(p, stream, now, answer);
        return;
    }
    if (pattern_take(p, stream, now))
        kind_find(p, stream, memory);
    pattern_answer(p, stream, now, memory, answer);
}

static const struct readahead_ops ops = {.struct_size = sizeof(ops), .access = stream_access};
static struct policy policy = {.name = "mem_readahead", .ops = &ops, .extends = "ondemand"};

static int mem_readahead_init(void)
{
    const char *choice = boot_option("readahead", 0);
    int r;

    want.embedded_bytes = (size_t)(readahead_model_end - readahead_model);
    r = models_open(&slot, &want);
    if (r != OK)
        return r;
    r = policy_register(READAHEAD_CLASS, &policy);
    if (r == OK && choice && strcmp(choice, policy.name) == 0)
        r = policy_set(READAHEAD_CLASS, policy.name);
    if (r != OK) {
        policy_unregister(READAHEAD_CLASS, &policy);
        models_close(&slot);
    }
    return r;
}

static void mem_readahead_exit(void)
{
    policy_unregister(READAHEAD_CLASS, &policy);
    models_close(&slot);
}

KMOD_MANIFEST(.name = "mem_readahead", .version = "0.1.0", .needs = "linux,models", .init = mem_readahead_init,
              .exit = mem_readahead_exit);
