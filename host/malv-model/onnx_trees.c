/*
 * onnx_trees.c: tree ensembles. ONNX lists nodes in any order with the numbers of their children;
 * here each tree is laid out anew, breadth first, so that the two children of a node lie side by
 * side behind it.
 */
#include "host/malv-model/onnx_graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX (8u << 20)
#define NO_OUTPUT   0xfffffffeu /* of a tree no leaf of which was seen yet */

/* A node or a leaf's value, by the tree and the node it belongs to. */
struct key {
    int64_t tree, node;
    uint32_t index; /* in the attributes */
};

struct ensemble {
    struct reader *r;
    onnx_node node;
    const Onnx__AttributeProto *tree_ids, *node_ids, *features, *modes, *values, *yes, *no;
    const Onnx__AttributeProto *leaf_trees, *leaf_nodes, *leaf_outputs, *leaf_weights;
    struct key *nodes;  /* sorted */
    struct key *leaves; /* sorted */
    uint32_t node_count, leaf_count;
    bool *placed; /* nodes that have their place: a second parent is refused */
    uint32_t outputs;
    bool one_score; /* two classes, and all leaves speak of one */
    double factor;  /* of the leaves' values: 1, or 1 / trees for the mean */
    struct chain_forest forest;
    uint32_t value_room;
};

