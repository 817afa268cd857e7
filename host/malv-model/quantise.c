/*
 * quantise.c: integer models. What goes into a layer becomes int8 by one scale, the weights of each
 * output by one of its own, symmetric about 0 (as Jacob et al. 2018, arXiv 1712.05877, without zero
 * points). The scales of what goes in come from the largest number that the samples lead to.
 */
#include <math.h>
#include <string.h>

#include "host/malv-model/pack.h"
#include "lib/mlrt/layout.h"

#define INT8_MOST     127.0
#define FIXED_UNIT    65536.0 /* 2^MLRT_FRACTION */
#define MULT_BITS     31
#define SMALLEST_PEAK 1e-6 /* where the samples lead to nothing but zeros */

struct quantiser {
    struct arena *arena;
    const struct chain *chain;
    const struct samples *samples;
    struct why *why;
    double in_unit;                /* of what goes into the layer at work: 2^fraction */
    double peaks[MLRT_LAYERS_MAX]; /* the largest number that goes into each layer */
    struct mlrt_layer table[MLRT_LAYERS_MAX];
    struct packed out;
};

static int32_t rounded(double x)
{
    double whole = nearbyint(isnan(x) ? 0 : x);
    return whole >= INT32_MAX ? INT32_MAX : whole <= INT32_MIN ? INT32_MIN : (int32_t)whole;
}

/* The shift with which a number below 2^31 keeps most places: value * 2^shift in 2^30..2^31. */
static uint32_t shift_for(double value)
{
    int exponent;
    frexp(value, &exponent);
    int shift = MULT_BITS - exponent;
    return shift < 0 ? 0 : shift > (int)MLRT_SHIFT_MAX ? MLRT_SHIFT_MAX : (uint32_t)shift;
}

/* Infinity where one is NaN. */
static double largest(const float *numbers, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        double size = fabs((double)numbers[i]);
        most = isnan(size) ? (double)INFINITY : fmax(most, size);
    }
    return most;
}

/* What the first `layers` layers give, in every step of every sample: the largest of it. */
static bool peak_measure(struct quantiser *q, uint32_t layers, double *peak)
{
    struct arena scratch = {0};
    struct packed packed;
    struct mlrt_model model;
    const struct samples *samples = q->samples;
    if (!pack_float(&scratch, q->chain, layers, &packed, q->why) ||
        mlrt_open(&model, packed.bytes, packed.size, MLRT_BEST) != MLRT_OK) {
        arena_free(&scratch);
        return why_not(q->why, "can't be run for calibration");
    }
    uint32_t outputs = model.header->outputs, inputs = model.header->inputs;
    float *out = arena_alloc(&scratch, outputs, sizeof(float));
    float *state = arena_alloc(&scratch, 1, mlrt_state_bytes(&model) + 1);
    void *workspace = arena_alloc(&scratch, 1, mlrt_workspace_bytes(&model, 1));
    *peak = SMALLEST_PEAK;
    for (uint32_t row = 0; row < samples->rows; row++) {
        memset(state, 0, mlrt_state_bytes(&model));
        for (uint32_t step = 0; step < samples->steps; step++) {
            size_t at = ((size_t)row * samples->steps + step) * inputs;
            mlrt_run_steps(&model, samples->inputs + at, 1, 1, state, out, workspace);
            *peak = fmax(*peak, largest(out, outputs));
        }
    }
    arena_free(&scratch);
    return isfinite(*peak) || why_not(q->why, "gives numbers that are not finite");
}

static bool peaks_measure(struct quantiser *q)
{
    const struct samples *samples = q->samples;
    size_t count = (size_t)samples->rows * samples->steps * q->chain->inputs;
    q->peaks[0] = fmax(SMALLEST_PEAK, largest(samples->inputs, count));
    for (uint32_t i = 1; i < q->chain->count; i++) {
        if (!peak_measure(q, i, &q->peaks[i])) {
            return false;
        }
    }
    return isfinite(q->peaks[0]) || why_not(q->why, "can't be calibrated on what is not finite");
}

/* x real is x * 2^fraction in cells; mult and shift take that to int8 of `step` each. */
static void in_scale(const struct quantiser *q, double step, uint32_t *mult, uint32_t *shift)
{
    double factor = 1 / (step * q->in_unit);
    *shift = shift_for(factor);
    *mult = (uint32_t)rounded(ldexp(factor, (int)*shift));
}

