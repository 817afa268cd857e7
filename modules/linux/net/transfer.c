/*
 * transfer.c: sending and receiving through sockets. See socket.h.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/window.h"
#include "modules/linux/net/inet.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/process.h"
#include "modules/linux/time/clock.h"

#define PIECE 32768u /* the most of a stream that one packet carries */

void message_drop_files(struct message *m)
{
    for (unsigned i = 0; i < m->file_count; i++)
        file_unref(m->files[i]);
    kfree(m->files);
    m->files = NULL;
    m->file_count = 0;
}

/* Moves bytes between the places of a cursor and kernel memory. */
static int cursor_move(struct cursor *c, uint8_t *bytes, size_t size, bool from_user)
{
    while (size > 0 && c->index < c->count) {
        const struct linux_iovec *part = &c->parts[c->index];
        size_t n = MIN(size, part->size - c->offset);
        vaddr_t at = part->base + c->offset;

        if (n > 0 && (from_user ? bytes_in(bytes, at, n) : bytes_out(at, bytes, n)) != OK)
            return ERR_FAULT;
        bytes += n;
        size -= n;
        c->offset += n;
        if (c->offset == part->size) {
            c->index++;
            c->offset = 0;
        }
    }
    return OK;
}

static uint64_t due_after(uint64_t timeout, unsigned flags)
{
    return flags & LINUX_MSG_DONTWAIT ? 0 : timeout == 0 ? TIME_NEVER : clock_due_in(timeout);
}

/* What a wait's end is to a program: with a time limit a signal ends the call for good. */
static int wait_result(int r, uint64_t due)
{
    if (r == ERR_TIMED_OUT)
        return ERR_AGAIN;
    return r == ERR_INTERRUPTED && due != TIME_NEVER ? LINUX_ERRNO(EINTR) : r;
}

/* ---- Sending */

/* A packet with the next `size` bytes; with the message's files when it is the first. */
static int make_packet(struct socket *s, struct message *m, size_t size, bool first,
                       struct packet **out)
{
    struct packet *p;
    int r = packet_create(s, size, &p);

    if (r != OK)
        return r;
    r = cursor_move(&m->cursor, p->data, size, true);
    p->sender_is = m->has_credentials ? m->credentials : socket_credentials(task_current());
    p->header = m->header;
    if (r == OK && first && m->file_count > 0) {
        p->files = kmalloc(m->file_count * sizeof(struct file *));
        r = p->files ? OK : ERR_NO_MEMORY;
        for (unsigned i = 0; r == OK && i < m->file_count; i++) {
            file_ref(m->files[i]);
            p->files[p->file_count++] = m->files[i];
        }
    }
    if (r == OK)
        *out = p;
    else
        packet_free(p);
    return r;
}

static bool has_room(const struct socket *s, const struct socket *to, size_t cost)
{
    size_t sent = __atomic_load_n(&s->sent, __ATOMIC_RELAXED);

    return sent == 0 || sent + cost <= s->send_limit || s->write_closed ||
           __atomic_load_n(&to->dead, __ATOMIC_RELAXED);
}

static int send_packet(struct socket *s, struct socket *to, struct packet *p, uint64_t due)
{
    for (;;) {
        int r = packet_send(s, to, p);

        if (r != ERR_AGAIN || due == 0)
            return r;
        r = WAIT_UNTIL(&s->writable, has_room(s, to, packet_cost(p)), due, WAIT_INTERRUPTIBLE);
        if (r != OK)
            return wait_result(r, due);
    }
}

static void broken_pipe(const struct message *m)
{
    struct task *t = task_current();
    struct linux_siginfo info = {.signo = LINUX_SIGPIPE, .code = LINUX_SI_USER};

    if (m->flags & LINUX_MSG_NOSIGNAL)
        return;
    info.sender.pid = t->process->pid;
    signal_send_task(t, &info);
}

/* Datagrams of the Internet family may get lost, and do where nobody has room for them. */
static bool loses(const struct socket *s)
{
    return socket_is_inet(s) && !socket_connects(s);
}

static bool is_lost(const struct socket *s, const struct socket *to)
{
    return loses(s) && !inet_takes_from(to, s);
}