static int key_compare(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->tree != y->tree) {
        return x->tree < y->tree ? -1 : 1;
    }
    if (x->node != y->node) {
        return x->node < y->node ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static struct key *keys_sorted(struct reader *r, const Onnx__AttributeProto *trees,
                               const Onnx__AttributeProto *nodes)
{
    struct key *keys = arena_alloc(r->arena, trees->n_ints + 1, sizeof(*keys));
    for (size_t i = 0; i < trees->n_ints; i++) {
        keys[i] = (struct key){trees->ints[i], nodes->ints[i], (uint32_t)i};
    }
    qsort(keys, trees->n_ints, sizeof(*keys), key_compare);
    return keys;
}

/* The first key of this tree and node, or one behind the last that is smaller. */
static uint32_t key_find(const struct key *keys, uint32_t count, int64_t tree, int64_t node)
{
    const struct key wanted = {tree, node, 0};
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_compare(&keys[middle], &wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool key_is(const struct key *keys, uint32_t count, uint32_t at, int64_t tree, int64_t node)
{
    return at < count && keys[at].tree == tree && keys[at].node == node;
}

static const Onnx__AttributeProto *ints_of(onnx_node node, const char *name, size_t count)
{
    const Onnx__AttributeProto *a = node_attribute(node, name);
    return a && a->n_ints == count && count > 0 && count <= ENTRIES_MAX ? a : NULL;
}

static bool nodes_read(struct ensemble *e)
{
    const Onnx__AttributeProto *ids = node_attribute(e->node, "nodes_treeids");
    size_t count = ids ? ids->n_ints : 0;
    e->tree_ids = ints_of(e->node, "nodes_treeids", count);
    e->node_ids = ints_of(e->node, "nodes_nodeids", count);
    e->features = ints_of(e->node, "nodes_featureids", count);
    e->yes = ints_of(e->node, "nodes_truenodeids", count);
    e->no = ints_of(e->node, "nodes_falsenodeids", count);
    e->modes = node_attribute(e->node, "nodes_modes");
    e->values = node_attribute(e->node, "nodes_values");
    if (!e->tree_ids || !e->node_ids || !e->features || !e->yes || !e->no || !e->modes ||
        e->modes->n_strings != count || !e->values || e->values->n_floats != count) {
        return node_refuse(e->r, e->node, "its lists of nodes are missing or of different lengths");
    }
    e->node_count = (uint32_t)count;
    e->nodes = keys_sorted(e->r, e->tree_ids, e->node_ids);
    e->placed = arena_alloc(e->r->arena, count, sizeof(bool));
    return true;
}

static bool leaves_read(struct ensemble *e, const char *prefix)
{
    static const char *const parts[] = {"treeids", "nodeids", "ids"};
    const Onnx__AttributeProto *lists[3];
    char name[40];
    snprintf(name, sizeof(name), "%s_weights", prefix);
    e->leaf_weights = node_attribute(e->node, name);
    size_t count = e->leaf_weights ? e->leaf_weights->n_floats : 0;
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s_%s", prefix, parts[i]);
        if (!(lists[i] = ints_of(e->node, name, count))) {
            return node_refuse(e->r, e->node,
                               "its lists of leaves are missing or of different lengths");
        }
    }
    e->leaf_trees = lists[0];
    e->leaf_nodes = lists[1];
    e->leaf_outputs = lists[2];
    e->leaf_count = (uint32_t)count;
    e->leaves = keys_sorted(e->r, e->leaf_trees, e->leaf_nodes);
    return true;
}

/* How many outputs there are, and whether they are two classes of one score. */
static bool outputs_read(struct ensemble *e, bool classifier, uint32_t classes)
{
    bool one = classifier && classes == 2;
    for (uint32_t i = 0; i < e->leaf_count && one; i++) {
        one = e->leaf_outputs->ints[i] == e->leaf_outputs->ints[0];
    }
    e->one_score = one;
    e->outputs = one ? 1 : classes;
    for (uint32_t i = 0; i < e->leaf_count && !one; i++) {
        if (e->leaf_outputs->ints[i] < 0 || e->leaf_outputs->ints[i] >= classes) {
            return node_refuse(e->r, e->node, "a leaf speaks of an output that is not there");
        }
    }
    return (classes >= 1 && classes <= MLRT_WIDTH_MAX) ||
           node_refuse(e->r, e->node, "has not 1 to %u outputs", MLRT_WIDTH_MAX);
}

/* Comparisons as x <= threshold; *swapped: the children change places. False: none of ONNX's
 * orders. */
static bool mode_read(const struct ensemble *e, uint32_t index, float *threshold, bool *swapped)
{
    const ProtobufCBinaryData *mode = &e->modes->strings[index];
    float value = e->values->floats[index], below = nextafterf(value, -INFINITY);
    bool or_equal = bytes_are(mode, "BRANCH_LEQ") || bytes_are(mode, "BRANCH_GT");
    *swapped = bytes_are(mode, "BRANCH_GT") || bytes_are(mode, "BRANCH_GTE");
    *threshold = or_equal ? value : below;
    return or_equal || *swapped || bytes_are(mode, "BRANCH_LT");
}

/* The one output that a tree's leaves speak of, or MLRT_ALL_OUTPUTS. */
static uint32_t tree_output(const struct ensemble *e, int64_t tree)
{
    uint32_t at = key_find(e->leaves, e->leaf_count, tree, INT64_MIN), output = NO_OUTPUT;
    if (e->outputs == 1) {
        return 0;
    }
    for (; at < e->leaf_count && e->leaves[at].tree == tree; at++) {
        uint32_t spoken = (uint32_t)e->leaf_outputs->ints[e->leaves[at].index];
        if (output != NO_OUTPUT && spoken != output) {
            return MLRT_ALL_OUTPUTS;
        }
        output = spoken;
    }
    return output == NO_OUTPUT ? 0 : output;
}

static float leaf_value(const struct ensemble *e, uint32_t at)
{
    return (float)((double)e->leaf_weights->floats[e->leaves[at].index] * e->factor);
}

static bool leaf_place(struct ensemble *e, struct mlrt_node *to, const struct mlrt_tree *tree,
                       int64_t tree_id, int64_t node_id)
{
    uint32_t at = key_find(e->leaves, e->leaf_count, tree_id, node_id), row = 0;
    float sum = 0, *values = NULL;
    if (tree->output == MLRT_ALL_OUTPUTS) {
        row = e->forest.value_count / e->outputs;
        if (row > MLRT_DISTANCE_MAX || e->forest.value_count + e->outputs > e->value_room) {
            return node_refuse(e->r, e->node, "has too many leaves");
        }
        values = e->forest.values + e->forest.value_count;
        e->forest.value_count += e->outputs;
    }
    for (; key_is(e->leaves, e->leaf_count, at, tree_id, node_id); at++) {
        if (values) {
            values[e->leaf_outputs->ints[e->leaves[at].index]] += leaf_value(e, at);
        } else {
            sum += leaf_value(e, at);
        }
    }
    *to = (struct mlrt_node){.threshold = sum,
                             .feature_distance = row << MLRT_FEATURE_BITS | MLRT_LEAF};
    return true;
}

/* Nodes of one tree in the order of their places. */
struct queue {
    uint32_t *indices; /* in the attributes */
    uint32_t count;
};

/* Puts a child at the queue's end. */
static bool child_place(struct ensemble *e, struct queue *queue, int64_t tree_id, int64_t child)
{
    uint32_t at = key_find(e->nodes, e->node_count, tree_id, child);
    if (!key_is(e->nodes, e->node_count, at, tree_id, child)) {
        return node_refuse(e->r, e->node, "a node's child %lld is not there", (long long)child);
    }
    uint32_t index = e->nodes[at].index;
    if (e->placed[index]) {
        return node_refuse(e->r, e->node, "two nodes have the same child");
    }
    e->placed[index] = true;
    queue->indices[queue->count++] = index;
    return true;
}

static bool branch_place(struct ensemble *e, struct mlrt_node *to, struct queue *queue,
                         uint32_t place)
{
    uint32_t index = queue->indices[place], distance = queue->count - place;
    int64_t tree = e->tree_ids->ints[index], feature = e->features->ints[index];
    float threshold;
    bool swapped;
    if (!mode_read(e, index, &threshold, &swapped)) {
        return node_refuse(e->r, e->node, "a node compares in a way that trees here do not");
    }
    if (feature < 0 || feature >= chain_width(e->r->chain) || feature >= MLRT_LEAF) {
        return node_refuse(e->r, e->node, "a node asks for feature %lld", (long long)feature);
    }
    if (distance > MLRT_DISTANCE_MAX) {
        return node_refuse(e->r, e->node, "has a tree that is too large");
    }
    *to = (struct mlrt_node){.threshold = threshold,
                             .feature_distance = distance << MLRT_FEATURE_BITS | (uint32_t)feature};
    int64_t yes = e->yes->ints[index], no = e->no->ints[index];
    return child_place(e, queue, tree, swapped ? no : yes) &&
           child_place(e, queue, tree, swapped ? yes : no);
}

static bool tree_place(struct ensemble *e, uint32_t root, uint32_t *queue_room)
{
    struct chain_forest *forest = &e->forest;
    struct mlrt_tree *tree = &forest->trees[forest->tree_count++];
    struct queue queue = {.indices = queue_room};
    int64_t id = e->tree_ids->ints[root];
    *tree = (struct mlrt_tree){.first = forest->node_count, .output = tree_output(e, id)};
    if (e->placed[root]) {
        return node_refuse(e->r, e->node, "a root is another node's child");
    }
    e->placed[root] = true;
    queue.indices[queue.count++] = root;
    for (uint32_t place = 0; place < queue.count; place++) {
        uint32_t index = queue.indices[place];
        struct mlrt_node *to = &forest->nodes[tree->first + place];
        bool leaf = bytes_are(&e->modes->strings[index], "LEAF");
        if (leaf ? !leaf_place(e, to, tree, id, e->node_ids->ints[index])
                 : !branch_place(e, to, &queue, place)) {
            return false;
        }
    }
    tree->node_count = queue.count;
    forest->node_count += queue.count;
    return true;
}

/* A tree's root is the first of its nodes in the list. */
static bool trees_place(struct ensemble *e)
{
    uint32_t *queue = arena_alloc(e->r->arena, e->node_count, sizeof(*queue));
    bool *rooted = arena_alloc(e->r->arena, e->node_count, sizeof(*rooted));
    for (uint32_t i = 0; i < e->node_count; i++) {
        uint32_t first = key_find(e->nodes, e->node_count, e->tree_ids->ints[i], INT64_MIN);
        if (rooted[first]) {
            continue;
        }
        rooted[first] = true;
        if (!tree_place(e, i, queue)) {
            return false;
        }
    }
    return true;
}

static uint32_t trees_count(const struct ensemble *e)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->node_count; i++) {
        count += i == 0 || e->nodes[i].tree != e->nodes[i - 1].tree;
    }
    return count;
}

