/*
 * gpu_evict_test.c: gpu_evict on made-up traces: better than LRU where there is an order, hardly ever worse
 * where there is none or where it turns against what was learned, answers that the kernel takes whatever its
 * words are; and the replay itself, against what can be counted by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/gpu-replay/replay.h"
#include "modules/mlaas/gpu_evict/evict/evict.h"

static struct evict evict;
static uint64_t seed;

static uint32_t random_below(uint32_t limit)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % limit;
}

/* ---- Traces ------------------------------------------------------------------------------------ */

struct writer {
    char *text;
    size_t size;
    FILE *out;
};

static void write_begin(struct writer *w)
{
    w->out = open_memstream(&w->text, &w->size);
    assert_non_null(w->out);
}

static struct trace write_end(struct writer *w)
{
    struct trace trace;
    FILE *in;

    fclose(w->out);
    in = fmemopen(w->text, w->size, "r");
    assert_non_null(in);
    assert_true(trace_read(&trace, in, "test"));
    fclose(in);
    free(w->text);
    return trace;
}

static struct trace read_text(const char *text)
{
    struct writer w;

    write_begin(&w);
    fputs(text, w.out);
    return write_end(&w);
}

/* `rounds` times the same buffers of 64 KiB in turn. */
static struct trace circle(unsigned buffers, unsigned rounds, char how)
{
    struct writer w;

    write_begin(&w);
    for (unsigned i = 0; i < buffers; i++)
        fprintf(w.out, "n %u 1 65536\nt %u o\nb\n", i, i);
    for (unsigned n = 0; n < rounds * buffers; n++)
        fprintf(w.out, "t %u %c\nb\n", n % buffers, how);
    return write_end(&w);
}

/* What no order is in; buffers come and go where `changing`. */
static struct trace chance(unsigned buffers, unsigned touches, bool changing)
{
    uint32_t made = 0, names[64];
    struct writer w;

    write_begin(&w);
    for (unsigned i = 0; i < buffers; i++) {
        names[i] = made;
        fprintf(w.out, "n %u %u %u\n", made++, i % 3, (random_below(16) + 1) * 8192);
    }
    for (unsigned n = 0; n < touches; n++) {
        unsigned i = random_below(buffers), j = random_below(buffers);

        if (changing && random_below(8) == 0) {
            fprintf(w.out, "f %u\nn %u %u %u\n", names[i], made, i % 3, (random_below(16) + 1) * 8192);
            names[i] = made++;
        }
        fprintf(w.out, "t %u %c\n", names[i], "rwo"[random_below(3)]);
        if (j != i)
            fprintf(w.out, "t %u r\n", names[j]);
        fprintf(w.out, "b\n");
    }
    return write_end(&w);
}

/* ---- The policy -------------------------------------------------------------------------------- */

static bool corrupt; /* now and then the words are another policy's */

static void touch(void *context, struct gpu_memory_buffer *b, const struct gpu_memory_touch *t)
{
    if (corrupt && random_below(4) == 0)
        for (unsigned i = 0; i < GPU_MEMORY_WORDS; i++)
            b->data[i] = (uint64_t)random_below(UINT32_MAX) << random_below(33);
    evict_touch(context, b, t);
}

static void moved(void *context, struct gpu_memory_buffer *b, bool here, bool copied)
{
    evict_moved(context, b, here, copied);
}

static void freed(void *context, struct gpu_memory_buffer *b)
{
    evict_freed(context, b);
}

static uint32_t victim(void *context, const struct gpu_memory_question *q)
{
    return evict_victim(context, q);
}

static uint32_t prefetch(void *context, const struct gpu_memory_question *q)
{
    return evict_prefetch(context, q);
}

static enum evict_guess model_any(const int32_t *inputs)
{
    return (enum evict_guess)((uint32_t)inputs[0] * 7 % EVICT_GUESSES);
}

static const struct replay_policy policy = {.name = "gpu_evict", .context = &evict, .touch = touch, .moved = moved,
                                            .freed = freed, .victim = victim, .prefetch = prefetch};

struct outcome {
    uint64_t lru, own, belady, bound;
};

static uint64_t moved_by(const struct trace *trace, uint64_t quota, const struct replay_policy *who)
{
    struct replay_result result;

    assert_true(replay_run(trace, quota, who, &result));
    assert_false(result.nonsense);
    return result.moved_in + result.moved_out;
}

