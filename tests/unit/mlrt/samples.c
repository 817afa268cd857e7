/*
 * samples.c: see samples.h. The formulas here are written for the tests alone: they share nothing
 * with the library.
 */
#include "tests/unit/mlrt/samples.h"

#include <math.h>

static uint64_t state;

void random_seed(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15u + 1;
}

static uint32_t random_bits(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545f4914f6cdd1du >> 32);
}

uint32_t random_below(uint32_t limit)
{
    return random_bits() % limit;
}

float random_number(float size)
{
    return ((float)random_bits() / 2147483648.0f - 1.0f) * size;
}

float *random_numbers(struct arena *arena, size_t count, float size)
{
    float *numbers = arena_alloc(arena, count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        numbers[i] = random_number(size);
    }
    return numbers;
}

static struct chain_layer *layer_add(struct chain *chain, uint32_t kind, uint32_t outputs)
{
    struct why why;
    struct chain_layer *layer = chain_add(chain, kind, outputs, &why);
    assert_non_null(layer);
    strcpy(chain->name, "sample");
    return layer;
}

void add_dense(struct arena *arena, struct chain *chain, uint32_t outputs, uint32_t activation)
{
    struct chain_layer *layer = layer_add(chain, MLRT_DENSE, outputs);
    float size = sqrtf(3.0f / (float)layer->inputs);
    layer->activation = activation;
    layer->dense.weights = random_numbers(arena, (size_t)layer->inputs * outputs, size);
    layer->dense.bias = random_numbers(arena, outputs, 0.5f);
}

void add_scale(struct arena *arena, struct chain *chain, uint32_t activation)
{
    struct chain_layer *layer = layer_add(chain, MLRT_SCALE, chain_width(chain));
    layer->activation = activation;
    layer->scale.offset = random_numbers(arena, layer->inputs, 1);
    layer->scale.factor = random_numbers(arena, layer->inputs, 1);
    layer->scale.addend = random_numbers(arena, layer->inputs, 1);
}

void add_pair(struct chain *chain)
{
    layer_add(chain, MLRT_PAIR, 2);
}

void add_cell(struct arena *arena, struct chain *chain, uint32_t kind, uint32_t outputs,
              bool reset_after)
{
    struct chain_layer *layer = layer_add(chain, kind, outputs);
    size_t rows = (size_t)mlrt_gates(kind) * outputs;
    layer->cell.reset_after = reset_after;
    layer->cell.in_weights = random_numbers(arena, rows * layer->inputs, 0.7f);
    layer->cell.state_weights = random_numbers(arena, rows * outputs, 0.5f);
    layer->cell.in_bias = random_numbers(arena, rows, 0.3f);
    layer->cell.state_bias = random_numbers(arena, rows, 0.3f);
}

/* A whole tree of 15 nodes, in breadth-first order. */
static void tree_fill(struct chain_forest *forest, const struct chain_layer *layer,
                      bool all_outputs)
{
    struct mlrt_tree *tree = &forest->trees[forest->tree_count++];
    *tree = (struct mlrt_tree){forest->node_count, 15,
                               all_outputs ? MLRT_ALL_OUTPUTS : random_below(layer->outputs), 0};
    for (uint32_t i = 0; i < 15; i++) {
        struct mlrt_node *node = &forest->nodes[forest->node_count++];
        node->threshold = random_number(1);
        node->feature_distance = (i + 1) << MLRT_FEATURE_BITS | random_below(layer->inputs);
        if (i >= 7) {
            node->feature_distance =
                (forest->value_count / layer->outputs) << MLRT_FEATURE_BITS | MLRT_LEAF;
            forest->value_count += all_outputs ? layer->outputs : 0;
        }
    }
}

void add_forest(struct arena *arena, struct chain *chain, uint32_t outputs, uint32_t trees,
                bool all_outputs)
{
    struct chain_layer *layer = layer_add(chain, MLRT_FOREST, outputs);
    struct chain_forest *forest = &layer->forest;
    forest->trees = arena_alloc(arena, trees, sizeof(*forest->trees));
    forest->nodes = arena_alloc(arena, (size_t)trees * 15, sizeof(*forest->nodes));
    forest->values = random_numbers(arena, (size_t)trees * 8 * outputs, 1);
    forest->base = random_numbers(arena, outputs, 1);
    for (uint32_t i = 0; i < trees; i++) {
        tree_fill(forest, layer, all_outputs);
    }
}

