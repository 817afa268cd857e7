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
static ssize_t header_receive(int socket, struct vhost_message *message)
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
    ssize_t got;
    do {
        got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        message->fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(message->fds, CMSG_DATA(c), message->fd_count * sizeof(int));
    }
    return header.msg_flags & MSG_CTRUNC ? -1 : got;
}

static int bytes_receive(int socket, void *target, size_t bytes)
{
    uint8_t *out = target;
    while (bytes) {
        ssize_t got = recv(socket, out, bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        out += got;
        bytes -= (size_t)got;
    }
    return 0;
}

int vhost_message_receive(int socket, struct vhost_message *message)
{
    memset(message, 0, sizeof(*message));
    ssize_t got = header_receive(socket, message);
    if (got == 0)
        return 0;
    if (got < 0 ||
        bytes_receive(socket, (uint8_t *)&message->request + got,
                      VHOST_HEADER_BYTES - (size_t)got) ||
        (message->flags & VHOST_VERSION_MASK) != VHOST_VERSION ||
        message->size > sizeof(message->payload) ||
        bytes_receive(socket, &message->payload, message->size)) {
        vhost_message_close(message);
        return -1;
    }
    return 1;
}

int vhost_message_send(int socket, const struct vhost_message *message)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * GUEST_MEMORY_REGIONS)];
    } control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)&message->request,
                         .iov_len = VHOST_HEADER_BYTES + message->size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (message->fd_count) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * message->fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * message->fd_count);
        memcpy(CMSG_DATA(c), message->fds, sizeof(int) * message->fd_count);
    }
    while (part.iov_len) {
        ssize_t put = sendmsg(socket, &header, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        part.iov_base = (uint8_t *)part.iov_base + put;
        part.iov_len -= (size_t)put;
        header.msg_control = NULL;
        header.msg_controllen = 0;
    }
    return 0;
}

void vhost_message_close(struct vhost_message *message)
{
    for (unsigned i = 0; i < message->fd_count; i++)
        if (message->fds[i] >= 0)
            close(message->fds[i]);
    message->fd_count = 0;
}
