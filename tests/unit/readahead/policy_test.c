/*
 * policy_test.c: answers: what is allowed, what the policies without a model say, and what is said for each
 * kind of accesses.
 */
#include <stdlib.h>
#include <string.h>

#include <microlake/memory.h>

#include "modules/linux/fs/ahead_plain.h"
#include "modules/linux/fs/ahead_pool.h"
#include "modules/linux/fs/ahead_shadow.h"
#include "modules/mlaas/mem_readahead/pattern.h"
#include "rig.h"

#define FILE_PAGES 100000u

/* A stream with a cache that has all that was read or read ahead. */
struct reader {
    struct readahead_stream stream;
    uint64_t data[READAHEAD_DATA];
    struct readahead_answer answer;
    uint8_t there[FILE_PAGES];
    uint64_t missed, ahead;
};

static struct reader reader;
static const struct readahead_memory memory = {.cache_most = FILE_PAGES / 4};

static void start(void)
{
    memset(&reader, 0, sizeof(reader));
    reader.stream.file_pages = FILE_PAGES;
}

static void take_answer(void)
{
    assert_true(ahead_answer_valid(&reader.answer, FILE_PAGES));
    for (uint32_t i = 0; i < reader.answer.ranges_used; i++) {
        const struct readahead_range *r = &reader.answer.ranges[i];

        for (uint32_t j = 0; j < r->repeat * r->count; j++) {
            uint64_t page = r->first + (uint64_t)(j / r->count) * r->stride + j % r->count;

            reader.ahead += !reader.there[page];
            reader.there[page] = 1;
        }
    }
}

static struct readahead_access look(uint64_t first, uint32_t count)
{
    struct readahead_access now = {.first = first, .count = count};

    while (now.there < count && reader.there[first + now.there])
        now.there++;
    reader.missed += count - now.there;
    memset(&reader.there[first], 1, count);
    memset(&reader.answer, 0, sizeof(reader.answer));
    return now;
}

static void plain_read(const struct readahead_ops *ops, uint64_t first, uint32_t count)
{
    struct readahead_access now = look(first, count);

    ops->access(&reader.stream, &now, &memory, reader.data, &reader.answer);
    take_answer();
    reader.stream.history[reader.stream.accesses++ % READAHEAD_HISTORY] = now;
}

static void pattern_read(enum pattern_kind kind, uint64_t first, uint32_t count)
{
    struct pattern *p = (struct pattern *)reader.data;
    struct readahead_access now = look(first, count);
    int32_t features[PATTERN_FEATURES];

    if (pattern_take(p, &reader.stream, &now)) {
        pattern_features(p, &reader.stream, &memory, features);
        for (unsigned i = 0; i < PATTERN_FEATURES; i++)
            assert_in_range(features[i], 0, 255);
        p->kind = (uint8_t)kind;
        p->known = true;
    }
    pattern_answer(p, &reader.stream, &now, &memory, &reader.answer);
    take_answer();
    reader.stream.history[reader.stream.accesses++ % READAHEAD_HISTORY] = now;
}

static void nonsense(void **state)
{
    static const struct readahead_answer bad[] = {
        {.ranges_used = READAHEAD_RANGES + 1},
        {.use = READAHEAD_DROP + 1},
        {.ranges_used = 1, .ranges = {{.first = 1000, .count = 1, .repeat = 1}}},      /* behind the end */
        {.ranges_used = 1, .ranges = {{.first = 990, .count = 11, .repeat = 1}}},      /* over it */
        {.ranges_used = 1, .ranges = {{.first = UINT64_MAX, .count = 2, .repeat = 1}}},
        {.ranges_used = 1, .ranges = {{.first = 0, .count = 0, .repeat = 1}}},
        {.ranges_used = 1, .ranges = {{.first = 0, .count = 1, .repeat = 0}}},
        {.ranges_used = 1, .ranges = {{.first = 0, .count = UINT32_MAX, .repeat = 1}}},
        {.ranges_used = 1, .ranges = {{.first = 0, .count = 4, .repeat = 2, .stride = 3}}}, /* over itself */
        {.ranges_used = 1, .ranges = {{.first = 0, .count = 1, .repeat = 1000, .stride = UINT32_MAX}}},
        {.ranges_used = 2, .ranges = {{.first = 0, .count = 9, .repeat = 1}, {.first = 8, .count = 1, .repeat = 1}}},
        {.ranges_used = 2, .ranges = {{.first = 9, .count = 1, .repeat = 1}, {.first = 0, .count = 1, .repeat = 1}}},
    };
    struct readahead_answer huge = {.ranges_used = 8};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(ahead_answer_valid(&bad[i], 1000));
    for (uint32_t i = 0; i < 8; i++)
        huge.ranges[i] = (struct readahead_range){.first = i * 200, .count = 129, .repeat = 1};
    assert_false(ahead_answer_valid(&huge, 1u << 20));
    huge.ranges_used = 7;
    assert_true(ahead_answer_valid(&huge, 1u << 20));
}

