/*
 * networks_test.c: normalisation, elementwise chains and LSTM against plain C in double precision,
 * on random shapes, strides and places.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tensor_rig.h"

static unsigned type_random(unsigned operation)
{
    return is_supported(operation, VGPGPU_BF16) && !random_below(3) ? VGPGPU_BF16 : VGPGPU_F32;
}

static unsigned shape_random(unsigned least, unsigned most, uint64_t *dimensions)
{
    unsigned rank = least + random_below(most - least + 1);
    for (unsigned i = 0; i < rank; i++)
        dimensions[i] = 1 + random_below(i + 1 == rank ? 50 : 6);
    return rank;
}

/* Puts one number everywhere, where small whole numbers will not do. */
static void tensor_spread(const struct vgpgpu_tensor *tensor, double least, double most)
{
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        float value = (float)(least + (most - least) * random_below(1000) / 1000);
        uint64_t at = 0;
        for (unsigned i = 0; i < tensor->rank; i++)
            at += index[i] * tensor->strides[i];
        memcpy(memory[tensor->buffer] + tensor->offset + at * sizeof(value), &value, sizeof(value));
    } while (index_step(tensor, index));
}

/* ---- Normalisation -----------------------------------------------------------------------------
 */

static struct vgpgpu_tensor vector_random(uint32_t buffer, uint64_t length)
{
    struct vgpgpu_tensor vector =
        tensor_dense(buffer, VGPGPU_F32, random_below(64) * 4, 1, &length);
    tensor_fill(&vector);
    return vector;
}

static double norm_value(const struct vgpgpu_tensor *tensors, const bool *there, unsigned scale,
                         uint64_t channel, double normal)
{
    if (there[0])
        normal *= value_at(&tensors[scale], &channel);
    if (there[1])
        normal += value_at(&tensors[scale + 1], &channel);
    return normal;
}

static double layer_normal(const struct vgpgpu_tensor *source, const uint64_t *index,
                           double epsilon)
{
    uint64_t other[VGPGPU_MAX_RANK];
    unsigned last = source->rank - 1u;
    double sum = 0, squares = 0, length = (double)source->dimensions[last];
    memcpy(other, index, sizeof(other));
    for (uint64_t i = 0; i < source->dimensions[last]; i++) {
        other[last] = i;
        sum += value_at(source, other);
    }
    for (uint64_t i = 0; i < source->dimensions[last]; i++) {
        other[last] = i;
        squares += pow(value_at(source, other) - sum / length, 2);
    }
    return (value_at(source, index) - sum / length) / sqrt(squares / length + epsilon);
}

static void layer_norm_round(void)
{
    struct vgpgpu_norm norm = {.epsilon = random_below(2) ? 1e-5f : 0.5f};
    unsigned type = type_random(VGPGPU_LAYER_NORM);
    uint64_t dimensions[VGPGPU_MAX_RANK], index[VGPGPU_MAX_RANK] = {0};
    unsigned rank = shape_random(1, 5, dimensions), last = rank - 1;
    bool there[2] = {random_below(2), random_below(2)};
    struct vgpgpu_tensor tensors[4] = {tensor_random(1, type, rank, dimensions),
                                       tensor_random(4, type, rank, dimensions)};
    uint16_t count = there[1] ? 4 : there[0] ? 3 : (uint16_t)(2 + random_below(3));
    tensor_fill(&tensors[1]);
    for (unsigned i = 0; i < 2; i++)
        if (there[i])
            tensors[2 + i] = vector_random(5 + i, dimensions[last]);
    operation_try(VGPGPU_LAYER_NORM, tensors, count, &norm, sizeof(norm));
    do {
        double normal = layer_normal(&tensors[1], index, (double)norm.epsilon);
        element_expect(&tensors[0], index, norm_value(tensors, there, 2, index[last], normal),
                       1e-4);
    } while (index_step(&tensors[0], index));
    gaps_expect(&tensors[0]);
}

