/*
 * operations_test.c: the built-in operations against plain C, on random shapes, strides and places;
 * and what the device says to descriptors that are wrong. Inputs are small whole numbers, so that
 * what is sums and products must come out to the last bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "front.h"
#include "lib/gpucmd/tensor.h"
#include "rig.h"

#define BUFFERS 5u
#define PAGES   256u
#define BYTES   (PAGES * VGPGPU_PAGE)
#define ROUNDS  60u

static struct rig rig;
static uint8_t *memory[BUFFERS + 1]; /* by the buffer's identifier */
static uint8_t before[BYTES];        /* the output's buffer before an operation */
static uint64_t random_state = 88172645463325252ull;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % limit;
}

static unsigned bytes_of(unsigned type)
{
    return type == VGPGPU_S8 ? 1 : type == VGPGPU_BF16 ? 2 : 4;
}

static void machine_open(void)
{
    rig_open(&rig);
    for (uint32_t i = 1; i <= BUFFERS; i++)
        memory[i] = rig_guest_buffer(&rig, i, PAGES);
}

static bool is_supported(unsigned operation, unsigned type)
{
    return rig.front->config.operations[operation] >> type & 1;
}

/* ---- Elements ---------------------------------------------------------------------------------- */

static float bf16_to_float(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* To the nearest, ties to even; finite numbers only. */
static uint16_t float_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static double element_get(const uint8_t *at, unsigned type)
{
    float f32;
    uint16_t bf16;
    int32_t s32;
    switch (type) {
    case VGPGPU_F32:
        memcpy(&f32, at, sizeof(f32));
        return (double)f32;
    case VGPGPU_BF16:
        memcpy(&bf16, at, sizeof(bf16));
        return (double)bf16_to_float(bf16);
    case VGPGPU_S8:
        return (int8_t)*at;
    default:
        memcpy(&s32, at, sizeof(s32));
        return s32;
    }
}

static void element_put(uint8_t *at, unsigned type, double value)
{
    float f32 = (float)value;
    uint16_t bf16;
    int32_t s32;
    switch (type) {
    case VGPGPU_F32:
        memcpy(at, &f32, sizeof(f32));
        break;
    case VGPGPU_BF16:
        bf16 = float_to_bf16(f32);
        memcpy(at, &bf16, sizeof(bf16));
        break;
    case VGPGPU_S8:
        *at = (uint8_t)(int8_t)value;
        break;
    default:
        s32 = (int32_t)value;
        memcpy(at, &s32, sizeof(s32));
        break;
    }
}

static size_t place_of(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    uint64_t at = 0;
    for (unsigned i = 0; i < tensor->rank; i++)
        at += index[i] * tensor->strides[i];
    return tensor->offset + at * bytes_of(tensor->type);
}

static double value_at(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    return element_get(memory[tensor->buffer] + place_of(tensor, index), tensor->type);
}

/* The next index in order; false after the last. */
static bool index_step(const struct vgpgpu_tensor *tensor, uint64_t *index)
{
    for (unsigned i = tensor->rank; i-- > 0;) {
        if (++index[i] < tensor->dimensions[i])
            return true;
        index[i] = 0;
    }
    return false;
}

/* ---- Tensors ----------------------------------------------------------------------------------- */

/* A tensor of these dimensions somewhere in its buffer, perhaps with gaps. */
static struct vgpgpu_tensor tensor_random(uint32_t buffer, unsigned type, unsigned rank,
                                          const uint64_t *dimensions)
{
    struct vgpgpu_tensor tensor = tensor_dense(buffer, (enum vgpgpu_type)type,
                                               random_below(64) * bytes_of(type), (uint16_t)rank,
                                               dimensions);
    uint64_t stride = 1;
    for (unsigned i = rank; i-- > 0;) {
        tensor.strides[i] = stride;
        stride = stride * dimensions[i] + (random_below(2) ? random_below(5) : 0);
    }
    return tensor;
}

static void tensor_fill(const struct vgpgpu_tensor *tensor)
{
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        element_put(memory[tensor->buffer] + place_of(tensor, index), tensor->type,
                    (double)random_below(9) - 4);
    } while (index_step(tensor, index));
}

static uint32_t operation_run(uint16_t operation, const struct vgpgpu_tensor *tensors,
                              uint16_t count, const void *parameters, uint32_t bytes)
{
    static uint32_t queue;
    queue = (queue + 1) % VGPGPU_QUEUES_PER_CONTEXT;
    batch_operation(rig_batch(&rig), operation, tensors, count, parameters, bytes);
    return rig_run(&rig, queue);
}

