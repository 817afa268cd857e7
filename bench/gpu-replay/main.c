/*
 * main.c: gpu-replay: how many bytes policies move that decide which GPU buffers stay, on a recorded trace.
 *
 *     gpu-replay [--model FILE.mlm] [--quota SHARE] TRACE...   a line of JSON each
 *     gpu-replay --samples [--quota SHARE] TRACE...            what a model is trained on, as CSV
 *     gpu-replay --decisions [--model ...] TRACE...            each answer of gpu_evict, a line each: to see that two
 *                                                              builds of it decide the same
 *
 * SHARE is the quota by the working set, 0.6 unless it is given; at least what the largest batch names.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/mlrt/mlrt.h"
#include "modules/mlaas/gpu_evict/evict/evict.h"
#include "replay.h"

#define MODEL_BYTES_MAX 65536u
#define WORKSPACE_MAX   16384u

static struct mlrt_model model;
static uint64_t model_file[MODEL_BYTES_MAX / 8];
static uint64_t workspace[WORKSPACE_MAX / 8] __attribute__((aligned(32)));
static struct evict evict;
static bool with_model, answers_shown;

/* ---- gpu_evict --------------------------------------------------------------------------------- */

static enum evict_guess model_ask(const int32_t *inputs)
{
    int32_t outputs[EVICT_GUESSES];

    mlrt_run_integer(&model, inputs, 1, outputs, workspace);
    return (enum evict_guess)mlrt_largest_integer(outputs, EVICT_GUESSES);
}

static bool model_load(const char *path)
{
    FILE *in = fopen(path, "rb");
    size_t size = in ? fread(model_file, 1, sizeof(model_file), in) : 0;
    int r = in ? mlrt_open(&model, model_file, size, MLRT_SCALAR) : MLRT_TRUNCATED;

    if (in)
        fclose(in);
    if (r == MLRT_OK && model.header->inputs == EVICT_INPUTS && model.header->outputs == EVICT_GUESSES &&
        mlrt_workspace_bytes(&model, 1) <= WORKSPACE_MAX)
        return true;
    fprintf(stderr, "%s: %s\n", path, r == MLRT_OK ? "not a model of this shape" : mlrt_error_text(r));
    return false;
}

static void touch_evict(void *context, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    evict_touch(context, b, t);
}

static void moved_evict(void *context, struct gpu_memory_buffer *b, bool here, bool copied)
{
    evict_moved(context, b, here, copied);
}

static void freed_evict(void *context, struct gpu_memory_buffer *b)
{
    evict_freed(context, b);
}

static uint32_t answer_show(const char *what, const struct gpu_memory_question *q, uint32_t answer)
{
    if (answers_shown)
        printf("%s %llu of %u\n", what, answer < q->count ? (unsigned long long)q->list[answer]->id : 0, q->count);
    return answer;
}

static uint32_t victim_evict(void *context, const struct gpu_memory_question *q)
{
    return answer_show("leaves", q, evict_victim(context, q));
}

static uint32_t prefetch_evict(void *context, const struct gpu_memory_question *q)
{
    return answer_show("comes", q, evict_prefetch(context, q));
}

static struct replay_policy replay_evict = {
    .name = "gpu_evict", .context = &evict, .touch = touch_evict, .moved = moved_evict, .freed = freed_evict,
    .victim = victim_evict, .prefetch = prefetch_evict};

static bool own_run(const struct trace *trace, uint64_t quota, struct replay_result *own)
{
    evict_init(&evict, with_model ? model_ask : NULL);
    return replay_run(trace, quota, &replay_evict, own);
}

/* ---- Samples ----------------------------------------------------------------------------------- */

/* The trace's own future: how many touches of its program until the same buffer's next one. 0: never. */
static uint32_t *gaps_find(const struct trace *trace)
{
    uint32_t *gaps = calloc(trace->count + 1, sizeof(*gaps)), *counts = calloc(65536, sizeof(*counts));
    uint32_t *last = calloc(trace->buffers + 1, sizeof(*last)), *when = calloc(trace->buffers + 1, sizeof(*when));
    uint32_t *program = calloc(trace->buffers + 1, sizeof(*program)), n = 0;

    for (size_t i = 0; gaps && counts && last && when && program && i < trace->count; i++) {
        const struct trace_event *e = &trace->events[i];
        uint32_t *count = &counts[program[e->buffer] & 65535];

        if (e->kind == TRACE_NEW)
            program[e->buffer] = e->program;
        if (e->kind != TRACE_TOUCH)
            continue;
        ++*count;
        if (last[e->buffer])
            gaps[last[e->buffer]] = *count - when[e->buffer];
        last[e->buffer] = ++n;
        when[e->buffer] = *count;
    }
    free(counts);
    free(last);
    free(when);
    free(program);
    return gaps;
}

struct sampler {
    const uint32_t *gaps;
    uint64_t until; /* later touches have too little of the future behind them */
};