/* The scale of one output's weights: their largest is 127, and the bias has room in an int32. */
static double row_scale(const float *weights, uint32_t inputs, double bias, double step)
{
    double scale = largest(weights, inputs) / INT8_MOST;
    scale = fmax(scale, fabs(bias) / (step * (1 << 30)));
    return scale > 0 ? scale : 1;
}

/* A matrix in natural order, and what quantising it needs besides. */
struct source {
    const float *weights, *bias;
    uint32_t outputs, inputs;
    double step; /* of one int8 of what goes in */
};

/* Where a matrix goes. */
struct place {
    int8_t *weights;
    int32_t *bias, *mult;
};

static double source_scale(const struct source *from, uint32_t output)
{
    return row_scale(from->weights + (size_t)output * from->inputs, from->inputs,
                     (double)from->bias[output], from->step);
}

/* The shift with which the largest multiplier of a matrix still fits. */
static uint32_t source_shift(const struct source *from)
{
    double most = 0;
    for (uint32_t o = 0; o < from->outputs; o++) {
        most = fmax(most, source_scale(from, o));
    }
    return shift_for(most * from->step * FIXED_UNIT);
}

static void int8_pack(int8_t *to, const float *row, uint32_t output, uint32_t inputs, double scale)
{
    uint32_t pairs = mlrt_pairs(inputs);
    int8_t *panel = to + (size_t)(output / MLRT_PANEL) * pairs * 2 * MLRT_PANEL;
    for (uint32_t i = 0; i < inputs; i++) {
        panel[((size_t)(i / 2) * MLRT_PANEL + output % MLRT_PANEL) * 2 + i % 2] =
            (int8_t)rounded((double)row[i] / scale);
    }
}

static void matrix_pack(const struct source *from, const struct place *to, uint32_t shift)
{
    for (uint32_t o = 0; o < from->outputs; o++) {
        double scale = source_scale(from, o);
        int8_pack(to->weights, from->weights + (size_t)o * from->inputs, o, from->inputs, scale);
        to->bias[o] = rounded((double)from->bias[o] / (scale * from->step));
        to->mult[o] = rounded(ldexp(scale * from->step * FIXED_UNIT, (int)shift));
    }
}

static struct source dense_source(const struct quantiser *q, uint32_t index)
{
    const struct chain_layer *layer = &q->chain->layers[index];
    return (struct source){layer->dense.weights, layer->dense.bias, layer->outputs, layer->inputs,
                           q->peaks[index] / INT8_MOST};
}

static struct source cell_in_source(const struct quantiser *q, uint32_t index)
{
    const struct chain_layer *layer = &q->chain->layers[index];
    return (struct source){layer->cell.in_weights, layer->cell.in_bias,
                           mlrt_gates(layer->kind) * layer->outputs, layer->inputs,
                           q->peaks[index] / INT8_MOST};
}

static struct source cell_state_source(const struct quantiser *q, uint32_t index)
{
    const struct chain_layer *layer = &q->chain->layers[index];
    return (struct source){layer->cell.state_weights, layer->cell.state_bias,
                           mlrt_gates(layer->kind) * layer->outputs, layer->outputs, 1 / INT8_MOST};
}

static void params_set(const struct quantiser *q, uint32_t index, struct mlrt_layer *layer)
{
    struct source in, state;
    switch (layer->kind) {
    case MLRT_DENSE:
        in = dense_source(q, index);
        in_scale(q, in.step, &layer->params[DENSE_IN_MULT], &layer->params[DENSE_IN_SHIFT]);
        layer->params[DENSE_OUT_SHIFT] = source_shift(&in);
        break;
    case MLRT_GRU:
    case MLRT_LSTM:
        in = cell_in_source(q, index);
        state = cell_state_source(q, index);
        in_scale(q, in.step, &layer->params[CELL_IN_SCALE_MULT],
                 &layer->params[CELL_IN_SCALE_SHIFT]);
        layer->params[CELL_IN_OUT_SHIFT] = source_shift(&in);
        layer->params[CELL_STATE_OUT_SHIFT] = source_shift(&state);
        break;
    case MLRT_NEAREST:
        in_scale(q, q->peaks[index] / INT8_MOST, &layer->params[NEAREST_IN_MULT],
                 &layer->params[NEAREST_IN_SHIFT]);
        break;
    default:
        break;
    }
}