/* Leaves at most: every node is one. Values only where a tree speaks of several outputs. */
static bool forest_room(struct ensemble *e)
{
    struct chain_forest *forest = &e->forest;
    uint64_t values = e->outputs > 1 ? (uint64_t)e->node_count * e->outputs : 0;
    if (values > MLRT_FILE_MAX / 2) {
        return node_refuse(e->r, e->node, "has too many leaves for its outputs");
    }
    e->value_room = (uint32_t)values;
    forest->trees = arena_alloc(e->r->arena, trees_count(e), sizeof(*forest->trees));
    forest->nodes = arena_alloc(e->r->arena, e->node_count, sizeof(*forest->nodes));
    forest->values = arena_alloc(e->r->arena, values + 1, sizeof(float));
    forest->base = arena_alloc(e->r->arena, e->outputs, sizeof(float));
    return true;
}

static bool base_read(struct ensemble *e)
{
    const Onnx__AttributeProto *base = node_attribute(e->node, "base_values");
    if (!base || base->n_floats == 0) {
        return true;
    }
    if (base->n_floats != e->outputs) {
        return node_refuse(e->r, e->node, "has %zu base_values for %u outputs", base->n_floats,
                           e->outputs);
    }
    memcpy(e->forest.base, base->floats, e->outputs * sizeof(float));
    return true;
}

