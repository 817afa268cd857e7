/*
 * line.c: the third serial port. Receiving is by interrupt into a ring; while that is full the host is held
 * up. Sending is by polling: a virtual port is ready but for when the host lags.
 */
#include <microlake/irq.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#include "hostrun.h"

#define RING_BYTES 4096u /* a power of two */
#define FIFO       16u
#define TRIES      64u
#define PAUSE      (1 * NS_PER_MS)

enum port {
    DATA = HOSTRUN_PORT,
    INTERRUPT_ENABLE = HOSTRUN_PORT + 1,
    DIVISOR_LOW = HOSTRUN_PORT,
    DIVISOR_HIGH = HOSTRUN_PORT + 1,
    FIFO_CONTROL = HOSTRUN_PORT + 2, /* when written */
    INTERRUPT_ID = HOSTRUN_PORT + 2, /* when read */
    LINE_CONTROL = HOSTRUN_PORT + 3,
    MODEM_CONTROL = HOSTRUN_PORT + 4,
    LINE_STATUS = HOSTRUN_PORT + 5,
};

enum bits {
    IE_RECEIVE = 1 << 0,
    IID_NONE = 1 << 0,    /* no interrupt is pending */
    FIFO_ON_CLEAR = 0xc7, /* on, both emptied, interrupt at 14 bytes or a pause */
    LINE_8N1 = 0x03,
    LINE_DIVISOR = 0x80,   /* the first two registers are the divisor now */
    MODEM_ON = 0x0b,       /* ready, request to send, interrupts pass */
    STATUS_DATA = 1 << 0,  /* a byte was received */
    STATUS_EMPTY = 1 << 5, /* the transmitter takes FIFO bytes */
    STATUS_NONE = 0xff,    /* there is no port */
};

static struct spinlock lock = SPINLOCK_INIT;
static uint8_t ring[RING_BYTES];  /* guarded by lock */
static uint32_t head, tail;       /* bytes put in and taken out; guarded by lock */
static struct wait_queue readers = WAIT_QUEUE_INIT(readers);
static struct mutex send_lock = MUTEX_INIT(send_lock);

static void bytes_take_locked(void)
{
    while (head - tail < RING_BYTES && (port_in8(LINE_STATUS) & STATUS_DATA))
        ring[head++ % RING_BYTES] = port_in8(DATA);
    if (head - tail == RING_BYTES)
        port_out8(INTERRUPT_ENABLE, 0);
}

/* The line is an edge for the interrupt controller: it must be low when the handler ends, or no further
 * interrupt comes. */
static void line_interrupt(void *context)
{
    uint64_t flags = spin_lock_irqsave(&lock);

    (void)context;
    for (unsigned i = 0; i < TRIES && !(port_in8(INTERRUPT_ID) & IID_NONE); i++)
        bytes_take_locked();
    spin_unlock_irqrestore(&lock, flags);
    wait_wake_all(&readers);
}

int line_start(void)
{
    int r;

    if (port_in8(LINE_STATUS) == STATUS_NONE)
        return ERR_NOT_FOUND;
    port_out8(INTERRUPT_ENABLE, 0);
    port_out8(LINE_CONTROL, LINE_DIVISOR);
    port_out8(DIVISOR_LOW, 1);
    port_out8(DIVISOR_HIGH, 0);
    port_out8(LINE_CONTROL, LINE_8N1);
    port_out8(FIFO_CONTROL, FIFO_ON_CLEAR);
    port_out8(MODEM_CONTROL, MODEM_ON);
    r = irq_register(HOSTRUN_LINE, IRQ_EDGE, line_interrupt, NULL);
    if (r == OK)
        port_out8(INTERRUPT_ENABLE, IE_RECEIVE);
    return r;
}

size_t line_receive(uint8_t *out, size_t size)
{
    size_t count = 0;
    uint64_t flags;

    WAIT_UNTIL(&readers, __atomic_load_n(&head, __ATOMIC_ACQUIRE) != tail, TIME_NEVER, 0);
    flags = spin_lock_irqsave(&lock);
    while (count < size && tail != head)
        out[count++] = ring[tail++ % RING_BYTES];
    port_out8(INTERRUPT_ENABLE, IE_RECEIVE);
    spin_unlock_irqrestore(&lock, flags);
    return count;
}

void line_send(uint8_t type, uint8_t request, const void *payload, size_t length)
{
    static uint8_t frame[HOSTRUN_FRAME_MAX]; /* guarded by send_lock */
    size_t size;

    mutex_lock(&send_lock);
    size = hostrun_frame(frame, type, request, payload, length);
    for (size_t at = 0; at < size;) {
        if (!(port_in8(LINE_STATUS) & STATUS_EMPTY)) {
            thread_sleep(time_now() + PAUSE, 0);
            continue;
        }
        for (unsigned i = 0; i < FIFO && at < size; i++)
            port_out8(DATA, frame[at++]);
    }
    mutex_unlock(&send_lock);
}
