/* reference.c: see reference.h. */
#include "reference.h"

#include <math.h>

unsigned element_bytes(unsigned type)
{
    return type == VGPGPU_S8 ? 1 : type == VGPGPU_BF16 ? 2 : 4;
}

uint64_t element_place(const struct vgpgpu_tensor *tensor, const uint64_t *index)
{
    uint64_t at = 0;
    for (unsigned i = 0; i < tensor->rank; i++)
        at += index[i] * tensor->strides[i];
    return tensor->offset + at * element_bytes(tensor->type);
}

bool index_step(const struct vgpgpu_tensor *tensor, uint64_t *index)
{
    for (unsigned i = tensor->rank; i-- > 0;) {
        if (++index[i] < tensor->dimensions[i])
            return true;
        index[i] = 0;
    }
    return false;
}

double step_value(const struct vgpgpu_step *step, double x, double y)
{
    double a = (double)step->a, b = (double)step->b;
    switch (step->op) {
    case VGPGPU_STEP_RELU:
        return x > 0 ? x : a * x;
    case VGPGPU_STEP_ELU:
        return x > 0 ? x : a * expm1(x);
    case VGPGPU_STEP_LINEAR:
        return a * x + b;
    case VGPGPU_STEP_CLIP:
        return x < a ? a : x > b ? b : x;
    case VGPGPU_STEP_POW:
        return a * pow(x, b);
    case VGPGPU_STEP_SWISH:
        return x / (1 + exp(-a * x));
    case VGPGPU_STEP_SIGMOID:
        return 1 / (1 + exp(-x));
    case VGPGPU_STEP_TANH:
        return tanh(x);
    case VGPGPU_STEP_EXP:
        return exp(x);
    case VGPGPU_STEP_LOG:
        return log(x);
    case VGPGPU_STEP_SQRT:
        return sqrt(x);
    case VGPGPU_STEP_SQUARE:
        return x * x;
    case VGPGPU_STEP_ABS:
        return fabs(x);
    case VGPGPU_STEP_ROUND:
        return nearbyint(x);
    case VGPGPU_STEP_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case VGPGPU_STEP_GELU_TANH:
        return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case VGPGPU_STEP_ADD:
        return x + y;
    case VGPGPU_STEP_SUB:
        return x - y;
    case VGPGPU_STEP_MUL:
        return x * y;
    case VGPGPU_STEP_DIV:
        return x / y;
    case VGPGPU_STEP_MAX:
        return x > y ? x : y;
    default:
        return x < y ? x : y;
    }
}
