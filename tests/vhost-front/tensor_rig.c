/* tensor_rig.c: see tensor_rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "tensor_rig.h"

#define PAGES 256u
#define BYTES (PAGES * VGPGPU_PAGE)

struct rig rig;
uint8_t *memory[TENSOR_BUFFERS + 1];
static uint8_t before[TENSOR_OUTPUTS + 1][BYTES]; /* outputs' buffers before an operation */
static uint64_t random_state = 88172645463325252ull;

uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % limit;
}

void machine_open(void)
{
    rig_open(&rig);
    for (uint32_t i = 1; i <= TENSOR_BUFFERS; i++)
        memory[i] = rig_guest_buffer(&rig, i, PAGES);
}

bool is_supported(unsigned operation, unsigned type)
{
    return rig.front->config.operations[operation] >> type & 1;
}

/* ---- Elements ----------------------------------------------------------------------------------
 */

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

double value_at(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    return element_get(memory[tensor->buffer] + element_place(tensor, index), tensor->type);
}

/* ---- Tensors -----------------------------------------------------------------------------------
 */

struct vgpgpu_tensor tensor_random(uint32_t buffer, unsigned type, unsigned rank,
                                   const uint64_t *dimensions)
{
    struct vgpgpu_tensor tensor =
        tensor_dense(buffer, (enum vgpgpu_type)type, random_below(64) * element_bytes(type),
                     (uint16_t)rank, dimensions);
    uint64_t stride = 1;
    for (unsigned i = rank; i-- > 0;) {
        tensor.strides[i] = stride;
        stride = stride * dimensions[i] + (random_below(2) ? random_below(5) : 0);
    }
    for (unsigned i = 0; i < rank; i++) /* means nothing, and may be anything */
        if (dimensions[i] == 1 && random_below(3) == 0)
            tensor.strides[i] = 1 + random_below(1u << random_below(24));
    return tensor;
}

void tensor_fill(const struct vgpgpu_tensor *tensor)
{
    uint64_t index[VGPGPU_MAX_RANK] = {0};
    do {
        element_put(memory[tensor->buffer] + element_place(tensor, index), tensor->type,
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

void operation_try(uint16_t operation, const struct vgpgpu_tensor *tensors, uint16_t count,
                   const void *parameters, uint32_t bytes)
{
    for (uint32_t i = 1; i <= TENSOR_OUTPUTS; i++)
        memcpy(before[i], memory[i], BYTES);
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

void element_expect(const struct vgpgpu_tensor *out, const uint64_t *index, double want,
                    double tolerance)
{
    uint8_t *at = memory[out->buffer] + element_place(out, index);
    double got = element_get(at, out->type), off = got > want ? got - want : want - got;
    double size = want > 1 ? want : want < -1 ? -want : 1;
    double allowed = out->type == VGPGPU_BF16 ? tolerance + 1.0 / 256 : tolerance;
    if (!(off <= allowed * size))
        fail_msg("element %llu %llu ...: %g, not %g", (unsigned long long)index[0],
                 (unsigned long long)index[1], got, want);
    memcpy(at, before[out->buffer] + element_place(out, index), element_bytes(out->type));
}

void gaps_expect(const struct vgpgpu_tensor *out)
{
    assert_memory_equal(memory[out->buffer], before[out->buffer], BYTES);
}

double former_at(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    return element_get(before[tensor->buffer] + element_place(tensor, index), tensor->type);
}

void element_skip(const struct vgpgpu_tensor *out, const uint64_t *index)
{
    size_t at = element_place(out, index);
    memcpy(memory[out->buffer] + at, before[out->buffer] + at, element_bytes(out->type));
}