/* Runs it with the output's buffer set aside before; the output is tensors[0]. */
static void operation_try(uint16_t operation, const struct vgpgpu_tensor *tensors, uint16_t count,
                          const void *parameters, uint32_t bytes)
{
    memcpy(before, memory[tensors[0].buffer], BYTES);
    uint32_t status = operation_run(operation, tensors, count, parameters, bytes);
    for (unsigned i = 0; status && i < count; i++) {
        print_error("tensor %u: type %u:", i, tensors[i].type);
        for (unsigned j = 0; j < tensors[i].rank; j++)
            print_error(" %llu (%llu)", (unsigned long long)tensors[i].dimensions[j],
                        (unsigned long long)tensors[i].strides[j]);
        print_error("\n");
    }
    assert_int_equal(status, VGPGPU_OK);
}

/* Compares an element, and puts the former one back so that gaps can be compared in the end. */
static void element_expect(const struct vgpgpu_tensor *out, const uint64_t *index, double want,
                           double tolerance)
{
    uint8_t *at = memory[out->buffer] + place_of(out, index);
    double got = element_get(at, out->type), off = got > want ? got - want : want - got;
    double size = want > 1 ? want : want < -1 ? -want : 1;
    double allowed = out->type == VGPGPU_BF16 ? tolerance + 1.0 / 256 : tolerance;
    if (!(off <= allowed * size))
        fail_msg("element %llu %llu ...: %g, not %g", (unsigned long long)index[0],
                 (unsigned long long)index[1], got, want);
    memcpy(at, before + place_of(out, index), bytes_of(out->type));
}

/* Once every element was expected: nothing beside them was written. */
static void gaps_expect(const struct vgpgpu_tensor *out)
{
    assert_memory_equal(memory[out->buffer], before, BYTES);
}

/* ---- GEMM -------------------------------------------------------------------------------------- */

static double former_at(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    return element_get(before + place_of(tensor, index), tensor->type);
}

static void gemm_expect(const struct vgpgpu_tensor *tensors, const struct vgpgpu_gemm *gemm)
{
    const struct vgpgpu_tensor *c = &tensors[0], *a = &tensors[1], *b = &tensors[2];
    uint64_t index[VGPGPU_MAX_RANK] = {0}, in_a[3] = {0}, in_b[3] = {0};
    unsigned row = c->rank - 2u, column = c->rank - 1u;
    do {
        double sum = 0;
        memcpy(in_a, index, sizeof(in_a));
        memcpy(in_b, index, sizeof(in_b));
        for (uint64_t k = 0; k < a->dimensions[column]; k++) {
            in_a[column] = in_b[row] = k;
            sum += value_at(a, in_a) * value_at(b, in_b);
        }
        double want = (double)gemm->alpha * sum;
        if (gemm->beta != 0)
            want += (double)gemm->beta * former_at(c, index);
        element_expect(c, index, want, 0);
    } while (index_step(c, index));
    gaps_expect(c);
}

static struct vgpgpu_tensor matrix_random(uint32_t buffer, unsigned type, unsigned rank,
                                          uint64_t batch, uint64_t rows, uint64_t columns)
{
    bool transposed = random_below(2);
    uint64_t dimensions[3] = {batch, transposed ? columns : rows, transposed ? rows : columns};
    struct vgpgpu_tensor tensor = tensor_random(buffer, type, rank, dimensions + (3 - rank));
    tensor_fill(&tensor);
    return transposed ? tensor_transposed(tensor) : tensor;
}

static void gemm_round(unsigned type, unsigned result, uint32_t largest)
{
    bool exact = result == VGPGPU_S32;
    struct vgpgpu_gemm gemm = {.alpha = exact || random_below(2) ? 1 : 0.5f,
                               .beta = random_below(2) ? 0 : exact || random_below(2) ? 1 : -2};
    uint64_t m = 1 + random_below(largest), n = 1 + random_below(largest),
             k = 1 + random_below(largest), batch = 1 + random_below(3);
    unsigned rank = random_below(4) ? 2 : 3;
    struct vgpgpu_tensor tensors[3] = {matrix_random(1, result, rank, batch, m, n),
                                       matrix_random(2, type, rank, batch, m, k),
                                       matrix_random(3, type, rank, batch, k, n)};
    operation_try(VGPGPU_GEMM, tensors, 3, &gemm, sizeof(gemm));
    gemm_expect(tensors, &gemm);
}

static void test_gemm(void **state)
{
    static const unsigned types[][2] = {{VGPGPU_F32, VGPGPU_F32},
                                        {VGPGPU_BF16, VGPGPU_F32},
                                        {VGPGPU_BF16, VGPGPU_BF16},
                                        {VGPGPU_S8, VGPGPU_S32}};
    (void)state;
    machine_open();
    if (!is_supported(VGPGPU_GEMM, VGPGPU_F32)) {
        rig_close(&rig);
        skip();
    }
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (unsigned round = 0; round < ROUNDS && is_supported(VGPGPU_GEMM, types[i][0]); round++)
            gemm_round(types[i][0], types[i][1], round < ROUNDS / 2 ? 9 : 70);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),
    };
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
