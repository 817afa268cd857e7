/* link.c: see link.h. Short reads and writes are carried on. */
#include "link.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PARTS 4u

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * GUEST_MEMORY_REGIONS)];
};

static void fds_put(struct msghdr *header, union control *control, const int *fds, unsigned count)
{
    memset(control, 0, sizeof(*control));
    header->msg_control = control->bytes;
    header->msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
}

/* Moves the pieces past `bytes` that have gone. Returns whether any are left. */
static bool parts_advance(struct msghdr *header, size_t bytes)
{
    while (header->msg_iovlen && bytes >= header->msg_iov->iov_len) {
        bytes -= header->msg_iov->iov_len;
        header->msg_iov++;
        header->msg_iovlen--;
    }
    if (!header->msg_iovlen)
        return false;
    header->msg_iov->iov_base = (uint8_t *)header->msg_iov->iov_base + bytes;
    header->msg_iov->iov_len -= bytes;
    return true;
}

int link_send(int socket, const struct iovec *parts, unsigned count, const int *fds,
              unsigned fd_count)
{
    struct iovec left[MAX_PARTS];
    union control control;
    if (count > MAX_PARTS || fd_count > GUEST_MEMORY_REGIONS)
        return -1;
    memcpy(left, parts, count * sizeof(*parts));
    struct msghdr header = {.msg_iov = left, .msg_iovlen = count};
    if (fd_count)
        fds_put(&header, &control, fds, fd_count);
    for (;;) {
        ssize_t put = sendmsg(socket, &header, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        if (!parts_advance(&header, (size_t)put))
            return 0;
        header.msg_control = NULL;
        header.msg_controllen = 0;
    }
}

int link_receive(int socket, void *target, size_t bytes)
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

int link_receive_fds(int socket, void *target, size_t bytes, int *fds, unsigned *fd_count)
{
    union control control;
    struct iovec part = {.iov_base = target, .iov_len = bytes};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t got;
    *fd_count = 0;
    do {
        got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        *fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), *fd_count * sizeof(int));
    }
    return link_receive(socket, (uint8_t *)target + got, bytes - (size_t)got);
}

void link_device_wake(struct link_shared *shared)
{
    atomic_uint *word = NULL;
    unsigned who = atomic_exchange(&shared->device_sleeps, LINK_NOBODY);
    if (who == LINK_RUNNER)
        word = &shared->device_sleeps;
    if (who == LINK_STANDBY) {
        word = &shared->standby_calls;
        atomic_fetch_add(word, 1);
    }
    if (word)
        syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
