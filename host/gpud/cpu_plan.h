/* cpu_plan.h: what the files of the operations on the processor share. */
#pragma once

#include <stdatomic.h>
#include "cpu_operation.h"
#include "dnnl_api.h"

#define STAGE_ARGS  (VGPGPU_MAX_TENSORS + VGPGPU_MAX_STEPS)
#define PLAN_STAGES (VGPGPU_MAX_STEPS + VGPGPU_MAX_TENSORS)
#define STAGE_COPY  VGPGPU_MAX_TENSORS /* added to a tensor's index: its dense copy */

/* One primitive of a plan, with what it takes. */
struct cpu_stage {
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t scratch; /* ndims 0: none */
    unsigned arg_count;
    struct {
        int arg; /* DNNL_ARG_* */
        unsigned tensor; /* index, perhaps plus STAGE_COPY */
        dnnl_memory_desc_t layout;
    } args[STAGE_ARGS];
};

struct cpu_plan {
    atomic_uint references; /* the cache's, one for each user */
    uint64_t used;          /* cache_lock: when it was asked for last */
    void *key;
    size_t key_bytes;
    size_t scratch_bytes;            /* of the stage that needs most; then come the copies */
    size_t copy_bytes;               /* of all copies */
    size_t copies[VGPGPU_MAX_TENSORS]; /* where each tensor's copy lies, behind the scratchpad */
    unsigned stage_count;
    struct cpu_stage stages[PLAN_STAGES];
};

/* A dnnl_status_t as a status. */
uint32_t cpu_status(dnnl_status_t status);

/* A tensor's layout for the library. */
uint32_t cpu_layout(const struct vgpgpu_tensor *tensor, dnnl_memory_desc_t *out);

/* Adds a primitive to a plan and gives its stage, whose arguments the caller adds. */
uint32_t cpu_stage_add(struct cpu_plan *plan, const void *descriptor, dnnl_primitive_attr_t attr,
                       struct cpu_stage **out);
/* The same for elements that only move, from one layout into another. */
uint32_t cpu_reorder_add(struct cpu_plan *plan, unsigned from, const dnnl_memory_desc_t *from_layout,
                         unsigned to, const dnnl_memory_desc_t *to_layout);
void cpu_stage_arg(struct cpu_stage *stage, int arg, unsigned tensor,
                   const dnnl_memory_desc_t *layout);

/* cpu_operation.c: fills a plan's stages for an operation. */
uint32_t cpu_plan_build(struct cpu_plan *plan, const struct device_operation *operation);

typedef uint32_t (*cpu_build)(struct cpu_plan *plan, const struct device_operation *operation,
                              dnnl_primitive_attr_t attr);

/*
 * cpu_dense.c: builds with copies, side by side in memory, of tensors whose elements are not; results
 * go back where they belong. For what the library cannot do, or not rightly, with gaps.
 */
uint32_t cpu_dense_build(struct cpu_plan *plan, const struct device_operation *operation,
                         dnnl_primitive_attr_t attr, cpu_build build);

/* Attributes that every stage has; destroyed by the caller. */
uint32_t cpu_attributes_make(dnnl_primitive_attr_t *out);

/* cpu_network.c, cpu_norm.c, cpu_elementwise.c, cpu_lstm.c: these operations' stages. */
uint32_t cpu_conv2d_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr);
uint32_t cpu_pool2d_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr);
uint32_t cpu_softmax_build(struct cpu_plan *plan, const struct device_operation *operation,
                           dnnl_primitive_attr_t attr);
uint32_t cpu_reduce_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr);
uint32_t cpu_layer_norm_build(struct cpu_plan *plan, const struct device_operation *operation,
                              dnnl_primitive_attr_t attr);
uint32_t cpu_batch_norm_build(struct cpu_plan *plan, const struct device_operation *operation,
                              dnnl_primitive_attr_t attr);
uint32_t cpu_elementwise_build(struct cpu_plan *plan, const struct device_operation *operation,
                               dnnl_primitive_attr_t attr);
uint32_t cpu_lstm_build(struct cpu_plan *plan, const struct device_operation *operation,
                        dnnl_primitive_attr_t attr);
