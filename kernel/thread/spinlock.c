/*
 * spinlock.c: ticket locks (Reed and Kanodia, 1979) and the preemption count.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/spinlock.h>
#include "sched.h"

void preempt_disable(void)
{
    __asm__ volatile("incl %%gs:32" ::: "memory");
}

void preempt_enable(void)
{
    bool zero;
    struct cpu *c;

    __asm__ volatile("decl %%gs:32" : "=@ccz"(zero)::"memory");
    if (likely(!zero))
        return;
    c = this_cpu();
    if (unlikely(__atomic_load_n(&c->need_resched, __ATOMIC_RELAXED)) && interrupts_are_on())
        sched_preempt();
}

void spin_lock(struct spinlock *lock)
{
    uint32_t ticket;

    preempt_disable();
    ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
        cpu_relax();
}

bool spin_trylock(struct spinlock *lock)
{
    uint32_t serving, next;

    preempt_disable();
    serving = __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);
    next = serving;
    if (__atomic_compare_exchange_n(&lock->next, &next, serving + 1, false, __ATOMIC_ACQUIRE,
                                    __ATOMIC_RELAXED))
        return true;
    preempt_enable();
    return false;
}

void spin_unlock(struct spinlock *lock)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
    preempt_enable();
}

uint64_t spin_lock_irqsave(struct spinlock *lock)
{
    uint64_t flags = interrupts_disable();

    spin_lock(lock);
    return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
    interrupts_restore(flags);
    preempt_enable();
}
