/*
 * t_inet.c: sockets with Internet addresses of the machine itself.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

static struct sockaddr_in at(const char *host, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    inet_pton(AF_INET, host, &a.sin_addr);
    return a;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in6 a;
    socklen_t size = sizeof(a);

    return getsockname(fd, (struct sockaddr *)&a, &size) == 0 ? ntohs(a.sin6_port) : 0;
}

static int bound(int type, const char *host, unsigned port)
{
    struct sockaddr_in a = at(host, port);
    int fd = socket(AF_INET, type, 0);

    return bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? fd : -1;
}

static int reach(int type, const char *host, unsigned port)
{
    struct sockaddr_in a = at(host, port);
    int fd = socket(AF_INET, type, 0);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void test_stream(void)
{
    int s = bound(SOCK_STREAM, "127.0.0.1", 0), c, a, on = 1, value = 0;
    struct sockaddr_in from, to;
    socklen_t size = sizeof(from), length = sizeof(value);
    char text[16];

    CHECK(s >= 0 && listen(s, 5) == 0 && port_of(s) > 1023);
    c = reach(SOCK_STREAM, "127.0.0.1", port_of(s));
    CHECK(c >= 0);
    a = accept(s, (struct sockaddr *)&from, &size);
    CHECK(a >= 0 && size == sizeof(from) && from.sin_family == AF_INET);
    CHECK(ntohs(from.sin_port) == port_of(c) && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    size = sizeof(to);
    CHECK(getpeername(c, (struct sockaddr *)&to, &size) == 0 && ntohs(to.sin_port) == port_of(s));
    CHECK(port_of(a) == port_of(s));
    CHECK(write(c, "hello", 5) == 5 && read(a, text, 16) == 5 && memcmp(text, "hello", 5) == 0);
    CHECK(send(a, "back", 4, 0) == 4 && shutdown(a, SHUT_WR) == 0);
    CHECK(recv(c, text, 16, MSG_WAITALL) == 4 && read(c, text, 16) == 0);
    CHECK(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    CHECK(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, &length) == 0 && value != 0);
    CHECK(getsockopt(c, SOL_SOCKET, SO_DOMAIN, &value, &length) == 0 && value == AF_INET);
    CHECK(getsockopt(c, SOL_SOCKET, SO_PROTOCOL, &value, &length) == 0 && value == IPPROTO_TCP);
    close(a);
    close(c);
    close(s);
}

static void test_addresses(void)
{
    int s = bound(SOCK_STREAM, "0.0.0.0", 0), other, on = 1;
    struct sockaddr_in a = at("8.8.8.8", 0);
    unsigned port = port_of(s);

    CHECK(s >= 0);
    CHECK_ERRNO(bound(SOCK_STREAM, "127.0.0.1", port), EADDRINUSE);
    other = bound(SOCK_DGRAM, "127.0.0.1", port);
    CHECK(other >= 0 && close(other) == 0);
    CHECK_ERRNO(bind(s, (struct sockaddr *)&a, sizeof(a)), EADDRNOTAVAIL);
    a = at("127.0.0.1", 0);
    CHECK_ERRNO(bind(s, (struct sockaddr *)&a, sizeof(a)), EINVAL);
    a = at("8.8.8.8", 0);
    other = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(bind(other, (struct sockaddr *)&a, sizeof(a)), EADDRNOTAVAIL);
    CHECK_ERRNO(bind(other, (struct sockaddr *)&a, 4), EINVAL);
    CHECK_ERRNO(reach(SOCK_STREAM, "127.0.0.1", port), ECONNREFUSED); /* it does not listen */
    CHECK(listen(s, 1) == 0 && close(other) == 0);
    other = reach(SOCK_STREAM, "127.3.2.1", port);
    CHECK(other >= 0 && close(other) == 0 && close(s) == 0);
    s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    a = at("127.0.0.1", port);
    CHECK(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 1) == 0);
    CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERRNO(shutdown(socket(AF_INET, SOCK_STREAM, 0), SHUT_RDWR), ENOTCONN);
    close(s);
}

