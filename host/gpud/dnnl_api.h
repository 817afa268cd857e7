/* dnnl_api.h: oneDNN, opened when it is needed: a host without it has no built-in operations. */
#pragma once

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>

/* dnnl_x is called as dnnl.x. */
#define DNNL_FUNCTIONS(X)                                                                          \
    X(engine_create)                                                                               \
    X(stream_create)                                                                               \
    X(get_effective_cpu_isa)                                                                       \
    X(memory_desc_init_by_strides)                                                                 \
    X(memory_desc_get_size)                                                                        \
    X(memory_create)                                                                               \
    X(memory_destroy)                                                                              \
    X(dilated_convolution_forward_desc_init)                                                       \
    X(pooling_v2_forward_desc_init)                                                                \
    X(softmax_v2_forward_desc_init)                                                                \
    X(reduction_desc_init)                                                                         \
    X(layer_normalization_forward_desc_init)                                                       \
    X(batch_normalization_forward_desc_init)                                                       \
    X(eltwise_forward_desc_init)                                                                   \
    X(binary_desc_init)                                                                            \
    X(lstm_forward_desc_init)                                                                      \
    X(reorder_primitive_desc_create)                                                               \
    X(matmul_desc_init)                                                                            \
    X(post_ops_create)                                                                             \
    X(post_ops_destroy)                                                                            \
    X(post_ops_append_sum)                                                                         \
    X(post_ops_append_eltwise)                                                                     \
    X(primitive_attr_create)                                                                       \
    X(primitive_attr_destroy)                                                                      \
    X(primitive_attr_set_output_scales)                                                            \
    X(primitive_attr_set_post_ops)                                                                 \
    X(primitive_attr_set_scratchpad_mode)                                                          \
    X(primitive_desc_create)                                                                       \
    X(primitive_desc_destroy)                                                                      \
    X(primitive_desc_query_md)                                                                     \
    X(primitive_create)                                                                            \
    X(primitive_destroy)                                                                           \
    X(primitive_execute)

struct dnnl_api {
#define DNNL_MEMBER(name) __typeof__(dnnl_##name) *name;
    DNNL_FUNCTIONS(DNNL_MEMBER)
#undef DNNL_MEMBER
    dnnl_engine_t cpu;
};

extern struct dnnl_api dnnl;

/* Opens the library once per process. False: this host has none. */
bool dnnl_load(void);
