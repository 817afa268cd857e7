/*
 * t_sockets.c: sockets of one machine: pairs, names, messages with files and credentials, ends.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

struct credentials {
    int pid;
    unsigned uid, gid;
};

#define PATH        "/tmp/t_sockets.name"
#define CREDENTIALS 2 /* SCM_CREDENTIALS */

static struct sockaddr_un path_address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    strcpy(a.sun_path, path);
    return a;
}

static void test_pair_stream(void)
{
    char buffer[16];
    int s[2], n;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
    CHECK(fcntl(s[0], F_GETFD) == FD_CLOEXEC);
    CHECK(write(s[0], "hello", 5) == 5 && write(s[0], "world", 5) == 5);
    CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 10);
    CHECK(recv(s[1], buffer, 3, MSG_PEEK) == 3 && memcmp(buffer, "hel", 3) == 0);
    CHECK(read(s[1], buffer, 7) == 7 && memcmp(buffer, "hellowo", 7) == 0);
    CHECK(read(s[1], buffer, 16) == 3 && memcmp(buffer, "rld", 3) == 0);
    CHECK_ERRNO(recv(s[1], buffer, 16, MSG_DONTWAIT), EAGAIN);
    CHECK(write(s[1], "x", 1) == 1 && close(s[1]) == 0);
    CHECK(read(s[0], buffer, 16) == 1);
    CHECK(read(s[0], buffer, 16) == 0);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(s[0], "x", 1), EPIPE);
    CHECK_ERRNO(lseek(s[0], 0, SEEK_SET), ESPIPE);
    close(s[0]);
}

static void test_pair_reset(void)
{
    char byte;
    int s[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(write(s[0], "x", 1) == 1 && close(s[1]) == 0);
    CHECK_ERRNO(read(s[0], &byte, 1), ECONNRESET);
    CHECK(read(s[0], &byte, 1) == 0);
    close(s[0]);
}

static void test_messages(int type)
{
    char buffer[8];
    int s[2];

    CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
    CHECK(send(s[0], "hello", 5, 0) == 5 && send(s[0], "you", 3, 0) == 3);
    CHECK(send(s[0], "longer", 6, 0) == 6);
    CHECK(read(s[1], buffer, 8) == 5);
    CHECK(recv(s[1], buffer, 2, MSG_TRUNC) == 3);
    CHECK(recv(s[1], buffer, 2, 0) == 2);
    CHECK_ERRNO(recv(s[1], buffer, 8, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(send(s[0], bad_address(), 8, 0), EFAULT);
    CHECK_ERRNO(send(s[0], buffer, 8, MSG_OOB), EOPNOTSUPP);
    close(s[1]);
    CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), type == SOCK_DGRAM ? ECONNREFUSED : EPIPE);
    close(s[0]);
}

static void test_pair_dgram(void)
{
    test_messages(SOCK_DGRAM);
}

static void test_pair_seqpacket(void)
{
    test_messages(SOCK_SEQPACKET);
}

static void test_full(void)
{
    static char block[65536];
    struct pollfd p = {.events = POLLOUT};
    size_t total = 0, got = 0;
    int s[2];
    long n;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
    p.fd = s[0];
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
    while ((n = write(s[0], block, sizeof(block))) > 0)
        total += (size_t)n;
    CHECK(errno == EAGAIN && total >= 65536 && total < 4000000);
    CHECK(poll(&p, 1, 0) == 0);
    while ((n = read(s[1], block, sizeof(block))) > 0)
        got += (size_t)n;
    CHECK(got == total && poll(&p, 1, 0) == 1);
    close(s[0]);
    close(s[1]);
}

static void *echo_thread(void *arg)
{
    int fd = *(int *)arg;
    char buffer[4096];
    long n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        if (write(fd, buffer, (size_t)n) != n)
            abort();
    }
    return NULL;
}

