/*
 * receive.c: what comes from the host: standard input, and small frames. While the ring is full the
 * serial port's receive interrupt is off, or the carrier keeps what it has, and the host is held up
 * by its own end of the line.
 */
#include <microlake/memory.h>
#include <microlake/wait.h>

#include "parse.h"
#include "port.h"

#define RING_BYTES 4096u /* a power of two */

static struct spinlock lock = SPINLOCK_INIT;
static uint8_t ring_bytes[RING_BYTES];
static struct byte_ring ring = {ring_bytes, RING_BYTES, 0, 0}; /* guarded by lock */
static struct parser serial_parser, carrier_parser;            /* guarded by lock */
static bool ended; /* the host closed standard input; guarded by lock */
static bool moved; /* nothing comes through the serial port any more; guarded by lock */
static struct wait_queue readers = WAIT_QUEUE_INIT(readers);

static struct hostctl_size terminal; /* the last one that came; guarded by lock */
static bool resized;                 /* nobody has been told yet; guarded by lock */

static void size_take_locked(const uint8_t *payload, size_t size)
{
    if (size < sizeof(terminal))
        return;
    memcpy(&terminal, payload, sizeof(terminal));
    resized = true;
}

/* ---- Who wants to hear of the GPU's end
 * ------------------------------------------------------------ */

static struct spinlock gpu_lock = SPINLOCK_INIT; /* before others: a driver works under it */
static void (*gpu_lost)(void);                   /* guarded by gpu_lock */
static bool gpu_is_lost;                         /* nobody has been told yet; atomic */

void hostctl_watch_gpu(void (*lost)(void))
{
    uint64_t flags = spin_lock_irqsave(&gpu_lock);

    gpu_lost = lost;
    spin_unlock_irqrestore(&gpu_lock, flags);
}

/* After frames were taken, without the lock they were taken under. */
static void gpu_check(void)
{
    uint64_t flags;

    if (!__atomic_exchange_n(&gpu_is_lost, false, __ATOMIC_ACQ_REL))
        return;
    flags = spin_lock_irqsave(&gpu_lock);
    if (gpu_lost)
        gpu_lost();
    spin_unlock_irqrestore(&gpu_lock, flags);
}

/* ---- Frames
 * ---------------------------------------------------------------------------------------- */

static void frame_take_locked(uint8_t type, const uint8_t *payload, size_t size)
{
    if (type == HOSTCTL_STDIN)
        ended = true;
    else if (type == HOSTCTL_MOVE)
        moved = true;
    else if (type == HOSTCTL_GPU_LOST)
        __atomic_store_n(&gpu_is_lost, true, __ATOMIC_RELEASE);
    else if (type == HOSTCTL_CLOSED && size >= 1)
        transmit_closed(payload[0]);
    else if (type == HOSTCTL_SIZE)
        size_take_locked(payload, size);
}

/* Takes what the port has. Returns true when its last frame came. */
static bool port_take_locked(void)
{
    bool before = moved, full = byte_ring_room(&ring) == 0;

    while (!full && (port_read(UART_LINE_STATUS) & UART_STATUS_DATA)) {
        uint8_t byte = port_read(UART_DATA);

        parse_bytes(&serial_parser, &ring, &byte, 1, frame_take_locked);
        full = byte_ring_room(&ring) == 0;
    }
    if (full)
        port_interrupts_set(0, UART_IE_RECEIVE);
    return moved && !before;
}

void receive_interrupt(void)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    bool last = port_take_locked();

    spin_unlock_irqrestore(&lock, flags);
    if (last)
        transmit_resume();
    wait_wake_all(&readers);
    gpu_check();
}

size_t hostctl_receive(const void *bytes, size_t size)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    size_t count = 0;

    if (moved)
        count = parse_bytes(&carrier_parser, &ring, bytes, size, frame_take_locked);
    spin_unlock_irqrestore(&lock, flags);
    wait_wake_all(&readers);
    gpu_check();
    return count;
}

bool receive_size(uint16_t *rows, uint16_t *columns)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    bool news = resized;

    resized = false;
    *rows = terminal.rows;
    *columns = terminal.columns;
    spin_unlock_irqrestore(&lock, flags);
    return news;
}

static long ring_take(uint8_t *out, size_t size)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    uint32_t count = (uint32_t)MIN(size, byte_ring_count(&ring));

    byte_ring_take(&ring, out, count);
    if (count && !moved)
        port_interrupts_set(UART_IE_RECEIVE, 0);
    spin_unlock_irqrestore(&lock, flags);
    if (count)
        transmit_resume();
    return (long)count;
}

long receive_stdin(void *out, size_t size, bool wait)
{
    long count;
    int r;

    if (size == 0)
        return 0;
    for (;;) {
        bool over = __atomic_load_n(&ended, __ATOMIC_ACQUIRE);

        count = ring_take(out, size);
        if (count)
            fast_note((size_t)count);
        if (count || over)
            return count;
        if (!wait || resized)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&readers, byte_ring_count(&ring) || ended || resized, TIME_NEVER,
                       WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
    }
}

void receive_stop(void)
{
    uint64_t flags = spin_lock_irqsave(&lock);

    ended = true;
    spin_unlock_irqrestore(&lock, flags);
    wait_wake_all(&readers);
}
