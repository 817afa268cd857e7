/*
 * line.c: the third serial port. Receiving is by interrupt into a ring; while that is full the host is held
 * up. Sending is by polling: a virtual port is ready but for when the host lags.
 */
#include <microlake/irq.h>
#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#include "hostrun.h"
#include "lib/uart/uart.h"

#define RING_BYTES 4096u /* a power of two */
#define TRIES      64u
#define PAUSE      (1 * NS_PER_MS)

static struct spinlock lock = SPINLOCK_INIT;
static uint8_t ring[RING_BYTES];  /* guarded by lock */
static uint32_t head, tail;       /* bytes put in and taken out; guarded by lock */
static struct wait_queue readers = WAIT_QUEUE_INIT(readers);
static struct mutex send_lock = MUTEX_INIT(send_lock);

static uint8_t line_read(enum uart_register r)
{
    return port_in8((uint16_t)(HOSTRUN_PORT + r));
}

static void line_write(enum uart_register r, uint8_t value)
{
    port_out8((uint16_t)(HOSTRUN_PORT + r), value);
}

static void bytes_take_locked(void)
{
    while (head - tail < RING_BYTES && (line_read(UART_LINE_STATUS) & UART_STATUS_DATA))
        ring[head++ % RING_BYTES] = line_read(UART_DATA);
    if (head - tail == RING_BYTES)
        line_write(UART_INTERRUPT_ENABLE, 0);
}

/* The line is an edge for the interrupt controller: it must be low when the handler ends, or no further
 * interrupt comes. */
static void line_interrupt(void *context)
{
    uint64_t flags = spin_lock_irqsave(&lock);

    (void)context;
    for (unsigned i = 0; i < TRIES && !(line_read(UART_INTERRUPT_ID) & UART_IID_NONE); i++)
        bytes_take_locked();
    spin_unlock_irqrestore(&lock, flags);
    wait_wake_all(&readers);
}

int line_start(void)
{
    int r;

    if (line_read(UART_LINE_STATUS) == UART_STATUS_NONE)
        return ERR_NOT_FOUND;
    line_write(UART_INTERRUPT_ENABLE, 0);
    line_write(UART_LINE_CONTROL, UART_LINE_DIVISOR);
    line_write(UART_DIVISOR_LOW, 1);
    line_write(UART_DIVISOR_HIGH, 0);
    line_write(UART_LINE_CONTROL, UART_LINE_8N1);
    line_write(UART_FIFO_CONTROL, UART_FIFO_ON_CLEAR);
    line_write(UART_MODEM_CONTROL, UART_MODEM_ON);
    r = irq_register(HOSTRUN_LINE, IRQ_EDGE, line_interrupt, NULL);
    if (r == OK)
        line_write(UART_INTERRUPT_ENABLE, UART_IE_RECEIVE);
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
    line_write(UART_INTERRUPT_ENABLE, UART_IE_RECEIVE);
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
        if (!(line_read(UART_LINE_STATUS) & UART_STATUS_EMPTY)) {
            thread_sleep(time_now() + PAUSE, 0);
            continue;
        }
        for (unsigned i = 0; i < UART_FIFO_BYTES && at < size; i++)
            line_write(UART_DATA, frame[at++]);
    }
    mutex_unlock(&send_lock);
}
