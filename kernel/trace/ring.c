/*
 * ring.c: the rings that tracepoints write into, one for each CPU.
 *
 * A ring has one writer, its own CPU with interrupts off, and any number of readers, who take
 * nothing out and hold nobody up. The writer says in `begun` which record it is about to overwrite,
 * and in `done` that a record is whole; so a reader sees afterwards whether what it copied was good
 * (as Lamport's "Concurrent reading and writing", 1977).
 */
#include <arch/cpu_local.h>
#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/time.h>
#include "trace_internal.h"

#define RING_KIB     64
#define RING_KIB_MAX 2048

struct ring {
    uint64_t begun, done; /* events ever: started, whole */
    uint64_t next;        /* where the next one goes: done % capacity */
    struct trace_event events[];
};

static struct ring *rings[MAX_CPUS]; /* made once, then for ever */
static uint64_t capacity;            /* events of a ring */

int trace_rings_make(void)
{
    uint64_t size = boot_option_number("trace.kib", RING_KIB) << 10;

    size = MIN(MAX(size, PAGE_SIZE), (uint64_t)RING_KIB_MAX << 10);
    capacity = (size - sizeof(struct ring)) / sizeof(struct trace_event);
    for (unsigned i = 0; i < cpu_present(); i++) {
        struct ring *ring = rings[i] ? rings[i] : kzalloc(size);

        if (!ring)
            return ERR_NO_MEMORY;
        __atomic_store_n(&rings[i], ring, __ATOMIC_RELEASE);
    }
    return OK;
}

void trace_record(const struct tracepoint *point, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t flags = interrupts_disable(), number;
    unsigned cpu = this_cpu()->id;
    struct ring *ring = __atomic_load_n(&rings[cpu], __ATOMIC_ACQUIRE);

    if (ring) {
        number = ring->done + 1;
        __atomic_store_n(&ring->begun, number, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        ring->events[ring->next] = (struct trace_event){time_now(), cpu, point->id, {a, b, c}};
        ring->next = ring->next + 1 == capacity ? 0 : ring->next + 1;
        __atomic_store_n(&ring->done, number, __ATOMIC_RELEASE);
    }
    interrupts_restore(flags);
}

/* Copies the event at *at of a ring, which moves on over what is lost. false: there is none. */
static bool ring_peek(const struct ring *ring, uint64_t *at, struct trace_event *out)
{
    uint64_t begun = __atomic_load_n(&ring->begun, __ATOMIC_ACQUIRE);

    for (;;) {
        if (begun > capacity && *at < begun - capacity)
            *at = begun - capacity;
        if (*at >= __atomic_load_n(&ring->done, __ATOMIC_ACQUIRE))
            return false;
        *out = ring->events[*at % capacity];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        begun = __atomic_load_n(&ring->begun, __ATOMIC_RELAXED);
        if (begun - *at <= capacity)
            return true;
    }
}

bool trace_read(struct trace_reader *reader, struct trace_event *out)
{
    struct trace_event event;
    bool found = false;

    for (unsigned i = 0; i < cpu_present(); i++) {
        const struct ring *ring = __atomic_load_n(&rings[i], __ATOMIC_ACQUIRE);
        uint64_t at = reader->at[i];
        bool there = ring && ring_peek(ring, &at, &event);

        reader->lost += at - reader->at[i];
        reader->at[i] = at;
        if (there && (!found || event.time < out->time)) {
            *out = event;
            found = true;
        }
    }
    if (found)
        reader->at[out->cpu]++;
    return found;
}
