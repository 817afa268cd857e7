/*
 * names.c: built-in operations and types of numbers in words.
 */
#include "user/libmalv/malv.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const char *malv_operation_name(uint32_t operation)
{
    static const char *const names[] = {
        [VGPGPU_GEMM] = "gemm",
        [VGPGPU_CONV2D] = "conv2d",
        [VGPGPU_POOL2D] = "pool2d",
        [VGPGPU_SOFTMAX] = "softmax",
        [VGPGPU_REDUCE] = "reduce",
        [VGPGPU_LAYER_NORM] = "layer-norm",
        [VGPGPU_BATCH_NORM] = "batch-norm",
        [VGPGPU_ELEMENTWISE] = "elementwise",
        [VGPGPU_LSTM] = "lstm",
    };
    return operation < COUNT(names) ? names[operation] : NULL;
}

const char *malv_type_name(uint32_t type)
{
    static const char *const names[] = {
        [VGPGPU_F32] = "f32",
        [VGPGPU_BF16] = "bf16",
        [VGPGPU_S8] = "s8",
        [VGPGPU_S32] = "s32",
    };
    return type < COUNT(names) ? names[type] : NULL;
}
