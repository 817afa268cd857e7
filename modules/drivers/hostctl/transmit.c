/*
 * transmit.c: frames on their way to the host. They stand whole in a ring, so that they never mix,
 * and leave it by the serial port in bursts of its FIFO, or by a carrier in whole stretches of the
 * ring: at once while the host reads, by interrupt when it lags.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#include "parse.h"
#include "port.h"

#define SERIAL_RING_BYTES  16384u
#define CARRIER_RING_ORDER 4u /* 64 KiB */
#define CARRIER_RING_BYTES ((uint32_t)PAGE_SIZE << CARRIER_RING_ORDER)
#define CARRIER_PART       16384u           /* bytes of a long frame's payload */
#define ROOM_PERIOD        (50 * NS_PER_MS) /* a lost interrupt delays by this, no more */
#define IDLE_PERIOD        (1 * NS_PER_MS)
#define STREAMS            3u

static struct spinlock lock = SPINLOCK_INIT;
static uint8_t serial_ring[SERIAL_RING_BYTES];
static struct byte_ring ring = {serial_ring, SERIAL_RING_BYTES, 0, 0}; /* guarded by lock */
static bool pumping; /* somebody sends; guarded by lock */
static bool
    closed[STREAMS]; /* the host reads this stream no more; set once, read without the lock */
static struct wait_queue room_queue = WAIT_QUEUE_INIT(room_queue);

/* The carrier; guarded by lock. */
static const struct hostctl_carrier *carrier; /* NULL: all goes through the serial port */
static uint32_t serial_end;                   /* what stands before this place still does */
static bool carrying;                         /* that much is gone */
static uint32_t handed;                       /* bytes at the ring's tail that the carrier has */

/* What a pump takes out of the ring at once. */
struct stretch {
    const struct hostctl_carrier *by; /* NULL: the serial port */
    const uint8_t *at;
    uint32_t count;
    uint8_t burst[UART_FIFO_BYTES];
};

/* ---- Out of the ring
 * ------------------------------------------------------------------------------- */

static uint32_t serial_count_locked(void)
{
    return carrying ? 0 : (carrier ? serial_end : ring.head) - ring.tail;
}

static bool serial_take_locked(struct stretch *s)
{
    s->count = MIN(serial_count_locked(), UART_FIFO_BYTES);
    if (s->count == 0 || !(port_read(UART_LINE_STATUS) & UART_STATUS_EMPTY))
        return false;
    byte_ring_take(&ring, s->burst, s->count);
    s->by = NULL;
    s->at = s->burst;
    carrying = carrier && ring.tail == serial_end;
    return true;
}

/* What stands in the ring is lost with it, or the host would see pieces of frames. */
static void carrier_drop_locked(void)
{
    log_error("hostctl: the faster line failed; output may be lost, input ends");
    receive_stop();
    carrier = NULL;
    carrying = false;
    handed = 0;
    ring.tail = ring.head;
}

static bool carrier_take_locked(struct stretch *s)
{
    int r = handed ? carrier->sent() : OK;
    uint32_t at;

    if (r == ERR_AGAIN)
        return false;
    if (r != OK) {
        carrier_drop_locked();
        return false;
    }
    ring.tail += handed;
    at = ring.tail % ring.size;
    handed = MIN(byte_ring_count(&ring), ring.size - at);
    *s = (struct stretch){.by = carrier, .at = ring.bytes + at, .count = handed};
    return handed > 0;
}

/* Next work for the one who pumps. False: none; the transmitter's interrupt is on if something
 * waits for the port. */
static bool stretch_next(struct stretch *s)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    bool more = carrying ? carrier_take_locked(s) : serial_take_locked(s);

    if (!more) {
        pumping = false;
        if (serial_count_locked())
            port_interrupts_set(UART_IE_TRANSMIT, 0);
        else
            port_interrupts_set(0, UART_IE_TRANSMIT);
    }
    spin_unlock_irqrestore(&lock, flags);
    return more;
}

static void stretch_send(const struct stretch *s)
{
    uint64_t flags;

    if (!s->by) {
        for (uint32_t i = 0; i < s->count; i++)
            port_write(UART_DATA, s->at[i]);
    } else if (s->by->send(s->at, s->count) != OK) {
        flags = spin_lock_irqsave(&lock);
        carrier_drop_locked();
        spin_unlock_irqrestore(&lock, flags);
    }
}

static bool pump_claim(void)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    bool claimed = !pumping;

    pumping = true;
    spin_unlock_irqrestore(&lock, flags);
    return claimed;
}

/* Sends until the line is full or the ring empty. One CPU at a time does it, for all: it takes
 * microseconds, and nobody shall spin on the lock for so long. */
static void ring_pump(void)
{
    struct stretch s;

    if (!pump_claim())
        return;
    while (stretch_next(&s))
        stretch_send(&s);
    wait_wake_all(&room_queue);
}

void transmit_interrupt(void)
{
    ring_pump();
}

void hostctl_sent(void)
{
    ring_pump();
}

/* ---- Into the ring
 * --------------------------------------------------------------------------------- */

