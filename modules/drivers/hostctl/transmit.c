/*
 * transmit.c: frames on their way to the host. They stand whole in a ring, so that they never mix,
 * and leave it in bursts of the port's FIFO: at once while the host reads, by interrupt when it
 * lags.
 */
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#include "port.h"

#define RING_BYTES   16384u /* a power of two */
#define FLUSH_NS     (2 * NS_PER_SEC)
#define LAST_LOCK_NS (50 * NS_PER_MS)
#define ROOM_PERIOD  (50 * NS_PER_MS) /* a lost interrupt delays by this, no more */

static struct spinlock lock = SPINLOCK_INIT;
static uint8_t ring[RING_BYTES]; /* guarded by lock */
static uint32_t head, tail;      /* written at head, sent from tail; guarded by lock */
static bool pumping;             /* somebody sends; guarded by lock */
static struct wait_queue room_queue = WAIT_QUEUE_INIT(room_queue);

static uint32_t ring_room(void)
{
    return RING_BYTES - (head - tail);
}

static void ring_put_locked(const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    while (size--)
        ring[head++ % RING_BYTES] = *from++;
}

/* Takes the next burst out of the ring, if there is one and the port has room. */
static unsigned burst_take_locked(uint8_t burst[PORT_FIFO])
{
    unsigned count = MIN(head - tail, PORT_FIFO);

    if (count == 0 || !(port_in8(PORT_LINE_STATUS) & PORT_STATUS_EMPTY))
        return 0;
    for (unsigned i = 0; i < count; i++)
        burst[i] = ring[tail++ % RING_BYTES];
    return count;
}

static void burst_send(const uint8_t *burst, unsigned count)
{
    while (count--)
        port_out8(PORT_DATA, *burst++);
}

/* Next burst for the one who pumps. 0: no more; the transmitter's interrupt is on if something
 * waits. */
static unsigned burst_next(uint8_t burst[PORT_FIFO])
{
    uint64_t flags = spin_lock_irqsave(&lock);
    unsigned count = burst_take_locked(burst);

    if (count == 0) {
        pumping = false;
        if (head != tail)
            port_interrupts_set(PORT_IE_TRANSMIT, 0);
        else
            port_interrupts_set(0, PORT_IE_TRANSMIT);
    }
    spin_unlock_irqrestore(&lock, flags);
    return count;
}

static bool pump_claim(void)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    bool claimed = !pumping;

    pumping = true;
    spin_unlock_irqrestore(&lock, flags);
    return claimed;
}

/* Sends until the port is full or the ring empty. One CPU at a time does it, for all: a write to
 * the port takes microseconds, and nobody shall spin on the lock for so long. */
static void ring_pump(void)
{
    uint8_t burst[PORT_FIFO];
    unsigned count;

    if (!pump_claim())
        return;
    while ((count = burst_next(burst)) > 0)
        burst_send(burst, count);
    wait_wake_all(&room_queue);
}

void transmit_interrupt(void)
{
    ring_pump();
}

static int frame_queue(enum hostctl_type type, const void *payload, size_t size)
{
    struct hostctl_header header = {.type = (uint8_t)type, .length = (uint8_t)size};
    uint64_t flags = spin_lock_irqsave(&lock);
    bool fits = ring_room() >= sizeof(header) + size;

    if (fits) {
        ring_put_locked(&header, sizeof(header));
        ring_put_locked(payload, size);
    }
    spin_unlock_irqrestore(&lock, flags);
    return fits ? OK : ERR_AGAIN;
}

int transmit_frame(enum hostctl_type type, const void *payload, size_t size)
{
    int r = frame_queue(type, payload, size);

    ring_pump();
    return r;
}

/* Queues one frame, or waits until some room comes and returns 0 to try again. */
static bool frame_queue_or_wait(enum hostctl_type type, const void *payload, size_t size, int *r)
{
    uint64_t due = time_now() + ROOM_PERIOD;

    if (transmit_frame(type, payload, size) == OK)
        return true;
    *r = WAIT_UNTIL(&room_queue, ring_room() >= sizeof(struct hostctl_header) + size, due,
                    WAIT_INTERRUPTIBLE);
    return false;
}

long transmit_stream(enum hostctl_type type, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    size_t done = 0;
    int r = OK;

    while (done < size) {
        size_t part = MIN(size - done, HOSTCTL_MAX_PAYLOAD);

        if (frame_queue_or_wait(type, from + done, part, &r))
            done += part;
        else if (r == ERR_INTERRUPTED)
            return done ? (long)done : ERR_INTERRUPTED;
    }
    return (long)done;
}

static void drain_locked(void)
{
    uint64_t end = time_now() + FLUSH_NS;
    uint8_t burst[PORT_FIFO];

    while (head != tail && time_now() < end) {
        burst_send(burst, burst_take_locked(burst));
        cpu_relax();
    }
}

void transmit_flush(void)
{
    uint64_t end = time_now() + FLUSH_NS;

    for (ring_pump(); head != tail && time_now() < end; ring_pump())
        cpu_relax();
}

/* The machine may end in a panic inside this file, or while another CPU was stopped with the lock
 * held: after a moment neither the lock nor who sends counts any more. */
void transmit_last(enum hostctl_type type, const void *payload, size_t size)
{
    struct hostctl_header header = {.type = (uint8_t)type, .length = (uint8_t)size};
    uint64_t flags, end = time_now() + LAST_LOCK_NS;
    bool locked;

    while (__atomic_load_n(&pumping, __ATOMIC_RELAXED) && time_now() < end)
        cpu_relax(); /* with interrupts as they are: whoever sends may need this CPU */
    flags = interrupts_disable();
    while (!(locked = spin_trylock(&lock)) && time_now() < end)
        cpu_relax();
    drain_locked();
    ring_put_locked(&header, sizeof(header));
    ring_put_locked(payload, size);
    drain_locked();
    if (locked)
        spin_unlock(&lock);
    interrupts_restore(flags);
}
