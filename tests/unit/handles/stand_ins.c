/*
 * stand_ins.c: locks and heap for one thread on the build machine. Locks check that nothing sleeps
 * under them and that they are not taken twice.
 */
#include "handles_test.h"

#include <stdlib.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>

unsigned heap_live, allocation_fails;
int locks_held;

void spin_lock(struct spinlock *lock)
{
    assert_int_equal(lock->next, lock->serving);
    lock->next++;
    locks_held++;
}

void spin_unlock(struct spinlock *lock)
{
    lock->serving++;
    assert_int_equal(lock->next, lock->serving);
    locks_held--;
}

void *kzalloc(size_t size)
{
    if (allocation_fails && --allocation_fails == 0)
        return NULL;
    heap_live++;
    return calloc(1, size);
}

void kfree(void *p)
{
    heap_live -= p != NULL;
    free(p);
}

void panic(const char *format, ...)
{
    print_error("%s\n", format);
    abort();
}
