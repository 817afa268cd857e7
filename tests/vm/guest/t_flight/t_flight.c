/*
 * t_flight.c: sockets that are on their way in messages over each other, so that nobody can receive
 * them any more. Each circle carries the writing end of a pipe too: when it is freed, the reading
 * end hears of it. The machine says at its end if files are left over.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define RING_MAX 3
#define ROUNDS   40

/* Sends one or two descriptors; the second is none below 0. */
static bool send_files(int over, int first, int second)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    int fds[2] = {first, second}, count = second < 0 ? 1 : 2;
    struct iovec part = {"f", 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *h;

    m.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(h), fds, (size_t)count * sizeof(int));
    return sendmsg(over, &m, 0) == 1;
}

/* Receives descriptors, or with MSG_PEEK copies of them; -1: none. */
static int receive_files(int from, int flags, int fds[2])
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *h;

    m.msg_controllen = sizeof(control);
    if (recvmsg(from, &m, flags | MSG_DONTWAIT) != 1 || !(h = CMSG_FIRSTHDR(&m)))
        return -1;
    memcpy(fds, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0));
    return (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

/* Linux looks for what is lost only when a socket is closed. */
static void nudge(void)
{
    int s[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0) {
        close(s[0]);
        close(s[1]);
    }
}

/* Has the last writing end gone? It is waited for. */
static bool hears_end(int reader)
{
    struct pollfd poller = {reader, POLLIN, 0};

    nudge();
    return poll(&poller, 1, 20000) == 1 && poller.revents == POLLHUP;
}

static bool hears_nothing(int reader)
{
    struct pollfd poller = {reader, POLLIN, 0};

    nudge();
    return poll(&poller, 1, 50) == 0;
}

/* `count` sockets, each of which waits in the queue of the one before it, with a pipe's end in the
 * first queue. *keep >= 0: a descriptor of the first socket is kept there. The reading end, or -1.
 */
static int make_ring(int type, int count, int *keep)
{
    int s[RING_MAX][2], p[2];
    bool good = pipe(p) == 0;

    for (int i = 0; i < count; i++)
        good &= socketpair(AF_UNIX, type, 0, s[i]) == 0;
    for (int i = 0; i < count; i++)
        good &= send_files(s[i][1], s[(i + 1) % count][0], i == 0 ? p[1] : -1);
    if (keep)
        *keep = dup(s[0][0]);
    for (int i = 0; i < count; i++) {
        close(s[i][0]);
        close(s[i][1]);
    }
    close(p[1]);
    return good ? p[0] : -1;
}

static void test_rings(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

    for (int t = 0; t < 3; t++) {
        for (int count = 1; count <= RING_MAX; count++) {
            int reader = make_ring(types[t], count, NULL);

            CHECK(reader >= 0 && hears_end(reader));
            close(reader);
        }
    }
}

static int listener(const char *name, struct sockaddr_un *a, socklen_t *size)
{
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(a->sun_path + 1, name);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return bind(s, (struct sockaddr *)a, *size) == 0 && listen(s, 4) == 0 ? s : -1;
}

static int reach(const struct sockaddr_un *a, socklen_t size)
{
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    return connect(s, (const struct sockaddr *)a, size) == 0 ? s : -1;
}

/* Sockets that wait for connections lie in what these brought before they were accepted. */
static void test_listeners(void)
{
    struct sockaddr_un a, b;
    socklen_t a_size, b_size;
    int p[2], first, second, to_first, to_second;

    CHECK(pipe(p) == 0 && (first = listener("t_flight.1", &a, &a_size)) >= 0);
    CHECK((to_first = reach(&a, a_size)) >= 0 && send_files(to_first, first, p[1]));
    close(p[1]);
    close(first);
    close(to_first);
    CHECK(hears_end(p[0]) && close(p[0]) == 0);

    CHECK(pipe(p) == 0 && (first = listener("t_flight.1", &a, &a_size)) >= 0);
    CHECK((second = listener("t_flight.2", &b, &b_size)) >= 0);
    CHECK((to_first = reach(&a, a_size)) >= 0 && (to_second = reach(&b, b_size)) >= 0);
    CHECK(send_files(to_first, second, p[1]) && send_files(to_second, first, -1));
    close(p[1]);
    close(to_first);
    close(to_second);
    close(first);
    CHECK(hears_nothing(p[0])); /* the second can be asked for the first */
    close(second);
    CHECK(hears_end(p[0]) && close(p[0]) == 0);
}

/* What one descriptor still leads to stays, and can be received. */
static void test_reachable(void)
{
    for (int count = 1; count <= RING_MAX; count++) {
        int keep = -1, fds[2] = {-1, -1}, copies[2], reader = make_ring(SOCK_DGRAM, count, &keep);
        char byte;

        CHECK(reader >= 0 && hears_nothing(reader));
        CHECK(receive_files(keep, MSG_PEEK, copies) == 2 && close(copies[0]) == 0);
        CHECK(close(copies[1]) == 0 && hears_nothing(reader));
        CHECK(receive_files(keep, 0, fds) == 2 && close(keep) == 0 && hears_nothing(reader));
        CHECK(write(fds[1], "w", 1) == 1 && read(reader, &byte, 1) == 1 && byte == 'w');
        CHECK(close(fds[1]) == 0 && close(fds[0]) == 0);
        CHECK(hears_end(reader) && close(reader) == 0);
    }
}

/* A lost circle does not take along what somebody else's queue leads to. */
static void test_held_elsewhere(void)
{
    int keep = -1, s[2], fds[2], reader = make_ring(SOCK_STREAM, 2, &keep);

    CHECK(reader >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK(send_files(s[0], keep, -1) && close(keep) == 0 && hears_nothing(reader));
    CHECK(receive_files(s[1], 0, fds) == 1 && hears_nothing(reader));
    CHECK(send_files(s[0], fds[0], -1) && close(fds[0]) == 0);
    CHECK(close(s[0]) == 0 && hears_nothing(reader));
    CHECK(close(s[1]) == 0 && hears_end(reader) && close(reader) == 0);
}

/* Takes a byte, without a place for files, in one of four ways. */
static ssize_t take_byte(int from, unsigned way)
{
    char byte;
    struct iovec part = {&byte, 1};
    int p[2];
    ssize_t n;

    if (way < 3)
        return way == 0   ? read(from, &byte, 1)
               : way == 1 ? readv(from, &part, 1)
                          : recvfrom(from, &byte, 1, 0, NULL, NULL);
    if (pipe(p) != 0)
        return -1;
    n = splice(from, NULL, p[1], NULL, 1, 0);
    close(p[0]);
    close(p[1]);
    return n;
}

/* Who only reads drops the files that come with the bytes. */
static void test_read(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

    for (int t = 0; t < 3; t++) {
        for (unsigned way = 0; way < (t == 0 ? 4 : 3); way++) {
            int s[2], p[2];

            CHECK(pipe(p) == 0 && socketpair(AF_UNIX, types[t], 0, s) == 0);
            CHECK(send_files(s[0], p[1], s[0]) && close(p[1]) == 0 && hears_nothing(p[0]));
            CHECK(take_byte(s[1], way) == 1 && hears_end(p[0]));
            CHECK(close(s[0]) == 0 && close(s[1]) == 0 && close(p[0]) == 0);
        }
    }
}

/* A descriptor that only names a socket, in that socket's own queue, does not keep it. */
static void test_named(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

    for (int t = 0; t < 3; t++) {
        int s[2], p[2], named;
        char text[64];

        CHECK(pipe(p) == 0 && socketpair(AF_UNIX, types[t], 0, s) == 0);
        snprintf(text, sizeof(text), "/proc/self/fd/%d", s[1]);
        CHECK((named = open(text, O_PATH)) >= 0 && send_files(s[0], named, p[1]));
        CHECK(close(p[1]) == 0 && close(s[0]) == 0 && close(named) == 0);
        CHECK(hears_nothing(p[0]));
        CHECK(close(s[1]) == 0 && hears_end(p[0]) && close(p[0]) == 0);
    }
}

static void *make_rings(void *argument)
{
    int *readers = argument;

    for (int i = 0; i < ROUNDS; i++)
        readers[i] = make_ring(i % 2 ? SOCK_STREAM : SOCK_DGRAM, 1 + i % RING_MAX, NULL);
    return NULL;
}

static void test_threads(void)
{
    static int readers[3][ROUNDS];
    pthread_t threads[3];

    for (int t = 0; t < 3; t++)
        CHECK(pthread_create(&threads[t], NULL, make_rings, readers[t]) == 0);
    for (int t = 0; t < 3; t++)
        CHECK(pthread_join(threads[t], NULL) == 0);
    for (int t = 0; t < 3; t++) {
        for (int i = 0; i < ROUNDS; i++)
            CHECK(readers[t][i] >= 0 && hears_end(readers[t][i]) && close(readers[t][i]) == 0);
    }
}

/* A user that may do nothing special has at most about as many files on their way as it may have open. */
static int fill_flight(void)
{
    struct rlimit limit = {20, 20};
    int s[2], fds[2], sent = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0 || setrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        setuid(1234) != 0)
        return 1;
    while (sent < 50 && send_files(s[0], s[1], s[0]))
        sent++;
    if (sent != 11 || errno != ETOOMANYREFS)
        return 2;
    if (receive_files(s[1], 0, fds) != 2 || close(fds[0]) != 0 || close(fds[1]) != 0)
        return 3;
    return send_files(s[0], s[1], -1) ? 0 : 4;
}

static void test_too_many(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(fill_flight());
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"too_many", test_too_many},
        {"rings", test_rings},         {"listeners", test_listeners},
        {"reachable", test_reachable}, {"held_elsewhere", test_held_elsewhere},
        {"read", test_read},           {"named", test_named},
        {"threads", test_threads},
    };

    return RUN_TESTS(tests, argc, argv);
}
