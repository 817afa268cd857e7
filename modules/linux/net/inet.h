/*
 * inet.h: sockets with Internet addresses (AF_INET, AF_INET6), of which there are those of the
 * machine itself: 127.0.0.0/8 and ::1. No packets go anywhere: an address is one more way to find
 * the other socket. Thread context.
 */
#pragma once

#include "modules/linux/net/socket.h"

#define INET_DATAGRAM_MAX 65507u

static inline bool socket_is_inet(const struct socket *s)
{
    return s->family != LINUX_AF_UNIX;
}

static inline bool socket_is_tcp(const struct socket *s)
{
    return socket_is_inet(s) && socket_connects(s);
}

/* The protocol that a type of socket has when a program says `protocol`; 0: any. EPROTONOSUPPORT,
 * ESOCKTNOSUPPORT. */
int inet_protocol(int type, int protocol, int *out);

/* Gives the socket an address. EADDRINUSE, EADDRNOTAVAIL: not one of the machine; EAFNOSUPPORT. */
int inet_bind(struct socket *s, const struct socket_address *address);

/* A free port at an address that fits what it is for, unless it has one. */
int inet_bind_any(struct socket *s, bool loopback);

/* Who is at an address; *out is a reference. ENETUNREACH: not in this machine; ECONNREFUSED. */
int inet_find(const struct socket *s, const struct socket_address *address, struct socket **out);

/* Where a datagram socket sends to, and from where alone it receives; family 0: no more. What of
 * its own address nobody chose follows where it sends to. */
int inet_set_peer(struct socket *s, const struct socket_address *address);

/* What a connection from s to `address` makes the addresses of both ends. socket_lock is held. */
void inet_connected_locked(struct socket *s, struct socket *accepted,
                           const struct socket_address *address);

/* An address as a socket of this family shows it. */
void inet_show(int family, struct socket_address *address);

/* What a socket without an address says that it has. */
void inet_unbound(int family, struct socket_address *out);

/* Does `to` take datagrams from s? */
bool inet_takes_from(const struct socket *to, const struct socket *s);

#define INET_PROTOCOL_IPV6 41
enum { INET_V6_HOP_LIMIT = 52, INET_V6_TRAFFIC_CLASS = 67 }; /* types of control messages */

/* A control message of INET_PROTOCOL_IPV6 that is to go with a packet. ERR_INVALID. */
int inet_read_control(struct header_values *header, int type, const uint8_t *data, size_t size);

/* Options of the protocols; values are numbers. ENOPROTOOPT. */
int inet_set_option(struct socket *s, int level, int option, int32_t value);
int inet_get_option(struct socket *s, int level, int option, int32_t *value);