static long send_pieces(struct socket *s, struct socket *to, struct message *m)
{
    uint64_t due = due_after(s->write_timeout, m->flags);
    bool stream = s->type == LINUX_SOCK_STREAM;
    size_t done = 0;

    if (!stream && (m->size > s->send_limit || (loses(s) && m->size > INET_DATAGRAM_MAX)))
        return LINUX_ERRNO(EMSGSIZE);
    do {
        size_t n = stream ? MIN(m->size - done, PIECE) : m->size;
        struct packet *p;
        int r;

        if (stream && m->size == 0)
            break;
        r = make_packet(s, m, n, done == 0, &p);
        if (r == OK) {
            r = is_lost(s, to) ? ERR_AGAIN : send_packet(s, to, p, loses(s) ? 0 : due);
            if (r != OK)
                packet_free(p);
            if (r == ERR_AGAIN && loses(s))
                return (long)m->size;
        }
        if (r == LINUX_ERRNO(EPIPE) && socket_connects(s) && done == 0)
            broken_pipe(m);
        if (r != OK)
            return done > 0 ? (long)done : r;
        done += n;
    } while (done < m->size);
    return (long)done;
}

static int take_error_locked(struct socket *s)
{
    int r = s->error;

    s->error = OK;
    return r;
}

/* Where a message goes: its address, or the peer. *out is a reference. */
static int find_receiver(struct socket *s, const struct message *m, struct socket **out)
{
    int r;

    if (loses(s)) {
        const struct socket_address *to = m->address.size ? &m->address : &s->destination;

        r = to->size ? inet_bind_any(s, true) : LINUX_ERRNO(EDESTADDRREQ);
        return r == OK ? inet_find(s, to, out) : r;
    }
    if (m->address.size > 0 && !socket_is_inet(s)) {
        if (socket_connects(s))
            return s->state == SOCKET_CONNECTED ? LINUX_ERRNO(EISCONN) : LINUX_ERRNO(EOPNOTSUPP);
        r = address_find(task_current(), &m->address, s->type, out);
        if (r == OK && (*out)->type != s->type) {
            socket_unref(*out);
            r = LINUX_ERRNO(EPROTOTYPE);
        }
        return r;
    }
    spin_lock(&socket_lock);
    r = take_error_locked(s);
    *out = s->peer;
    if (r == OK && *out)
        socket_ref(*out);
    else if (r == OK)
        r = s->write_closed || socket_is_inet(s) ? LINUX_ERRNO(EPIPE) : LINUX_ERRNO(ENOTCONN);
    spin_unlock(&socket_lock);
    return r;
}

long socket_send(struct socket *s, struct message *m)
{
    struct socket *to;
    long r;

    if (m->flags & LINUX_MSG_OOB)
        return LINUX_ERRNO(EOPNOTSUPP);
    r = find_receiver(s, m, &to);
    if (r == LINUX_ERRNO(ECONNREFUSED) && loses(s) && m->address.size)
        return (long)m->size; /* nobody tells who is not connected */
    if (r != OK) {
        if (r == LINUX_ERRNO(EPIPE) && socket_connects(s))
            broken_pipe(m);
        return r;
    }
    r = send_pieces(s, to, m);
    socket_unref(to);
    return r;
}

/* ---- Receiving */

static bool has_news(const struct socket *s)
{
    return !list_empty(&s->packets) || s->read_closed || s->error;
}

/* The packet after `last` (NULL: the first); OK and NULL: there will be none. ERR_AGAIN: none yet.
 */
static int next_packet(struct socket *s, struct packet *last, struct packet **out)
{
    struct list *it;
    int r = OK;

    *out = NULL;
    spin_lock(&socket_lock);
    it = last ? last->link.next : s->packets.next;
    if (it != &s->packets)
        *out = list_entry(it, struct packet, link);
    else if (s->error && s->error != LINUX_ERRNO(EPIPE)) /* that is for who sends */
        r = take_error_locked(s);
    else if (socket_connects(s) && s->state != SOCKET_CONNECTED)
        r = s->type == LINUX_SOCK_STREAM && !socket_is_inet(s) ? ERR_INVALID : LINUX_ERRNO(ENOTCONN);
    else if (!s->read_closed)
        r = ERR_AGAIN;
    spin_unlock(&socket_lock);
    return r;
}

