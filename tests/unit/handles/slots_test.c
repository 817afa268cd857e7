/*
 * slots_test.c: the numbers of slots.
 */
#include "handles_test.h"

#include <stdlib.h>
#include "kernel/port/slots.h"

#define MANY 3000

static int item;

void slots_numbers(void **state)
{
    static uint64_t live[MANY], old[MANY];
    struct slots s = {.limit = MANY};
    unsigned olds = 0;

    (void)state;
    srandom(7);
    for (unsigned round = 0; round < 20 * MANY; round++) {
        unsigned at = (unsigned)random() % MANY;

        if (live[at]) {
            struct slot *slot = slots_find(&s, live[at]);

            assert_non_null(slot);
            assert_int_equal(slot->note, at);
            slots_release(&s, slot);
            old[olds++ % MANY] = live[at];
            live[at] = 0;
        } else {
            assert_int_equal(slots_take(&s, &item, at, &live[at]), OK);
            assert_true(live[at] != 0);
        }
        assert_null(slots_find(&s, old[(unsigned)random() % MANY]));
    }
    slots_discard(&s);
    assert_int_equal(heap_live, 0);
}

void slots_limits(void **state)
{
    struct slots s = {.limit = 20};
    uint64_t number, first = 0;

    (void)state;
    assert_null(slots_find(&s, 0));
    assert_null(slots_find(&s, 1));
    for (unsigned i = 0; i < 20; i++) {
        allocation_fails = 1; /* when it must grow */
        if (slots_take(&s, &item, 0, &number) == ERR_NO_MEMORY)
            assert_int_equal(slots_take(&s, &item, 0, &number), OK);
        allocation_fails = 0;
        first = first ? first : number;
    }
    assert_int_equal(slots_take(&s, &item, 0, &number), ERR_LIMIT);
    assert_null(slots_find(&s, 21));
    assert_null(slots_find(&s, UINT64_MAX));
    slots_release(&s, slots_find(&s, first));
    assert_int_equal(slots_take(&s, &item, 0, &number), OK);
    assert_true(number != first);
    assert_int_equal(s.used, 20);
    slots_discard(&s);
}

/* A slot whose generations are used up is not used again: its first number stays stale for ever. */
void slots_worn_out(void **state)
{
    struct slots s = {.limit = 2};
    uint64_t first, number;

    (void)state;
    assert_int_equal(slots_take(&s, &item, 0, &first), OK);
    s.slot[0].generation = UINT32_MAX;
    slots_release(&s, &s.slot[0]);
    assert_int_equal(slots_take(&s, &item, 0, &number), OK);
    assert_int_equal((uint32_t)number, 2);
    assert_int_equal(slots_take(&s, &item, 0, &number), ERR_LIMIT);
    assert_null(slots_find(&s, first));
    slots_discard(&s);
}