static void touch_sample(void *context, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    const struct sampler *s = context;

    evict_touch(&evict, b, t);
    if (t->number > s->until)
        return;
    for (unsigned i = 0; i < EVICT_INPUTS; i++)
        printf("%d,", evict.sample.inputs[i]);
    for (unsigned i = 0; i <= EVICT_MEAN; i++)
        printf("%u,", evict.sample.guesses[i]);
    printf("%u\n", s->gaps[t->number]);
}

static bool samples_print(const struct trace *trace, uint64_t quota)
{
    uint32_t *gaps = gaps_find(trace);
    uint64_t touches = 0;
    struct sampler s = {.gaps = gaps};
    struct replay_policy policy = replay_lru;
    struct replay_result result;
    bool good;

    for (size_t i = 0; i < trace->count; i++)
        touches += trace->events[i].kind == TRACE_TOUCH;
    s.until = touches * 3 / 4;
    policy.context = &s;
    policy.touch = touch_sample;
    evict_init(&evict, NULL);
    good = gaps && replay_run(trace, quota, &policy, &result);
    free(gaps);
    return good;
}

/* ---- Figures ----------------------------------------------------------------------------------- */

static void result_print(const char *name, const struct replay_result *r)
{
    printf(", \"%s\": %llu, \"%s_in\": %llu, \"%s_hits\": %.4f", name,
           (unsigned long long)(r->moved_in + r->moved_out), name, (unsigned long long)r->moved_in, name,
           r->touches ? (double)r->hits / (double)r->touches : 1);
}

static bool belady_run(const struct trace *trace, uint64_t quota, struct replay_result *best)
{
    for (int form = 0; form < OFFLINE_FORMS; form++) {
        struct replay_policy policy = replay_offline;
        struct replay_result result;
        struct offline o;
        bool good = offline_open(&o, trace, (enum offline_form)form);

        policy.context = &o;
        good = good && replay_run(trace, quota, &policy, &result);
        offline_close(&o);
        if (!good)
            return false;
        if (form == 0 || result.moved_in + result.moved_out < best->moved_in + best->moved_out)
            *best = result;
    }
    return true;
}

static bool figures_print(const char *name, const struct trace *trace, uint64_t quota)
{
    struct replay_result lru, own, belady, informed;
    uint64_t online;

    if (!replay_run(trace, quota, &replay_lru, &lru) || !own_run(trace, quota, &own) ||
        !belady_run(trace, quota, &belady) || !informed_run(trace, quota, &informed, &online))
        return false;
    printf("{\"trace\": \"%s\", \"working_set\": %llu, \"quota\": %llu, \"touches\": %llu, \"touched\": %llu", name,
           (unsigned long long)trace->working_set, (unsigned long long)quota, (unsigned long long)own.touches,
           (unsigned long long)trace->touched);
    result_print("lru", &lru);
    result_print("gpu_evict", &own);
    result_print("belady", &belady);
    if (informed.touches) {
        result_print("informed", &informed);
        printf(", \"online_bound\": %llu", (unsigned long long)online);
    }
    printf(", \"bound\": %llu, \"prefetches\": %llu}\n", (unsigned long long)offline_bound(trace, quota),
           (unsigned long long)own.prefetches);
    if (own.nonsense)
        fprintf(stderr, "%s: gpu_evict answered nonsense\n", name);
    return !own.nonsense;
}

static bool trace_do(const char *path, double share, bool samples)
{
    FILE *in = fopen(path, "r");
    struct replay_result own;
    struct trace trace;
    uint64_t quota;
    bool good;

    if (!in) {
        perror(path);
        return false;
    }
    good = trace_read(&trace, in, path);
    fclose(in);
    if (!good)
        return false;
    quota = (uint64_t)((double)trace.working_set * share);
    quota = quota < trace.largest ? trace.largest : quota;
    if (samples)
        good = samples_print(&trace, quota);
    else
        good = answers_shown ? own_run(&trace, quota, &own) : figures_print(path, &trace, quota);
    trace_free(&trace);
    return good;
}

int main(int argc, char **argv)
{
    bool samples = false, good = argc > 1;
    double share = 0.6;

    for (int i = 1; i < argc && good; i++) {
        if (!strcmp(argv[i], "--samples")) {
            samples = true;
        } else if (!strcmp(argv[i], "--decisions")) {
            answers_shown = true;
        } else if (!strcmp(argv[i], "--model") && i + 1 < argc) {
            good = with_model = model_load(argv[++i]);
        } else if (!strcmp(argv[i], "--quota") && i + 1 < argc) {
            share = atof(argv[++i]);
            good = share > 0;
        } else {
            good = argv[i][0] != '-' && trace_do(argv[i], share, samples);
        }
    }
    if (argc == 1 || !good)
        fprintf(stderr, "usage: gpu-replay [--samples|--decisions] [--model FILE] [--quota SHARE] TRACE...\n");
    return !good;
}
