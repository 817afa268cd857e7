/*
 * flight.c: sockets whose files are on their way in messages, and freeing those that nobody can
 * receive any more.
 *
 * A queued packet holds references to the files that it carries. Sockets whose queues carry each
 * other, or themselves, would keep themselves alive for ever once no descriptor leads to them. So
 * each socket counts how many of its file's references lie in queues. When all of them do, and it
 * is found that they lie in the queues of sockets of the same kind alone, these queues are emptied,
 * and the files go as all files do.
 *
 * Locks: everything here is guarded by socket_lock, which is the innermost lock but for those of
 * wait queues, and under which no reference is given back: packets are moved to a list under it and
 * freed after it. With it held a file all of whose references lie in queues can't gain another: who
 * takes a file out of a packet, or looks at it there, has the receiver's file itself.
 */
#include "modules/linux/fs/file.h"
#include "modules/linux/net/socket.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

uint32_t sockets_in_flight; /* written under socket_lock */

static struct list flying = LIST_INIT(flying); /* by flight_link */

static struct list loaded = LIST_INIT(loaded); /* packets with files, by flight_link */
static uint64_t files_in_flight;               /* in all of them */

static struct socket *flyer(const struct file *f)
{
    struct socket *s = socket_of_file(f);

    return s && s->family == LINUX_AF_UNIX ? s : NULL;
}

uint32_t socket_flights(const struct file *f)
{
    const struct socket *s = flyer(f);

    return s ? __atomic_load_n(&s->flights, __ATOMIC_RELAXED) : 0;
}

/* Only when all users together have so many is it worth counting one's. */
int flight_check_locked(const struct task *t)
{
    uint64_t limit = t->process->limits[LINUX_RLIMIT_NOFILE].current, count = 0;
    uint32_t user = t->process->credentials.user.real;

    if (files_in_flight <= limit || capable(CAP_SYS_RESOURCE) || capable(CAP_SYS_ADMIN))
        return OK;
    list_for_each (it, &loaded) {
        const struct packet *p = list_entry(it, struct packet, flight_link);

        count += p->user == user ? p->file_count : 0;
    }
    return count > limit ? LINUX_ERRNO(ETOOMANYREFS) : OK;
}

void flight_begin_locked(struct packet *p)
{
    if (p->file_count > 0) {
        p->user = task_current()->process->credentials.user.real;
        files_in_flight += p->file_count;
        list_push_back(&loaded, &p->flight_link);
    }
    for (unsigned i = 0; i < p->file_count; i++) {
        struct socket *s = flyer(p->files[i]);

        if (!s || s->flights++ > 0)
            continue;
        list_push_back(&flying, &s->flight_link);
        sockets_in_flight++;
    }
}

void flight_end_locked(struct packet *p)
{
    if (p->file_count > 0) {
        files_in_flight -= p->file_count;
        list_remove(&p->flight_link);
    }
    for (unsigned i = 0; i < p->file_count; i++) {
        struct socket *s = flyer(p->files[i]);

        if (!s || --s->flights > 0)
            continue;
        list_remove(&s->flight_link);
        sockets_in_flight--;
    }
}

/* ---- What can still be received
 *
 * Suspects are the sockets all of whose references lie in queues. Those of them that lie in a queue
 * of somebody else are reached, and what they carry is reached too; the others are lost. */

typedef void (*visitor)(struct socket *s, struct list *found);

static void visit_packets(const struct socket *s, visitor visit, struct list *found)
{
    list_for_each (it, &s->packets) {
        const struct packet *p = list_entry(it, struct packet, link);

        for (unsigned i = 0; i < p->file_count; i++) {
            struct socket *carried = flyer(p->files[i]);

            if (carried && carried->suspect)
                visit(carried, found);
        }
    }
}

/* The suspects that a socket's queue leads to, and those of connections that it can accept. */
static void visit_carried(const struct socket *s, visitor visit, struct list *found)
{
    visit_packets(s, visit, found);
    list_for_each (it, &s->backlog)
        visit_packets(list_entry(it, struct socket, backlog_link), visit, found);
}

static void count_carried(struct socket *s, struct list *found)
{
    (void)found;
    s->flights_elsewhere--;
}

static void find_reached(struct socket *s, struct list *found)
{
    s->suspect = false;
    list_remove(&s->suspect_link);
    list_push_back(found, &s->suspect_link);
}

static void collect_suspects(struct list *suspects)
{
    list_for_each (it, &flying) {
        struct socket *s = list_entry(it, struct socket, flight_link);

        s->suspect = __atomic_load_n(&s->file->refs, __ATOMIC_ACQUIRE) == s->flights;
        if (!s->suspect)
            continue;
        s->flights_elsewhere = s->flights;
        list_push_back(suspects, &s->suspect_link);
    }
}

/* Takes the reached ones out of the list of suspects. */
static void clear_reached(struct list *suspects)
{
    struct list reached = LIST_INIT(reached), *it, *next;

    list_for_each (each, suspects)
        visit_carried(list_entry(each, struct socket, suspect_link), count_carried, NULL);
    for (it = suspects->next; it != suspects; it = next) {
        struct socket *s = list_entry(it, struct socket, suspect_link);

        next = it->next;
        if (s->flights_elsewhere > 0)
            find_reached(s, &reached);
    }
    while ((it = list_pop_front(&reached)))
        visit_carried(list_entry(it, struct socket, suspect_link), find_reached, &reached);
}

static void take_packets(struct socket *s, struct list *packets)
{
    struct list *it;

    while ((it = list_pop_front(&s->packets)))
        list_push_back(packets, it);
}

void sockets_collect(void)
{
    struct list suspects = LIST_INIT(suspects), packets = LIST_INIT(packets), *it;

    spin_lock(&socket_lock);
    collect_suspects(&suspects);
    clear_reached(&suspects);
    while ((it = list_pop_front(&suspects))) {
        struct socket *s = list_entry(it, struct socket, suspect_link);

        s->suspect = false;
        take_packets(s, &packets);
        list_for_each (waiting, &s->backlog)
            take_packets(list_entry(waiting, struct socket, backlog_link), &packets);
    }
    spin_unlock(&socket_lock);
    packets_free(&packets);
}