/* The first packet, waited for. read_lock is held at entry and at return. */
static int wait_packet(struct socket *s, uint64_t due, struct packet **out)
{
    for (;;) {
        int r = next_packet(s, NULL, out);

        if (r != ERR_AGAIN || due == 0)
            return r;
        mutex_unlock(&s->read_lock);
        r = WAIT_UNTIL(&s->readable, has_news(s), due, WAIT_INTERRUPTIBLE);
        mutex_lock(&s->read_lock);
        if (r != OK)
            return wait_result(r, due);
    }
}

/* Streams of the Internet family don't say who sent; datagrams as the receiver's family has it. */
static void show_sender(const struct socket *s, struct message *m)
{
    if (socket_connects(s))
        m->address.size = 0;
    else
        inet_show(s->family, &m->address);
}

/* What comes with a packet beside its bytes. A look leaves the files there too. */
static int take_extras(const struct socket *s, struct packet *p, struct message *m)
{
    m->address = p->sender->address;
    if (p->sender->family != LINUX_AF_UNIX)
        show_sender(s, m);
    m->credentials = p->sender_is;
    m->has_credentials = true;
    m->header = p->header;
    if (p->file_count == 0)
        return OK;
    if (m->flags & LINUX_MSG_PEEK) {
        m->files = kmalloc(p->file_count * sizeof(struct file *));
        if (!m->files)
            return ERR_NO_MEMORY;
        for (unsigned i = 0; i < p->file_count; i++) {
            m->files[i] = p->files[i];
            file_ref(m->files[i]);
        }
        m->file_count = p->file_count;
        return OK;
    }
    spin_lock(&socket_lock);
    flight_end_locked(p);
    m->files = p->files;
    m->file_count = p->file_count;
    p->files = NULL;
    p->file_count = 0;
    spin_unlock(&socket_lock);
    return OK;
}

/* Moves what is wanted of one of a stream's packets; *last: nothing is to follow, for it brought
 * files. The count of bytes. */
static long take_part(const struct socket *s, struct packet *p, struct message *m, size_t done,
                      bool *last)
{
    size_t n = MIN(m->size - done, p->size - p->done);
    int r = cursor_move(&m->cursor, p->data + p->done, n, false);

    *last = p->file_count > 0;
    if (r == OK && (done == 0 || *last))
        r = take_extras(s, p, m);
    if (r != OK)
        return r;
    if (m->flags & LINUX_MSG_PEEK)
        return (long)n;
    p->done += n;
    if (p->done == p->size)
        packet_consume(p);
    return (long)n;
}

/* Bytes of a stream, over packets, up to the end of one that brings files. */
static long receive_stream(struct socket *s, struct message *m, uint64_t due)
{
    bool peek = m->flags & LINUX_MSG_PEEK, last = false;
    struct packet *p;
    size_t done = 0;
    int r;

    if (m->size == 0)
        return 0;
    r = wait_packet(s, due, &p);
    while (r == OK && p) {
        long n = take_part(s, p, m, done, &last);

        if (n < 0)
            return done > 0 ? (long)done : n;
        done += (size_t)n;
        if (done == m->size || last)
            break;
        if ((m->flags & LINUX_MSG_WAITALL) && !peek)
            r = wait_packet(s, due, &p);
        else
            r = next_packet(s, peek ? p : NULL, &p);
    }
    return done > 0 ? (long)done : r;
}

/* One message; what does not fit is lost. */
static long receive_whole(struct socket *s, struct message *m, uint64_t due)
{
    struct packet *p;
    size_t n;
    long r = wait_packet(s, due, &p);

    if (r != OK || !p)
        return r;
    n = MIN(m->size, p->size);
    r = cursor_move(&m->cursor, p->data, n, false);
    if (r == OK)
        r = take_extras(s, p, m);
    if (r == OK) {
        if (n < p->size)
            m->result_flags |= LINUX_MSG_TRUNC;
        r = m->flags & LINUX_MSG_TRUNC ? (long)p->size : (long)n;
    }
    if (!(m->flags & LINUX_MSG_PEEK))
        packet_consume(p);
    return r;
}

long socket_receive(struct socket *s, struct message *m)
{
    uint64_t due = due_after(s->read_timeout, m->flags);
    long r;

    if (m->flags & LINUX_MSG_OOB)
        return LINUX_ERRNO(EOPNOTSUPP);
    mutex_lock(&s->read_lock);
    r = s->type == LINUX_SOCK_STREAM ? receive_stream(s, m, due) : receive_whole(s, m, due);
    mutex_unlock(&s->read_lock);
    return r;
}
