/*
 * receive.c: standard input from the host. The interrupt handler takes frames apart and fills a
 * ring; while the ring is full the port's receive interrupt is off, and the host is held up by its
 * own end of the line.
 */
#include <microlake/memory.h>
#include <microlake/wait.h>

#include "port.h"

#define RING_BYTES 4096u /* a power of two */

static struct spinlock lock = SPINLOCK_INIT;
static uint8_t ring[RING_BYTES]; /* guarded by lock */
static uint32_t head, tail;      /* guarded by lock */
static bool ended;               /* the host closed standard input; guarded by lock */
static struct wait_queue readers = WAIT_QUEUE_INIT(readers);

/* Where in a frame the next byte stands; touched by the interrupt handler, under lock. */
static struct {
    enum { AT_TYPE, AT_LENGTH, AT_PAYLOAD } state;
    uint8_t type;
    uint8_t left; /* bytes of payload to come */
    uint8_t used; /* bytes of a size so far */
    uint8_t size[sizeof(struct hostctl_size)];
} parser;

static struct hostctl_size terminal; /* the last one that came; guarded by lock */
static bool resized;                 /* nobody has been told yet; guarded by lock */

static void size_take_locked(uint8_t byte)
{
    if (parser.used < sizeof(parser.size))
        parser.size[parser.used++] = byte;
    if (parser.left > 1 || parser.used < sizeof(parser.size))
        return;
    memcpy(&terminal, parser.size, sizeof(terminal));
    resized = true;
}

static void byte_take_locked(uint8_t byte)
{
    switch (parser.state) {
    case AT_TYPE:
        parser.type = byte;
        parser.state = AT_LENGTH;
        break;
    case AT_LENGTH:
        parser.left = byte;
        parser.used = 0;
        parser.state = byte ? AT_PAYLOAD : AT_TYPE;
        ended |= parser.type == HOSTCTL_STDIN && byte == 0;
        break;
    case AT_PAYLOAD:
        if (parser.type == HOSTCTL_STDIN)
            ring[head++ % RING_BYTES] = byte;
        else if (parser.type == HOSTCTL_SIZE)
            size_take_locked(byte);
        if (--parser.left == 0)
            parser.state = AT_TYPE;
        break;
    }
}

void receive_interrupt(void)
{
    uint64_t flags = spin_lock_irqsave(&lock);
    bool full = head - tail == RING_BYTES;

    while (!full && (port_in8(PORT_LINE_STATUS) & PORT_STATUS_DATA)) {
        byte_take_locked(port_in8(PORT_DATA));
        full = head - tail == RING_BYTES;
    }
    if (full)
        port_interrupts_set(0, PORT_IE_RECEIVE);
    spin_unlock_irqrestore(&lock, flags);
    wait_wake_all(&readers);
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
    size_t count = MIN(size, head - tail);

    for (size_t i = 0; i < count; i++)
        out[i] = ring[tail++ % RING_BYTES];
    if (count)
        port_interrupts_set(PORT_IE_RECEIVE, 0);
    spin_unlock_irqrestore(&lock, flags);
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
        if (count || over)
            return count;
        if (!wait || resized)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&readers, head != tail || ended || resized, TIME_NEVER, WAIT_INTERRUPTIBLE);
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
