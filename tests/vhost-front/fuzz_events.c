/*
 * fuzz_events.c: see fuzz.h. The event queue: chains that no driver makes, between those that the front has there
 * anyway, and indices that are impossible. The device looks at it when it has something to tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sched.h>
#include <unistd.h>
#include "fuzz.h"

#define MOST_TURNS 64u /* events until the last of a few chains has had its turn */
#define LATE_MS    120000

static struct front_queue *events(void)
{
    return &fuzz.rig.front->queues[VGPGPU_QUEUE_EVENT];
}

/* Something that is to be told. */
static void event_cause(void)
{
    struct vgpgpu_fence_slot *slot = front_at(fuzz.rig.front, fuzz.home_page);
    uint64_t fence = ++fuzz.home_fences[0];
    __atomic_store_n(&slot->wait, fence, __ATOMIC_SEQ_CST);
    front_submit(fuzz.rig.front, FUZZ_HOME, 0, fence, NULL, 0);
    while (__atomic_load_n(&slot->signalled, __ATOMIC_ACQUIRE) < fence)
        sched_yield(); /* the device looks at ->wait after that: it stays as it is */
}

/* Takes what comes of one event; the front's own chains go back. Returns how many of the fuzz's came. */
static unsigned chains_take(void)
{
    struct front *front = fuzz.rig.front;
    unsigned own = 0;
    uint16_t head;
    uint32_t written;
    assert_true(fuzz_take(VGPGPU_QUEUE_EVENT, &head, &written));
    do {
        assert_true(written == 0 || written == sizeof(struct vgpgpu_event));
        if (head >= FUZZ_OWN_FIRST) {
            own++;
            continue;
        }
        assert_int_equal(written, sizeof(struct vgpgpu_event));
        struct front_part part = {events()->descriptors[head].address, sizeof(struct vgpgpu_event), true};
        front_post(front, VGPGPU_QUEUE_EVENT, &part, 1);
    } while (front_take(front, VGPGPU_QUEUE_EVENT, 0, &head, &written));
    return own;
}

static void chains_step(void)
{
    unsigned posted = 1 + random_below(4), came = 0;
    descriptors_make(VGPGPU_QUEUE_EVENT);
    for (unsigned i = 0; i < posted; i++)
        front_post_head(fuzz.rig.front, VGPGPU_QUEUE_EVENT, (uint16_t)(FUZZ_OWN_FIRST + random_below(FUZZ_OWN_COUNT)));
    for (unsigned turn = 0; came < posted; turn++) {
        assert_true(turn < MOST_TURNS);
        event_cause();
        came += chains_take();
    }
}

/* The ring stops until the device is reset; fences are signalled all the same. */
static void broken_step(void)
{
    struct front_queue *queue = events();
    struct pollfd error = {.fd = queue->error, .events = POLLIN};
    uint64_t count;
    uint16_t more = (uint16_t)(FRONT_QUEUE_SIZE + 1 + random_below(UINT16_MAX / 2));
    __atomic_store_n(&queue->available->index, (uint16_t)(queue->available->index + more), __ATOMIC_RELEASE);
    event_cause();
    assert_int_equal(poll(&error, 1, LATE_MS), 1);
    assert_int_equal(read(queue->error, &count, sizeof(count)), sizeof(count));
    event_cause();
    machine_start_over();
}

void event_step(void)
{
    if (one_in(25))
        broken_step();
    else
        chains_step();
}