static void batch_norm_round(void)
{
    struct vgpgpu_norm norm = {.epsilon = 1e-3f};
    unsigned type = type_random(VGPGPU_BATCH_NORM);
    uint64_t dimensions[VGPGPU_MAX_RANK], index[VGPGPU_MAX_RANK] = {0};
    unsigned rank = shape_random(2, 5, dimensions);
    bool there[2] = {random_below(2), random_below(2)};
    struct vgpgpu_tensor tensors[6] = {
        tensor_random(1, type, rank, dimensions), tensor_random(4, type, rank, dimensions),
        vector_random(5, dimensions[1]), vector_random(6, dimensions[1])};
    uint16_t count = there[1] ? 6 : there[0] ? 5 : (uint16_t)(4 + random_below(3));
    tensor_fill(&tensors[1]);
    tensor_spread(&tensors[3], 0.1, 9);
    for (unsigned i = 0; i < 2; i++)
        if (there[i])
            tensors[4 + i] = vector_random(7 + i, dimensions[1]);
    operation_try(VGPGPU_BATCH_NORM, tensors, count, &norm, sizeof(norm));
    do {
        uint64_t channel = index[1];
        double normal = (value_at(&tensors[1], index) - value_at(&tensors[2], &channel)) /
                        sqrt(value_at(&tensors[3], &channel) + (double)norm.epsilon);
        element_expect(&tensors[0], index, norm_value(tensors, there, 4, channel, normal), 1e-4);
    } while (index_step(&tensors[0], index));
    gaps_expect(&tensors[0]);
}

/* ---- Elementwise chains ------------------------------------------------------------------------
 */

#define MOST_STEPS    6u
#define MOST_OPERANDS 3u

struct chain {
    struct vgpgpu_elementwise head;
    struct vgpgpu_step steps[MOST_STEPS];
};

static struct vgpgpu_step step_make(uint16_t op, unsigned operands)
{
    struct vgpgpu_step step = {.op = op};
    if (op <= VGPGPU_STEP_SWISH)
        step.a = (float)(1 + random_below(3)) / 4;
    if (op == VGPGPU_STEP_LINEAR || op == VGPGPU_STEP_CLIP)
        step.b = (float)(1 + random_below(2));
    if (op == VGPGPU_STEP_POW)
        step.b = 2;
    if (op >= VGPGPU_STEP_ADD)
        step.operand = (uint16_t)(2 + random_below(operands));
    return step;
}

/* Steps that stay in a range where float and double agree; each kind comes first once. */
static void chain_random(struct chain *chain, unsigned round, unsigned operands)
{
    static const uint16_t safe[] = {
        VGPGPU_STEP_RELU,  VGPGPU_STEP_ELU,       VGPGPU_STEP_LINEAR, VGPGPU_STEP_CLIP,
        VGPGPU_STEP_SWISH, VGPGPU_STEP_SIGMOID,   VGPGPU_STEP_TANH,   VGPGPU_STEP_ABS,
        VGPGPU_STEP_GELU,  VGPGPU_STEP_GELU_TANH, VGPGPU_STEP_SQUARE, VGPGPU_STEP_POW,
        VGPGPU_STEP_ROUND, VGPGPU_STEP_EXP,       VGPGPU_STEP_ADD,    VGPGPU_STEP_SUB,
        VGPGPU_STEP_MUL,   VGPGPU_STEP_DIV,       VGPGPU_STEP_MAX,    VGPGPU_STEP_MIN};
    /* Not further in: what grows fast, what jumps. */
    static const uint16_t calm[] = {VGPGPU_STEP_RELU, VGPGPU_STEP_LINEAR, VGPGPU_STEP_CLIP,
                                    VGPGPU_STEP_TANH, VGPGPU_STEP_ABS,    VGPGPU_STEP_SIGMOID,
                                    VGPGPU_STEP_ADD,  VGPGPU_STEP_MUL,    VGPGPU_STEP_MAX,
                                    VGPGPU_STEP_SUB,  VGPGPU_STEP_MIN};
    *chain = (struct chain){.head.count = 1 + random_below(MOST_STEPS)};
    chain->steps[0] = step_make(safe[round % (sizeof(safe) / sizeof(safe[0]))], operands);
    for (unsigned i = 1; i < chain->head.count; i++)
        chain->steps[i] = step_make(calm[random_below(sizeof(calm) / sizeof(calm[0]))], operands);
}

/* An operand of the result's shape, or with some dimensions of 1. */
static struct vgpgpu_tensor operand_random(uint32_t buffer, unsigned type, unsigned rank,
                                           const uint64_t *dimensions)
{
    uint64_t mine[VGPGPU_MAX_RANK];
    unsigned kind = random_below(4), axis = random_below(rank);
    for (unsigned i = 0; i < rank; i++)
        mine[i] = kind == 0   ? dimensions[i]
                  : kind == 1 ? 1
                  : kind == 2 ? (i == axis ? dimensions[i] : 1)
                              : (random_below(2) ? dimensions[i] : 1);
    struct vgpgpu_tensor tensor = tensor_random(buffer, type, rank, mine);
    tensor_fill(&tensor);
    return tensor;
}

