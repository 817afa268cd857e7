/*
 * integer_search.c: decision forests and nearest neighbours of integer models. General registers
 * only. A forest whose features are whole numbers decides exactly as its float original.
 */
#include "lib/mlrt/integer.h"
#include "lib/mlrt/search.h"

/* The leaf that a row comes to. open.c made sure that every walk ends at one. */
static const struct mlrt_node *tree_walk(const struct mlrt_node *node, const int32_t *in)
{
    uint32_t feature;
    while ((feature = node->feature_distance & MLRT_LEAF) != MLRT_LEAF) {
        node +=
            (node->feature_distance >> MLRT_FEATURE_BITS) + (in[feature] > node->threshold_fixed);
    }
    return node;
}

static void tree_add(const struct mlrt_tree *tree, const struct mlrt_node *leaf,
                     const int32_t *values, int32_t *out, uint32_t outputs)
{
    if (tree->output != MLRT_ALL_OUTPUTS) {
        out[tree->output] = fixed_add(out[tree->output], leaf->threshold_fixed);
        return;
    }
    values += (size_t)(leaf->feature_distance >> MLRT_FEATURE_BITS) * outputs;
    for (uint32_t i = 0; i < outputs; i++) {
        out[i] = fixed_add(out[i], values[i]);
    }
}

/* Tree by tree over all rows: a tree stays in the cache for the whole slice. */
void integer_forest(const struct mlrt_job *job)
{
    const struct mlrt_tree *trees = job_array(job, FOREST_TREES);
    const struct mlrt_node *nodes = job_array(job, FOREST_NODES);
    const int32_t *values = job_array(job, FOREST_VALUES), *base = job_array(job, FOREST_BASE);
    uint32_t outputs = job->layer->outputs;
    for (uint32_t row = 0; row < job->rows; row++) {
        for (uint32_t i = 0; i < outputs; i++) {
            job_out(job, row)[i] = base[i];
        }
    }
    for (uint32_t t = 0; t < job->layer->params[FOREST_TREE_COUNT]; t++) {
        for (uint32_t row = 0; row < job->rows; row++) {
            tree_add(&trees[t], tree_walk(nodes + trees[t].first, job_in(job, row)), values,
                     job_out(job, row), outputs);
        }
    }
}

/* One output of a regression: the mean of the neighbours' targets. */
static int32_t targets_mean(const struct mlrt_layer *layer, const int32_t *targets,
                            const struct neighbour *found, uint32_t output)
{
    int64_t sum = 0;
    for (uint32_t n = 0; n < layer->params[NEAREST_K]; n++) {
        sum += targets[(size_t)found[n].point * layer->outputs + output];
    }
    return (int32_t)(sum / layer->params[NEAREST_K]);
}

static void neighbours_vote(const struct mlrt_job *job, const struct neighbour *found, int32_t *out)
{
    const struct mlrt_layer *layer = job->layer;
    const int32_t *targets = job_array(job, NEAREST_TARGETS);
    int32_t k = (int32_t)layer->params[NEAREST_K];
    for (uint32_t i = 0; i < layer->outputs; i++) {
        out[i] = layer->params[NEAREST_REGRESSION] ? targets_mean(layer, targets, found, i) : 0;
    }
    if (layer->params[NEAREST_REGRESSION]) {
        return;
    }
    for (int32_t n = 0; n < k; n++) {
        out[targets[found[n].point]]++;
    }
    for (uint32_t i = 0; i < layer->outputs; i++) {
        out[i] = (out[i] * FIXED_ONE + k / 2) / k;
    }
}

void integer_nearest(const struct mlrt_job *job)
{
    const struct mlrt_layer *layer = job->layer;
    uint32_t padded = mlrt_padded(layer->params[NEAREST_COUNT]);
    const struct integer_panels points = {job_array(job, NEAREST_POINTS), mlrt_pairs(layer->inputs),
                                          padded / MLRT_PANEL};
    int32_t *distances = job->scratch;
    struct neighbour *found = (struct neighbour *)(distances + padded);
    int32_t *pairs = (int32_t *)(found + MLRT_NEIGHBOURS_MAX);
    for (uint32_t row = 0; row < job->rows; row++) {
        integer_pairs(pairs, job_in(job, row), layer->inputs,
                      (int32_t)layer->params[NEAREST_IN_MULT], layer->params[NEAREST_IN_SHIFT]);
        job->model->ops->integers->distances(&points, pairs, distances);
        neighbours_find(distances, layer->params[NEAREST_COUNT], layer->params[NEAREST_K], found);
        neighbours_vote(job, found, job_out(job, row));
    }
}
