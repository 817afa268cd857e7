/*
 * vvar.h: the page of facts that the kernel shows every program, right below the shared object that
 * reads them. vdso.c runs in user mode and includes nothing else of the project.
 */
#pragma once

#include <stdint.h>

#define VVAR_SIZE  4096
#define VVAR_SHIFT 22 /* of mult */

enum { VVAR_MONOTONIC = 1, VVAR_WALL = 2 };

struct vvar {
    uint32_t sequence; /* odd while the rest changes */
    uint32_t ready;    /* VVAR_...: clocks that can be read here; of others the call knows more */
    uint64_t base_tsc, base_ns, mult;
    uint64_t wall_offset; /* ns since 1970 when the machine's clock was 0 */
};
