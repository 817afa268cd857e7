/*
 * console.h: a virtio console with several ports (virtio 1.2, section 5.3), of which port 1 may be
 * the machine's control channel. Port 0 is a plain console, which nobody here needs.
 */
#pragma once

#include <microlake/spinlock.h>
#include <microlake/types.h>
#include <microlake/wait.h>

#include "modules/drivers/virtio/include/virtio.h"

#define CONSOLE_PORT      1u
#define PORT_BUFFERS      8u
#define PORT_BUFFER_ORDER 3u /* memory of all of them: a page each */
#define CONTROL_BUFFERS   8u
#define CONTROL_BYTES     256u

enum console_queue {
    QUEUE_CONTROL_RECEIVE = 2,
    QUEUE_CONTROL_TRANSMIT = 3,
    QUEUE_PORT_RECEIVE = 4,
    QUEUE_PORT_TRANSMIT = 5,
};

/* A buffer of the port's receiving queue. The device's, or in the list of those that came. */
struct port_buffer {
    uint8_t *bytes; /* PAGE_SIZE of them */
    uint32_t size;  /* bytes that came */
    uint32_t at;    /* bytes of them that hostctl has taken */
};

struct console {
    struct virtio_device *device;
    struct virtio_queue *queues[VIRTIO_QUEUES_MAX];
    struct wait_queue sleepers; /* whoever waits for the device's messages */
    paddr_t control_memory; /* a page: messages from the device, and behind them the one to it */
    paddr_t port_memory;
    struct spinlock lock;                     /* of what came; taken before hostctl's locks */
    struct port_buffer buffers[PORT_BUFFERS]; /* guarded by lock */
    uint8_t came[PORT_BUFFERS];               /* indices, oldest first; guarded by lock */
    uint32_t came_head, came_tail;            /* guarded by lock */
    bool lost;                                /* set once */
};

/* Resets a device that wrote nonsense: it is of no use any more. Any context. */
void console_lost(struct console *c);

/* ---- control.c
 * ----------------------------------------------------------------------------------- */

/* Gives the device room for its messages. A status. */
int control_start(struct console *c);

/* Talks with the device until the port is open. ERR_NOT_FOUND: its name is another. ERR_TIMED_OUT.
 * Thread context. */
int control_open(struct console *c);

/* The interrupt of the queue. */
void control_received(struct virtio_queue *q);

/* ---- port.c
 * -------------------------------------------------------------------------------------- */

/* Gives the device room for what comes. A status. */
int port_start(struct console *c);

/* Makes the open port hostctl's carrier. A status. */
int port_carry(struct console *c);

/* The interrupts of the queues. */
void port_received(struct virtio_queue *q);
void port_sent(struct virtio_queue *q);