static uint32_t header_write(uint8_t header[sizeof(struct hostctl_long_header)],
                             enum hostctl_type type, uint32_t size)
{
    header[0] = (uint8_t)type;
    header[1] = (uint8_t)size;
    if (size <= HOSTCTL_MAX_PAYLOAD)
        return sizeof(struct hostctl_header);
    header[1] = HOSTCTL_LONG;
    memcpy(header + 2, &size, sizeof(size));
    return sizeof(struct hostctl_long_header);
}

static int frame_queue(enum hostctl_type type, const void *payload, uint32_t size)
{
    uint8_t header[sizeof(struct hostctl_long_header)];
    uint32_t header_size = header_write(header, type, size);
    uint64_t flags = spin_lock_irqsave(&lock);
    bool fits = byte_ring_room(&ring) >= header_size + size;

    if (fits) {
        byte_ring_put(&ring, header, header_size);
        byte_ring_put(&ring, payload, size);
    }
    spin_unlock_irqrestore(&lock, flags);
    return fits ? OK : ERR_AGAIN;
}

int transmit_frame(enum hostctl_type type, const void *payload, uint32_t size)
{
    int r = frame_queue(type, payload, size);

    ring_pump();
    return r;
}

void transmit_closed(unsigned stream)
{
    if (stream < STREAMS)
        __atomic_store_n(&closed[stream], true, __ATOMIC_RELEASE);
    wait_wake_all(&room_queue);
}

/* Queues one frame, or waits until some room comes and returns false. */
static bool frame_queue_or_wait(unsigned stream, const void *payload, uint32_t size, int *r)
{
    uint64_t due = time_now() + ROOM_PERIOD;

    if (transmit_frame(stream == 2 ? HOSTCTL_STDERR : HOSTCTL_STDOUT, payload, size) == OK)
        return true;
    *r = WAIT_UNTIL(&room_queue,
                    byte_ring_room(&ring) >= sizeof(struct hostctl_long_header) + size ||
                        closed[stream],
                    due, WAIT_INTERRUPTIBLE);
    return false;
}

/* The longest frame that the line takes now. */
static size_t part_most(void)
{
    return __atomic_load_n(&carrier, __ATOMIC_RELAXED) ? CARRIER_PART : HOSTCTL_MAX_PAYLOAD;
}

long transmit_stream(unsigned stream, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    size_t done = 0;
    int r = OK;

    fast_note(size);
    while (done < size) {
        size_t part = MIN(size - done, part_most());

        if (__atomic_load_n(&closed[stream], __ATOMIC_ACQUIRE))
            return done ? (long)done : ERR_LOST;
        if (frame_queue_or_wait(stream, from + done, (uint32_t)part, &r))
            done += part;
        else if (r == ERR_INTERRUPTED)
            return done ? (long)done : ERR_INTERRUPTED;
    }
    return (long)done;
}

/* Another thread may hold the last burst in its hands. */
static bool all_sent(void)
{
    return byte_ring_count(&ring) == 0 && !__atomic_load_n(&pumping, __ATOMIC_ACQUIRE);
}

/* The host may be a slow one: it ends the machine itself when it has waited enough. */
void transmit_flush(void)
{
    for (;;) {
        ring_pump();
        if (all_sent())
            return;
        WAIT_UNTIL(&room_queue, all_sent(), time_now() + ROOM_PERIOD, 0);
    }
}

/* The port's own FIFO would be lost with the machine. */
void transmit_last(enum hostctl_type type, const void *payload, uint32_t size)
{
    transmit_flush();
    while (transmit_frame(type, payload, size) == ERR_AGAIN)
        transmit_flush();
    transmit_flush();
    while (!carrying && !(port_read(UART_LINE_STATUS) & UART_STATUS_IDLE))
        thread_sleep(time_now() + IDLE_PERIOD, 0);
}

/* ---- The carrier
 * ----------------------------------------------------------------------------------- */

/* What waits in the ring now, and the frame behind it that says so, still goes by the serial port.
 */
static void carrier_take_over_locked(const struct hostctl_carrier *c, uint8_t *bytes)
{
    struct byte_ring larger = {bytes, CARRIER_RING_BYTES, ring.tail, ring.tail};
    static const struct hostctl_header move = {.type = HOSTCTL_MOVE};

    while (byte_ring_count(&ring)) {
        uint8_t piece[UART_FIFO_BYTES];
        uint32_t count = MIN(byte_ring_count(&ring), sizeof(piece));

        byte_ring_take(&ring, piece, count);
        byte_ring_put(&larger, piece, count);
    }
    byte_ring_put(&larger, &move, sizeof(move));
    ring = larger;
    serial_end = ring.head;
    carrier = c;
}

int transmit_carry(const struct hostctl_carrier *c)
{
    paddr_t memory = frame_alloc(CARRIER_RING_ORDER, 0);
    uint64_t flags;
    bool first;

    if (!memory)
        return ERR_NO_MEMORY;
    flags = spin_lock_irqsave(&lock);
    first = ring.bytes == serial_ring;
    if (first)
        carrier_take_over_locked(c, phys_to_virt(memory));
    spin_unlock_irqrestore(&lock, flags);
    if (!first)
        frame_free(memory, CARRIER_RING_ORDER);
    ring_pump();
    return first ? OK : ERR_EXISTS;
}

void transmit_resume(void)
{
    const struct hostctl_carrier *c = __atomic_load_n(&carrier, __ATOMIC_ACQUIRE);

    if (c)
        c->resume();
}
