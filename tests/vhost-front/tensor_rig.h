/*
 * tensor_rig.h: what the tests of built-in operations share: a machine with buffers full of
 * numbers, tensors of random shape in them, and the comparison of results with what plain C makes
 * of them. The functions assert; they are for cmocka tests.
 */
#pragma once

#include "lib/gpucmd/tensor.h"
#include "rig.h"
#include "tests/tensor-reference/reference.h"

#define TENSOR_BUFFERS 9u
#define TENSOR_OUTPUTS 3u /* results lie in the first of them */
#define ROUNDS         60u

extern struct rig rig;
extern uint8_t *memory[TENSOR_BUFFERS + 1]; /* by the buffer's identifier */

/* The same numbers in every run. */
uint32_t random_below(uint32_t limit);

/* A machine with the buffers; rig_close() ends it. */
void machine_open(void);
bool is_supported(unsigned operation, unsigned type);

double value_at(const struct vgpgpu_tensor *tensor, const uint64_t *index);
/* What was there before the operation, of an output. */
double former_at(const struct vgpgpu_tensor *tensor, const uint64_t *index);

/* A tensor of these dimensions somewhere in its buffer, perhaps with gaps. */
struct vgpgpu_tensor tensor_random(uint32_t buffer, unsigned type, unsigned rank,
                                   const uint64_t *dimensions);
/* Small whole numbers, -4 to 4. */
void tensor_fill(const struct vgpgpu_tensor *tensor);

/* Runs it, with the outputs' buffers set aside before. */
void operation_try(uint16_t operation, const struct vgpgpu_tensor *tensors, uint16_t count,
                   const void *parameters, uint32_t bytes);
/* Compares an element, and puts the former one back so that gaps can be compared in the end. */
void element_expect(const struct vgpgpu_tensor *out, const uint64_t *index, double want,
                    double tolerance);
/* The same for an element that may be anything. */
void element_skip(const struct vgpgpu_tensor *out, const uint64_t *index);
/* Once every element was expected: nothing beside them was written. */
void gaps_expect(const struct vgpgpu_tensor *out);
