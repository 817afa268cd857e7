/*
 * cpu_plan.c: plans: making, keeping and running them. To make one means that the library writes
 * machine code, thousands of times dearer than a look-up; so the last ones used are kept.
 */
#include "cpu_plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "operation_check.h"

#define KEPT_PLANS    128u
#define SCRATCH_ALIGN 64u

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cpu_plan *kept[KEPT_PLANS]; /* cache_lock */
static uint64_t cache_clock;              /* cache_lock */

uint32_t cpu_status(dnnl_status_t status)
{
    switch (status) {
    case dnnl_success:
        return VGPGPU_OK;
    case dnnl_out_of_memory:
        return VGPGPU_ERR_NO_MEMORY;
    case dnnl_unimplemented:
    case dnnl_invalid_arguments: /* the shapes were checked: a limit of the library's own */
        return VGPGPU_ERR_UNSUPPORTED;
    default:
        return VGPGPU_ERR_EXEC;
    }
}

uint32_t cpu_layout(const struct vgpgpu_tensor *tensor, dnnl_memory_desc_t *out)
{
    static const dnnl_data_type_t types[] = {[VGPGPU_F32] = dnnl_f32,
                                             [VGPGPU_BF16] = dnnl_bf16,
                                             [VGPGPU_S8] = dnnl_s8,
                                             [VGPGPU_S32] = dnnl_s32};
    dnnl_dims_t dimensions, strides;
    for (unsigned i = 0; i < tensor->rank; i++) {
        dimensions[i] = (dnnl_dim_t)tensor->dimensions[i];
        strides[i] = (dnnl_dim_t)tensor->strides[i];
    }
    return cpu_status(dnnl.memory_desc_init_by_strides(out, tensor->rank, dimensions,
                                                       types[tensor->type], strides));
}

/* Makes a stage of a primitive that was chosen, which it destroys. */
static uint32_t stage_take(struct cpu_plan *plan, dnnl_primitive_desc_t chosen,
                           struct cpu_stage **out)
{
    struct cpu_stage *stage = &plan->stages[plan->stage_count];
    stage->arg_count = 0;
    stage->scratch = *dnnl.primitive_desc_query_md(chosen, dnnl_query_scratchpad_md, 0);
    size_t scratch = stage->scratch.ndims ? dnnl.memory_desc_get_size(&stage->scratch) : 0;
    dnnl_status_t status = dnnl.primitive_create(&stage->primitive, chosen);
    dnnl.primitive_desc_destroy(chosen);
    if (status)
        return cpu_status(status);
    scratch = (scratch + SCRATCH_ALIGN - 1) & ~(size_t)(SCRATCH_ALIGN - 1);
    if (scratch > plan->scratch_bytes)
        plan->scratch_bytes = scratch;
    plan->stage_count++;
    *out = stage;
    return VGPGPU_OK;
}

uint32_t cpu_stage_add(struct cpu_plan *plan, const void *descriptor, dnnl_primitive_attr_t attr,
                       struct cpu_stage **out)
{
    dnnl_primitive_desc_t chosen;
    dnnl_status_t status = dnnl.primitive_desc_create(&chosen, descriptor, attr, dnnl.cpu, NULL);
    return status ? cpu_status(status) : stage_take(plan, chosen, out);
}

uint32_t cpu_attributes_make(dnnl_primitive_attr_t *out)
{
    uint32_t status = cpu_status(dnnl.primitive_attr_create(out));
    if (status)
        return status;
    status = cpu_status(dnnl.primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user));
    if (status)
        dnnl.primitive_attr_destroy(*out);
    return status;
}

uint32_t cpu_reorder_add(struct cpu_plan *plan, unsigned from, const dnnl_memory_desc_t *from_layout,
                         unsigned to, const dnnl_memory_desc_t *to_layout)
{
    dnnl_primitive_desc_t chosen;
    dnnl_primitive_attr_t attr;
    struct cpu_stage *stage;
    uint32_t status = cpu_attributes_make(&attr);
    if (status)
        return status;
    status = cpu_status(dnnl.reorder_primitive_desc_create(&chosen, from_layout, dnnl.cpu,
                                                           to_layout, dnnl.cpu, attr));
    dnnl.primitive_attr_destroy(attr);
    if (!status)
        status = stage_take(plan, chosen, &stage);
    if (status)
        return status;
    cpu_stage_arg(stage, DNNL_ARG_FROM, from, from_layout);
    cpu_stage_arg(stage, DNNL_ARG_TO, to, to_layout);
    return VGPGPU_OK;
}

