/*
 * packet.c: what is on its way between sockets. See socket.h.
 *
 * A packet may carry files, which may be sockets, whose queues may hold packets with files again.
 * Two rules keep that in hand: a socket is not sent to where its own queue would lead to itself,
 * and packets are freed one after another, however they hang together, not one inside the other.
 */
#include <microlake/memory.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/net/socket.h"

#define LOOK_MAX  1024u /* packets that one check looks at; more: it is refused */
#define DEPTH_MAX 4u

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
        list_entry(it, struct packet, link)->sender->sent -=
            packet_cost(list_entry(it, struct packet, link));
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

static bool leads_to(const struct socket *from, const struct socket *to, unsigned depth,
                     unsigned *looks);

static bool packet_leads_to(const struct packet *p, const struct socket *to, unsigned depth,
                            unsigned *looks)
{
    for (unsigned i = 0; i < p->file_count; i++) {
        const struct socket *s = socket_of_file(p->files[i]);

        if (s && leads_to(s, to, depth, looks))
            return true;
    }
    return false;
}

/* Would `to` stay reachable through what waits in `from`? Also when that takes too long to find
 * out. socket_lock is held. */
static bool leads_to(const struct socket *from, const struct socket *to, unsigned depth,
                     unsigned *looks)
{
    if (from == to || depth >= DEPTH_MAX)
        return true;
    list_for_each (it, &from->packets) {
        if (++*looks > LOOK_MAX ||
            packet_leads_to(list_entry(it, struct packet, link), to, depth + 1, looks))
            return true;
    }
    list_for_each (it, &from->backlog) {
        if (++*looks > LOOK_MAX ||
            leads_to(list_entry(it, struct socket, backlog_link), to, depth + 1, looks))
            return true;
    }
    return false;
}

static int check_locked(const struct socket *from, const struct socket *to, const struct packet *p)
{
    unsigned looks = 0;

    if (from->write_closed)
        return LINUX_ERRNO(EPIPE);
    if (to->dead && !socket_connects(to))
        return LINUX_ERRNO(ECONNREFUSED);
    if (to->dead || to->read_closed)
        return LINUX_ERRNO(EPIPE);
    if (from->sent > 0 && from->sent + packet_cost(p) > from->send_limit)
        return ERR_AGAIN;
    return packet_leads_to(p, to, 0, &looks) ? LINUX_ERRNO(ETOOMANYREFS) : OK;
}

int packet_send(struct socket *from, struct socket *to, struct packet *p)
{
    int r;

    spin_lock(&socket_lock);
    r = check_locked(from, to, p);
    if (r == OK) {
        from->sent += packet_cost(p);
        list_push_back(&to->packets, &p->link);
    }
    spin_unlock(&socket_lock);
    if (r == OK)
        socket_changed(to, LINUX_POLLIN);
    return r;
}
