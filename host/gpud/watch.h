/*
 * watch.h: time limits. A batch that is the oldest of its queue, or a request to the device process,
 * for longer than the limit of its context, or the machine's, costs the context its device process:
 * neither can be ended without it.
 */
#pragma once

#include "machine.h"

/* 0, or -1: no descriptor. */
int watch_init(struct watch *watch, uint64_t limit_ns);
/* Body of the thread. */
void *watch_run(void *machine);
/* Contexts with this limit are watched from now on. */
void watch_limit_add(struct watch *watch, uint64_t limit_ns);

/* A request to the device process. The control thread's. */
void watch_call_begin(struct remote *remote);
void watch_call_end(struct remote *remote);

/* The timeline has work and had none, or has none any more; its lock is held. */
void watch_add(struct timeline *timeline);
void watch_remove(struct timeline *timeline);
/* Another batch of it is the oldest now. */
void watch_next(struct timeline *timeline);
