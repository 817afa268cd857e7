/*
 * treap_test.c: random operations on a treap, held against a sorted array.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/treap/treap.h"

#define NODES     1500
#define STEPS     100000
#define DEPTH_MAX 60 /* of 1500 nodes; 25 is usual */

static struct treap_node nodes[NODES];
static bool inside[NODES];
static struct treap_node *sorted[NODES]; /* by key, then by address */
static unsigned count;

/* The number of nodes below (key, tie) in the model. */
static unsigned model_rank(uint64_t key, const struct treap_node *tie)
{
    unsigned low = 0, high = count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct treap_node *n = sorted[middle];

        if (n->key < key || (n->key == key && n < tie))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void both_insert(struct treap *t, unsigned i, uint64_t key)
{
    unsigned at = model_rank(key, &nodes[i]);

    memset(&nodes[i], 0xa5, sizeof(nodes[i])); /* what was in it does not matter */
    memmove(sorted + at + 1, sorted + at, (count - at) * sizeof(sorted[0]));
    treap_insert(t, &nodes[i], key);
    sorted[at] = &nodes[i];
    count++;
    inside[i] = true;
}

static void both_remove(struct treap *t, unsigned i)
{
    unsigned at = model_rank(nodes[i].key, &nodes[i]);

    assert_ptr_equal(sorted[at], &nodes[i]);
    treap_remove(t, &nodes[i]);
    count--;
    memmove(sorted + at, sorted + at + 1, (count - at) * sizeof(sorted[0]));
    inside[i] = false;
}

/* Walks a part in order from sorted[*at] on; returns its depth. */
static unsigned part_check(const struct treap_node *n, unsigned *at)
{
    unsigned left, right;

    if (!n)
        return 0;
    assert_true(!n->left || n->left->priority <= n->priority);
    assert_true(!n->right || n->right->priority <= n->priority);
    left = part_check(n->left, at);
    assert_true(*at < count);
    assert_ptr_equal(sorted[(*at)++], n);
    right = part_check(n->right, at);
    return 1 + (left > right ? left : right);
}

static void treap_check(const struct treap *t)
{
    unsigned at = 0;

    assert_true(part_check(t->root, &at) <= DEPTH_MAX);
    assert_int_equal(at, count);
}

static void queries_check(const struct treap *t, uint64_t key)
{
    unsigned end = model_rank(key, (const struct treap_node *)UINTPTR_MAX);

    assert_ptr_equal(treap_first(t), count ? sorted[0] : NULL);
    assert_ptr_equal(treap_floor(t, key), end ? sorted[end - 1] : NULL);
    assert_ptr_equal(treap_above(t, key), end < count ? sorted[end] : NULL);
}

static void random_operations(uint64_t keys)
{
    struct treap t = {NULL};

    memset(inside, 0, sizeof(inside));
    count = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand() % NODES;
        uint64_t key = (uint64_t)rand() % keys;

        if (inside[i])
            both_remove(&t, i);
        else
            both_insert(&t, i, key);
        queries_check(&t, (uint64_t)rand() % keys);
        if (step % 500 == 0)
            treap_check(&t);
    }
    while (count > 0)
        both_remove(&t, (unsigned)(sorted[(unsigned)rand() % count] - nodes));
    assert_null(t.root);
}

static void test_different_keys(void **state)
{
    (void)state;
    srand(1);
    random_operations(1u << 30);
}

static void test_equal_keys(void **state)
{
    (void)state;
    srand(2);
    random_operations(1);
    random_operations(20);
}

static void test_extreme_keys(void **state)
{
    static const uint64_t keys[] = {0, UINT64_MAX, 1, UINT64_MAX - 1, 1ull << 63, 0, UINT64_MAX};
    struct treap t = {NULL};

    (void)state;
    count = 0;
    queries_check(&t, 0);
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        both_insert(&t, i, keys[i]);
    treap_check(&t);
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        queries_check(&t, keys[i]);
    while (count > 0)
        both_remove(&t, (unsigned)(treap_first(&t) - nodes));
    assert_null(t.root);
}

/* Keys that come in order must not make a list of it: timers and addresses do that. */
static void test_ascending_keys(void **state)
{
    struct treap t = {NULL};

    (void)state;
    count = 0;
    for (unsigned i = 0; i < NODES; i++)
        both_insert(&t, i, i * 4096ull);
    treap_check(&t);
    while (count > 0)
        both_remove(&t, (unsigned)(sorted[0] - nodes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_different_keys),
        cmocka_unit_test(test_equal_keys),
        cmocka_unit_test(test_extreme_keys),
        cmocka_unit_test(test_ascending_keys),
    };

    return cmocka_run_group_tests_name("treap", tests, NULL, NULL);
}