static void test_datagrams(void)
{
    int a = bound(SOCK_DGRAM, "127.0.0.1", 0), b = socket(AF_INET, SOCK_DGRAM, 0), c;
    struct sockaddr_in to = at("127.0.0.1", port_of(a)), from;
    socklen_t size = sizeof(from);
    char text[16];

    CHECK(a >= 0 && sendto(b, "one", 3, 0, (struct sockaddr *)&to, sizeof(to)) == 3);
    CHECK(recvfrom(a, text, 16, 0, (struct sockaddr *)&from, &size) == 3);
    CHECK(size == sizeof(from) && ntohs(from.sin_port) == port_of(b));
    CHECK(sendto(a, "answer", 6, 0, (struct sockaddr *)&from, size) == 6);
    CHECK(recv(b, text, 3, MSG_TRUNC) == 6 && memcmp(text, "ans", 3) == 0);
    CHECK_ERRNO(send(b, "x", 1, 0), EDESTADDRREQ);
    c = reach(SOCK_DGRAM, "127.0.0.1", port_of(a));
    CHECK(c >= 0 && send(c, "two", 3, 0) == 3 && recv(a, text, 16, 0) == 3);
    from = at("127.0.0.1", port_of(c));
    CHECK(sendto(b, "no", 2, 0, (struct sockaddr *)&from, sizeof(from)) == 2); /* not its peer */
    CHECK_ERRNO(recv(c, text, 16, MSG_DONTWAIT), EAGAIN);
    CHECK(sendto(a, "yes", 3, 0, (struct sockaddr *)&from, sizeof(from)) == 3);
    CHECK(recv(c, text, 16, 0) == 3);
    close(a);
    CHECK(sendto(b, "lost", 4, 0, (struct sockaddr *)&to, sizeof(to)) == 4);
    close(b);
    close(c);
}

static void test_v6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any}, from;
    int s = socket(AF_INET6, SOCK_STREAM, 0), c, d;
    socklen_t size = sizeof(from);
    char text[INET6_ADDRSTRLEN];

    if (s < 0 && errno == EAFNOSUPPORT)
        return; /* a Linux without it */
    CHECK(bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 5) == 0);
    c = reach(SOCK_STREAM, "127.0.0.1", port_of(s)); /* it takes both */
    CHECK(c >= 0);
    d = accept(s, (struct sockaddr *)&from, &size);
    CHECK(d >= 0 && size == sizeof(from) && from.sin6_family == AF_INET6);
    CHECK(strcmp(inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof(text)), "::ffff:127.0.0.1") ==
          0);
    CHECK(write(c, "4", 1) == 1 && read(d, text, 9) == 1 && close(c) == 0 && close(d) == 0);
    a.sin6_addr = in6addr_loopback;
    a.sin6_port = htons((uint16_t)port_of(s));
    c = socket(AF_INET6, SOCK_STREAM, 0);
    if (connect(c, (struct sockaddr *)&a, sizeof(a)) == 0) { /* some Linux have no ::1 */
        size = sizeof(from);
        d = accept(s, (struct sockaddr *)&from, &size);
        CHECK(d >= 0 && memcmp(&from.sin6_addr, &in6addr_loopback, 16) == 0 && close(d) == 0);
    }
    close(c);
    close(s);
}