void cpu_stage_arg(struct cpu_stage *stage, int arg, unsigned tensor,
                   const dnnl_memory_desc_t *layout)
{
    stage->args[stage->arg_count].arg = arg;
    stage->args[stage->arg_count].tensor = tensor;
    stage->args[stage->arg_count++].layout = *layout;
}

void cpu_plan_release(struct cpu_plan *plan)
{
    if (atomic_fetch_sub(&plan->references, 1) != 1)
        return;
    for (unsigned i = 0; i < plan->stage_count; i++)
        dnnl.primitive_destroy(plan->stages[i].primitive);
    free(plan->key);
    free(plan);
}

/* All that a plan depends on: the operation, shapes without their places, and the parameters. */
static void *key_make(const struct device_operation *operation, size_t *bytes)
{
    size_t shapes = operation->tensor_count * sizeof(struct vgpgpu_tensor);
    *bytes = sizeof(uint64_t) + shapes + operation->parameter_bytes;
    uint8_t *key = malloc(*bytes);
    if (!key)
        return NULL;
    uint64_t head = (uint64_t)operation->operation << 32 | operation->tensor_count;
    struct vgpgpu_tensor *tensors = (void *)(key + sizeof(head));
    memcpy(key, &head, sizeof(head));
    memcpy(tensors, operation->tensors, shapes);
    for (unsigned i = 0; i < operation->tensor_count; i++) {
        tensors[i].buffer = 0;
        tensors[i].offset = 0;
    }
    memcpy(key + sizeof(head) + shapes, operation->parameters, operation->parameter_bytes);
    return key;
}

static struct cpu_plan *kept_find_locked(const void *key, size_t bytes)
{
    for (unsigned i = 0; i < KEPT_PLANS; i++) {
        struct cpu_plan *plan = kept[i];
        if (plan && plan->key_bytes == bytes && memcmp(plan->key, key, bytes) == 0) {
            plan->used = ++cache_clock;
            atomic_fetch_add(&plan->references, 1);
            return plan;
        }
    }
    return NULL;
}

/* The new plan takes the place of the one that was not asked for longest. */
static void plan_keep_locked(struct cpu_plan *plan)
{
    unsigned oldest = 0;
    for (unsigned i = 0; i < KEPT_PLANS && kept[oldest]; i++)
        if (!kept[i] || kept[i]->used < kept[oldest]->used)
            oldest = i;
    if (kept[oldest])
        cpu_plan_release(kept[oldest]);
    kept[oldest] = plan;
    plan->used = ++cache_clock;
    atomic_fetch_add(&plan->references, 1);
}

/* The stride of a dimension of 1 is never used, but the library reckons with it: softmax wrote far beyond
 * its result. All are what they would be if rows followed each other. */
static void strides_tidy(struct vgpgpu_tensor *tensor)
{
    for (unsigned i = tensor->rank; i-- > 0;)
        if (tensor->dimensions[i] == 1)
            tensor->strides[i] = i + 1u < tensor->rank
                                     ? tensor->dimensions[i + 1] * tensor->strides[i + 1]
                                     : 1;
}

/* Takes the key over. */
static uint32_t plan_make(const struct device_operation *operation, void *key, size_t bytes,
                          struct cpu_plan **out)
{
    struct cpu_plan *plan = calloc(1, sizeof(*plan));
    if (!plan) {
        free(key);
        return VGPGPU_ERR_NO_MEMORY;
    }
    atomic_init(&plan->references, 1);
    plan->key = key;
    plan->key_bytes = bytes;
    uint32_t status = cpu_plan_build(plan, operation);
    if (status)
        cpu_plan_release(plan);
    else
        *out = plan;
    return status;
}