static uint64_t belady(const struct trace *trace, uint64_t quota)
{
    uint64_t best = UINT64_MAX;

    for (int form = 0; form < OFFLINE_FORMS; form++) {
        struct replay_policy who = replay_offline;
        struct offline o;
        uint64_t bytes;

        assert_true(offline_open(&o, trace, (enum offline_form)form));
        who.context = &o;
        bytes = moved_by(trace, quota, &who);
        offline_close(&o);
        best = bytes < best ? bytes : best;
    }
    return best;
}

static struct outcome judge(struct trace trace, unsigned percent, evict_model_fn *model)
{
    uint64_t quota = trace.working_set * percent / 100;
    struct outcome o;

    evict_init(&evict, model);
    o.lru = moved_by(&trace, quota, &replay_lru);
    o.own = moved_by(&trace, quota, &policy);
    o.belady = belady(&trace, quota);
    o.bound = offline_bound(&trace, quota);
    assert_true(o.bound <= o.belady);
    trace_free(&trace);
    return o;
}

/* ---- Cases ------------------------------------------------------------------------------------- */

static void replay_counts_as_by_hand(void **state)
{
    /* Three buffers of 100, room for two: 1 and 2 are written, 3 comes for 1, 1 for 2, and so on. */
    static const char text[] = "n 1 1 100\nn 2 1 100\nt 1 w\nb\nt 2 r\nb\nn 3 1 100\nt 3 o\nb\nt 1 r\nb\nt 2 r\nb\n"
                               "f 1\nt 2 r\nn 4 1 50\nt 3 r\nb\n";
    struct trace trace = read_text(text);
    struct replay_result result;

    (void)state;
    assert_int_equal(trace.working_set, 300);
    assert_int_equal(trace.largest, 200);
    assert_true(replay_run(&trace, 200, &replay_lru, &result));
    assert_int_equal(result.moved_out, 200); /* 1 and, when 2 comes back, 3 */
    assert_int_equal(result.moved_in, 200);  /* 1, later 3; 2 is new and zero both times */
    assert_int_equal(result.hits, 1);
    assert_true(belady(&trace, 200) <= 400);
    trace_free(&trace);
}

static void bad_traces_are_refused(void **state)
{
    static const char *const texts[] = {
        "t 1 r\nb\n", "n 1 1 0\n", "n 1 1 5\nn 1 1 5\n", "n 1 1 5\nt 1 x\n", "n 1 1 5\nt 1 r\nt 1 r\nb\n",
        "n 1 1 5\nt 1 r\nf 1\nb\n", "f 3\n", "n 99999999 1 5\n", "what\n",
        "c\n", "n 1 1 5\nt 1 r\nc 1\nb\n", "n 1 1 5\nf 1\nt 1 r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *in = fmemopen((void *)texts[i], strlen(texts[i]), "r");
        struct trace trace;

        assert_false(trace_read(&trace, in, "bad"));
        trace_free(&trace);
        fclose(in);
    }
}

/* LRU has nobody of a circle when they are wanted; Belady's rule has all that fit, less one. */
static void belady_is_right_in_a_circle(void **state)
{
    struct outcome o = judge(circle(10, 50, 'r'), 60, NULL);

    (void)state;
    assert_int_equal(o.lru, (500 + 10) * 65536); /* in, and each out once, for it had been written */
    assert_in_range(o.belady - 10 * 65536, 500 * 65536 * 40 / 100, 500 * 65536 * 45 / 100);
}

static void order_is_learned(void **state)
{
    (void)state;
    for (unsigned percent = 50; percent <= 80; percent += 10) {
        struct outcome read = judge(circle(40, 60, 'r'), percent, NULL);
        struct outcome written = judge(circle(37, 60, 'w'), percent, NULL);

        assert_true(read.own * 100 <= read.belady * 115);
        assert_true(written.own * 100 <= written.belady * 115);
    }
}

static void chance_costs_little(void **state)
{
    (void)state;
    for (seed = 1; seed <= 6;) {
        uint64_t before = seed;
        struct outcome o = judge(chance(40, 4000, before % 2), 50 + 10 * (unsigned)(before % 4), NULL);

        assert_true(o.own * 100 <= o.lru * 105);
        seed = before + 1;
    }
}

/* The order is turned round as soon as it has been learned; and a model that believes anything. */
static void enemies_cost_little(void **state)
{
    struct writer w;
    struct outcome o;

    (void)state;
    seed = 5;
    write_begin(&w);
    for (unsigned i = 0; i < 50; i++)
        fprintf(w.out, "n %u 1 65536\nt %u o\nb\n", i, i);
    for (unsigned round = 0; round < 200; round++)
        for (unsigned i = 0; i < 50; i++)
            fprintf(w.out, "t %u w\nb\n", round / 2 % 2 ? 49 - i : i);
    o = judge(write_end(&w), 60, NULL);
    assert_true(o.own * 100 <= o.lru * 105);
    for (unsigned i = 0; i < 4; i++) {
        seed = i + 20;
        o = judge(chance(50, 5000, i % 2), 60, model_any);
        assert_true(o.own * 100 <= o.lru * 105);
    }
}

