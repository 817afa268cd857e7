/*
 * float_search.c: decision forests and nearest neighbours of float models. Vector registers (single
 * numbers in forests; no path has a faster way through a tree).
 */
#include "lib/mlrt/internal.h"
#include "lib/mlrt/search.h"

/* The leaf that a row comes to. open.c made sure that every walk ends at one. */
static const struct mlrt_node *tree_walk(const struct mlrt_node *node, const float *in)
{
    uint32_t feature;
    while ((feature = node->feature_distance & MLRT_LEAF) != MLRT_LEAF) {
        node += (node->feature_distance >> MLRT_FEATURE_BITS) + !(in[feature] <= node->threshold);
    }
    return node;
}

static void tree_add(const struct mlrt_tree *tree, const struct mlrt_node *leaf,
                     const float *values, float *out, uint32_t outputs)
{
    if (tree->output != MLRT_ALL_OUTPUTS) {
        out[tree->output] += leaf->threshold;
        return;
    }
    values += (size_t)(leaf->feature_distance >> MLRT_FEATURE_BITS) * outputs;
    for (uint32_t i = 0; i < outputs; i++) {
        out[i] += values[i];
    }
}

/* Tree by tree over all rows: a tree stays in the cache for the whole slice. */
void float_forest(const struct mlrt_job *job)
{
    const struct mlrt_tree *trees = job_array(job, FOREST_TREES);
    const struct mlrt_node *nodes = job_array(job, FOREST_NODES);
    const float *values = job_array(job, FOREST_VALUES), *base = job_array(job, FOREST_BASE);
    uint32_t outputs = job->layer->outputs;
    for (uint32_t row = 0; row < job->rows; row++) {
        for (uint32_t i = 0; i < outputs; i++) {
            ((float *)job->out)[row * job->out_stride + i] = base[i];
        }
    }
    for (uint32_t t = 0; t < job->layer->params[FOREST_TREE_COUNT]; t++) {
        for (uint32_t row = 0; row < job->rows; row++) {
            const float *in = (const float *)job->in + row * job->in_stride;
            tree_add(&trees[t], tree_walk(nodes + trees[t].first, in), values,
                     (float *)job->out + row * job->out_stride, outputs);
        }
    }
}

static float square_root(float x)
{
    __asm__("sqrtss %0, %0" : "+x"(x));
    return x;
}

/* A neighbour's weight. Where some are at the very place, they alone count. */
static float neighbour_weight(const struct mlrt_layer *layer, const struct neighbour *found,
                              const struct neighbour *n)
{
    if (!layer->params[NEAREST_BY_DISTANCE]) {
        return 1;
    }
    if (found[0].distance == 0) {
        return n->distance == 0 ? 1 : 0;
    }
    return 1.0f / square_root(n->distance);
}

static void neighbours_vote(const struct mlrt_job *job, const struct neighbour *found, float *out)
{
    const struct mlrt_layer *layer = job->layer;
    const void *targets = job_array(job, NEAREST_TARGETS);
    float sum = 0;
    for (uint32_t i = 0; i < layer->outputs; i++) {
        out[i] = 0;
    }
    for (uint32_t n = 0; n < layer->params[NEAREST_K]; n++) {
        float weight = neighbour_weight(layer, found, &found[n]);
        sum += weight;
        if (!layer->params[NEAREST_REGRESSION]) {
            out[((const uint32_t *)targets)[found[n].point]] += weight;
            continue;
        }
        const float *target = (const float *)targets + (size_t)found[n].point * layer->outputs;
        for (uint32_t i = 0; i < layer->outputs; i++) {
            out[i] += weight * target[i];
        }
    }
    for (uint32_t i = 0; i < layer->outputs; i++) {
        out[i] /= sum;
    }
}

void float_nearest(const struct mlrt_job *job)
{
    const struct mlrt_layer *layer = job->layer;
    uint32_t padded = mlrt_padded(layer->params[NEAREST_COUNT]);
    float *distances = job->scratch;
    struct neighbour *found = (struct neighbour *)(distances + padded);
    for (uint32_t row = 0; row < job->rows; row++) {
        job->model->ops->floats->distances(
            job_array(job, NEAREST_POINTS), layer->inputs, padded / MLRT_PANEL,
            (const float *)job->in + row * job->in_stride, distances);
        neighbours_find((const int32_t *)distances, layer->params[NEAREST_COUNT], layer->params[NEAREST_K],
                        found);
        neighbours_vote(job, found, (float *)job->out + row * job->out_stride);
    }
}
