/*
 * port.c: bytes through the open port, for hostctl. There is one port in a machine that carries
 * them.
 */
#include <microlake/memory.h>

#include "console.h"
#include "modules/drivers/hostctl/include/hostctl.h"

static struct console *carried; /* set once, before hostctl knows the carrier */

static int buffer_give(struct console *c, unsigned i)
{
    struct port_buffer *b = &c->buffers[i];
    struct vring_buffer buffer = {virt_to_phys(b->bytes), PAGE_SIZE, true};

    b->at = 0;
    return virtio_queue_add(c->queues[QUEUE_PORT_RECEIVE], &buffer, 1, b);
}

int port_start(struct console *c)
{
    int r = OK;

    for (unsigned i = 0; i < PORT_BUFFERS && r == OK; i++) {
        c->buffers[i].bytes = (uint8_t *)phys_to_virt(c->port_memory) + i * PAGE_SIZE;
        r = buffer_give(c, i);
        if (r == ERR_AGAIN && i > 0) /* the device's queue is a short one */
            return OK;
    }
    return r;
}

/* ---- From the host
 * ---------------------------------------------------------------------------------- */

/* Takes what the device gave back; false: nothing more. */
static bool buffer_came_locked(struct console *c)
{
    struct port_buffer *b;
    uint32_t written;
    void *token;
    int r = virtio_queue_take(c->queues[QUEUE_PORT_RECEIVE], &token, &written);

    if (r == ERR_LOST)
        console_lost(c);
    if (r != OK)
        return false;
    b = token;
    b->size = written;
    c->came[c->came_head++ % PORT_BUFFERS] = (uint8_t)(b - c->buffers);
    return true;
}

/* Offers what came, oldest first, until hostctl takes no more. True: the device got buffers back.
 */
static bool input_offer_locked(struct console *c)
{
    bool given = false;

    while (c->came_head != c->came_tail) {
        unsigned i = c->came[c->came_tail % PORT_BUFFERS];
        struct port_buffer *b = &c->buffers[i];

        b->at += (uint32_t)hostctl_receive(b->bytes + b->at, b->size - b->at);
        if (b->at < b->size)
            break;
        c->came_tail++;
        given |= buffer_give(c, i) == OK;
    }
    return given;
}

static void input_carry(struct console *c)
{
    struct virtio_queue *q = c->queues[QUEUE_PORT_RECEIVE];
    uint64_t flags = spin_lock_irqsave(&c->lock);
    bool given = false;

    do {
        while (buffer_came_locked(c))
            continue;
        given |= input_offer_locked(c);
    } while (!c->lost && virtio_queue_interrupts_enable(q));
    spin_unlock_irqrestore(&c->lock, flags);
    if (given)
        virtio_queue_kick(q);
}

void port_received(struct virtio_queue *q)
{
    input_carry(virtio_queue_context(q));
}

static void carrier_resume(void)
{
    input_carry(carried);
}

/* ---- To the host
 * ------------------------------------------------------------------------------------ */

static int carrier_send(const void *bytes, uint32_t size)
{
    struct virtio_queue *q = carried->queues[QUEUE_PORT_TRANSMIT];
    struct vring_buffer buffer = {virt_to_phys(bytes), size, false};
    int r = carried->lost ? ERR_LOST : virtio_queue_add(q, &buffer, 1, carried);

    if (r == OK)
        virtio_queue_kick(q);
    else
        console_lost(carried);
    return r;
}

static int carrier_sent(void)
{
    struct virtio_queue *q = carried->queues[QUEUE_PORT_TRANSMIT];
    uint32_t written;
    void *token;
    int r;

    do {
        r = carried->lost ? ERR_LOST : virtio_queue_take(q, &token, &written);
    } while (r == ERR_AGAIN && virtio_queue_interrupts_enable(q));
    if (r == OK)
        virtio_queue_interrupts_disable(q);
    else if (r != ERR_AGAIN)
        console_lost(carried);
    return r;
}

void port_sent(struct virtio_queue *q)
{
    (void)q;
    hostctl_sent();
}

static const struct hostctl_carrier carrier = {
    .send = carrier_send, .sent = carrier_sent, .resume = carrier_resume};

int port_carry(struct console *c)
{
    struct console *none = NULL;
    int r;

    if (!__atomic_compare_exchange_n(&carried, &none, c, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        return ERR_EXISTS;
    r = hostctl_carry(&carrier);
    if (r != OK)
        carried = NULL;
    return r;
}