/* Much more than fits passes through both queues. */
static void test_blocking(void)
{
    static char out[300000], in[300000];
    pthread_t thread;
    int s[2], status;
    pid_t child;

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (char)(i * 7 + i / 256);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(pthread_create(&thread, NULL, echo_thread, &s[1]) == 0);
    child = fork();
    if (child == 0)
        _exit(write(s[0], out, sizeof(out)) != (long)sizeof(out));
    CHECK(recv(s[0], in, sizeof(in), MSG_WAITALL) == (long)sizeof(in));
    CHECK(memcmp(in, out, sizeof(in)) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(shutdown(s[0], SHUT_WR) == 0);
    pthread_join(thread, NULL);
    close(s[0]);
    close(s[1]);
}

static void test_named_stream(void)
{
    struct sockaddr_un a = path_address(PATH), got = {0};
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), s, on;
    socklen_t size = sizeof(got);
    struct pollfd p = {.fd = l, .events = POLLIN};
    struct credentials cred;
    struct stat st;
    char buffer[8];

    unlink(PATH);
    CHECK_ERRNO(listen(l, 5), EINVAL);
    CHECK_ERRNO(connect(c, (void *)&a, sizeof(a)), ENOENT);
    CHECK(bind(l, (void *)&a, sizeof(a)) == 0);
    CHECK(stat(PATH, &st) == 0 && S_ISSOCK(st.st_mode));
    CHECK_ERRNO(open(PATH, O_RDWR), ENXIO);
    CHECK_ERRNO(connect(c, (void *)&a, sizeof(a)), ECONNREFUSED);
    CHECK_ERRNO(bind(c, (void *)&a, sizeof(a)), EADDRINUSE);
    CHECK(listen(l, 5) == 0);
    CHECK(poll(&p, 1, 0) == 0);
    CHECK_ERRNO(accept4(l, NULL, NULL, 1), EINVAL);
    CHECK(connect(c, (void *)&a, sizeof(a)) == 0);
    CHECK_ERRNO(connect(c, (void *)&a, sizeof(a)), EISCONN);
    CHECK(write(c, "early", 5) == 5);
    CHECK(poll(&p, 1, 60000) == 1);
    s = accept4(l, (void *)&got, &size, SOCK_CLOEXEC);
    CHECK(s >= 0 && size == 2 && got.sun_family == AF_UNIX);
    CHECK(read(s, buffer, 8) == 5);
    size = sizeof(got);
    CHECK(getpeername(c, (void *)&got, &size) == 0 && strcmp(got.sun_path, PATH) == 0);
    CHECK(size == offsetof(struct sockaddr_un, sun_path) + sizeof(PATH));
    size = sizeof(cred);
    CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 && cred.pid == getpid());
    size = sizeof(on);
    CHECK(getsockopt(l, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on == 1);
    CHECK(getsockopt(l, SOL_SOCKET, SO_TYPE, &on, &size) == 0 && on == SOCK_STREAM);
    close(l);
    CHECK(write(s, "still", 5) == 5 && read(c, buffer, 8) == 5);
    CHECK(fstat(s, &st) == 0 && S_ISSOCK(st.st_mode));
    close(s);
    close(c);
    CHECK(unlink(PATH) == 0);
}

static void test_abstract(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0t_sockets"}, got;
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 10, n = sizeof(got);
    int l = socket(AF_UNIX, SOCK_SEQPACKET, 0), c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    int w = socket(AF_UNIX, SOCK_STREAM, 0);

    CHECK(bind(l, (void *)&a, size) == 0 && listen(l, 1) == 0);
    CHECK_ERRNO(connect(w, (void *)&a, size), ECONNREFUSED); /* of another type */
    CHECK_ERRNO(connect(c, (void *)&a, size - 1), ECONNREFUSED);
    CHECK(connect(c, (void *)&a, size) == 0);
    CHECK(bind(w, (void *)&a, sizeof(sa_family_t)) == 0);
    CHECK(getsockname(w, (void *)&got, &n) == 0 && n == 8 && got.sun_path[0] == '\0');
    close(l);
    CHECK_ERRNO(connect(w, (void *)&a, size), ECONNREFUSED);
    close(c);
    close(w);
}

static void test_datagrams(void)
{
    struct sockaddr_un a = path_address(PATH), b = path_address(PATH "2"), from;
    int s = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size = sizeof(from);
    char buffer[8];

    unlink(PATH);
    unlink(PATH "2");
    CHECK(bind(s, (void *)&a, sizeof(a)) == 0);
    CHECK_ERRNO(send(c, "x", 1, 0), ENOTCONN);
    CHECK(sendto(c, "one", 3, 0, (void *)&a, sizeof(a)) == 3);
    CHECK(recvfrom(s, buffer, 8, 0, (void *)&from, &size) == 3 && size == 0);
    CHECK(bind(c, (void *)&b, sizeof(b)) == 0 && connect(c, (void *)&a, sizeof(a)) == 0);
    CHECK(send(c, "three", 5, 0) == 5);
    size = sizeof(from);
    CHECK(recvfrom(s, buffer, 8, 0, (void *)&from, &size) == 5);
    CHECK(strcmp(from.sun_path, PATH "2") == 0);
    CHECK_ERRNO(listen(s, 1), EOPNOTSUPP);
    CHECK(sendto(s, "back", 4, 0, (void *)&from, size) == 4 && read(c, buffer, 8) == 4);
    CHECK(send(c, "", 0, 0) == 0 && recv(s, buffer, 8, 0) == 0);
    close(s);
    CHECK_ERRNO(send(c, "x", 1, 0), ECONNREFUSED);
    close(c);
    unlink(PATH);
    unlink(PATH "2");
}