static double operand_at(const struct vgpgpu_tensor *operand, const uint64_t *index)
{
    uint64_t mine[VGPGPU_MAX_RANK];
    for (unsigned i = 0; i < operand->rank; i++)
        mine[i] = operand->dimensions[i] == 1 ? 0 : index[i];
    return value_at(operand, mine);
}

static double chain_value(const struct chain *chain, const struct vgpgpu_tensor *tensors,
                          const uint64_t *index, double x)
{
    for (unsigned i = 0; i < chain->head.count; i++) {
        unsigned operand = chain->steps[i].operand;
        x = step_value(&chain->steps[i], x, operand ? operand_at(&tensors[operand], index) : 0);
    }
    return x;
}

static void elementwise_round(unsigned round)
{
    struct chain chain;
    unsigned type = type_random(VGPGPU_ELEMENTWISE);
    uint64_t dimensions[VGPGPU_MAX_RANK], index[VGPGPU_MAX_RANK] = {0};
    unsigned rank = shape_random(1, 5, dimensions);
    bool in_place = random_below(3) == 0;
    struct vgpgpu_tensor tensors[2 + MOST_OPERANDS] = {tensor_random(1, type, rank, dimensions),
                                                       tensor_random(4, type, rank, dimensions)};
    if (in_place)
        tensors[1] = tensors[0];
    tensor_fill(&tensors[1]);
    for (unsigned i = 0; i < MOST_OPERANDS; i++)
        tensors[2 + i] = operand_random(5 + i, type, rank, dimensions);
    chain_random(&chain, round, MOST_OPERANDS);
    operation_try(VGPGPU_ELEMENTWISE, tensors, 2 + MOST_OPERANDS, &chain,
                  (uint32_t)(sizeof(chain.head) + chain.head.count * sizeof(chain.steps[0])));
    do {
        double x = in_place ? former_at(&tensors[0], index) : value_at(&tensors[1], index);
        double want = chain_value(&chain, tensors, index, x);
        if (isfinite(want)) /* 1/0 and the like are the library's to write as it likes */
            element_expect(&tensors[0], index, want, 2e-4);
        else
            element_skip(&tensors[0], index);
    } while (index_step(&tensors[0], index));
    gaps_expect(&tensors[0]);
}

/* ---- LSTM --------------------------------------------------------------------------------------
 */

#define MOST_STATE (8u * 40u) /* batch times hidden */

enum {
    RESULT,
    LAST_HIDDEN,
    LAST_CELL,
    SOURCE,
    INPUT_WEIGHTS,
    HIDDEN_WEIGHTS,
    BIAS,
    FIRST_HIDDEN,
    FIRST_CELL,
    TENSORS
};

struct state {
    double hidden[MOST_STATE], cell[MOST_STATE];
};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* What one gate of one output sees. */
static double gate_sum(const struct vgpgpu_tensor *tensors, const struct state *state,
                       uint64_t step, uint64_t row, uint64_t gate_row)
{
    uint64_t inputs = tensors[SOURCE].dimensions[2], hidden = tensors[RESULT].dimensions[2];
    double sum = value_at(&tensors[BIAS], &gate_row);
    for (uint64_t i = 0; i < inputs; i++)
        sum += value_at(&tensors[INPUT_WEIGHTS], (uint64_t[2]){gate_row, i}) *
               value_at(&tensors[SOURCE], (uint64_t[3]){step, row, i});
    for (uint64_t i = 0; i < hidden; i++)
        sum += value_at(&tensors[HIDDEN_WEIGHTS], (uint64_t[2]){gate_row, i}) *
               state->hidden[row * hidden + i];
    return sum;
}

static void lstm_step(const struct vgpgpu_tensor *tensors, struct state *state, uint64_t step)
{
    struct state next;
    uint64_t batch = tensors[RESULT].dimensions[1], hidden = tensors[RESULT].dimensions[2];
    for (uint64_t row = 0; row < batch; row++)
        for (uint64_t out = 0; out < hidden; out++) {
            double gates[4];
            for (unsigned gate = 0; gate < 4; gate++)
                gates[gate] = gate_sum(tensors, state, step, row, gate * hidden + out);
            uint64_t at = row * hidden + out;
            next.cell[at] =
                sigmoid(gates[1]) * state->cell[at] + sigmoid(gates[0]) * tanh(gates[2]);
            next.hidden[at] = sigmoid(gates[3]) * tanh(next.cell[at]);
        }
    *state = next;
}

static void state_expect(const struct vgpgpu_tensor *tensor, const double *want)
{
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        element_expect(tensor, index, want[index[0] * tensor->dimensions[1] + index[1]], 1e-5);
    } while (index_step(tensor, index));
    gaps_expect(tensor);
}

