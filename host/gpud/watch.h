/*
 * watch.h: the time limit of a machine's work. A batch that is the oldest of its queue, or a build,
 * for longer than the limit costs the machine its device process: neither can be ended without it.
 */
#pragma once

#include "machine.h"

void watch_init(struct watch *watch, uint64_t limit_ns);
/* Body of the thread; ->limit_ns is not 0. */
void *watch_run(void *machine);

/* The timeline has work and had none, or has none any more; its lock is held. */
void watch_add(struct timeline *timeline);
void watch_remove(struct timeline *timeline);
/* Another batch of it is the oldest now. */
void watch_next(struct timeline *timeline);