/* A message with files and, perhaps, room for what is received. */
struct envelope {
    struct msghdr header;
    struct iovec part;
    char text[8];
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr aligned;
    } control;
};

static void prepare(struct envelope *e, size_t control)
{
    memset(e, 0, sizeof(*e));
    e->part = (struct iovec){e->text, sizeof(e->text)};
    e->header = (struct msghdr){.msg_iov = &e->part,
                                .msg_iovlen = 1,
                                .msg_control = e->control.bytes,
                                .msg_controllen = control};
}

static long send_fds(int s, const int *fds, size_t count)
{
    struct envelope e;
    struct cmsghdr *h;

    prepare(&e, CMSG_SPACE(count * sizeof(int)));
    h = CMSG_FIRSTHDR(&e.header);
    h->cmsg_len = CMSG_LEN(count * sizeof(int));
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(h), fds, count * sizeof(int));
    strcpy(e.text, "files");
    return sendmsg(s, &e.header, 0);
}

static void test_files(void)
{
    int s[2], p[2], fds[2], bad = 9999;
    struct envelope e;
    struct cmsghdr *h;
    char byte;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    CHECK_ERRNO(send_fds(s[0], &bad, 1), EBADF);
    CHECK(send_fds(s[0], p, 2) == 8);
    close(p[0]);
    close(p[1]);
    CHECK(write(s[0], "more", 4) == 4);
    prepare(&e, sizeof(e.control));
    e.part.iov_len = 5;
    CHECK(recvmsg(s[1], &e.header, MSG_CMSG_CLOEXEC) == 5 && strcmp(e.text, "files") == 0);
    h = CMSG_FIRSTHDR(&e.header);
    CHECK(h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS);
    CHECK(h->cmsg_len == CMSG_LEN(2 * sizeof(int)) && !(e.header.msg_flags & MSG_CTRUNC));
    memcpy(fds, CMSG_DATA(h), sizeof(fds));
    CHECK(fcntl(fds[0], F_GETFD) == FD_CLOEXEC);
    CHECK(write(fds[1], "z", 1) == 1 && read(fds[0], &byte, 1) == 1 && byte == 'z');
    CHECK(send_fds(s[0], fds, 2) == 8);
    prepare(&e, 0);
    CHECK(recv(s[1], e.text, 7, 0) == 7); /* the last three, and "more" */
    CHECK(recvmsg(s[1], &e.header, 0) == 8 && (e.header.msg_flags & MSG_CTRUNC));
    CHECK(send_fds(s[0], s, 1) == 8); /* in flight when all ends */
    close(fds[0]);
    close(fds[1]);
    close(s[0]);
    close(s[1]);
}

static void test_credentials(void)
{
    int s[2], on = 1;
    struct envelope e;
    struct credentials cred;
    struct cmsghdr *h;

    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
    CHECK(send(s[0], "x", 1, 0) == 1);
    prepare(&e, sizeof(e.control));
    CHECK(recvmsg(s[1], &e.header, 0) == 1);
    h = CMSG_FIRSTHDR(&e.header);
    CHECK(h && h->cmsg_type == CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(cred)));
    memcpy(&cred, CMSG_DATA(h), sizeof(cred));
    CHECK(cred.pid == getpid() && cred.uid == getuid());
    close(s[0]);
    close(s[1]);
}

