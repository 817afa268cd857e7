/*
 * socket.c: a socket, and the file it is. See socket.h.
 */
#include "modules/linux/net/socket.h"

#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/net/inet.h"
#include "modules/linux/process/process.h"

#define LIMIT_DEFAULT 212992u

struct spinlock socket_lock = SPINLOCK_INIT;

int socket_create(int family, int type, struct socket **out)
{
    struct socket *s = kzalloc(sizeof(*s));

    if (!s)
        return ERR_NO_MEMORY;
    s->refs = 1;
    s->family = family;
    s->type = type;
    mutex_init(&s->read_lock);
    list_init(&s->packets);
    list_init(&s->backlog);
    list_init(&s->backlog_link);
    list_init(&s->bound_link);
    list_init(&s->flight_link);
    list_init(&s->suspect_link);
    s->send_limit = s->receive_limit = LIMIT_DEFAULT;
    wait_queue_init(&s->readable);
    wait_queue_init(&s->writable);
    linux_poll_source_init(&s->source);
    *out = s;
    return OK;
}

void socket_ref(struct socket *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
}

void socket_unref(struct socket *s)
{
    if (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(s);
}

void socket_changed(struct socket *s, unsigned events)
{
    if (events & LINUX_POLLIN)
        wait_wake_all(&s->readable);
    if (events & LINUX_POLLOUT)
        wait_wake_all(&s->writable);
    poll_notify(&s->source, events);
}

struct linux_ucred socket_credentials(const struct task *t)
{
    const struct credentials *own = &t->process->credentials;

    return (struct linux_ucred){t->process->pid, own->user.effective, own->group.effective};
}

/* Nobody will use this socket any more: its peer learns of it, its packets go. Gives up a
 * reference.
 */
static void socket_end(struct socket *s)
{
    struct list packets = LIST_INIT(packets);
    struct socket *peer;
    struct list *it;

    spin_lock(&socket_lock);
    s->dead = true;
    peer = s->peer;
    s->peer = NULL;
    while ((it = list_pop_front(&s->packets)))
        list_push_back(&packets, it);
    if (peer && socket_connects(s)) {
        bool unread = !list_empty(&packets);

        peer->read_closed = true;
        peer->write_closed |= unread || !socket_is_tcp(s);
        if (unread)
            peer->error = LINUX_ERRNO(ECONNRESET);
    }
    spin_unlock(&socket_lock);
    socket_changed(s, ~0u); /* those who wait to connect or send */
    if (peer && socket_connects(s))
        socket_changed(peer, ~0u);
    packets_free(&packets);
    socket_unref(peer);
    socket_unref(s);
}

static struct socket *take_backlog(struct socket *s)
{
    struct list *it;

    spin_lock(&socket_lock);
    s->state = SOCKET_IDLE;
    it = list_pop_front(&s->backlog);
    spin_unlock(&socket_lock);
    return it ? list_entry(it, struct socket, backlog_link) : NULL;
}

static void socket_close(struct file *f)
{
    struct socket *s = f->data, *waiting;

    address_unbind(s);
    while ((waiting = take_backlog(s)))
        socket_end(waiting);
    socket_end(s);
    if (sockets_in_flight) /* two who let go of a socket at once may each have left it to the other */
        sockets_collect();
}

static long transfer(struct file *f, vaddr_t at, size_t size, bool send)
{
    struct linux_iovec part = {at, size};
    struct message m = {.cursor = {.parts = &part, .count = 1}, .size = size};
    long r;

    if (f->flags & LINUX_O_NONBLOCK)
        m.flags |= LINUX_MSG_DONTWAIT;
    r = send ? socket_send(f->data, &m) : socket_receive(f->data, &m);
    message_drop_files(&m); /* who reads has no place for files */
    return r;
}

static long socket_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)offset;
    return transfer(f, at, size, false);
}

static long socket_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)offset;
    return transfer(f, at, size, true);
}

/* Bytes of the first message, of a stream all. */
static int32_t waiting_bytes(struct socket *s)
{
    size_t bytes = 0;

    spin_lock(&socket_lock);
    list_for_each (it, &s->packets) {
        const struct packet *p = list_entry(it, struct packet, link);

        bytes += p->size - p->done;
        if (s->type != LINUX_SOCK_STREAM)
            break;
    }
    spin_unlock(&socket_lock);
    return (int32_t)bytes;
}

static long socket_ioctl(struct file *f, unsigned command, uint64_t argument)
{
    int32_t count;

    if (command != LINUX_FIONREAD)
        return LINUX_ERRNO(ENOTTY);
    count = waiting_bytes(f->data);
    return user_write(argument, &count, sizeof(count));
}

static unsigned socket_poll(struct file *f, struct linux_poll_source **source)
{
    struct socket *s = f->data;
    unsigned events = 0;

    *source = &s->source;
    spin_lock(&socket_lock);
    if (!list_empty(&s->packets) || !list_empty(&s->backlog))
        events |= LINUX_POLLIN;
    if (s->read_closed)
        events |= LINUX_POLLIN | LINUX_POLLRDHUP;
    if (s->read_closed && s->write_closed)
        events |= LINUX_POLLHUP;
    if (socket_connects(s) && s->state == SOCKET_IDLE)
        events |= LINUX_POLLHUP;
    if (s->error)
        events |= LINUX_POLLERR;
    if (s->state != SOCKET_LISTENING && s->sent * 4 <= s->send_limit)
        events |= LINUX_POLLOUT;
    spin_unlock(&socket_lock);
    return events;
}

static const struct file_ops socket_ops = {.read = socket_read,
                                           .write = socket_write,
                                           .ioctl = socket_ioctl,
                                           .poll = socket_poll,
                                           .close = socket_close,
                                           .kind = "socket"};

int socket_file(struct socket *s, uint32_t flags, struct file **out)
{
    int r = file_create(&socket_ops, s, LINUX_O_RDWR | (flags & LINUX_O_NONBLOCK), out);

    if (r == OK)
        s->file = *out;
    else
        socket_end(s);
    return r;
}

struct socket *socket_of_file(const struct file *f)
{
    return f->ops == &socket_ops ? f->data : NULL;
}

int socket_find(struct task *t, int fd, struct file **f, struct socket **out)
{
    *f = fd_get(t->process->files, fd);
    if (!*f)
        return LINUX_ERRNO(EBADF);
    *out = socket_of_file(*f);
    if (*out)
        return OK;
    file_unref(*f);
    return LINUX_ERRNO(ENOTSOCK);
}
