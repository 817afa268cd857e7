/*
 * socket.h: sockets of one machine (AF_UNIX, and AF_INET and AF_INET6 of its own addresses): streams, datagrams, and datagrams in sequence.
 *
 * What is sent lies as packets in the receiver's queue and counts against its sender's limit until
 * it is received. One spinlock, socket_lock, guards all links between sockets; it is held for a few
 * instructions and never while user memory is touched. Waiters and pollers are woken after it.
 *
 * References to a socket: its file, or the backlog it waits in; its peer; each packet it sent.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/types.h>
#include <microlake/wait.h>

#include "modules/linux/abi/socket.h"
#include "modules/linux/include/linux_dev.h"

struct file;
struct linux_iovec;
struct node;
struct task;

enum socket_state { SOCKET_IDLE, SOCKET_LISTENING, SOCKET_CONNECTED };

/* What became of a connect() that was told EINPROGRESS, until the next one asks. */
enum socket_attempt { ATTEMPT_NONE, ATTEMPT_MADE, ATTEMPT_FAILED };

struct socket_address {
    uint32_t size; /* 0: none */
    struct linux_sockaddr_un name;
};

struct socket {
    uint32_t refs;
    int family, type;
    int protocol;            /* of the Internet family; else 0 */
    struct mutex read_lock; /* receivers take turns; only they take packets out */

    /* guarded by socket_lock; waits look at them without */
    enum socket_state state;
    enum socket_attempt attempt;
    bool host_chosen, port_chosen; /* an Internet address: by bind(), not for want of one */
    struct socket *peer;           /* a reference */
    bool dead;           /* its file is gone */
    bool read_closed, write_closed;
    int error; /* a LINUX_ERRNO() to be told once */
    struct list packets;
    size_t sent;         /* what its packets in others' queues cost */
    struct list backlog; /* sockets that wait for accept() */
    unsigned backlog_count, backlog_max;
    struct list backlog_link; /* in the listener's backlog */
    struct list bound_link;   /* in the list of bound sockets */
    struct socket_address address;
    struct socket_address destination; /* of a connected datagram socket with Internet addresses */
    struct node *node; /* the name in the tree; a reference */
    struct linux_ucred own, other;
    const struct file *file;    /* its own, no reference; NULL: not accepted yet */
    uint32_t flights;           /* its file's references that lie in queues; see flight.c */
    uint32_t flights_elsewhere; /* of a suspect: in others' queues */
    bool suspect;
    struct list flight_link, suspect_link;

    /* changed by whole-word stores */
    size_t send_limit, receive_limit;
    bool pass_credentials;
    bool reuse, reuse_port, v6_only, no_delay;
    uint16_t send_coverage, receive_coverage; /* UDP-Lite's, which has nothing to check here */
    bool tell_hop_limit, tell_traffic_class; /* of what was received, as control messages */
    uint64_t read_timeout, write_timeout; /* ns; 0: none */

    struct wait_queue readable, writable;
    struct linux_poll_source source;
};

/* What travels in the header of an Internet packet; -1: as the system has it. */
struct header_values {
    int32_t hop_limit, traffic_class;
};

struct packet {
    struct list link; /* socket_lock */
    struct socket *sender;
    size_t size;
    size_t done; /* a stream's bytes that were received; the receiver's read_lock */
    struct linux_ucred sender_is;
    struct header_values header;
    unsigned file_count;
    struct file **files; /* references */
    uint32_t user;           /* whose files they are; while it lies in a queue with them */
    struct list flight_link; /* socket_lock; while it lies in a queue with files */
    uint8_t data[];
};

extern struct spinlock socket_lock;

/* ---- socket.c: the object and its file */

int socket_create(int family, int type, struct socket **out);
void socket_ref(struct socket *s);
void socket_unref(struct socket *s);

/* A file for a socket, which takes over the reference, also when it fails. */
int socket_file(struct socket *s, uint32_t flags, struct file **out);

/* The socket of a descriptor, and its file with a reference. EBADF, ENOTSOCK. */
int socket_find(struct task *t, int fd, struct file **f, struct socket **out);
struct socket *socket_of_file(const struct file *f); /* NULL: it is none */

/* Wakes all who wait for the socket and polls it. */
void socket_changed(struct socket *s, unsigned events);

static inline bool socket_connects(const struct socket *s)
{
    return s->type != LINUX_SOCK_DGRAM;
}

struct linux_ucred socket_credentials(const struct task *t);

/* ---- packet.c */

/* ERR_NO_MEMORY. */
int packet_create(struct socket *sender, size_t size, struct packet **out);

/* Frees packets of a list, or one, that no queue holds, with the files they carry. */
void packets_free(struct list *packets);
void packet_free(struct packet *p);

/* Puts a packet into a queue. ERR_AGAIN: the sender is at its limit; EPIPE, ECONNREFUSED: nobody
 * will receive. */
int packet_send(struct socket *from, struct socket *to, struct packet *p);

/* Takes the first packet out of its receiver's queue and frees it. */
void packet_consume(struct packet *p);

static inline size_t packet_cost(const struct packet *p)
{
    return p->size + 256;
}

/* ---- flight.c: sockets on their way in messages */

extern uint32_t sockets_in_flight; /* how many; 0: nothing of this concerns anybody */

/* How many of a file's references lie in queues. The caller has one that does not. */
uint32_t socket_flights(const struct file *f);

/* A task may not have more files on their way than it may have open, unless it may do more than others.
 * ETOOMANYREFS. socket_lock is held. */
int flight_check_locked(const struct task *t);

/* A packet with its files enters a queue, or has left it. socket_lock is held. */
void flight_begin_locked(struct packet *p);
void flight_end_locked(struct packet *p);

/* Frees what lies in the queues of sockets that nobody can reach. No lock is held. */
void sockets_collect(void);

/* ---- transfer.c: sending and receiving */

/* A place in a vector of user memory. */
struct cursor {
    const struct linux_iovec *parts;
    size_t count;
    size_t index, offset;
};

struct message {
    struct cursor cursor;
    size_t size; /* of all parts */
    unsigned flags;
    struct socket_address address; /* where to; where from */
    struct file **files;           /* references */
    unsigned file_count;
    struct linux_ucred credentials;
    bool has_credentials;
    struct header_values header;
    unsigned result_flags;
};

long socket_send(struct socket *s, struct message *m);

/* What came with the bytes is the caller's, who calls message_drop_files() whatever the result is. */
long socket_receive(struct socket *s, struct message *m);

/* Gives back the files that a message still holds. */
void message_drop_files(struct message *m);

/* ---- address.c */

int address_read(vaddr_t at, uint64_t size, struct socket_address *out);
int address_write(vaddr_t at, vaddr_t size_at, const struct socket_address *address);
int address_bind(struct task *t, struct socket *s, const struct socket_address *address);

/* Who is bound to an address, of a type if the name is abstract; *out is a reference. ECONNREFUSED.
 */
int address_find(struct task *t, const struct socket_address *address, int type,
                 struct socket **out);
void address_unbind(struct socket *s);