static void test_many(void)
{
    char bytes[3] = "abc", in[3];
    struct iovec parts[3], rooms[3];
    struct mmsghdr out[3] = {0}, got[3] = {0};
    struct timespec limit = {100, 0};
    int s[2];

    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    for (int i = 0; i < 3; i++) {
        parts[i] = (struct iovec){&bytes[i], 1};
        rooms[i] = (struct iovec){&in[i], 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
        got[i].msg_hdr = (struct msghdr){.msg_iov = &rooms[i], .msg_iovlen = 1};
    }
    CHECK(sendmmsg(s[0], out, 2, 0) == 2 && out[1].msg_len == 1);
    CHECK(recvmmsg(s[1], got, 3, MSG_WAITFORONE, NULL) == 2 && got[1].msg_len == 1);
    CHECK(memcmp(in, "ab", 2) == 0);
    CHECK_ERRNO(recvmmsg(s[1], got, 3, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK(send(s[0], "late", 4, 0) == 4);
    CHECK(recvmmsg(s[1], got, 3, MSG_WAITFORONE, &limit) == 1 && got[0].msg_len == 1);
    CHECK(limit.tv_sec < 100);
    limit.tv_nsec = -1;
    CHECK_ERRNO(recvmmsg(s[1], got, 3, MSG_DONTWAIT, &limit), EINVAL);
    close(s[0]);
    close(s[1]);
}

static void test_shutdown(void)
{
    struct pollfd p = {.events = POLLIN | POLLRDHUP};
    char buffer[8];
    int s[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    p.fd = s[1];
    CHECK(write(s[0], "end", 3) == 3 && shutdown(s[0], SHUT_WR) == 0);
    CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLRDHUP));
    CHECK(read(s[1], buffer, 8) == 3 && read(s[1], buffer, 8) == 0);
    CHECK(write(s[1], "ok", 2) == 2 && read(s[0], buffer, 8) == 2);
    CHECK(shutdown(s[1], SHUT_WR) == 0);
    CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP));
    CHECK_ERRNO(shutdown(s[0], 7), EINVAL);
    close(s[0]);
    close(s[1]);
}

static void test_timeout(void)
{
    struct timeval limit = {0, 20000}, got;
    socklen_t size = sizeof(got);
    char byte;
    int s[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    CHECK(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &got, &size) == 0);
    CHECK(got.tv_sec == 0 && got.tv_usec == 20000);
    CHECK_ERRNO(read(s[0], &byte, 1), EAGAIN);
    close(s[0]);
    close(s[1]);
}

static void test_epoll_edge(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, got;
    int ep = epoll_create1(0), s[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &event) == 0);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == EPOLLOUT);
    CHECK(epoll_wait(ep, &got, 1, 0) == 0);
    CHECK(write(s[1], "x", 1) == 1);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == (EPOLLIN | EPOLLOUT));
    close(s[1]);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1);
    CHECK((got.events & (EPOLLHUP | EPOLLRDHUP)) == (EPOLLHUP | EPOLLRDHUP));
    close(s[0]);
    close(ep);
}

static void test_refusals(void)
{
    struct sockaddr_un a = path_address(PATH);
    int s = socket(AF_UNIX, SOCK_STREAM, 0), p[2];
    char byte;

    CHECK(pipe(p) == 0);
    CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 9), EPROTONOSUPPORT);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, bad_address()), EFAULT);
    CHECK_ERRNO(send(p[1], "x", 1, 0), ENOTSOCK);
    CHECK_ERRNO(send(-1, "x", 1, 0), EBADF);
    CHECK_ERRNO(send(s, "x", 1, MSG_NOSIGNAL), ENOTCONN);
    CHECK_ERRNO(recv(s, &byte, 1, 0), EINVAL);
    CHECK_ERRNO(accept(s, NULL, NULL), EINVAL);
    CHECK_ERRNO(bind(s, (void *)&a, 1), EINVAL);
    CHECK_ERRNO(bind(s, (void *)&a, sizeof(a) + 1), EINVAL);
    CHECK_ERRNO(bind(s, bad_address(), sizeof(a)), EFAULT);
    CHECK_ERRNO(setsockopt(s, SOL_SOCKET, 9999, &s, sizeof(s)), ENOPROTOOPT);
    close(s);
    close(p[0]);
    close(p[1]);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"pair_stream", test_pair_stream},
        {"pair_reset", test_pair_reset},
        {"pair_dgram", test_pair_dgram},
        {"pair_seqpacket", test_pair_seqpacket},
        {"full", test_full},
        {"blocking", test_blocking},
        {"named_stream", test_named_stream},
        {"abstract", test_abstract},
        {"datagrams", test_datagrams},
        {"files", test_files},
        {"credentials", test_credentials},
        {"many", test_many},
        {"shutdown", test_shutdown},
        {"timeout", test_timeout},
        {"epoll_edge", test_epoll_edge},
        {"refusals", test_refusals},
    };

    return RUN_TESTS(tests, argc, argv);
}
