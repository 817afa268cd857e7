/*
 * urgent.h: the operations of the policy: entities with a priority first, then fair shares.
 */
#pragma once

#include "fair.h"

void urgent_enqueue(struct sched_queue *q, struct sched_entity *e, uint64_t now);
void urgent_dequeue(struct sched_queue *q, struct sched_entity *e);
struct sched_entity *urgent_pick(struct sched_queue *q, uint64_t now);
uint64_t urgent_slice(struct sched_queue *q, struct sched_entity *e);
bool urgent_preempts(struct sched_queue *q, struct sched_entity *fresh, struct sched_entity *running);
