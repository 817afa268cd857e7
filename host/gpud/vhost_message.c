/* vhost_message.c: see vhost_message.h. Short reads and writes are carried on. */
#include "vhost_message.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(offsetof(struct vhost_message, payload) - offsetof(struct vhost_message, request) ==
                   VHOST_HEADER_BYTES,
               "wire header");

/* Reads the header's first bytes together with the descriptors that come with them. */
static ssize_t header_receive(int socket, struct vhost_message *message, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * GUEST_MEMORY_REGIONS)];
    } control;
    struct iovec part = {.iov_base = &message->request, .iov_len = VHOST_HEADER_BYTES};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t got = recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
    if (got <= 0)
        return got;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        message->fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(message->fds, CMSG_DATA(c), message->fd_count * sizeof(int));
    }
    if (!(header.msg_flags & MSG_CTRUNC))
        return got;
    errno = E2BIG;
    return -1;
}

/* Reads a piece of what is still to come of the message. */
static ssize_t piece_receive(int socket, struct vhost_message *message, size_t got, int flags)
{
    size_t whole = VHOST_HEADER_BYTES;
    if (!got)
        return header_receive(socket, message, flags);
    if (got >= VHOST_HEADER_BYTES)
        whole += message->size;
    return recv(socket, (uint8_t *)&message->request + got, whole - got, flags);
}

static bool header_is_good(const struct vhost_message *message)
{
    return (message->flags & VHOST_VERSION_MASK) == VHOST_VERSION &&
           message->size <= sizeof(message->payload);
}

static enum vhost_take message_take(int socket, struct vhost_message *message, size_t *got,
                                    int flags)
{
    if (!*got)
        memset(message, 0, sizeof(*message));
    ssize_t piece = piece_receive(socket, message, *got, flags);
    if (piece < 0 && (errno == EINTR || (errno == EAGAIN && flags)))
        return VHOST_TAKE_PART;
    if (piece == 0 && !*got)
        return VHOST_TAKE_END;
    if (piece > 0)
        *got += (size_t)piece;
    if (piece <= 0 || (*got >= VHOST_HEADER_BYTES && !header_is_good(message))) {
        vhost_message_close(message);
        return VHOST_TAKE_BAD;
    }
    if (*got < VHOST_HEADER_BYTES || *got < VHOST_HEADER_BYTES + message->size)
        return VHOST_TAKE_PART;
    *got = 0;
    return VHOST_TAKE_WHOLE;
}

enum vhost_take vhost_message_take(int socket, struct vhost_message *message, size_t *got)
{
    return message_take(socket, message, got, MSG_DONTWAIT);
}

int vhost_message_receive(int socket, struct vhost_message *message)
{
    enum vhost_take taken;
    size_t got = 0;
    do {
        taken = message_take(socket, message, &got, 0);
    } while (taken == VHOST_TAKE_PART);
    return taken == VHOST_TAKE_WHOLE ? 1 : taken == VHOST_TAKE_END ? 0 : -1;
}

/* Sends what `part` still holds of a message, and its descriptors with the first byte. */
static ssize_t piece_send(int socket, const struct vhost_message *message, struct iovec *part,
                          bool first, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * GUEST_MEMORY_REGIONS)];
    } control;
    struct msghdr header = {.msg_iov = part, .msg_iovlen = 1};
    if (first && message->fd_count) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * message->fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * message->fd_count);
        memcpy(CMSG_DATA(c), message->fds, sizeof(int) * message->fd_count);
    }
    ssize_t put;
    do {
        put = sendmsg(socket, &header, flags | MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    return put;
}

int vhost_message_send(int socket, const struct vhost_message *message)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)&message->request,
                         .iov_len = VHOST_HEADER_BYTES + message->size};
    for (bool first = true; part.iov_len; first = false) {
        ssize_t put = piece_send(socket, message, &part, first, 0);
        if (put < 0)
            return -1;
        part.iov_base = (uint8_t *)part.iov_base + put;
        part.iov_len -= (size_t)put;
    }
    return 0;
}

/* So short a message goes whole into a stream socket, or not at all. */
int vhost_message_offer(int socket, const struct vhost_message *message)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)&message->request,
                         .iov_len = VHOST_HEADER_BYTES + message->size};
    ssize_t put = piece_send(socket, message, &part, true, MSG_DONTWAIT);
    if (put == (ssize_t)(VHOST_HEADER_BYTES + message->size))
        return 1;
    return put < 0 && errno == EAGAIN ? 0 : -1;
}

void vhost_message_close(struct vhost_message *message)
{
    for (unsigned i = 0; i < message->fd_count; i++)
        if (message->fds[i] >= 0)
            close(message->fds[i]);
    message->fd_count = 0;
}