static void cell_pack(const struct quantiser *q, uint32_t index, const struct source *from,
                      const struct place *to, uint32_t shift)
{
    const struct chain_layer *layer = &q->chain->layers[index];
    uint32_t width = mlrt_padded(layer->outputs);
    for (uint32_t gate = 0; gate < mlrt_gates(layer->kind); gate++) {
        struct source part = *from;
        size_t rows = (size_t)gate * layer->outputs, place = (size_t)gate * width;
        part.outputs = layer->outputs;
        part.weights += rows * from->inputs;
        part.bias += rows;
        matrix_pack(&part,
                    &(struct place){to->weights + place * mlrt_pairs(from->inputs) * 2,
                                    to->bias + place, to->mult + place},
                    shift);
    }
}

static void cell_quantise(const struct quantiser *q, uint32_t index)
{
    const uint32_t *params = q->table[index].params;
    struct source in = cell_in_source(q, index), state = cell_state_source(q, index);
    cell_pack(q, index, &in,
              &(struct place){packed_array(&q->out, index, CELL_IN_WEIGHTS),
                              packed_array(&q->out, index, CELL_IN_BIAS),
                              packed_array(&q->out, index, CELL_IN_MULT)},
              params[CELL_IN_OUT_SHIFT]);
    cell_pack(q, index, &state,
              &(struct place){packed_array(&q->out, index, CELL_STATE_WEIGHTS),
                              packed_array(&q->out, index, CELL_STATE_BIAS),
                              packed_array(&q->out, index, CELL_STATE_MULT)},
              params[CELL_STATE_OUT_SHIFT]);
}

static void dense_quantise(const struct quantiser *q, uint32_t index)
{
    struct source from = dense_source(q, index);
    matrix_pack(&from,
                &(struct place){packed_array(&q->out, index, DENSE_WEIGHTS),
                                packed_array(&q->out, index, DENSE_BIAS),
                                packed_array(&q->out, index, DENSE_MULT)},
                q->table[index].params[DENSE_OUT_SHIFT]);
}

static void scale_quantise(const struct quantiser *q, uint32_t index)
{
    const struct chain_layer *layer = &q->chain->layers[index];
    int32_t *offset = packed_array(&q->out, index, SCALE_OFFSET);
    int32_t *factor = packed_array(&q->out, index, SCALE_FACTOR);
    int32_t *addend = packed_array(&q->out, index, SCALE_ADDEND);
    uint32_t *shift = packed_array(&q->out, index, SCALE_SHIFT);
    for (uint32_t i = 0; i < layer->inputs; i++) {
        double value = (double)layer->scale.factor[i] * FIXED_UNIT / q->in_unit;
        shift[i] = shift_for(fabs(value));
        offset[i] = rounded((double)layer->scale.offset[i] * q->in_unit);
        factor[i] = rounded(ldexp(value, (int)shift[i]));
        addend[i] = rounded((double)layer->scale.addend[i] * FIXED_UNIT);
    }
}

/* x <= threshold of numbers with whole cells is cell <= floor(threshold * unit). */
static void forest_quantise(const struct quantiser *q, uint32_t index)
{
    const struct chain_layer *layer = &q->chain->layers[index];
    const struct chain_forest *forest = &layer->forest;
    struct mlrt_node *nodes = packed_array(&q->out, index, FOREST_NODES);
    int32_t *values = packed_array(&q->out, index, FOREST_VALUES);
    int32_t *base = packed_array(&q->out, index, FOREST_BASE);
    memcpy(packed_array(&q->out, index, FOREST_TREES), forest->trees,
           forest->tree_count * sizeof(*forest->trees));
    for (uint32_t i = 0; i < forest->node_count; i++) {
        double threshold = (double)forest->nodes[i].threshold;
        bool leaf = (forest->nodes[i].feature_distance & MLRT_LEAF) == MLRT_LEAF;
        nodes[i].feature_distance = forest->nodes[i].feature_distance;
        nodes[i].threshold_fixed =
            rounded(leaf ? threshold * FIXED_UNIT : floor(threshold * q->in_unit));
    }
    for (uint32_t i = 0; i < forest->value_count; i++) {
        values[i] = rounded((double)forest->values[i] * FIXED_UNIT);
    }
    for (uint32_t i = 0; i < layer->outputs; i++) {
        base[i] = rounded((double)forest->base[i] * FIXED_UNIT);
    }
}

