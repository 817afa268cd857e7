/*
 * tree.c: the queue of fair.h: a treap (R. Seidel, C. Aragon: "Randomized Search Trees", 1996) by
 * deadline. Depth, and so recursion, is logarithmic with high probability: priorities are a hash of
 * the thread's number.
 */
#include "include/fair.h"

static uint64_t priority(const struct sched_entity *e)
{
    /* The finishing step of SplitMix64: every bit of the number reaches every bit of the result. */
    uint64_t x = e->thread_id + 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static bool before(struct sched_entity *a, struct sched_entity *b)
{
    uint64_t da = fair_state(a)->deadline, db = fair_state(b)->deadline;

    return da == db ? a->thread_id < b->thread_id : virtual_before(da, db);
}

static void least_update(struct sched_entity *e)
{
    struct fair_state *s = fair_state(e);
    struct sched_entity *children[] = {s->tree.left, s->tree.right};

    s->least = s->vruntime;
    for (int i = 0; i < 2; i++)
        if (children[i] && virtual_before(fair_state(children[i])->least, s->least))
            s->least = fair_state(children[i])->least;
}

/* Parts a tree into what is before `at` and the rest. */
static void split(struct sched_entity *root, struct sched_entity *at, struct sched_entity **low,
                  struct sched_entity **high)
{
    if (!root) {
        *low = *high = NULL;
        return;
    }
    if (before(root, at)) {
        *low = root;
        split(fair_state(root)->tree.right, at, &fair_state(root)->tree.right, high);
    } else {
        *high = root;
        split(fair_state(root)->tree.left, at, low, &fair_state(root)->tree.left);
    }
    least_update(root);
}

/* Joins two trees, all of low before all of high. */
static struct sched_entity *merge(struct sched_entity *low, struct sched_entity *high)
{
    if (!low || !high)
        return low ? low : high;
    if (priority(low) > priority(high)) {
        fair_state(low)->tree.right = merge(fair_state(low)->tree.right, high);
        least_update(low);
        return low;
    }
    fair_state(high)->tree.left = merge(low, fair_state(high)->tree.left);
    least_update(high);
    return high;
}

struct sched_entity *fair_tree_insert(struct sched_entity *root, struct sched_entity *e)
{
    struct fair_state *s = fair_state(e);

    if (!root || priority(e) > priority(root)) {
        struct sched_entity *low, *high;

        split(root, e, &low, &high);
        s->tree.left = low;
        s->tree.right = high;
        least_update(e);
        return e;
    }
    struct fair_state *r = fair_state(root);
    struct sched_entity **side = before(e, root) ? &r->tree.left : &r->tree.right;
    *side = fair_tree_insert(*side, e);
    least_update(root);
    return root;
}

struct sched_entity *fair_tree_remove(struct sched_entity *root, struct sched_entity *e)
{
    if (!root)
        return NULL;
    struct fair_state *r = fair_state(root);
    if (root == e)
        return merge(r->tree.left, r->tree.right);
    struct sched_entity **side = before(e, root) ? &r->tree.left : &r->tree.right;
    *side = fair_tree_remove(*side, e);
    least_update(root);
    return root;
}

struct sched_entity *fair_tree_first_eligible(struct sched_entity *root, uint64_t limit)
{
    while (root) {
        struct fair_state *r = fair_state(root);
        struct sched_entity *left = r->tree.left;

        if (left && !virtual_before(limit, fair_state(left)->least))
            root = left;
        else if (!virtual_before(limit, r->vruntime))
            return root;
        else
            root = r->tree.right;
    }
    return NULL;
}