void add_nearest(struct arena *arena, struct chain *chain, uint32_t outputs, uint32_t count,
                 uint32_t k, bool regression, bool by_distance)
{
    struct chain_layer *layer = layer_add(chain, MLRT_NEAREST, outputs);
    struct chain_nearest *nearest = &layer->nearest;
    nearest->count = count;
    nearest->k = k;
    nearest->by_distance = by_distance;
    nearest->points = random_numbers(arena, (size_t)count * layer->inputs, 1);
    if (regression) {
        nearest->targets = random_numbers(arena, (size_t)count * outputs, 1);
        return;
    }
    nearest->labels = arena_alloc(arena, count, sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) {
        nearest->labels[i] = random_below(outputs);
    }
}

struct sample sample_open(const struct packed *packed, enum mlrt_path path, uint32_t rows)
{
    struct sample sample = {.bytes = malloc(packed->size), .size = packed->size, .rows = rows};
    assert_non_null(sample.bytes);
    memcpy(sample.bytes, packed->bytes, packed->size);
    assert_int_equal(mlrt_open(&sample.model, sample.bytes, sample.size, path), MLRT_OK);
    sample.workspace = malloc(mlrt_workspace_bytes(&sample.model, rows));
    assert_non_null(sample.workspace);
    return sample;
}

void sample_close(struct sample *sample)
{
    free(sample->bytes);
    free(sample->workspace);
}

struct packed pack_or_fail(struct arena *arena, const struct chain *chain)
{
    struct packed packed;
    struct why why = {""};
    if (!pack_float(arena, chain, chain->count, &packed, &why)) {
        fail_msg("%s", why.text);
    }
    return packed;
}

