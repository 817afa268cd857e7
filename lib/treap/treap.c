/*
 * treap.c: see treap.h. Split and merge; recursion depth is logarithmic with high probability.
 */
#include "lib/treap/treap.h"

#include <stdbool.h>
#include <stddef.h>

static bool node_less(const struct treap_node *n, uint64_t key, const struct treap_node *tie)
{
    return n->key < key || (n->key == key && n < tie);
}

/* Nodes below (key, tie) go to *low, the others to *high. */
static void treap_split(struct treap_node *root, uint64_t key, const struct treap_node *tie,
                        struct treap_node **low, struct treap_node **high)
{
    while (root) {
        if (node_less(root, key, tie)) {
            *low = root;
            low = &root->right;
            root = root->right;
        } else {
            *high = root;
            high = &root->left;
            root = root->left;
        }
    }
    *low = *high = NULL;
}

static struct treap_node *treap_merge(struct treap_node *low, struct treap_node *high)
{
    struct treap_node *root;
    struct treap_node **at = &root;

    while (low && high) {
        if (low->priority > high->priority) {
            *at = low;
            at = &low->right;
            low = low->right;
        } else {
            *at = high;
            at = &high->left;
            high = high->left;
        }
    }
    *at = low ? low : high;
    return root;
}

/* The address and the key, mixed (Steele, Lea and Flood 2014), are random enough for balance. */
static uint64_t node_priority(const struct treap_node *n)
{
    uint64_t z = ((uint64_t)n >> 4) * 0x9e3779b97f4a7c15ull + n->key;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

void treap_insert(struct treap *t, struct treap_node *n, uint64_t key)
{
    struct treap_node **at = &t->root;

    n->key = key;
    n->priority = node_priority(n);
    while (*at && (*at)->priority >= n->priority)
        at = node_less(*at, key, n) ? &(*at)->right : &(*at)->left;
    treap_split(*at, key, n, &n->left, &n->right);
    *at = n;
}

void treap_remove(struct treap *t, struct treap_node *n)
{
    struct treap_node **at = &t->root;

    while (*at != n)
        at = node_less(*at, n->key, n) ? &(*at)->right : &(*at)->left;
    *at = treap_merge(n->left, n->right);
}

struct treap_node *treap_first(const struct treap *t)
{
    struct treap_node *n = t->root;

    while (n && n->left)
        n = n->left;
    return n;
}

struct treap_node *treap_floor(const struct treap *t, uint64_t key)
{
    struct treap_node *best = NULL;

    for (struct treap_node *n = t->root; n;) {
        if (n->key <= key) {
            best = n;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return best;
}

struct treap_node *treap_above(const struct treap *t, uint64_t key)
{
    struct treap_node *best = NULL;

    for (struct treap_node *n = t->root; n;) {
        if (n->key > key) {
            best = n;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}
