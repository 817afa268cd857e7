/*
 * packet.c: what is on its way between sockets. See socket.h.
 *
 * A packet may carry files, which may be sockets, whose queues may hold packets with files again:
 * packets are freed one after another, however they hang together, not one inside the other. What
 * hangs together in a circle flight.c finds.
 */
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/net/inet.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/process.h"

static struct list doomed = LIST_INIT(doomed); /* guarded by socket_lock */
static bool freeing;                           /* somebody empties doomed; guarded by socket_lock */

int packet_create(struct socket *sender, size_t size, struct packet **out)
{
    struct packet *p = kmalloc(sizeof(*p) + size);

    if (!p)
        return ERR_NO_MEMORY;
    memset(p, 0, sizeof(*p));
    list_init(&p->link);
    p->sender = sender;
    p->size = size;
    socket_ref(sender);
    *out = p;
    return OK;
}

static void free_now(struct packet *p)
{
    for (unsigned i = 0; i < p->file_count; i++)
        file_unref(p->files[i]);
    kfree(p->files);
    socket_unref(p->sender);
    kfree(p);
}

void packets_free(struct list *packets)
{
    struct list *it;

    spin_lock(&socket_lock);
    while ((it = list_pop_front(packets))) {
        struct packet *p = list_entry(it, struct packet, link);

        p->sender->sent -= packet_cost(p);
        flight_end_locked(p);
        list_push_back(&doomed, it);
    }
    while (!freeing && (it = list_pop_front(&doomed))) {
        struct packet *p = list_entry(it, struct packet, link);

        freeing = true;
        spin_unlock(&socket_lock);
        socket_changed(p->sender, LINUX_POLLOUT);
        free_now(p);
        spin_lock(&socket_lock);
        freeing = false;
    }
    spin_unlock(&socket_lock);
}

void packet_free(struct packet *p)
{
    if (p)
        free_now(p);
}

void packet_consume(struct packet *p)
{
    struct list one = LIST_INIT(one);

    spin_lock(&socket_lock);
    list_remove(&p->link);
    spin_unlock(&socket_lock);
    list_push_back(&one, &p->link);
    packets_free(&one);
}

static int check_locked(const struct socket *from, const struct socket *to, const struct packet *p)
{
    if (from->write_closed)
        return LINUX_ERRNO(EPIPE);
    if (to->dead && !socket_connects(to))
        return LINUX_ERRNO(ECONNREFUSED);
    if ((to->dead || to->read_closed) && !socket_is_tcp(from))
        return LINUX_ERRNO(EPIPE);
    if (from->sent > 0 && from->sent + packet_cost(p) > from->send_limit)
        return ERR_AGAIN;
    return p->file_count > 0 ? flight_check_locked(task_current()) : OK;
}

/* TCP sends, and learns by the answer that nobody is there any more: the first bytes are lost, the
 * next call fails. socket_lock is held. */
static void lose_locked(struct socket *from)
{
    from->write_closed = true;
    from->error = LINUX_ERRNO(EPIPE);
}

int packet_send(struct socket *from, struct socket *to, struct packet *p)
{
    bool lost = false;
    int r;

    spin_lock(&socket_lock);
    r = check_locked(from, to, p);
    if (r == OK && to->dead) {
        lost = true;
        lose_locked(from);
    } else if (r == OK) {
        from->sent += packet_cost(p);
        list_push_back(&to->packets, &p->link);
        flight_begin_locked(p);
    }
    spin_unlock(&socket_lock);
    if (lost)
        packet_free(p);
    if (r == OK)
        socket_changed(lost ? from : to, lost ? ~0u : LINUX_POLLIN);
    return r;
}
