/*
 * sys_socket.c: calls that make sockets and bring them together.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/net/inet.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

static int check_kind(uint64_t family, uint64_t type, uint64_t protocol, int *out, int *protocol_out)
{
    unsigned flags = (unsigned)type & ~LINUX_SOCK_TYPE_MASK;

    if (flags & ~(unsigned)(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
        return ERR_INVALID;
    *out = (int)(type & LINUX_SOCK_TYPE_MASK);
    if ((int)family == LINUX_AF_INET || (int)family == LINUX_AF_INET6)
        return inet_protocol(*out, (int)protocol, protocol_out);
    *protocol_out = 0;
    if ((int)family != LINUX_AF_UNIX)
        return LINUX_ERRNO(EAFNOSUPPORT);
    if (protocol != 0 && protocol != LINUX_AF_UNIX)
        return LINUX_ERRNO(EPROTONOSUPPORT);
    *out = (int)(type & LINUX_SOCK_TYPE_MASK);
    if (*out == LINUX_SOCK_RAW)
        *out = LINUX_SOCK_DGRAM;
    if (*out != LINUX_SOCK_STREAM && *out != LINUX_SOCK_DGRAM && *out != LINUX_SOCK_SEQPACKET)
        return LINUX_ERRNO(ESOCKTNOSUPPORT);
    return OK;
}

static long install_socket(struct task *t, struct socket *s, uint64_t flags)
{
    struct file *f;
    int r = socket_file(s, (uint32_t)flags, &f);

    return r == OK ? file_install(t, f, flags & LINUX_O_CLOEXEC) : r;
}

long sys_socket(struct call *c)
{
    struct socket *s;
    int type, protocol, r = check_kind(c->arg[0], c->arg[1], c->arg[2], &type, &protocol);

    if (r == OK)
        r = socket_create((int)c->arg[0], type, &s);
    if (r != OK)
        return r;
    s->protocol = protocol;
    return install_socket(c->task, s, c->arg[1]);
}

/* Nobody else knows either socket yet. */
static void join(struct task *t, struct socket *a, struct socket *b)
{
    a->state = b->state = SOCKET_CONNECTED;
    a->own = b->own = a->other = b->other = socket_credentials(t);
    a->peer = b;
    b->peer = a;
    socket_ref(a);
    socket_ref(b);
}

static int create_pair(struct task *t, int type, struct socket **a, struct socket **b)
{
    int r = socket_create(LINUX_AF_UNIX, type, a);

    if (r != OK)
        return r;
    r = socket_create(LINUX_AF_UNIX, type, b);
    if (r == OK)
        join(t, *a, *b);
    else
        socket_unref(*a);
    return r;
}

static void close_fd(struct task *t, int fd)
{
    struct file *f = fd_take(t->process->files, fd);

    if (f)
        file_unref(f);
}

long sys_socketpair(struct call *c)
{
    struct socket *a, *b;
    long first, second;
    int32_t fds[2];
    int type, protocol, r = check_kind(c->arg[0], c->arg[1], c->arg[2], &type, &protocol);

    if (r == OK && (int)c->arg[0] != LINUX_AF_UNIX)
        r = LINUX_ERRNO(EOPNOTSUPP);
    if (r == OK)
        r = create_pair(c->task, type, &a, &b);
    if (r != OK)
        return r;
    first = install_socket(c->task, a, c->arg[1]);
    second = install_socket(c->task, b, c->arg[1]);
    fds[0] = (int32_t)first;
    fds[1] = (int32_t)second;
    r = first < 0 ? (int)first : second < 0 ? (int)second : user_write(c->arg[3], fds, sizeof(fds));
    if (r == OK)
        return 0;
    if (first >= 0)
        close_fd(c->task, (int)first);
    if (second >= 0)
        close_fd(c->task, (int)second);
    return r;
}

