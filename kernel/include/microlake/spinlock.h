/*
 * spinlock.h: locks for short sections. Taking one disables preemption on this CPU. A lock that an
 * interrupt handler takes must be taken with the _irqsave form everywhere. Never sleep under one.
 */
#pragma once

#include <microlake/types.h>

struct spinlock {
    uint32_t next;    /* ticket lock: next ticket to hand out */
    uint32_t serving; /* ticket that holds the lock */
};

#define SPINLOCK_INIT {0, 0}

void spin_lock(struct spinlock *lock);
void spin_unlock(struct spinlock *lock);
bool spin_trylock(struct spinlock *lock);

/* Also disables interrupts; returns what to give back. */
uint64_t spin_lock_irqsave(struct spinlock *lock);
void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags);

/* Preemption of this CPU; nests. */
void preempt_disable(void);
void preempt_enable(void);
