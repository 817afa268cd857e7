/*
 * main.c: the driver of virtio consoles, for the one port that carries the machine's control
 * channel: finding, starting, losing it. It is loaded when the serial port has become too slow
 * (modules/drivers/hostctl) and then stays: the host listens to the port from then on.
 */
#include <microlake/log.h>
#include <microlake/memory.h>

#include "console.h"
#include "uapi/kmod.h"

#define DEVICE_ID        3u
#define FEATURE_PORTS    (1ull << 1)
#define CONFIG_MAX_PORTS 4u
#define QUEUE_SIZE_LIMIT 16u

void console_lost(struct console *c)
{
    if (__atomic_exchange_n(&c->lost, true, __ATOMIC_SEQ_CST))
        return;
    log_error("virtio_console: %s does not work as it should", c->device->name);
    virtio_device_reset(c->device);
    c->device->lost = true;
}

static int queues_setup(struct console *c)
{
    static void (*const used[VIRTIO_QUEUES_MAX])(struct virtio_queue * q) = {
        [QUEUE_CONTROL_RECEIVE] = control_received,
        [QUEUE_PORT_RECEIVE] = port_received,
        [QUEUE_PORT_TRANSMIT] = port_sent,
    };
    int r = OK;

    for (unsigned i = QUEUE_CONTROL_RECEIVE; i <= QUEUE_PORT_TRANSMIT && r == OK; i++)
        r = virtio_queue_setup(c->device, i, QUEUE_SIZE_LIMIT, used[i], c, &c->queues[i]);
    return r;
}

static int features_negotiate(struct console *c)
{
    uint32_t ports = 0;
    int r = virtio_features_accept(c->device, FEATURE_PORTS | VIRTIO_F_EVENT_IDX);

    if (r != OK)
        return r;
    virtio_config_read(c->device, CONFIG_MAX_PORTS, &ports, sizeof(ports));
    return (c->device->features & FEATURE_PORTS) && ports > CONSOLE_PORT ? OK : ERR_NOT_FOUND;
}

static int console_start(struct console *c)
{
    int r = features_negotiate(c);

    if (r == OK)
        r = queues_setup(c);
    if (r == OK)
        r = control_start(c);
    if (r == OK)
        r = port_start(c);
    if (r != OK)
        return r;
    virtio_device_ready(c->device);
    for (unsigned i = QUEUE_CONTROL_RECEIVE; i <= QUEUE_PORT_TRANSMIT; i++)
        virtio_queue_kick(c->queues[i]);
    r = control_open(c);
    if (r == OK)
        r = port_carry(c);
    if (r == OK)
        virtio_queue_interrupts_enable(c->queues[QUEUE_PORT_RECEIVE]);
    return r;
}

static void console_free(struct console *c)
{
    if (c->control_memory)
        frame_free(c->control_memory, 0);
    if (c->port_memory)
        frame_free(c->port_memory, PORT_BUFFER_ORDER);
    kfree(c);
}

static int console_probe(struct virtio_device *d)
{
    struct console *c = kzalloc(sizeof(*c));
    int r = ERR_NO_MEMORY;

    if (!c)
        return ERR_NO_MEMORY;
    c->device = d;
    wait_queue_init(&c->sleepers);
    c->control_memory = frame_alloc(0, FRAME_ZERO);
    c->port_memory = frame_alloc(PORT_BUFFER_ORDER, 0);
    if (c->control_memory && c->port_memory)
        r = console_start(c);
    if (r == OK) {
        d->driver_data = c;
        return OK;
    }
    virtio_device_reset(d); /* before its memory goes */
    virtio_queues_free(d);
    console_free(c);
    return r;
}

/* The module stays, and so does the transport while it has a device. */
static struct virtio_driver driver = {
    .name = "virtio_console", .id = DEVICE_ID, .probe = console_probe};

static int console_init(void)
{
    return virtio_driver_register(&driver);
}

KMOD_MANIFEST(.name = "virtio_console", .version = "0.1.0", .needs = "virtio,hostctl",
              .init = console_init);
