/*
 * outgoing.c: see outgoing.h.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "frames.h"
#include "outgoing.h"

bool outgoing_pending(const struct outgoing *o)
{
    return o->at < o->end;
}

static void frame_make(struct outgoing *o, uint8_t type, const void *payload, uint32_t length)
{
    size_t header = frame_header_write(o->bytes, type, length);
    memmove(o->bytes + header, payload, length);
    o->at = 0;
    o->end = header + length;
}

static void closed_frame_make(struct outgoing *o)
{
    uint8_t stream = 1;
    while (!(o->closed_due & 1u << stream))
        stream++;
    o->closed_due &= (uint8_t) ~(1u << stream);
    frame_make(o, HOSTCTL_CLOSED, &stream, 1);
}

void outgoing_next(struct outgoing *o)
{
    if (outgoing_pending(o))
        return;
    if (o->closed_due) {
        closed_frame_make(o);
    } else if (o->gpu_lost_due) {
        o->gpu_lost_due = false;
        frame_make(o, HOSTCTL_GPU_LOST, "", 0);
    } else if (o->size_due) {
        o->size_due = false;
        frame_make(o, HOSTCTL_SIZE, &o->size, sizeof(o->size));
    } else if (o->move_due) {
        o->move_due = false;
        o->moving = true;
        frame_make(o, HOSTCTL_MOVE, "", 0);
    }
}

void outgoing_read_stdin(struct outgoing *o)
{
    static uint8_t input[HOSTCTL_MAX_LONG];
    ssize_t count = read(STDIN_FILENO, input, o->moved ? sizeof(input) : HOSTCTL_MAX_PAYLOAD);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        count = 0;
        o->stdin_open = false;
    }
    frame_make(o, HOSTCTL_STDIN, input, (uint32_t)count);
}

void outgoing_write(struct outgoing *o, int fd)
{
    ssize_t count = write(fd, o->bytes + o->at, o->end - o->at);
    if (count > 0)
        o->at += (size_t)count;
    if (outgoing_pending(o) || !o->moving)
        return;
    o->moving = false;
    o->moved = true;
}
