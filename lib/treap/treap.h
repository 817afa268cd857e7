/*
 * treap.h: an ordered set of nodes with a 64-bit key, balanced by random priorities (Seidel and
 * Aragon, 1996). Equal keys are kept apart by address. Not locked. Any context.
 */
#pragma once

#include <stdint.h>

struct treap_node {
    struct treap_node *left, *right;
    uint64_t key;
    uint64_t priority;
};

struct treap {
    struct treap_node *root;
};

void treap_insert(struct treap *t, struct treap_node *n, uint64_t key);
void treap_remove(struct treap *t, struct treap_node *n); /* n must be in t */
struct treap_node *treap_first(const struct treap *t);
struct treap_node *treap_floor(const struct treap *t, uint64_t key); /* greatest key <= key */
struct treap_node *treap_above(const struct treap *t, uint64_t key); /* smallest key > key */
