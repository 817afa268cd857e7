/*
 * engine_batch.h: a batch on its way from the front's message to the device, and the report of its end.
 */
#pragma once

#include "engine.h"

/*
 * Gives the device a batch; take_lock is held. Returns the queue whose batch is the caller's to carry out, by
 * batch_run(), or NULL. It may return while the device's own thread still has what it was given: see below.
 */
struct device_queue *engine_batch_start(struct engine *engine, struct link_message *message);

/* Waits until no thread of the device gives it a batch any more; take_lock is held. Before every message. */
void engine_lent_wait(void);
