/* cpu_plan.h: what the files of the operations on the processor share. */
#pragma once

#include <stdatomic.h>
#include "cpu_operation.h"
#include "dnnl_api.h"

#define STAGE_ARGS  10u
#define PLAN_STAGES 16u

/* One primitive of a plan, with what it takes. */
struct cpu_stage {
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t scratch; /* ndims 0: none */
    unsigned arg_count;
    struct {
        int arg; /* DNNL_ARG_* */
        unsigned tensor;
        dnnl_memory_desc_t layout;
    } args[STAGE_ARGS];
};

struct cpu_plan {
    atomic_uint references; /* the cache's, one for each user */
    uint64_t used;          /* cache_lock: when it was asked for last */
    void *key;
    size_t key_bytes;
    size_t scratch_bytes;
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
void cpu_stage_arg(struct cpu_stage *stage, int arg, unsigned tensor,
                   const dnnl_memory_desc_t *layout);

/* cpu_operation.c: fills a plan's stages for an operation. */
uint32_t cpu_plan_build(struct cpu_plan *plan, const struct device_operation *operation);

/* cpu_network.c: these operations' stages. */
uint32_t cpu_conv2d_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr);
uint32_t cpu_pool2d_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr);
uint32_t cpu_softmax_build(struct cpu_plan *plan, const struct device_operation *operation,
                           dnnl_primitive_attr_t attr);
uint32_t cpu_reduce_build(struct cpu_plan *plan, const struct device_operation *operation,
                          dnnl_primitive_attr_t attr);
