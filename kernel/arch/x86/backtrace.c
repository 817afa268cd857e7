/*
 * backtrace.c: walks frame pointers of the kernel and names what it finds.
 */
#include <arch/arch.h>
#include <microlake/log.h>
#include "kernel/module/symbols.h"
#include "kernel/mm/mm.h"

static void frame_print(uint64_t rip)
{
    const char *name = NULL, *module = NULL;
    uint64_t offset = 0;

    if (symbol_find(rip, &name, &offset, &module))
        log_error("  %016lx %s+0x%lx%s%s", rip, name, offset, module ? " of " : "",
                  module ? module : "");
    else
        log_error("  %016lx", rip);
}

void backtrace_print(uint64_t rip, uint64_t rbp)
{
    log_error("called from:");
    frame_print(rip);
    for (unsigned depth = 0; depth < 24; depth++) {
        const uint64_t *frame = (const uint64_t *)rbp;

        if ((rbp & 7) || !kstack_contains(rbp, 16))
            break;
        if (!frame[1])
            break;
        frame_print(frame[1] - 1);
        if (frame[0] <= rbp)
            break;
        rbp = frame[0];
    }
}
