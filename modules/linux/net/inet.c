/*
 * inet.c: see inet.h.
 */
#include "modules/linux/net/inet.h"

#include <microlake/memory.h>

#define PORT_FIRST 32768u
#define PORT_LAST  60999u
#define LOOPBACK   0x7f000001u

enum { PROTOCOL_IP = 0, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_UDP_LITE = 136 };
enum { TCP_NODELAY = 1, TCP_OPTIONS = 32 };
enum { UDP_LITE_SEND_COVERAGE = 10, UDP_LITE_RECEIVE_COVERAGE = 11, UDP_HEADER = 8 };
enum { IPV6_V6ONLY = 26, IPV6_RECVHOPLIMIT = 51, IPV6_RECVTCLASS = 66 };

struct sockaddr_in {
    uint16_t family, port; /* the port and what follows: big-endian */
    uint8_t host[4];
    uint8_t zero[8];
};

struct sockaddr_in6 {
    uint16_t family, port;
    uint32_t flow;
    uint8_t host[16];
    uint32_t scope;
};

/* An address in one form for both families. */
struct place {
    uint16_t port;
    bool v4, v6;   /* reached by addresses of this kind */
    uint32_t host; /* of v4; 0: all */
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static struct list bound = LIST_INIT(bound); /* guarded by socket_lock */
static uint32_t last_port;

static uint16_t swap16(uint16_t n)
{
    return (uint16_t)(n << 8 | n >> 8);
}

static uint32_t host_of(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_host(uint8_t *b, uint32_t host)
{
    for (unsigned i = 0; i < 4; i++)
        b[i] = (uint8_t)(host >> (24 - 8 * i));
}

static bool is_own(uint32_t host)
{
    return host == 0 || host >> 24 == 127;
}

/* ---- Addresses
 * ------------------------------------------------------------------------------------- */

static int place_of_v4(const struct socket_address *a, struct place *out)
{
    struct sockaddr_in in;

    if (a->size < sizeof(in))
        return ERR_INVALID;
    memcpy(&in, &a->name, sizeof(in));
    *out = (struct place){.port = swap16(in.port), .v4 = true, .host = host_of(in.host)};
    return OK;
}

static int place_of_v6(const struct socket_address *a, bool only, struct place *out)
{
    static const uint8_t any[16], loopback[16] = {[15] = 1};
    struct sockaddr_in6 in;

    if (a->size < sizeof(in) - sizeof(in.scope))
        return ERR_INVALID;
    memcpy(&in, &a->name, sizeof(in));
    *out = (struct place){.port = swap16(in.port), .v6 = true};
    if (memcmp(in.host, any, 16) == 0) {
        out->v4 = !only;
        return OK;
    }
    if (memcmp(in.host, mapped, 12) == 0) {
        out->v4 = true;
        out->v6 = false;
        out->host = host_of(in.host + 12);
        return OK;
    }
    return memcmp(in.host, loopback, 16) == 0 ? OK : LINUX_ERRNO(EADDRNOTAVAIL);
}

static int place_of(const struct socket *s, const struct socket_address *a, struct place *out)
{
    int r;

    if (a->name.family != s->family &&
        !(a->name.family == LINUX_AF_INET && s->family == LINUX_AF_INET6))
        return LINUX_ERRNO(EAFNOSUPPORT);
    r = a->name.family == LINUX_AF_INET ? place_of_v4(a, out) : place_of_v6(a, s->v6_only, out);
    if (r != OK)
        return r;
    return !out->v4 || is_own(out->host) ? OK : LINUX_ERRNO(EADDRNOTAVAIL);
}

/* As a socket of this family would write it. v4 addresses in v6 are mapped. */
static void address_make(int family, uint16_t port, bool v4, uint32_t host,
                         struct socket_address *out)
{
    struct sockaddr_in in = {LINUX_AF_INET, swap16(port), {0}, {0}};
    struct sockaddr_in6 in6 = {LINUX_AF_INET6, swap16(port), 0, {0}, 0};

    *out = (struct socket_address){.size = family == LINUX_AF_INET ? sizeof(in) : sizeof(in6)};
    if (family == LINUX_AF_INET) {
        put_host(in.host, host);
        memcpy(&out->name, &in, sizeof(in));
        return;
    }
    if (v4) {
        memcpy(in6.host, mapped, 12);
        put_host(in6.host + 12, host);
    } else {
        in6.host[15] = host != 0; /* ::1, or :: */
    }
    memcpy(&out->name, &in6, sizeof(in6));
}

void inet_show(int family, struct socket_address *address)
{
    const struct socket as_v6 = {.family = LINUX_AF_INET6};
    struct place p;

    if (address->size == 0 || address->name.family == family || place_of(&as_v6, address, &p) != OK)
        return;
    address_make(family, p.port, p.v4 && p.host != 0, p.host, address);
}

void inet_unbound(int family, struct socket_address *out)
{
    address_make(family, 0, false, 0, out);
}

/* ---- Binding
 * --------------------------------------------------------------------------------------- */

static bool meet(const struct place *a, const struct place *b)
{
    if (a->port != b->port)
        return false;
    if (a->v6 && b->v6)
        return true;
    return a->v4 && b->v4 && (a->host == 0 || b->host == 0 || a->host == b->host);
}

/* Two may share a port when both agreed to, but not when one of them waits for connections. */
static bool may_share(const struct socket *a, const struct socket *b)
{
    if (a->reuse_port && b->reuse_port)
        return true;
    return a->reuse && b->reuse && a->state != SOCKET_LISTENING && b->state != SOCKET_LISTENING;
}

static bool is_taken_locked(const struct socket *s, const struct place *wanted)
{
    list_for_each (it, &bound) {
        const struct socket *other = list_entry(it, struct socket, bound_link);
        struct place p;

        if (other != s && other->protocol == s->protocol && place_of(other, &other->address, &p) == OK &&
            meet(&p, wanted) && !may_share(s, other))
            return true;
    }
    return false;
}

static int choose_port_locked(const struct socket *s, struct place *p)
{
    for (uint32_t i = PORT_FIRST; i <= PORT_LAST; i++) {
        p->port = (uint16_t)(PORT_FIRST + ++last_port % (PORT_LAST - PORT_FIRST + 1));
        if (!is_taken_locked(s, p))
            return OK;
    }
    return LINUX_ERRNO(EADDRINUSE);
}

static int bind_place(struct socket *s, const struct socket_address *address, bool chosen)
{
    struct place p;
    int r = place_of(s, address, &p);
    bool port_chosen;

    if (r != OK)
        return r;
    port_chosen = chosen && p.port != 0;
    spin_lock(&socket_lock);
    if (s->address.size)
        r = ERR_INVALID;
    else if (p.port == 0)
        r = choose_port_locked(s, &p);
    else if (is_taken_locked(s, &p))
        r = LINUX_ERRNO(EADDRINUSE);
    if (r == OK) {
        bool any = p.host == 0 && p.v4;
        bool v4 = p.v4 && !any;

        address_make(s->family, p.port, v4, p.v4 ? p.host : 1, &s->address);
        s->host_chosen = chosen && !any;
        s->port_chosen = port_chosen;
        list_push_back(&bound, &s->bound_link);
    }
    spin_unlock(&socket_lock);
    return r;
}

int inet_bind(struct socket *s, const struct socket_address *address)
{
    return bind_place(s, address, true);
}

int inet_bind_any(struct socket *s, bool loopback)
{
    struct socket_address a;

    if (s->address.size)
        return OK;
    address_make(s->family, 0, false, loopback ? s->family == LINUX_AF_INET ? LOOPBACK : 1u : 0u,
                 &a);
    return bind_place(s, &a, false);
}

/* ---- Finding and connecting
 * ------------------------------------------------------------------------ */

/* A place that somebody wants to reach: "all addresses" means this machine. */
static int destination(const struct socket *s, const struct socket_address *a, struct place *out)
{
    int r = place_of(s, a, out);

    if (r == LINUX_ERRNO(EADDRNOTAVAIL))
        return LINUX_ERRNO(ENETUNREACH);
    if (r == OK && out->v4 && !out->v6 && out->host == 0)
        out->host = LOOPBACK;
    if (r == OK && out->v6)
        out->v4 = false;
    return r;
}

int inet_find(const struct socket *s, const struct socket_address *address, struct socket **out)
{
    struct place wanted, p;
    int r = destination(s, address, &wanted);

    if (r != OK)
        return r;
    *out = NULL;
    spin_lock(&socket_lock);
    list_for_each (it, &bound) {
        struct socket *other = list_entry(it, struct socket, bound_link);

        if (other->protocol != s->protocol || place_of(other, &other->address, &p) != OK ||
            !meet(&p, &wanted) || (socket_connects(s) && other->state != SOCKET_LISTENING))
            continue;
        *out = other;
        socket_ref(other);
        break;
    }
    spin_unlock(&socket_lock);
    return *out ? OK : LINUX_ERRNO(ECONNREFUSED);
}

/* Of its own address a socket keeps what somebody chose. */
static int drop_peer(struct socket *s)
{
    struct place own;

    spin_lock(&socket_lock);
    s->destination.size = 0;
    s->state = SOCKET_IDLE;
    if (s->address.size && !s->port_chosen) {
        list_remove(&s->bound_link);
        s->address.size = 0;
    } else if (s->address.size && !s->host_chosen && place_of(s, &s->address, &own) == OK) {
        address_make(s->family, own.port, false, 0, &s->address);
    }
    spin_unlock(&socket_lock);
    return OK;
}

int inet_set_peer(struct socket *s, const struct socket_address *address)
{
    struct place p, own;
    int r;

    if (address->name.family == LINUX_AF_UNSPEC)
        return drop_peer(s);
    r = destination(s, address, &p);
    if (r == OK)
        r = inet_bind_any(s, true);
    if (r != OK)
        return r;
    spin_lock(&socket_lock);
    address_make(s->family, p.port, p.v4, p.v4 ? p.host : 1, &s->destination);
    if (!s->host_chosen && place_of(s, &s->address, &own) == OK)
        address_make(s->family, own.port, p.v4, p.v4 ? LOOPBACK : 1, &s->address);
    s->state = SOCKET_CONNECTED;
    spin_unlock(&socket_lock);
    return OK;
}

void inet_connected_locked(struct socket *s, struct socket *accepted,
                           const struct socket_address *address)
{
    struct place to, own;

    if (destination(s, address, &to) != OK || place_of(s, &s->address, &own) != OK)
        return;
    address_make(accepted->family, to.port, to.v4, to.v4 ? to.host : 1, &accepted->address);
    if ((own.v4 && own.host == 0) || own.v4 != to.v4) /* bound to all: now it is one */
        address_make(s->family, own.port, to.v4, to.v4 ? LOOPBACK : 1, &s->address);
}

bool inet_takes_from(const struct socket *to, const struct socket *s)
{
    struct place wanted, from;

    if (to->destination.size == 0)
        return true;
    if (place_of(to, &to->destination, &wanted) != OK || place_of(s, &s->address, &from) != OK)
        return false;
    return meet(&wanted, &from);
}

/* ---- Options
 * --------------------------------------------------------------------------------------- */

int inet_protocol(int type, int protocol, int *out)
{
    int usual = type == LINUX_SOCK_STREAM ? PROTOCOL_TCP : PROTOCOL_UDP;

    if (type != LINUX_SOCK_STREAM && type != LINUX_SOCK_DGRAM)
        return LINUX_ERRNO(ESOCKTNOSUPPORT);
    *out = protocol != 0 ? protocol : usual;
    if (*out != usual && (usual != PROTOCOL_UDP || *out != PROTOCOL_UDP_LITE))
        return LINUX_ERRNO(EPROTONOSUPPORT);
    return OK;
}

/* Most say how packets are to travel, and none do. */
static bool is_known(const struct socket *s, int level, int option)
{
    if (level == PROTOCOL_TCP)
        return s->protocol == PROTOCOL_TCP && option > 0 && option < TCP_OPTIONS;
    if (level == PROTOCOL_UDP_LITE)
        return s->protocol == PROTOCOL_UDP_LITE &&
               (option == UDP_LITE_SEND_COVERAGE || option == UDP_LITE_RECEIVE_COVERAGE);
    return level == PROTOCOL_IP || (level == INET_PROTOCOL_IPV6 && s->family == LINUX_AF_INET6);
}

/* So many bytes of a packet are to be checked: its header at least; 0: all. */
static uint16_t *coverage_of(struct socket *s, int option)
{
    return option == UDP_LITE_SEND_COVERAGE ? &s->send_coverage : &s->receive_coverage;
}

static uint16_t coverage(int32_t value)
{
    return (uint16_t)(value == 0 ? 0 : MIN(MAX(value, UDP_HEADER), UINT16_MAX));
}

int inet_read_control(struct header_values *header, int type, const uint8_t *data, size_t size)
{
    int32_t value;

    if ((type != INET_V6_HOP_LIMIT && type != INET_V6_TRAFFIC_CLASS) || size != sizeof(value))
        return ERR_INVALID;
    memcpy(&value, data, sizeof(value));
    if (value < -1 || value > 255)
        return ERR_INVALID;
    if (type == INET_V6_HOP_LIMIT)
        header->hop_limit = value;
    else
        header->traffic_class = value;
    return OK;
}

int inet_set_option(struct socket *s, int level, int option, int32_t value)
{
    if (!is_known(s, level, option))
        return LINUX_ERRNO(ENOPROTOOPT);
    if (level == PROTOCOL_TCP && option == TCP_NODELAY)
        s->no_delay = value != 0;
    if (level == PROTOCOL_UDP_LITE)
        *coverage_of(s, option) = coverage(value);
    if (level == INET_PROTOCOL_IPV6 && option == IPV6_V6ONLY) {
        if (s->address.size)
            return ERR_INVALID;
        s->v6_only = value != 0;
    }
    if (level == INET_PROTOCOL_IPV6 && option == IPV6_RECVHOPLIMIT)
        s->tell_hop_limit = value != 0;
    if (level == INET_PROTOCOL_IPV6 && option == IPV6_RECVTCLASS)
        s->tell_traffic_class = value != 0;
    return OK;
}

int inet_get_option(struct socket *s, int level, int option, int32_t *value)
{
    if (!is_known(s, level, option))
        return LINUX_ERRNO(ENOPROTOOPT);
    *value = 0;
    if (level == PROTOCOL_TCP && option == TCP_NODELAY)
        *value = s->no_delay;
    if (level == PROTOCOL_UDP_LITE)
        *value = *coverage_of(s, option);
    if (level == INET_PROTOCOL_IPV6 && option == IPV6_V6ONLY)
        *value = s->v6_only;
    if (level == INET_PROTOCOL_IPV6 && option == IPV6_RECVHOPLIMIT)
        *value = s->tell_hop_limit;
    if (level == INET_PROTOCOL_IPV6 && option == IPV6_RECVTCLASS)
        *value = s->tell_traffic_class;
    return OK;
}
