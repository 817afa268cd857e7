/*
 * main.c: readahead_decision: the time stamp counter's ticks for a decision of each policy of the class readahead,
 * over accesses of the readers that bench_readahead has, each a stream of its own. In a machine with --icount and
 * tsc_khz=1000000 a tick is an instruction. Prints a line of JSON with means and with the dearest.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mlrt/mlrt.h"
#include "modules/linux/fs/ahead_plain.h"
#include "modules/mlaas/mem_readahead/pattern.h"
#include "user/bench-readahead/patterns.h"

#define PAGE      4096u
#define FILE_SIZE (512ull << 20)
#define PAGES     (FILE_SIZE / PAGE)
#define ROUNDS    4000u
#define READERS   4u

__asm__(".section .rodata\n"
        ".balign 64\n"
        "model_bytes: .incbin \"modules/mlaas/mem_readahead/mem_readahead.mlm\"\n"
        "model_end:\n"
        ".previous");
extern const uint8_t model_bytes[], model_end[];

static struct mlrt_model model;
static uint64_t workspace[64] __attribute__((aligned(32)));
static uint8_t there[PAGES]; /* pages in memory: none ever leaves */

static void model_ask(const int32_t *features, int32_t *votes)
{
    mlrt_run_integer(&model, features, 1, votes, workspace);
}

static void learned_access(const struct readahead_stream *s, const struct readahead_access *now,
                           const struct readahead_memory *memory, uint64_t *data, struct readahead_answer *answer)
{
    pattern_access((struct pattern *)data, s, now, memory, model_ask, answer);
}

static void take(const struct readahead_answer *a)
{
    for (uint32_t i = 0; i < a->ranges_used; i++)
        for (uint32_t j = 0; j < a->ranges[i].repeat; j++)
            memset(&there[a->ranges[i].first + (uint64_t)j * a->ranges[i].stride], 1, a->ranges[i].count);
}

struct stream {
    struct reader reader;
    struct readahead_stream seen;
    uint64_t data[READAHEAD_DATA], at;
    uint64_t left; /* bytes of the record */
};

/* The next read of a stream. */
static struct readahead_access next(struct stream *s)
{
    struct readahead_access now;

    if (s->left == 0) {
        s->at = reader_next(&s->reader);
        s->left = s->reader.record;
    }
    now = (struct readahead_access){.first = s->at / PAGE, .count = (uint32_t)(s->reader.read / PAGE)};
    s->at += s->reader.read;
    s->left -= s->reader.read;
    while (now.there < now.count && there[now.first + now.there])
        now.there++;
    return now;
}

static void measure(const char *name, const struct readahead_ops *ops)
{
    static const char *const kinds[READERS] = {"sequential", "strided:16K:256K", "random:4K", "shuffled:64K:16K"};
    static const struct readahead_memory memory = {.cache_most = PAGES / 4, .cache_now = PAGES / 4};
    static struct stream streams[READERS];
    uint64_t sum = 0, most = 0;

    memset(there, 0, sizeof(there));
    memset(streams, 0, sizeof(streams));
    for (unsigned i = 0; i < READERS; i++) {
        reader_parse(kinds[i], FILE_SIZE, i + 1, &streams[i].reader);
        streams[i].seen.file_pages = PAGES;
    }
    for (unsigned n = 0; n < ROUNDS * READERS; n++) {
        struct stream *s = &streams[n % READERS];
        struct readahead_access now = next(s);
        struct readahead_answer answer = {0};
        uint64_t start = __builtin_ia32_rdtsc(), cost;

        ops->access(&s->seen, &now, &memory, s->data, &answer);
        cost = __builtin_ia32_rdtsc() - start;
        sum += cost;
        most = MAX(most, cost);
        take(&answer);
        memset(&there[now.first], 1, now.count);
        s->seen.history[s->seen.accesses++ % READAHEAD_HISTORY] = now;
    }
    printf("\"readahead_decision_%s\": %llu, \"readahead_decision_%s_most\": %llu, ", name,
           (unsigned long long)(sum / (ROUNDS * READERS)), name, (unsigned long long)most);
}

int main(void)
{
    static const struct readahead_ops learned = {.struct_size = sizeof(learned), .access = learned_access};

    if (mlrt_open(&model, model_bytes, (size_t)(model_end - model_bytes), MLRT_SCALAR) != MLRT_OK ||
        mlrt_workspace_bytes(&model, 1) > sizeof(workspace))
        return 1;
    printf("{");
    measure("fixed", &ahead_fixed);
    measure("ondemand", &ahead_ondemand);
    measure("mem_readahead", &learned);
    printf("\"rounds\": %u}\n", ROUNDS);
    return 0;
}
