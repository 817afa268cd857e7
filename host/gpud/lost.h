/*
 * lost.h: what a front still does for its machine when it must end: a driver that waits for work
 * that will never end learns so from the shared memory.
 */
#pragma once

#include "machine.h"

/* For a front that no other follows: from now on a fatal signal (guest memory that is gone, say) ends the
 * machine's work first. */
void lost_watch(struct machine *machine);

/*
 * Signals every fence that is due, as failed with VGPGPU_ERR_LOST, and sends the event. Only stores
 * and writes: fit for a signal handler. Locks are not taken: whoever holds them may be the cause.
 */
void machine_lose(struct machine *machine);