/* Much through a connection between processes, with poll. */
static void test_processes(void)
{
    int s = bound(SOCK_STREAM, "127.0.0.1", 0), a, status;
    static char bytes[300000];
    struct pollfd poller;
    size_t n = 0;
    pid_t child;
    ssize_t r;

    CHECK(s >= 0 && listen(s, 1) == 0);
    child = fork();
    if (child == 0) {
        a = reach(SOCK_STREAM, "127.0.0.1", port_of(s));
        for (; a >= 0 && n < sizeof(bytes); n += (size_t)r)
            if ((r = write(a, bytes + n, sizeof(bytes) - n)) <= 0)
                _exit(1);
        _exit(a < 0);
    }
    poller = (struct pollfd){s, POLLIN, 0};
    CHECK(poll(&poller, 1, 60000) == 1);
    a = accept4(s, NULL, NULL, SOCK_CLOEXEC);
    CHECK(a >= 0);
    while ((r = read(a, bytes, sizeof(bytes))) > 0)
        n += (size_t)r;
    CHECK(r == 0 && n == sizeof(bytes));
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_ERRNO(send(a, "x", 1, MSG_NOSIGNAL) == 1 ? send(a, "x", 1, MSG_NOSIGNAL) : -1, EPIPE);
    close(a);
    close(s);
}

/* Two ends of a connection. */
static bool connected(int ends[2])
{
    int s = bound(SOCK_STREAM, "127.0.0.1", 0);

    if (s < 0 || listen(s, 1) != 0)
        return false;
    ends[0] = reach(SOCK_STREAM, "127.0.0.1", port_of(s));
    ends[1] = accept(s, NULL, NULL);
    return ends[0] >= 0 && ends[1] >= 0 && close(s) == 0;
}