static void ondemand_grows(void **state)
{
    uint32_t largest = 0;

    (void)state;
    start();
    for (uint64_t i = 0; i < 2000; i++) {
        plain_read(&ahead_ondemand, i, 1);
        for (uint32_t r = 0; r < reader.answer.ranges_used; r++)
            largest = MAX(largest, reader.answer.ranges[r].count);
    }
    assert_int_equal(largest, 32);
    assert_int_equal(reader.missed, 1);
}

static void ondemand_leaves_random_alone(void **state)
{
    (void)state;
    start();
    srand(1);
    for (unsigned i = 0; i < 500; i++)
        plain_read(&ahead_ondemand, 1000 + (uint64_t)rand() % 90000, 1);
    assert_true(reader.ahead < 32);
}

static void fixed_reads_ahead_always(void **state)
{
    (void)state;
    start();
    for (uint64_t i = 0; i < 1000; i++)
        plain_read(&ahead_fixed, i, 1);
    assert_int_equal(reader.missed, 1);
    start();
    for (uint64_t i = 0; i < 100; i++)
        plain_read(&ahead_fixed, i * 500, 1);
    assert_int_equal(reader.missed, 100);
    assert_int_equal(reader.ahead, 100 * 31);
}

static void sequential_is_there(void **state)
{
    (void)state;
    start();
    for (uint64_t i = 0; i < 20000; i += 4)
        pattern_read(PATTERN_SEQUENTIAL, i, 4);
    assert_true(reader.missed <= 8);
    assert_true(reader.ahead < 20000 + 300);
    assert_int_equal(reader.answer.use, READAHEAD_DROP); /* the file is larger than the cache */
}

static void strides_are_there(void **state)
{
    (void)state;
    start();
    for (uint64_t i = 0; i + 64 < FILE_PAGES; i += 64)
        pattern_read(PATTERN_STRIDED, i, 4);
    assert_true(reader.missed <= 40);
    assert_true(reader.ahead <= (FILE_PAGES / 64 + 10) * 4);
}

/* Records that are read in parts come whole at the first part, and nothing else does; one part of them stays. */
static void records_come_whole(void **state)
{
    unsigned kept = 0, records = 0;

    (void)state;
    start();
    srand(2);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t at = (uint64_t)rand() % (FILE_PAGES / 16) * 16;

        for (unsigned part = 0; part < 4; part++)
            pattern_read(PATTERN_RECORDS, at + part * 4, 4);
        kept += reader.answer.use == READAHEAD_KEEP;
        records++;
    }
    assert_true(reader.missed <= 3000 * 4 + 100);
    assert_in_range(kept * 100 / records, 18, 24); /* 85 percent of a cache of a quarter of the file */
}

static void turns_go_on(void **state)
{
    uint64_t at[3] = {100, 30000, 70000};

    (void)state;
    start();
    srand(3);
    for (unsigned i = 0; i < 3000; i++) {
        unsigned who = (unsigned)rand() % 3;

        pattern_read(PATTERN_MIXED, at[who], 2);
        at[who] += 2;
    }
    assert_true(reader.missed < 1200);
}

/* Whatever comes, and whatever the forest says it is, no answer is nonsense. */
static void never_nonsense(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 16, 256};
    uint64_t at = 0;

    (void)state;
    srand(4);
    for (unsigned kind = 0; kind < PATTERN_KINDS; kind++) {
        start();
        for (unsigned i = 0; i < 30000; i++) {
            uint32_t count = sizes[(unsigned)rand() % 5];

            switch (rand() % 4) {
            case 0:
                at = (uint64_t)rand();
                break;
            case 1:
                at += (uint64_t)(rand() % 100);
                break;
            case 2:
                at -= (uint64_t)(rand() % 100);
                break;
            default:
                at += count;
            }
            at %= FILE_PAGES - count;
            pattern_read(rand() % 8 ? (enum pattern_kind)kind : (enum pattern_kind)(rand() % PATTERN_KINDS), at, count);
            if (rand() % 50 == 0)
                memset(reader.there, 0, sizeof(reader.there));
        }
    }
}