long sys_bind(struct call *c)
{
    struct socket_address address;
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    r = address_read(c->arg[1], (uint32_t)c->arg[2], &address);
    if (r == OK)
        r = socket_is_inet(s) ? inet_bind(s, &address) : address_bind(c->task, s, &address);
    file_unref(f);
    return r;
}

static int listen_locked(struct task *t, struct socket *s, int backlog)
{
    if (!socket_connects(s))
        return LINUX_ERRNO(EOPNOTSUPP);
    if (s->address.size == 0 || s->state == SOCKET_CONNECTED)
        return ERR_INVALID;
    s->state = SOCKET_LISTENING;
    s->backlog_max = (unsigned)(backlog < 0 ? LINUX_SOMAXCONN : MIN(backlog, LINUX_SOMAXCONN));
    s->own = socket_credentials(t);
    return OK;
}

long sys_listen(struct call *c)
{
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    if (socket_is_inet(s) && socket_connects(s))
        inet_bind_any(s, false);
    spin_lock(&socket_lock);
    r = listen_locked(c->task, s, (int)c->arg[1]);
    spin_unlock(&socket_lock);
    if (r == OK)
        socket_changed(s, LINUX_POLLOUT);
    file_unref(f);
    return r;
}

static int take_locked(struct socket *s, struct socket **out)
{
    struct list *it;

    if (!socket_connects(s))
        return LINUX_ERRNO(EOPNOTSUPP);
    if (s->state != SOCKET_LISTENING)
        return ERR_INVALID;
    it = list_pop_front(&s->backlog);
    if (!it)
        return s->read_closed ? ERR_INVALID : ERR_AGAIN;
    s->backlog_count--;
    *out = list_entry(it, struct socket, backlog_link);
    return OK;
}