/* The other end is gone: what is sent first is lost, and its answer ends the connection. */
static void test_gone(void)
{
    struct pollfd poller;
    char bytes[8];
    int ends[2], error = -1;
    socklen_t size = sizeof(error);

    CHECK(connected(ends) && write(ends[1], "last", 4) == 4 && close(ends[1]) == 0);
    poller = (struct pollfd){ends[0], POLLIN | POLLOUT | POLLRDHUP, 0};
    CHECK(poll(&poller, 1, -1) == 1 && read(ends[0], bytes, sizeof(bytes)) == 4);
    CHECK(read(ends[0], bytes, sizeof(bytes)) == 0);
    CHECK(poll(&poller, 1, -1) == 1 && poller.revents == (POLLIN | POLLOUT | POLLRDHUP));
    CHECK(send(ends[0], "lost", 4, 0) == 4);
    poller.events = 0;
    CHECK(poll(&poller, 1, -1) == 1 && poller.revents == (POLLERR | POLLHUP));
    CHECK(read(ends[0], bytes, sizeof(bytes)) == 0);
    CHECK(getsockopt(ends[0], SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == EPIPE);
    CHECK_ERRNO(send(ends[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(close(ends[0]) == 0);
    CHECK(connected(ends) && write(ends[0], "unread", 6) == 6); /* what was not read resets */
    poller = (struct pollfd){ends[1], POLLIN, 0};
    CHECK(poll(&poller, 1, -1) == 1 && close(ends[1]) == 0);
    poller = (struct pollfd){ends[0], 0, 0};
    CHECK(poll(&poller, 1, -1) == 1 && poller.revents == (POLLERR | POLLHUP));
    CHECK_ERRNO(send(ends[0], "x", 1, MSG_NOSIGNAL), ECONNRESET);
    CHECK_ERRNO(send(ends[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(read(ends[0], bytes, sizeof(bytes)) == 0 && close(ends[0]) == 0);
}

/* UDP-Lite has ports of its own. */
static void test_lite(void)
{
    enum { SEND_COVERAGE = 10, RECEIVE_COVERAGE = 11 };
    int a = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), b, plain, value = 3;
    struct sockaddr_in place = at("127.0.0.1", 0);
    socklen_t size = sizeof(place);
    char bytes[8];

    if (a < 0 && errno == EPROTONOSUPPORT)
        return; /* a Linux without it */
    CHECK(a >= 0 && bind(a, (struct sockaddr *)&place, sizeof(place)) == 0);
    CHECK(getsockname(a, (struct sockaddr *)&place, &size) == 0);
    plain = bound(SOCK_DGRAM, "127.0.0.1", (int)port_of(a));
    CHECK(plain >= 0);
    b = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
    CHECK(setsockopt(b, IPPROTO_UDPLITE, SEND_COVERAGE, &value, sizeof(value)) == 0);
    size = sizeof(value);
    CHECK(getsockopt(b, IPPROTO_UDPLITE, SEND_COVERAGE, &value, &size) == 0 && value == 8);
    CHECK(getsockopt(b, IPPROTO_UDPLITE, RECEIVE_COVERAGE, &value, &size) == 0 && value == 0);
    CHECK(getsockopt(b, SOL_SOCKET, SO_PROTOCOL, &value, &size) == 0 && value == IPPROTO_UDPLITE);
    CHECK_ERRNO(setsockopt(plain, IPPROTO_UDPLITE, SEND_COVERAGE, &value, size), ENOPROTOOPT);
    CHECK(sendto(b, "lite", 4, 0, (struct sockaddr *)&place, sizeof(place)) == 4);
    CHECK(recv(a, bytes, sizeof(bytes), 0) == 4);
    CHECK_ERRNO(recv(plain, bytes, sizeof(bytes), MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDPLITE), EPROTONOSUPPORT);
    CHECK(close(a) == 0 && close(b) == 0 && close(plain) == 0);
}

/* Who reads no more tells nobody: what comes can even be read. */
static void test_reading_no_more(void)
{
    struct pollfd poller;
    int ends[2];
    char bytes[8];

    CHECK(connected(ends) && shutdown(ends[0], SHUT_RD) == 0);
    CHECK(read(ends[0], bytes, sizeof(bytes)) == 0);
    CHECK(send(ends[1], "still", 5, 0) == 5);
    poller = (struct pollfd){ends[0], POLLIN, 0};
    CHECK(poll(&poller, 1, -1) == 1 && poller.revents == POLLIN);
    while (recv(ends[0], bytes, 1, MSG_PEEK) == 0)
        usleep(1000); /* the bytes are on their way */
    CHECK(read(ends[0], bytes, sizeof(bytes)) == 5 && read(ends[0], bytes, sizeof(bytes)) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* Who does not wait is told "in progress" first, then by poll() and once more by connect(). */
static void test_in_progress(void)
{
    int s = bound(SOCK_STREAM, "127.0.0.1", 0), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in to = at("127.0.0.1", port_of(s));
    struct pollfd poller = {c, POLLIN | POLLOUT, 0};
    socklen_t size = sizeof(int);
    int error = -1;

    CHECK_ERRNO(connect(c, (struct sockaddr *)&to, sizeof(to)), EINPROGRESS); /* nobody listens */
    CHECK(poll(&poller, 1, 10000) == 1);
    CHECK(poller.revents == (POLLIN | POLLOUT | POLLERR | POLLHUP));
    CHECK(getsockopt(c, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED);
    CHECK_ERRNO(connect(c, (struct sockaddr *)&to, sizeof(to)), ECONNABORTED);
    CHECK_ERRNO(connect(c, (struct sockaddr *)&to, sizeof(to)), EINPROGRESS);
    CHECK(poll(&poller, 1, 10000) == 1);
    CHECK_ERRNO(connect(c, (struct sockaddr *)&to, sizeof(to)), ECONNREFUSED);
    CHECK(listen(s, 5) == 0);
    CHECK_ERRNO(connect(c, (struct sockaddr *)&to, sizeof(to)), EINPROGRESS);
    CHECK(poll(&poller, 1, 10000) == 1 && poller.revents == POLLOUT);
    CHECK(getsockopt(c, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
    CHECK(connect(c, (struct sockaddr *)&to, sizeof(to)) == 0);
    CHECK_ERRNO(connect(c, (struct sockaddr *)&to, sizeof(to)), EISCONN);
    close(c);
    close(s);
}

/* Connects a datagram socket; what its own address is then. */
static struct sockaddr_in6 own_address(int fd, const void *to, socklen_t to_size)
{
    struct sockaddr_in6 own = {0};
    socklen_t size = sizeof(own);

    if (connect(fd, to, to_size) != 0 || getsockname(fd, (struct sockaddr *)&own, &size) != 0)
        own.sin6_family = 0;
    return own;
}

/* As getaddrinfo() asks which of its own addresses a machine would use. */
static void test_probing(void)
{
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = at("127.0.0.1", 80);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 own;
    unsigned port;

    if (s < 0 && errno == EAFNOSUPPORT)
        return; /* a Linux without it */
    own = own_address(s, &six, sizeof(six));
    if (own.sin6_family) /* some Linux have no ::1 */
        CHECK(IN6_IS_ADDR_LOOPBACK(&own.sin6_addr) && own.sin6_port != 0);
    own = own_address(s, &none, sizeof(none));
    CHECK(IN6_IS_ADDR_UNSPECIFIED(&own.sin6_addr) && own.sin6_port == 0);
    own = own_address(s, &four, sizeof(four));
    CHECK(IN6_IS_ADDR_V4MAPPED(&own.sin6_addr) && own.sin6_addr.s6_addr[12] == 127);
    close(s);
    s = bound(SOCK_DGRAM, "127.0.0.1", 0);
    port = port_of(s);
    own = own_address(s, &four, sizeof(four));
    CHECK(ntohs(own.sin6_port) == port);
    CHECK(connect(s, &none, sizeof(none)) == 0);
    close(s);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 99), EPROTONOSUPPORT);
}

/* A v6 datagram with a hop limit of its own; the receiver asks for it, with ever less room. */
static void test_hop_limit(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    _Alignas(struct cmsghdr) char control[64];
    int s = socket(AF_INET6, SOCK_DGRAM, 0), on = 1, limit = 2, bad = 256;
    struct iovec part = {"h", 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *h = (struct cmsghdr *)control;

    if (bind(s, (struct sockaddr *)&a, sizeof(a)) != 0)
        return; /* a Linux without it */
    a.sin6_port = htons((uint16_t)port_of(s));
    CHECK(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0);
    CHECK(setsockopt(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)) == 0);
    for (size_t room = sizeof(control); room >= 15; room = room > 20 ? 20 : room - 1) {
        char byte;

        *h = (struct cmsghdr){CMSG_LEN(sizeof(int)), IPPROTO_IPV6, IPV6_HOPLIMIT};
        m.msg_controllen = CMSG_SPACE(sizeof(int));
        part.iov_base = "h";
        memcpy(CMSG_DATA(h), &bad, sizeof(bad));
        CHECK_ERRNO(sendmsg(s, &m, 0), EINVAL);
        memcpy(CMSG_DATA(h), &limit, sizeof(limit));
        CHECK(sendmsg(s, &m, 0) == 1);
        memset(control, 0, sizeof(control));
        m.msg_controllen = room;
        part.iov_base = &byte;
        CHECK(recvmsg(s, &m, 0) == 1 && byte == 'h');
        CHECK(!(m.msg_flags & MSG_CTRUNC) == (room >= CMSG_LEN(sizeof(int))));
        if (room < sizeof(*h))
            CHECK(m.msg_controllen == 0 && h->cmsg_len == 0);
        else
            CHECK(h->cmsg_len == (room < CMSG_LEN(4) ? room : CMSG_LEN(4)));
        if (room >= CMSG_LEN(sizeof(int)))
            CHECK(h->cmsg_type == IPV6_HOPLIMIT && *CMSG_DATA(h) == 2);
    }
    close(s);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"stream", test_stream},   {"addresses", test_addresses}, {"datagrams", test_datagrams},
        {"v6", test_v6},           {"processes", test_processes}, {"in_progress", test_in_progress},
        {"probing", test_probing}, {"hop_limit", test_hop_limit},
        {"gone", test_gone},       {"reading_no_more", test_reading_no_more},
        {"lite", test_lite},
    };

    signal(SIGPIPE, SIG_IGN);
    return RUN_TESTS(tests, argc, argv);
}
