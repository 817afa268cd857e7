/*
 * memory.h: the nucleus's own, but the direct map is a piece of the test's memory.
 */
#pragma once

#define phys_to_virt kernel_phys_to_virt
#include "kernel/include/microlake/memory.h"
#undef phys_to_virt
#undef DIRECT_MAP_BASE

extern uint64_t direct_map; /* where physical address 0 is */

#define DIRECT_MAP_BASE direct_map

static inline void *phys_to_virt(paddr_t pa)
{
    return (void *)(pa + DIRECT_MAP_BASE);
}