static int wait_connection(struct socket *s, bool nonblock, struct socket **out)
{
    uint64_t due = s->read_timeout ? clock_due_in(s->read_timeout) : TIME_NEVER;

    for (;;) {
        int r;

        spin_lock(&socket_lock);
        r = take_locked(s, out);
        spin_unlock(&socket_lock);
        if (r != ERR_AGAIN || nonblock)
            return r;
        r = WAIT_UNTIL(&s->readable, !list_empty(&s->backlog) || s->read_closed, due,
                       WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r == ERR_TIMED_OUT ? ERR_AGAIN : r;
    }
}

static long accept_flags(struct call *c, uint64_t flags)
{
    struct socket_address address = {0};
    struct socket *s, *fresh;
    struct file *f;
    long fd, r;

    if (flags & ~(uint64_t)(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
        return ERR_INVALID;
    r = socket_find(c->task, (int)c->arg[0], &f, &s);
    if (r != OK)
        return r;
    r = wait_connection(s, f->flags & LINUX_O_NONBLOCK, &fresh);
    if (r == OK)
        socket_changed(s, LINUX_POLLOUT); /* there is room for another who connects */
    file_unref(f);
    if (r != OK)
        return r;
    spin_lock(&socket_lock);
    if (fresh->peer)
        address = fresh->peer->address;
    spin_unlock(&socket_lock);
    if (socket_is_inet(fresh))
        inet_show(fresh->family, &address);
    fd = install_socket(c->task, fresh, flags);
    if (fd < 0 || c->arg[1] == 0)
        return fd;
    r = address_write(c->arg[1], c->arg[2], &address);
    if (r == OK)
        return fd;
    close_fd(c->task, (int)fd);
    return r;
}

long sys_accept(struct call *c)
{
    return accept_flags(c, 0);
}

long sys_accept4(struct call *c)
{
    return accept_flags(c, c->arg[3]);
}

/* Puts `fresh` as the other end into the listener's backlog. ERR_AGAIN: it is full. */
static int enqueue_locked(struct task *t, struct socket *s, struct socket *to, struct socket *fresh,
                          const struct socket_address *address)
{
    if (s->state == SOCKET_CONNECTED)
        return LINUX_ERRNO(EISCONN);
    if (s->state == SOCKET_LISTENING)
        return ERR_INVALID;
    if (to->type != s->type)
        return LINUX_ERRNO(EPROTOTYPE);
    if (to->dead || to->read_closed || to->state != SOCKET_LISTENING)
        return LINUX_ERRNO(ECONNREFUSED);
    if (to->backlog_count > to->backlog_max)
        return ERR_AGAIN;
    join(t, s, fresh);
    s->other = to->own;
    fresh->own = to->own;
    fresh->address = to->address;
    if (socket_is_inet(s))
        inet_connected_locked(s, fresh, address);
    to->backlog_count++;
    list_push_back(&to->backlog, &fresh->backlog_link);
    return OK;
}

static int connect_stream(struct task *t, struct socket *s, struct socket *to,
                          const struct socket_address *address, bool nonblock)
{
    uint64_t due = s->write_timeout ? clock_due_in(s->write_timeout) : TIME_NEVER;
    struct socket *fresh;
    int r = socket_create(to->family, s->type, &fresh);

    if (r != OK)
        return r;
    fresh->protocol = to->protocol;
    for (;;) {
        spin_lock(&socket_lock);
        r = enqueue_locked(t, s, to, fresh, address);
        spin_unlock(&socket_lock);
        if (r != ERR_AGAIN || nonblock)
            break;
        r = WAIT_UNTIL(&to->writable,
                       to->backlog_count <= to->backlog_max || to->state != SOCKET_LISTENING, due,
                       WAIT_INTERRUPTIBLE);
        if (r != OK)
            break;
    }
    if (r == OK) {
        socket_changed(to, LINUX_POLLIN);
        socket_changed(s, LINUX_POLLOUT);
        return OK;
    }
    socket_unref(fresh);
    return r == ERR_TIMED_OUT ? ERR_AGAIN : r;
}

/* A datagram socket's peer is only where it sends to. NULL: none any more. */
static int connect_datagram(struct task *t, struct socket *s, struct socket *to)
{
    struct socket *old;
    int r = OK;

    spin_lock(&socket_lock);
    old = s->peer;
    if (to && to->type != s->type)
        r = LINUX_ERRNO(EPROTOTYPE);
    else if (to && to->peer && to->peer != s)
        r = LINUX_ERRNO(EPERM);
    if (r == OK) {
        if (to)
            socket_ref(to);
        s->peer = to;
        s->own = socket_credentials(t);
        s->state = to ? SOCKET_CONNECTED : SOCKET_IDLE;
    }
    spin_unlock(&socket_lock);
    if (r == OK)
        socket_unref(old);
    return r;
}

static int connect_unix(struct task *t, struct socket *s, const struct socket_address *address,
                        bool nonblock)
{
    struct socket *to;
    int r;

    if (address->name.family == LINUX_AF_UNSPEC && !socket_connects(s))
        return connect_datagram(t, s, NULL);
    r = address_find(t, address, s->type, &to);
    if (r != OK)
        return r;
    r = socket_connects(s) ? connect_stream(t, s, to, address, nonblock)
                           : connect_datagram(t, s, to);
    socket_unref(to);
    return r;
}

/* The end of an attempt that was told EINPROGRESS. False: there was none. */
static bool take_attempt(struct socket *s, int *result)
{
    enum socket_attempt attempt;

    spin_lock(&socket_lock);
    attempt = s->attempt;
    s->attempt = ATTEMPT_NONE;
    *result = OK;
    if (attempt == ATTEMPT_FAILED) {
        *result = s->error ? s->error : LINUX_ERRNO(ECONNABORTED);
        s->error = OK;
        s->read_closed = s->write_closed = false;
    }
    spin_unlock(&socket_lock);
    return attempt != ATTEMPT_NONE;
}

/* TCP never has the answer at once: who does not wait is told of it by poll(), SO_ERROR and the
 * next connect(). What can be seen without asking the other end is an error at once. */
static int put_attempt(struct socket *s, int result)
{
    if (result != OK && result != LINUX_ERRNO(ECONNREFUSED))
        return result;
    spin_lock(&socket_lock);
    s->attempt = result == OK ? ATTEMPT_MADE : ATTEMPT_FAILED;
    if (result != OK) {
        s->error = result;
        s->read_closed = s->write_closed = true;
    }
    spin_unlock(&socket_lock);
    socket_changed(s, ~0u);
    return LINUX_ERRNO(EINPROGRESS);
}

static int connect_tcp(struct task *t, struct socket *s, const struct socket_address *address,
                       bool nonblock)
{
    struct socket *to = NULL;
    int r;

    if (take_attempt(s, &r))
        return r;
    if (s->state != SOCKET_IDLE)
        return LINUX_ERRNO(EISCONN);
    r = inet_find(s, address, &to);
    if (r == OK)
        r = inet_bind_any(s, true);
    if (r == OK)
        r = connect_stream(t, s, to, address, nonblock);
    socket_unref(to);
    return nonblock ? put_attempt(s, r) : r;
}

static int connect_to(struct task *t, struct socket *s, const struct socket_address *address,
                      bool nonblock)
{
    if (!socket_is_inet(s))
        return connect_unix(t, s, address, nonblock);
    return socket_connects(s) ? connect_tcp(t, s, address, nonblock) : inet_set_peer(s, address);
}

long sys_connect(struct call *c)
{
    struct socket_address address;
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    r = address_read(c->arg[1], (uint32_t)c->arg[2], &address);
    if (r == OK)
        r = connect_to(c->task, s, &address, f->flags & LINUX_O_NONBLOCK);
    file_unref(f);
    return r;
}

long sys_getsockname(struct call *c)
{
    struct socket_address address;
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    spin_lock(&socket_lock);
    address = s->address;
    spin_unlock(&socket_lock);
    if (socket_is_inet(s) && address.size == 0)
        inet_unbound(s->family, &address);
    r = address_write(c->arg[1], c->arg[2], &address);
    file_unref(f);
    return r;
}

long sys_getpeername(struct call *c)
{
    struct socket_address address;
    struct socket *s;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    spin_lock(&socket_lock);
    if (s->peer)
        address = s->peer->address;
    else if (s->destination.size)
        address = s->destination;
    else
        r = LINUX_ERRNO(ENOTCONN);
    spin_unlock(&socket_lock);
    if (r == OK && socket_is_inet(s))
        inet_show(s->family, &address);
    if (r == OK)
        r = address_write(c->arg[1], c->arg[2], &address);
    file_unref(f);
    return r;
}

static void shut_locked(struct socket *s, bool read, bool write)
{
    struct socket *peer = socket_connects(s) ? s->peer : NULL;

    s->read_closed |= read;
    s->write_closed |= write;
    if (peer) {
        peer->read_closed |= write;
        peer->write_closed |= read && !socket_is_tcp(s); /* TCP tells nobody who reads no more */
    }
}

long sys_shutdown(struct call *c)
{
    int how = (int)c->arg[1];
    struct socket *s, *peer = NULL;
    struct file *f;
    long r = socket_find(c->task, (int)c->arg[0], &f, &s);

    if (r != OK)
        return r;
    if (how < LINUX_SHUT_RD || how > LINUX_SHUT_RDWR) {
        file_unref(f);
        return ERR_INVALID;
    }
    if (socket_is_inet(s) && s->state == SOCKET_IDLE) {
        file_unref(f);
        return LINUX_ERRNO(ENOTCONN);
    }
    spin_lock(&socket_lock);
    shut_locked(s, how != LINUX_SHUT_WR, how != LINUX_SHUT_RD);
    peer = s->peer;
    if (peer)
        socket_ref(peer);
    spin_unlock(&socket_lock);
    socket_changed(s, ~0u);
    if (peer)
        socket_changed(peer, ~0u);
    socket_unref(peer);
    file_unref(f);
    return r;
}