static void corrupt_words_are_survived(void **state)
{
    (void)state;
    corrupt = true;
    for (unsigned i = 0; i < 8; i++) {
        seed = i + 1;
        judge(chance(60, 3000, i % 2), 60, i % 3 ? NULL : model_any);
    }
    corrupt = false;
}

/* Whoever is in the list and unknown to the policy, or known with any words. */
static void answers_are_in_the_list(void **state)
{
    static struct gpu_memory_buffer buffers[GPU_MEMORY_CANDIDATES];
    struct gpu_memory_buffer *list[GPU_MEMORY_CANDIDATES];

    (void)state;
    for (unsigned n = 0; n < 3000; n++) {
        struct gpu_memory_question q = {.list = list, .count = random_below(GPU_MEMORY_CANDIDATES) + 1,
                                        .touches = random_below(100000), .optional = n % 2};
        uint32_t answer;

        for (unsigned i = 0; i < q.count; i++) {
            list[i] = &buffers[i];
            buffers[i].known = random_below(2);
            buffers[i].dirty = random_below(2);
            buffers[i].last = random_below(100000);
            buffers[i].bytes = random_below(1u << 30);
            for (unsigned k = 0; k < GPU_MEMORY_WORDS; k++)
                buffers[i].data[k] = (uint64_t)random_below(UINT32_MAX) << random_below(33);
        }
        if (n == 1000)
            evict_init(&evict, NULL);
        answer = evict_victim(&evict, &q);
        assert_true(answer < q.count || (q.optional && answer == GPU_MEMORY_NONE));
        answer = evict_prefetch(&evict, &q);
        assert_true(answer < q.count || answer == GPU_MEMORY_NONE);
        evict_moved(&evict, list[0], n % 2, n % 3);
        evict_freed(&evict, list[0]);
    }
}

/* Buffers that are made anew each round take over what is known of those before. */
static void new_buffers_inherit(void **state)
{
    struct outcome o;
    struct writer w;
    unsigned made = 20;

    (void)state;
    write_begin(&w);
    for (unsigned i = 0; i < 20; i++)
        fprintf(w.out, "n %u 1 65536\nt %u o\nb\n", i, i);
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 20; i++, made++) {
            fprintf(w.out, "n %u 1 32768\nt %u r\nt %u o\nb\n", made, i, made);
            if (i > 0)
                fprintf(w.out, "t %u r\nb\nf %u\n", made - 1, made - 1);
        }
        fprintf(w.out, "f %u\n", made - 1);
    }
    o = judge(write_end(&w), 60, NULL);
    assert_true(o.own * 100 <= o.belady * 120);
    assert_true(o.own * 4 < o.lru * 3);
}

/* Two programs that take turns by chance: their orders are told apart, and their speeds are made comparable. */
static void programs_are_told_apart(void **state)
{
    unsigned at[2] = {0, 0};
    struct outcome o;
    struct writer w;

    (void)state;
    seed = 9;
    write_begin(&w);
    for (unsigned i = 0; i < 60; i++)
        fprintf(w.out, "n %u %u 65536\nt %u o\nb\n", i, i < 20 ? 1 : 2, i);
    for (unsigned n = 0; n < 4000; n++) {
        unsigned who = random_below(4) == 0;

        fprintf(w.out, "t %u r\nb\n", who ? 20 + at[1]++ % 40 : at[0]++ % 20);
    }
    o = judge(write_end(&w), 60, NULL);
    assert_true(o.own * 100 <= o.belady * 115);
}

/* Requests that end early, or have one of two middles: what comes then is expected from the new place. */
static void request(FILE *out, unsigned sort)
{
    unsigned last = sort ? 40 : 10 + random_below(30);

    fprintf(out, "c %u\n", last);
    for (unsigned i = 0; i < last; i++)
        fprintf(out, "t %u r\nb\n", i);
}

static struct trace requests(unsigned count)
{
    struct writer w;

    write_begin(&w);
    for (unsigned i = 0; i < 40; i++)
        fprintf(w.out, "n %u 1 65536\nt %u o\nb\n", i, i);
    for (unsigned n = 0; n < count; n++)
        request(w.out, random_below(2));
    return write_end(&w);
}