uint32_t cpu_plan_prepare(const struct device_operation *given, struct cpu_plan **out)
{
    struct vgpgpu_tensor tensors[VGPGPU_MAX_TENSORS];
    struct device_operation tidy = *given;
    const struct device_operation *operation = &tidy;
    size_t bytes;
    if (!dnnl_load())
        return VGPGPU_ERR_UNSUPPORTED;
    memcpy(tensors, given->tensors, given->tensor_count * sizeof(tensors[0]));
    for (unsigned i = 0; i < given->tensor_count; i++)
        strides_tidy(&tensors[i]);
    tidy.tensors = tensors;
    void *key = key_make(operation, &bytes);
    if (!key)
        return VGPGPU_ERR_NO_MEMORY;
    uint32_t status = VGPGPU_OK;
    pthread_mutex_lock(&cache_lock);
    *out = kept_find_locked(key, bytes);
    if (*out) {
        free(key);
    } else {
        status = plan_make(operation, key, bytes, out);
        if (!status)
            plan_keep_locked(*out);
    }
    pthread_mutex_unlock(&cache_lock);
    return status;
}

static uint32_t scratch_grow(struct cpu_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->bytes)
        return VGPGPU_OK;
    free(scratch->memory);
    scratch->bytes = (bytes + SCRATCH_ALIGN - 1) & ~(size_t)(SCRATCH_ALIGN - 1);
    scratch->memory = aligned_alloc(SCRATCH_ALIGN, scratch->bytes);
    if (scratch->memory)
        return VGPGPU_OK;
    scratch->bytes = 0;
    return VGPGPU_ERR_NO_MEMORY;
}

/* Where what an argument names lies: a tensor of the guest's, or a copy behind the scratchpad. */
static void *arg_memory(const struct cpu_plan *plan, unsigned tensor, void *const *memory,
                        void *scratch)
{
    return tensor < STAGE_COPY
               ? memory[tensor]
               : (uint8_t *)scratch + plan->scratch_bytes + plan->copies[tensor - STAGE_COPY];
}

static uint32_t stage_run(const struct cpu_plan *plan, const struct cpu_stage *stage,
                          void *const *memory, void *scratch, dnnl_stream_t stream)
{
    dnnl_exec_arg_t args[STAGE_ARGS + 1];
    unsigned count = 0;
    dnnl_status_t status = dnnl_success;
    for (unsigned i = 0; i < stage->arg_count && !status; i++) {
        args[count].arg = stage->args[i].arg;
        status = dnnl.memory_create(&args[count].memory, &stage->args[i].layout, dnnl.cpu,
                                    arg_memory(plan, stage->args[i].tensor, memory, scratch));
        count += !status;
    }
    if (!status && stage->scratch.ndims) {
        args[count].arg = DNNL_ARG_SCRATCHPAD;
        status = dnnl.memory_create(&args[count].memory, &stage->scratch, dnnl.cpu, scratch);
        count += !status;
    }
    if (!status)
        status = dnnl.primitive_execute(stage->primitive, stream, (int)count, args);
    while (count)
        dnnl.memory_destroy(args[--count].memory);
    return cpu_status(status);
}

/* The stream of a processor is in order and does its work in the call, so each thread has one. */
static dnnl_stream_t stream_get(void)
{
    static _Thread_local dnnl_stream_t stream;
    if (!stream && dnnl.stream_create(&stream, dnnl.cpu, dnnl_stream_in_order))
        stream = NULL;
    return stream;
}

uint32_t cpu_plan_run(struct cpu_plan *plan, void *const *memory, struct cpu_scratch *scratch)
{
    dnnl_stream_t stream = stream_get();
    uint32_t status = stream ? scratch_grow(scratch, plan->scratch_bytes + plan->copy_bytes)
                             : VGPGPU_ERR_NO_MEMORY;
    for (unsigned i = 0; i < plan->stage_count && !status; i++)
        status = stage_run(plan, &plan->stages[i], memory, scratch->memory, stream);
    return status;
}