static bool aggregate_read(struct ensemble *e)
{
    e->factor = 1;
    if (node_text_is(e->node, "aggregate_function", "AVERAGE", false)) {
        e->factor = 1.0 / trees_count(e);
        return true;
    }
    return node_text_is(e->node, "aggregate_function", "SUM", true) ||
           node_refuse(e->r, e->node, "takes the least or the largest of its trees");
}

static void missing_note(struct ensemble *e)
{
    const Onnx__AttributeProto *rule = node_attribute(e->node, "nodes_missing_value_tracks_true");
    for (size_t i = 0; rule && i < rule->n_ints; i++) {
        if (rule->ints[i] != 0) {
            e->r->notes |= ONNX_NOTE_MISSING_VALUES;
        }
    }
}

static uint32_t classes_of(onnx_node node, bool classifier)
{
    const Onnx__AttributeProto *ints = node_attribute(node, "classlabels_int64s");
    const Onnx__AttributeProto *texts = node_attribute(node, "classlabels_strings");
    size_t count = ints && ints->n_ints ? ints->n_ints : texts ? texts->n_strings : 0;
    if (!classifier) {
        int64_t targets = node_int(node, "n_targets", 1);
        return targets < 1 || targets > MLRT_WIDTH_MAX ? 0 : (uint32_t)targets;
    }
    return count > MLRT_WIDTH_MAX ? 0 : (uint32_t)count;
}

bool op_trees(struct reader *r, onnx_node node)
{
    bool classifier = strcmp(node->op_type, "TreeEnsembleClassifier") == 0;
    struct ensemble e = {.r = r, .node = node};
    uint32_t classes = classes_of(node, classifier);
    if (r->form != FORM_ROWS) {
        return node_refuse(r, node, "takes what is not [rows][features]");
    }
    if (!nodes_read(&e) || !leaves_read(&e, classifier ? "class" : "target") ||
        !outputs_read(&e, classifier, classes) || !aggregate_read(&e) || !forest_room(&e) ||
        !base_read(&e) || !trees_place(&e)) {
        return false;
    }
    missing_note(&e);
    struct chain_layer *layer = chain_add(r->chain, MLRT_FOREST, e.outputs, r->why);
    if (!layer) {
        return false;
    }
    layer->forest = e.forest;
    return post_transform(r, node, classifier ? classes : 0) &&
           chain_goes_to(r, node, classifier ? 1 : 0);
}