static void nearest_quantise(const struct quantiser *q, uint32_t index)
{
    const struct chain_layer *layer = &q->chain->layers[index];
    const struct chain_nearest *nearest = &layer->nearest;
    double step = q->peaks[index] / INT8_MOST;
    int32_t *targets = packed_array(&q->out, index, NEAREST_TARGETS);
    for (uint32_t i = 0; i < nearest->count; i++) {
        int8_pack(packed_array(&q->out, index, NEAREST_POINTS),
                  nearest->points + (size_t)i * layer->inputs, i, layer->inputs, step);
    }
    for (size_t i = 0; i < (size_t)nearest->count * layer->outputs && nearest->targets; i++) {
        targets[i] = rounded((double)nearest->targets[i] * FIXED_UNIT);
    }
    if (nearest->labels) {
        memcpy(targets, nearest->labels, nearest->count * sizeof(uint32_t));
    }
}

static void layer_quantise(struct quantiser *q, uint32_t index)
{
    switch (q->chain->layers[index].kind) {
    case MLRT_DENSE:
        dense_quantise(q, index);
        break;
    case MLRT_SCALE:
        scale_quantise(q, index);
        break;
    case MLRT_GRU:
    case MLRT_LSTM:
        cell_quantise(q, index);
        break;
    case MLRT_FOREST:
        forest_quantise(q, index);
        break;
    case MLRT_NEAREST:
        nearest_quantise(q, index);
        break;
    default:
        break;
    }
}

static bool layer_is_finite(const struct chain_layer *layer)
{
    size_t inputs = layer->inputs, outputs = layer->outputs;
    size_t rows = mlrt_gates(layer->kind) * outputs;
    const struct chain_cell *cell = &layer->cell;
    switch (layer->kind) {
    case MLRT_DENSE:
        return isfinite(largest(layer->dense.weights, inputs * outputs) +
                        largest(layer->dense.bias, outputs));
    case MLRT_GRU:
    case MLRT_LSTM:
        return isfinite(largest(cell->in_weights, rows * inputs) +
                        largest(cell->state_weights, rows * outputs) +
                        largest(cell->in_bias, rows) + largest(cell->state_bias, rows));
    default:
        return true;
    }
}

static bool chain_can_be_integer(const struct chain *chain, uint32_t fraction, struct why *why)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        if (chain->layers[i].kind == MLRT_NEAREST && chain->layers[i].nearest.by_distance) {
            return why_not(why, "weighs neighbours by distance, which integer models do not");
        }
        if (!layer_is_finite(&chain->layers[i])) {
            return why_not(why, "has weights that are not finite");
        }
    }
    if (chain->layers[0].kind == MLRT_PAIR && fraction != MLRT_FRACTION) {
        return why_not(why, "begins with a layer that wants %u fraction bits", MLRT_FRACTION);
    }
    return true;
}

/* The points of a nearest-neighbour layer have to fit as well as what is compared with them. */
static void peaks_widen(struct quantiser *q)
{
    for (uint32_t i = 0; i < q->chain->count; i++) {
        const struct chain_layer *layer = &q->chain->layers[i];
        if (layer->kind == MLRT_NEAREST) {
            size_t count = (size_t)layer->nearest.count * layer->inputs;
            q->peaks[i] = fmax(q->peaks[i], largest(layer->nearest.points, count));
        }
    }
}

bool pack_integer(struct arena *arena, const struct chain *chain, const struct samples *samples,
                  uint32_t fraction, struct packed *out, struct why *why)
{
    struct quantiser q = {.arena = arena, .chain = chain, .samples = samples, .why = why};
    if (!chain_can_be_integer(chain, fraction, why) || !peaks_measure(&q)) {
        return false;
    }
    peaks_widen(&q);
    for (uint32_t i = 0; i < chain->count; i++) {
        q.in_unit = i == 0 ? ldexp(1, (int)fraction) : FIXED_UNIT;
        q.table[i] = pack_layer(&chain->layers[i]);
        params_set(&q, i, &q.table[i]);
    }
    if (!pack_begin(arena, chain, q.table, chain->count, true, &q.out, why)) {
        return false;
    }
    for (uint32_t i = 0; i < chain->count; i++) {
        q.in_unit = i == 0 ? ldexp(1, (int)fraction) : FIXED_UNIT;
        layer_quantise(&q, i);
    }
    ((struct mlrt_header *)q.out.bytes)->input_fraction = fraction;
    mlrt_seal(q.out.bytes, q.out.size);
    *out = q.out;
    return true;
}
