/*
 * cpu_operation.h: built-in operations on this host's processor, by oneDNN, on the memory where the
 * tensors lie. A plan is an operation made ready for its shapes; plans are kept for the next time.
 *
 * Any thread may prepare, run and release. A plan may run in several threads at once, each with a
 * scratchpad of its own.
 */
#pragma once

#include <stddef.h>
#include "device.h"

struct cpu_plan;

/* Memory that plans work in between; grows as needed, one thread at a time. Zero before first use.
 */
struct cpu_scratch {
    void *memory;
    size_t bytes;
};

/* Fills the masks of struct vgpgpu_config: none without the library. */
void cpu_operations_list(uint16_t operations[VGPGPU_OPERATION_ROOM]);

/* Gives a plan that the caller releases. ERR_UNSUPPORTED, ERR_NO_MEMORY, ERR_EXEC. */
uint32_t cpu_plan_prepare(const struct device_operation *operation, struct cpu_plan **out);
void cpu_plan_release(struct cpu_plan *plan);

/* Runs it to its end. `memory`: where each tensor's first element lies; NULL for one left out. */
uint32_t cpu_plan_run(struct cpu_plan *plan, void *const *memory, struct cpu_scratch *scratch);
