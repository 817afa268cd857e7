/*
 * control.c: the messages in which a console says what ports it has, and hears which are wanted.
 * They matter at the start only.
 */
#include <microlake/cpu.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "console.h"
#include "uapi/hostctl.h"

#define ANSWER_NS (1 * NS_PER_SEC)  /* for each message of the device's */
#define TAKE_NS   (100 * NS_PER_MS) /* for the device to take one of ours */
#define MESSAGES  64u               /* more than a console says of its ports */

enum control_event {
    EVENT_DEVICE_READY = 0,
    EVENT_PORT_ADD = 1,
    EVENT_PORT_READY = 3,
    EVENT_PORT_OPEN = 6,
    EVENT_PORT_NAME = 7,
};

struct control_message {
    uint32_t port;
    uint16_t event;
    uint16_t value;
    char name[]; /* of EVENT_PORT_NAME, without NUL */
};

static uint8_t *message_place(const struct console *c, unsigned i)
{
    return (uint8_t *)phys_to_virt(c->control_memory) + i * CONTROL_BYTES;
}

static int message_give(struct console *c, void *place)
{
    struct vring_buffer buffer = {virt_to_phys(place), CONTROL_BYTES, true};

    return virtio_queue_add(c->queues[QUEUE_CONTROL_RECEIVE], &buffer, 1, place);
}

int control_start(struct console *c)
{
    for (unsigned i = 0; i < CONTROL_BUFFERS; i++)
        if (message_give(c, message_place(c, i)) != OK)
            return i ? OK : ERR_LOST;
    return OK;
}

void control_received(struct virtio_queue *q)
{
    struct console *c = virtio_queue_context(q);

    virtio_queue_interrupts_disable(q);
    wait_wake_all(&c->sleepers);
}

static int message_send(struct console *c, uint32_t port, enum control_event event, uint16_t value)
{
    struct virtio_queue *q = c->queues[QUEUE_CONTROL_TRANSMIT];
    struct control_message *m = (struct control_message *)message_place(c, CONTROL_BUFFERS);
    struct vring_buffer buffer = {virt_to_phys(m), sizeof(*m), false};
    uint64_t due = time_now() + TAKE_NS;
    uint32_t written;
    void *token;
    int r;

    *m = (struct control_message){.port = port, .event = (uint16_t)event, .value = value};
    r = virtio_queue_add(q, &buffer, 1, m);
    if (r != OK)
        return r;
    virtio_queue_kick(q);
    while ((r = virtio_queue_take(q, &token, &written)) == ERR_AGAIN && time_now() < due)
        cpu_relax();
    return r == ERR_AGAIN ? ERR_TIMED_OUT : r;
}

static bool name_is_ours(const struct control_message *m, uint32_t size)
{
    static const char name[] = HOSTCTL_PORT_NAME;
    uint32_t length = size - (uint32_t)sizeof(*m);

    while (length && m->name[length - 1] == '\0')
        length--;
    return length == sizeof(name) - 1 && memcmp(m->name, name, length) == 0;
}

/* Answers a message of the device's. ERR_AGAIN: the port is not open yet. */
static int message_answer(struct console *c, const struct control_message *m, uint32_t size)
{
    int r = OK;

    if (size < sizeof(*m) || m->port != CONSOLE_PORT)
        return ERR_AGAIN;
    if (m->event == EVENT_PORT_ADD) {
        r = message_send(c, CONSOLE_PORT, EVENT_PORT_READY, 1);
    } else if (m->event == EVENT_PORT_NAME) {
        if (!name_is_ours(m, size))
            return ERR_NOT_FOUND;
        return message_send(c, CONSOLE_PORT, EVENT_PORT_OPEN, 1);
    }
    return r == OK ? ERR_AGAIN : r;
}

/* The device's next message, in a copy that it can't change. */
static int message_wait(struct console *c, uint8_t message[CONTROL_BYTES], uint32_t *size)
{
    struct virtio_queue *q = c->queues[QUEUE_CONTROL_RECEIVE];
    uint64_t due = time_now() + ANSWER_NS;
    void *place;
    int r;

    while ((r = virtio_queue_take(q, &place, size)) == ERR_AGAIN) {
        if (virtio_queue_interrupts_enable(q))
            continue;
        if (WAIT_UNTIL(&c->sleepers, virtio_queue_pending(q), due, 0) != OK)
            return ERR_TIMED_OUT;
    }
    if (r != OK)
        return r;
    memcpy(message, place, CONTROL_BYTES);
    r = message_give(c, place);
    virtio_queue_kick(q);
    return r;
}

int control_open(struct console *c)
{
    uint8_t message[CONTROL_BYTES] __attribute__((aligned(8)));
    uint32_t size;
    int r = message_send(c, UINT32_MAX, EVENT_DEVICE_READY, 1);

    for (unsigned i = 0; r == OK && i < MESSAGES; i++) {
        r = message_wait(c, message, &size);
        if (r == OK)
            r = message_answer(c, (const struct control_message *)message, size);
        if (r != ERR_AGAIN)
            return r;
        r = OK;
    }
    return r == OK ? ERR_NOT_FOUND : r;
}
