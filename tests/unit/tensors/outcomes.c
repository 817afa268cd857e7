/* outcomes.c: see tensors.h. */
#include <stdio.h>
#include "tensors.h"

static unsigned long counts[VGPGPU_LSTM + 1][VGPGPU_ERR_TIMEOUT + 1];

const char *outcome_judge(const struct trial *trial, bool right, uint32_t status)
{
    if (status > VGPGPU_ERR_TIMEOUT || trial->operation > VGPGPU_LSTM)
        return "a status that there is not";
    counts[trial->operation][status]++;
    if (right && status && status != VGPGPU_ERR_UNSUPPORTED)
        return "what is right was refused";
    if (!right && !status)
        return "what is wrong was done";
    if (!status)
        return trial_expect(trial);
    return memory_is_kept() ? NULL : "what was refused wrote";
}

unsigned long outcomes_done(uint16_t operation)
{
    return counts[operation][VGPGPU_OK];
}

void outcomes_print(void)
{
    static const char *const names[] = {"",       "GEMM",       "CONV2D",     "POOL2D",      "SOFTMAX",
                                        "REDUCE", "LAYER_NORM", "BATCH_NORM", "ELEMENTWISE", "LSTM"};
    printf("%-12s       OK   INVALID        ID     RANGE     LIMIT NO_MEMORY UNSUPPORTED\n", "");
    for (unsigned i = 1; i <= VGPGPU_LSTM; i++) {
        const unsigned long *c = counts[i];
        printf("%-12s%9lu %9lu %9lu %9lu %9lu %9lu %11lu\n", names[i], c[0], c[1], c[2], c[3], c[4], c[5],
               c[VGPGPU_ERR_UNSUPPORTED]);
    }
}
