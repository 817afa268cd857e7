/*
 * backtrace.c: walks frame pointers of the kernel and names what it finds.
 */
#include <arch/arch.h>
#include <microlake/log.h>
#include <microlake/module.h>
#include "kernel/mm/mm.h"

static void frame_print(enum log_level level, uint64_t rip)
{
    char name[80];

    symbol_text(rip, name, sizeof(name));
    log_line(level, "  %016lx %s", rip, name);
}

void backtrace_print(enum log_level level, unsigned frames, uint64_t rip, uint64_t rbp)
{
    log_line(level, "called from:");
    frame_print(level, rip);
    while (--frames > 0) {
        const uint64_t *frame = (const uint64_t *)rbp;

        if ((rbp & 7) || !kstack_contains(rbp, 16))
            break;
        if (!frame[1])
            break;
        frame_print(level, frame[1] - 1);
        if (frame[0] <= rbp)
            break;
        rbp = frame[0];
    }
}