struct packed pack_integer_or_fail(struct arena *arena, const struct chain *chain,
                                   const struct samples *samples, uint32_t fraction)
{
    struct packed packed;
    struct why why = {""};
    if (!pack_integer(arena, chain, samples, fraction, &packed, &why)) {
        fail_msg("%s", why.text);
    }
    return packed;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void matrix_apply(const float *weights, const float *bias, uint32_t outputs, uint32_t inputs,
                         const double *in, double *out)
{
    for (uint32_t o = 0; o < outputs; o++) {
        out[o] = (double)bias[o];
        for (uint32_t i = 0; i < inputs; i++) {
            out[o] += (double)weights[(size_t)o * inputs + i] * in[i];
        }
    }
}

static void gru_reference(const struct chain_layer *layer, const double *in, double *h, double *out)
{
    const struct chain_cell *cell = &layer->cell;
    uint32_t n = layer->outputs;
    double *x = calloc(6 * n, sizeof(double)), *s = x + 3 * n, *rh = calloc(n, sizeof(double));
    matrix_apply(cell->in_weights, cell->in_bias, 3 * n, layer->inputs, in, x);
    matrix_apply(cell->state_weights, cell->state_bias, 3 * n, n, h, s);
    for (uint32_t i = 0; i < n; i++) {
        rh[i] = sigmoid(x[n + i] + s[n + i]) * h[i];
    }
    if (!cell->reset_after) {
        matrix_apply(cell->state_weights + 2 * (size_t)n * n, cell->state_bias + 2 * n, n, n, rh,
                     s + 2 * n);
    }
    for (uint32_t i = 0; i < n; i++) {
        double z = sigmoid(x[i] + s[i]), r = cell->reset_after ? sigmoid(x[n + i] + s[n + i]) : 1;
        double fresh = tanh(x[2 * n + i] + r * s[2 * n + i]);
        out[i] = (1 - z) * fresh + z * h[i];
    }
    memcpy(h, out, n * sizeof(double));
    free(x);
    free(rh);
}

static void lstm_reference(const struct chain_layer *layer, const double *in, double *h,
                           double *out)
{
    const struct chain_cell *cell = &layer->cell;
    uint32_t n = layer->outputs;
    double *x = calloc(8 * n, sizeof(double)), *s = x + 4 * n, *c = h + n;
    matrix_apply(cell->in_weights, cell->in_bias, 4 * n, layer->inputs, in, x);
    matrix_apply(cell->state_weights, cell->state_bias, 4 * n, n, h, s);
    for (uint32_t i = 0; i < n; i++) {
        double gates[4];
        for (uint32_t g = 0; g < 4; g++) {
            double sum = x[g * n + i] + s[g * n + i];
            gates[g] = g == 3 ? tanh(sum) : sigmoid(sum);
        }
        c[i] = gates[2] * c[i] + gates[0] * gates[3];
        out[i] = gates[1] * tanh(c[i]);
    }
    memcpy(h, out, n * sizeof(double));
    free(x);
}

static void forest_reference(const struct chain_layer *layer, const double *in, double *out)
{
    const struct chain_forest *forest = &layer->forest;
    for (uint32_t i = 0; i < layer->outputs; i++) {
        out[i] = (double)forest->base[i];
    }
    for (uint32_t t = 0; t < forest->tree_count; t++) {
        uint32_t at = 0, word;
        const struct mlrt_node *nodes = forest->nodes + forest->trees[t].first;
        for (; at < 7; at = 2 * at + 1 + !(in[word & MLRT_LEAF] <= (double)nodes[at].threshold)) {
            word = nodes[at].feature_distance;
        }
        if (forest->trees[t].output != MLRT_ALL_OUTPUTS) {
            out[forest->trees[t].output] += (double)nodes[at].threshold;
            continue;
        }
        for (uint32_t i = 0; i < layer->outputs; i++) {
            size_t row = nodes[at].feature_distance >> MLRT_FEATURE_BITS;
            out[i] += (double)forest->values[row * layer->outputs + i];
        }
    }
}

static void nearest_reference(const struct chain_layer *layer, const double *in, double *out)
{
    const struct chain_nearest *nearest = &layer->nearest;
    bool *taken = calloc(nearest->count, sizeof(bool));
    double sum = 0;
    memset(out, 0, layer->outputs * sizeof(double));
    for (uint32_t n = 0; n < nearest->k; n++) {
        uint32_t best = 0;
        double least = INFINITY;
        for (uint32_t p = 0; p < nearest->count; p++) {
            double distance = 0;
            for (uint32_t i = 0; i < layer->inputs; i++) {
                distance += pow(in[i] - (double)nearest->points[(size_t)p * layer->inputs + i], 2);
            }
            if (!taken[p] && distance < least) {
                least = distance;
                best = p;
            }
        }
        taken[best] = true;
        double weight = nearest->by_distance ? 1 / sqrt(least) : 1;
        sum += weight;
        for (uint32_t i = 0; i < layer->outputs; i++) {
            out[i] += weight * (nearest->targets
                                    ? (double)nearest->targets[(size_t)best * layer->outputs + i]
                                    : nearest->labels[best] == i);
        }
    }
    for (uint32_t i = 0; i < layer->outputs; i++) {
        out[i] /= sum;
    }
    free(taken);
}

static void activate(uint32_t activation, double *x, uint32_t count)
{
    double most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        most = fmax(most, x[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        x[i] = activation == MLRT_RELU      ? fmax(0, x[i])
               : activation == MLRT_SIGMOID ? sigmoid(x[i])
               : activation == MLRT_TANH    ? tanh(x[i])
               : activation == MLRT_SOFTMAX ? exp(x[i] - most)
                                            : x[i];
        sum += fabs(x[i]);
    }
    for (uint32_t i = 0; i < count && activation >= MLRT_SOFTMAX; i++) {
        x[i] /= sum;
    }
}

static void layer_reference(const struct chain_layer *layer, const double *in, double *h,
                            double *out)
{
    switch (layer->kind) {
    case MLRT_DENSE:
        matrix_apply(layer->dense.weights, layer->dense.bias, layer->outputs, layer->inputs, in,
                     out);
        break;
    case MLRT_SCALE:
        for (uint32_t i = 0; i < layer->inputs; i++) {
            out[i] = (in[i] - (double)layer->scale.offset[i]) * (double)layer->scale.factor[i] +
                     (double)layer->scale.addend[i];
        }
        break;
    case MLRT_PAIR:
        out[0] = 1 - in[0];
        out[1] = in[0];
        break;
    case MLRT_GRU:
        gru_reference(layer, in, h, out);
        break;
    case MLRT_LSTM:
        lstm_reference(layer, in, h, out);
        break;
    case MLRT_FOREST:
        forest_reference(layer, in, out);
        break;
    default:
        nearest_reference(layer, in, out);
        break;
    }
    activate(layer->activation, out, layer->outputs);
}

void chain_reference(const struct chain *chain, const float *in, uint32_t steps, double *out)
{
    double *rows[2] = {calloc(MLRT_WIDTH_MAX, sizeof(double)),
                       calloc(MLRT_WIDTH_MAX, sizeof(double))};
    double *states = calloc((size_t)MLRT_LAYERS_MAX * 2 * MLRT_WIDTH_MAX, sizeof(double));
    for (uint32_t step = 0; step < steps; step++) {
        for (uint32_t i = 0; i < chain->inputs; i++) {
            rows[0][i] = (double)in[(size_t)step * chain->inputs + i];
        }
        for (uint32_t l = 0; l < chain->count; l++) {
            layer_reference(&chain->layers[l], rows[l % 2], states + (size_t)l * 2 * MLRT_WIDTH_MAX,
                            rows[(l + 1) % 2]);
        }
    }
    memcpy(out, rows[chain->count % 2], chain_width(chain) * sizeof(double));
    free(rows[0]);
    free(rows[1]);
    free(states);
}