/* The stream's data may be anything: another thread wrote to it, or the file has shrunk. */
static void garbage_is_survived(void **state)
{
    (void)state;
    srand(5);
    for (unsigned i = 0; i < 20000; i++) {
        struct pattern *p = (struct pattern *)reader.data;
        struct readahead_access now = {.first = (uint64_t)rand() % 1000, .count = 1};
        int32_t features[PATTERN_FEATURES];

        start();
        for (unsigned w = 0; w < READAHEAD_DATA; w++)
            reader.data[w] = ((uint64_t)rand() << 33 ^ (uint64_t)rand() << 3) >> rand() % 64;
        reader.stream.file_pages = 1001;
        pattern_take(p, &reader.stream, &now);
        pattern_features(p, &reader.stream, &memory, features);
        pattern_answer(p, &reader.stream, &now, &memory, &reader.answer);
        pattern_mapped(p, &reader.stream, &now, &reader.answer);
    }
}

/* However many streams there are, they share 64 KiB; who used its piece longest ago loses it, unless it is at
 * work, and gets a new one the next time. */
static void pool_is_bounded(void **state)
{
    struct holder {
        struct spinlock lock;
        struct {
            struct pool_piece piece;
            uint64_t value;
        } *mine;
    };
    static struct holder holders[2000];
    static struct pool pool = {.size = sizeof(*holders[0].mine) + 200};
    unsigned have = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct holder *h = &holders[i];

        if (i > 0 && holders[0].mine)
            pool_use(&pool, &holders[0].mine->piece);
        rig_locked = &holders[1].lock; /* at work for long */
        assert_non_null(pool_take(&pool, &h->lock, (void **)&h->mine));
        assert_int_equal(h->mine->value, 0);
        h->mine->value = i + 1;
    }
    rig_locked = NULL;
    for (unsigned i = 0; i < 2000; i++) {
        have += holders[i].mine != NULL;
        assert_true(!holders[i].mine || holders[i].mine->value == i + 1);
    }
    assert_int_equal(have, 16 * (4096 / pool.size));
    assert_true(holders[0].mine && holders[1].mine && !holders[2].mine && holders[1999].mine);
    assert_int_equal(pool.recycled, 2000 - have);
    for (unsigned i = 0; i < 2000; i++)
        pool_drop(&pool, (void **)&holders[i].mine);
    assert_non_null(pool_take(&pool, &holders[2].lock, (void **)&holders[2].mine));
    assert_int_equal(pool.recycled, 2000 - have);
    pool_drop(&pool, (void **)&holders[2].mine);
    for (unsigned i = 0; i < POOL_CHUNKS; i++)
        kfree(pool.memory[i]);
}

/* A policy that lost what it knew of a stream goes on where that was. */
static void lost_words_are_recalled(void **state)
{
    (void)state;
    start();
    for (uint64_t i = 0; i < 400; i += 4)
        pattern_read(PATTERN_SEQUENTIAL, i, 4);
    memset(reader.data, 0, sizeof(reader.data));
    memset(reader.there, 0, sizeof(reader.there));
    pattern_read(PATTERN_SEQUENTIAL, 400, 4);
    assert_true(reader.answer.ranges_used == 1 && reader.answer.ranges[0].first == 404);
}

static void shadow_is_judged(void **state)
{
    static struct ahead_shadow s;
    const struct readahead_access wanted = {.first = 100, .count = 4}, other = {.first = 500, .count = 4};
    struct readahead_answer answer = {
        .ranges_used = 1, .ranges = {{.first = 96, .count = 4, .repeat = 3, .stride = 6}}};

    (void)state;
    memset(&s, 0, sizeof(s));
    shadow_remember(&s, &answer);
    shadow_judge(&s, &wanted, 0); /* 102 and 103 */
    assert_int_equal(s.right, 2);
    assert_int_equal(s.judged, 4);
    shadow_judge(&s, &other, 3); /* in memory for another reason */
    assert_int_equal(s.right, 5);
    for (unsigned i = 0; i < SHADOW_RANGES; i++)
        shadow_remember(&s, &answer);
    assert_int_equal(s.judged, 8 + 10); /* what was read ahead for nothing */
}

const struct CMUnitTest policy_tests[] = {
    cmocka_unit_test(nonsense),
    cmocka_unit_test(ondemand_grows),
    cmocka_unit_test(ondemand_leaves_random_alone),
    cmocka_unit_test(fixed_reads_ahead_always),
    cmocka_unit_test(sequential_is_there),
    cmocka_unit_test(strides_are_there),
    cmocka_unit_test(records_come_whole),
    cmocka_unit_test(turns_go_on),
    cmocka_unit_test(never_nonsense),
    cmocka_unit_test(garbage_is_survived),
    cmocka_unit_test(pool_is_bounded),
    cmocka_unit_test(lost_words_are_recalled),
    cmocka_unit_test(shadow_is_judged),
};
const size_t policy_test_count = sizeof(policy_tests) / sizeof(policy_tests[0]);
