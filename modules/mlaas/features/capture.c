/*
 * capture.c: a row goes in; the rest of the hot half is in include/features.h.
 */
#include "ring.h"

/* Two numbers at a time, without regard to what else lies behind each other. */
static inline void pair_fill(int32_t *to, const int32_t *from)
{
    __builtin_memcpy(to, from, 8);
}

static inline void values_fill(int32_t *to, const int32_t *from, uint32_t fields)
{
    if (likely(fields == 8)) { /* without a loop */
        pair_fill(to, from);
        pair_fill(to + 2, from + 2);
        pair_fill(to + 4, from + 4);
        pair_fill(to + 6, from + 6);
        return;
    }
    for (; fields >= 2; fields -= 2, to += 2, from += 2)
        pair_fill(to, from);
    if (fields)
        *to = *from;
}

/*
 * The row belongs to this CPU until it is written: without interrupts nobody else runs here. That
 * takes fewer instructions than to count preemption, and is over in some fifty. Outside a kernel
 * there is nothing to hold.
 */
static inline uint64_t interrupts_hold(void)
{
    uint64_t flags = 0;

#ifndef OUTSIDE_KERNEL
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
#endif
    return flags;
}

static inline void interrupts_release(uint64_t flags)
{
#ifdef OUTSIDE_KERNEL
    (void)flags;
#else
    __asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
#endif
}

void features_capture(struct features_set *set, uint32_t key, const int32_t *values)
{
    uint64_t flags = interrupts_hold();
    unsigned id = cpu_id(); /* before the rest: there is less to be kept meanwhile */
    struct features_ring *ring = __atomic_load_n(&set->ring, __ATOMIC_ACQUIRE);
    uint32_t number;

    if (likely(ring)) {
        struct features_row *row = features_row_take(ring, id, key, &number);

        values_fill(row->values, values, ring->fields);
        features_end(row, number);
    }
    interrupts_release(flags);
}