static void early_ends_are_followed(void **state)
{
    (void)state;
    for (unsigned percent = 50; percent <= 80; percent += 10) {
        struct outcome o;

        seed = percent;
        o = judge(requests(150), percent, NULL);
        assert_true(o.own * 100 <= o.belady * 130);
        assert_true(o.own * 3 < o.lru * 2);
    }
}

/* Six networks, of which one is mostly asked again: of those that are asked seldom LRU has buffers that were touched
 * longer ago than the history reaches. */
static struct trace networks(unsigned requests_count, unsigned again)
{
    unsigned asked = 0;
    struct writer w;

    write_begin(&w);
    for (unsigned i = 0; i < 6 * 40; i++)
        fprintf(w.out, "n %u 1 %u\nt %u o\nb\n", i, i % 40 < 38 ? 65536 : 8192, i);
    for (unsigned n = 0; n < requests_count; n++) {
        asked = random_below(100) < again ? asked : random_below(6);
        for (unsigned i = 0; i < 38 * 16; i++) {
            fprintf(w.out, "t %u w\nt %u o\n", asked * 40 + 38 + i % 2, asked * 40 + 39 - i % 2);
            fprintf(w.out, i % 16 ? "b\n" : "t %u r\nb\n", asked * 40 + i / 16);
        }
    }
    return write_end(&w);
}

static void long_ago_costs_little(void **state)
{
    uint64_t before;

    (void)state;
    for (before = 1; before <= 8; before++) {
        struct outcome o;

        seed = before;
        o = judge(networks(100, 60), 50 + 5 * (unsigned)before, NULL);
        assert_true(o.own * 100 <= o.lru * 105);
    }
}

/* Who knows the chances is better than LRU, and no better than who knows how they fall, and than what can be. */
static void informed_is_between(void **state)
{
    struct replay_result informed;
    struct trace trace;
    uint64_t quota, bound;

    (void)state;
    for (seed = 1; seed < 5; seed++) {
        uint64_t before = seed;

        trace = requests(200);
        quota = trace.working_set * 60 / 100;
        assert_true(informed_run(&trace, quota, &informed, &bound));
        assert_true(informed.touches > 0 && bound > 0);
        assert_true(informed.moved_in + informed.moved_out < moved_by(&trace, quota, &replay_lru));
        assert_true(informed.moved_in + informed.moved_out >= belady(&trace, quota));
        assert_true(bound < informed.moved_in + informed.moved_out);
        trace_free(&trace);
        seed = before;
    }
}

/* Two buffers of which every request takes one: whichever is missing is wanted every other time. */
static void informed_bound_is_as_by_hand(void **state)
{
    struct replay_result informed;
    struct trace trace;
    struct writer w;
    uint64_t bound;

    (void)state;
    seed = 3;
    write_begin(&w);
    fprintf(w.out, "n 0 1 100\nt 0 o\nb\nn 1 1 100\nt 1 o\nb\n");
    for (unsigned n = 0; n < 1000; n++) {
        unsigned which = random_below(2);

        fprintf(w.out, "c %u\nt %u r\nb\n", which, which);
    }
    trace = write_end(&w);
    assert_true(informed_run(&trace, 100, &informed, &bound));
    assert_in_range(bound, 1000 * 100 * 45 / 100 - 100, 1000 * 100 / 2 - 100); /* the rarer one is missing */
    assert_in_range(informed.moved_in, 1000 * 100 * 40 / 100, 1000 * 100 * 60 / 100);
    trace_free(&trace);
    trace = circle(5, 5, 'r');
    assert_true(informed_run(&trace, 300000, &informed, &bound)); /* nothing is left to chance there */
    assert_int_equal(informed.touches, 0);
    trace_free(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_counts_as_by_hand), cmocka_unit_test(bad_traces_are_refused),
        cmocka_unit_test(belady_is_right_in_a_circle), cmocka_unit_test(order_is_learned),
        cmocka_unit_test(chance_costs_little),      cmocka_unit_test(enemies_cost_little),
        cmocka_unit_test(corrupt_words_are_survived), cmocka_unit_test(answers_are_in_the_list),
        cmocka_unit_test(new_buffers_inherit),      cmocka_unit_test(programs_are_told_apart),
        cmocka_unit_test(early_ends_are_followed),
        cmocka_unit_test(long_ago_costs_little),  cmocka_unit_test(informed_is_between),
        cmocka_unit_test(informed_bound_is_as_by_hand),
    };

    return cmocka_run_group_tests_name("gpu_evict", tests, NULL, NULL);
}