static void lstm_expect(const struct vgpgpu_tensor *tensors, bool reverse, bool first, bool last)
{
    uint64_t steps = tensors[RESULT].dimensions[0], batch = tensors[RESULT].dimensions[1],
             hidden = tensors[RESULT].dimensions[2];
    struct state state = {{0}, {0}};
    for (uint64_t at = 0; first && at < batch * hidden; at++) {
        uint64_t index[2] = {at / hidden, at % hidden};
        state.hidden[at] = value_at(&tensors[FIRST_HIDDEN], index);
        state.cell[at] = value_at(&tensors[FIRST_CELL], index);
    }
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t step = reverse ? steps - 1 - i : i;
        lstm_step(tensors, &state, step);
        for (uint64_t at = 0; at < batch * hidden; at++)
            element_expect(&tensors[RESULT], (uint64_t[3]){step, at / hidden, at % hidden},
                           state.hidden[at], 1e-5);
    }
    gaps_expect(&tensors[RESULT]);
    if (last) {
        state_expect(&tensors[LAST_HIDDEN], state.hidden);
        state_expect(&tensors[LAST_CELL], state.cell);
    }
}

static struct vgpgpu_tensor matrix_random(uint32_t buffer, uint64_t rows, uint64_t columns)
{
    bool transposed = random_below(2);
    uint64_t dimensions[2] = {transposed ? columns : rows, transposed ? rows : columns};
    struct vgpgpu_tensor tensor = tensor_random(buffer, VGPGPU_F32, 2, dimensions);
    tensor_spread(&tensor, -0.5, 0.5);
    return transposed ? tensor_transposed(tensor) : tensor;
}

static void lstm_round(unsigned round)
{
    struct vgpgpu_lstm lstm = {.reverse = random_below(2)};
    uint64_t steps = 1 + random_below(5), batch = 1 + random_below(8),
             hidden = 1 + random_below(round < ROUNDS / 2 ? 5 : 40), inputs = 1 + random_below(20);
    uint64_t out[3] = {steps, batch, hidden}, in[3] = {steps, batch, inputs}, rows = 4 * hidden;
    bool first = random_below(2), last = random_below(2);
    struct vgpgpu_tensor tensors[TENSORS] = {[RESULT] = tensor_random(1, VGPGPU_F32, 3, out),
                                             [SOURCE] = tensor_random(4, VGPGPU_F32, 3, in),
                                             [INPUT_WEIGHTS] = matrix_random(5, rows, inputs),
                                             [HIDDEN_WEIGHTS] = matrix_random(6, rows, hidden)};
    tensor_fill(&tensors[SOURCE]);
    for (unsigned i = 0; i < 2 && last; i++)
        tensors[LAST_HIDDEN + i] = tensor_random(2 + i, VGPGPU_F32, 2, out + 1);
    tensors[BIAS] = tensor_dense(7, VGPGPU_F32, 0, 1, &rows);
    tensor_spread(&tensors[BIAS], -1, 1);
    for (unsigned i = 0; i < 2 && first; i++) {
        tensors[FIRST_HIDDEN + i] = tensor_random(8 + i, VGPGPU_F32, 2, out + 1);
        tensor_spread(&tensors[FIRST_HIDDEN + i], -1, 1);
    }
    operation_try(VGPGPU_LSTM, tensors, first ? 9 : 7, &lstm, sizeof(lstm));
    lstm_expect(tensors, lstm.reverse, first, last);
}

/* ---- All ---------------------------------------------------------------------------------------
 */

static void test_layer_norm(void **state)
{
    (void)state;
    machine_open();
    for (unsigned i = 0; i < 3 * ROUNDS && is_supported(VGPGPU_LAYER_NORM, VGPGPU_F32); i++)
        layer_norm_round();
    rig_close(&rig);
}

static void test_batch_norm(void **state)
{
    (void)state;
    machine_open();
    for (unsigned i = 0; i < 3 * ROUNDS && is_supported(VGPGPU_BATCH_NORM, VGPGPU_F32); i++)
        batch_norm_round();
    rig_close(&rig);
}

static void test_elementwise(void **state)
{
    (void)state;
    machine_open();
    for (unsigned i = 0; i < 6 * ROUNDS && is_supported(VGPGPU_ELEMENTWISE, VGPGPU_F32); i++)
        elementwise_round(i);
    rig_close(&rig);
}

static void test_lstm(void **state)
{
    (void)state;
    machine_open();
    for (unsigned i = 0; i < ROUNDS && is_supported(VGPGPU_LSTM, VGPGPU_F32); i++)
        lstm_round(i);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_lstm),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
