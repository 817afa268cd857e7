/*
 * t_events.c: eventfd, timerfd, signalfd, epoll over them and over pipes, and poll and select of many
 * descriptors.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/vm/guest/check.h"

static void test_eventfd(void)
{
    int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t v = 4;

    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(write(fd, &v, 8) == 8);
    CHECK(read(fd, &v, 8) == 8 && v == 7);
    CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
    CHECK_ERRNO(read(fd, &v, 7), EINVAL);
    v = UINT64_MAX;
    CHECK_ERRNO(write(fd, &v, 8), EINVAL);
    v = UINT64_MAX - 1;
    CHECK(write(fd, &v, 8) == 8);
    v = 1;
    CHECK_ERRNO(write(fd, &v, 8), EAGAIN);
    CHECK_ERRNO(write(fd, bad_address(), 8), EFAULT);
    CHECK_ERRNO(pread(fd, &v, 8, 0), ESPIPE);
    CHECK(close(fd) == 0);
    CHECK_ERRNO(eventfd(0, 0x40000000), EINVAL);
}

static void test_eventfd_semaphore(void)
{
    int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    uint64_t v;

    CHECK(read(fd, &v, 8) == 8 && v == 1);
    CHECK(read(fd, &v, 8) == 8 && v == 1);
    CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
    close(fd);
}

static void *writer(void *arg)
{
    uint64_t one = 1;

    usleep(200000);
    if (write(*(int *)arg, &one, 8) != 8)
        abort();
    return NULL;
}

static void test_eventfd_blocks(void)
{
    int fd = eventfd(0, 0);
    pthread_t thread;
    uint64_t v;

    CHECK(pthread_create(&thread, NULL, writer, &fd) == 0);
    CHECK(read(fd, &v, 8) == 8 && v == 1);
    pthread_join(thread, NULL);
    close(fd);
}

static void test_timerfd(void)
{
    struct itimerspec set = {.it_value = {1000, 0}}, got;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    uint64_t n;

    CHECK(fd >= 0);
    CHECK(timerfd_settime(fd, 0, &set, NULL) == 0);
    CHECK(timerfd_gettime(fd, &got) == 0);
    CHECK(got.it_value.tv_sec > 0 && got.it_value.tv_sec <= 1000);
    set.it_value = (struct timespec){0, 20000000};
    CHECK(timerfd_settime(fd, 0, &set, NULL) == 0);
    CHECK(read(fd, &n, 8) == 8 && n == 1);
    CHECK(timerfd_gettime(fd, &got) == 0 && got.it_value.tv_sec == 0 && got.it_value.tv_nsec == 0);
    CHECK_ERRNO(read(fd, &n, 4), EINVAL);
    CHECK_ERRNO(write(fd, &n, 8), EINVAL);
    close(fd);
}

static void test_timerfd_interval(void)
{
    struct itimerspec set = {.it_interval = {0, 5000000}, .it_value = {0, 5000000}}, got;
    struct itimerspec stop = {0};
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    uint64_t n, more;

    CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
    CHECK(timerfd_settime(fd, 0, &set, NULL) == 0);
    usleep(52000);
    CHECK(read(fd, &n, 8) == 8 && n >= 10);
    usleep(12000);
    CHECK(read(fd, &more, 8) == 8 && more >= 1);
    CHECK(timerfd_settime(fd, 0, &stop, &got) == 0);
    CHECK(got.it_interval.tv_nsec == 5000000);
    usleep(12000);
    CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
    close(fd);
}

static void test_timerfd_absolute(void)
{
    struct itimerspec set = {0};
    int fd = timerfd_create(CLOCK_REALTIME, 0);
    struct timespec now;
    uint64_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    set.it_value = now; /* that is past already */
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0);
    CHECK(read(fd, &n, 8) == 8 && n == 1);
    close(fd);
}

static void test_timerfd_refusals(void)
{
    struct itimerspec bad = {.it_value = {0, 1000000000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0), other = eventfd(0, 0);

    CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    CHECK_ERRNO(timerfd_settime(fd, 0, &bad, NULL), EINVAL);
    bad.it_value.tv_nsec = 1;
    CHECK_ERRNO(timerfd_settime(other, 0, &bad, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(-1, 0, &bad, NULL), EBADF);
    close(fd);
    close(other);
}

static void test_signalfd(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct signalfd_siginfo info[2];
    union sigval value = {.sival_int = 77};
    sigset_t set, old;
    int fd, ep = epoll_create1(0);

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    fd = signalfd(-1, &set, SFD_NONBLOCK);
    CHECK(fd >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK_ERRNO(read(fd, info, sizeof(info)), EAGAIN);
    CHECK_ERRNO(read(fd, info, 8), EINVAL);
    CHECK(epoll_wait(ep, &event, 1, 0) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0 && sigqueue(getpid(), SIGRTMIN, value) == 0);
    CHECK(epoll_wait(ep, &event, 1, 1000) == 1);
    CHECK(read(fd, info, sizeof(info)) == sizeof(info));
    CHECK(info[0].ssi_signo == SIGUSR1 && (int)info[0].ssi_pid == getpid());
    CHECK((int)info[1].ssi_signo == SIGRTMIN && info[1].ssi_int == 77);
    CHECK_ERRNO(read(fd, info, sizeof(info)), EAGAIN);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    close(fd);
    close(ep);
}

static void test_signalfd_child(void)
{
    struct signalfd_siginfo info;
    sigset_t set, old;
    int fd, status;
    pid_t child;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    fd = signalfd(-1, &set, 0);
    child = fork();
    if (child == 0) {
        usleep(20000);
        _exit(5);
    }
    CHECK(read(fd, &info, sizeof(info)) == sizeof(info));
    CHECK(info.ssi_signo == SIGCHLD && (int)info.ssi_pid == child && info.ssi_status == 5);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    close(fd);
}

static void test_epoll_level(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1234567890abcdefull}, got[4];
    int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
    char byte = 'x';

    CHECK(ep >= 0 && pipe(p) == 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event) == 0);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event), EEXIST);
    CHECK(epoll_wait(ep, got, 4, 0) == 0);
    CHECK(epoll_wait(ep, got, 4, 10) == 0);
    CHECK(write(p[1], "ab", 2) == 2);
    CHECK(epoll_wait(ep, got, 4, -1) == 1);
    CHECK(got[0].events == EPOLLIN && got[0].data.u64 == 0x1234567890abcdefull);
    CHECK(read(p[0], &byte, 1) == 1);
    CHECK(epoll_wait(ep, got, 4, 0) == 1);
    CHECK(read(p[0], &byte, 1) == 1);
    CHECK(epoll_wait(ep, got, 4, 0) == 0);
    close(p[1]);
    CHECK(epoll_wait(ep, got, 4, 0) == 1 && got[0].events == EPOLLHUP);
    CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL) == 0);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), ENOENT);
    close(p[0]);
    close(ep);
}

static void test_epoll_edge(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = 9}, got;
    int ep = epoll_create(1), p[2];
    char byte;

    CHECK(pipe(p) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event) == 0);
    CHECK(write(p[1], "ab", 2) == 2);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1);
    CHECK(epoll_wait(ep, &got, 1, 0) == 0);
    CHECK(read(p[0], &byte, 1) == 1);
    CHECK(epoll_wait(ep, &got, 1, 0) == 0);
    CHECK(write(p[1], "c", 1) == 1);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1);
    close(p[0]);
    close(p[1]);
    CHECK(epoll_wait(ep, &got, 1, 0) == 0);
    close(ep);
}

static void test_epoll_oneshot(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT}, got;
    int ep = epoll_create1(0), fd = eventfd(1, 0);

    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == EPOLLIN);
    CHECK(epoll_wait(ep, &got, 1, 0) == 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1);
    close(fd);
    close(ep);
}

/* The item goes with the file, not with the descriptor. */
static void test_epoll_close(void)
{
    struct epoll_event event = {.events = EPOLLIN}, got;
    int ep = epoll_create1(0), fd = eventfd(1, 0), copy = dup(fd);

    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    close(fd);
    CHECK(epoll_wait(ep, &got, 1, 0) == 1);
    close(copy);
    CHECK(epoll_wait(ep, &got, 1, 0) == 0);
    close(ep);
}

static void test_epoll_many(void)
{
    struct epoll_event event = {.events = EPOLLIN}, got[8];
    int ep = epoll_create1(0), fds[40];
    unsigned seen[40] = {0};

    for (int i = 0; i < 40; i++) {
        fds[i] = eventfd(i % 2, 0);
        event.data.fd = i;
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event) == 0);
    }
    for (int round = 0; round < 5; round++) {
        int n = epoll_wait(ep, got, 4, 0);

        CHECK(n == 4);
        for (int i = 0; i < n; i++)
            seen[got[i].data.fd]++;
    }
    for (int i = 0; i < 40; i++) {
        CHECK(seen[i] == (unsigned)(i % 2));
        close(fds[i]);
    }
    close(ep);
}

static void test_epoll_blocks(void)
{
    struct epoll_event event = {.events = EPOLLIN}, got;
    int ep = epoll_create1(0), fd = eventfd(0, 0);
    pthread_t thread;

    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(pthread_create(&thread, NULL, writer, &fd) == 0);
    CHECK(epoll_wait(ep, &got, 1, -1) == 1);
    pthread_join(thread, NULL);
    close(fd);
    close(ep);
}

static void on_alarm(int number)
{
    (void)number;
}

static void test_epoll_signal(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct epoll_event got;
    struct timespec limit = {0, 1000000};
    sigset_t set;
    int ep = epoll_create1(0);

    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    ualarm(20000, 20000);
    CHECK_ERRNO(epoll_wait(ep, &got, 1, -1), EINTR);
    ualarm(0, 0);
    sigemptyset(&set);
    CHECK(epoll_pwait(ep, &got, 1, 1, &set) == 0);
    CHECK(epoll_pwait2(ep, &got, 1, &limit, NULL) == 0);
    close(ep);
}

static void test_epoll_refusals(void)
{
    struct epoll_event event = {.events = EPOLLIN}, got;
    int ep = epoll_create1(0), fd = eventfd(0, 0), file = open("/tmp", O_RDONLY);

    CHECK_ERRNO(epoll_create(0), EINVAL);
    CHECK_ERRNO(epoll_create1(5), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, -1, &event), EBADF);
    CHECK_ERRNO(epoll_ctl(fd, EPOLL_CTL_ADD, ep, &event), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &event), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &event), EPERM);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, fd, bad_address()), EFAULT);
    CHECK_ERRNO(epoll_ctl(ep, 9, fd, &event), EINVAL);
    CHECK_ERRNO(epoll_wait(ep, &got, bad_count(), 0), EINVAL);
    CHECK_ERRNO(epoll_wait(fd, &got, 1, 0), EINVAL);
    close(file);
    close(fd);
    close(ep);
}

/* As many descriptors as one may have, up to a number: who has the right raises the limit. */
static rlim_t raise_limit(rlim_t wanted)
{
    struct rlimit limit = {wanted, wanted};

    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return wanted;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

static void test_poll_many(void)
{
    nfds_t count = raise_limit(60000);
    struct pollfd *fds = calloc(count + 1, sizeof(*fds));
    int ends[2];

    CHECK(count > 2500 && fds && pipe(ends) == 0);
    for (nfds_t i = 0; i < count; i++)
        fds[i] = (struct pollfd){ends[0], POLLIN, 0};
    CHECK(poll(fds, count, 20) == 0);
    fds[0].fd = 999;
    fds[1500].fd = -1;
    fds[count - 1] = (struct pollfd){ends[1], POLLOUT, 0};
    CHECK(poll(fds, count, -1) == 2 && fds[0].revents == POLLNVAL);
    CHECK(fds[count - 1].revents == POLLOUT && fds[1].revents == 0);
    CHECK(write(ends[1], "x", 1) == 1 && poll(fds, count, 0) == (int)count - 1);
    CHECK(fds[1499].revents == POLLIN && fds[1500].revents == 0 && fds[count - 2].revents == POLLIN);
    CHECK_ERRNO(poll(fds, count + 1, 0), EINVAL);
    CHECK(poll(NULL, 0, 0) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
    free(fds);
}

/* select() takes descriptors beyond those of an fd_set, and counts beyond those that there can be. */
static void test_select_many(void)
{
    enum { FD = 2100, BITS = 8 * sizeof(long) };
    static long wanted[1000000 / BITS];
    struct timeval now = {0, 0};
    fd_set *set = (fd_set *)wanted;
    int ends[2];

    CHECK(raise_limit(FD + 1) > FD && pipe(ends) == 0 && dup2(ends[0], FD) == FD);
    wanted[FD / BITS] = 1l << FD % BITS;
    CHECK(select(FD + 1, set, NULL, NULL, &now) == 0 && wanted[FD / BITS] == 0);
    wanted[FD / BITS] = 1l << FD % BITS;
    wanted[999000 / BITS] = 5;
    CHECK(write(ends[1], "x", 1) == 1 && select(1000000, set, NULL, NULL, NULL) == 1);
    CHECK(wanted[FD / BITS] == 1l << FD % BITS && wanted[999000 / BITS] == 5);
    wanted[1000 / BITS] = 1;
    CHECK_ERRNO(select(FD + 1, set, NULL, NULL, &now), EBADF);
    CHECK_ERRNO(select(bad_count(), set, NULL, NULL, &now), EINVAL);
    CHECK_ERRNO(select(5, bad_address(), NULL, NULL, &now), EFAULT);
    CHECK(close(FD) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"eventfd", test_eventfd},
        {"eventfd_semaphore", test_eventfd_semaphore},
        {"eventfd_blocks", test_eventfd_blocks},
        {"timerfd", test_timerfd},
        {"timerfd_interval", test_timerfd_interval},
        {"timerfd_absolute", test_timerfd_absolute},
        {"timerfd_refusals", test_timerfd_refusals},
        {"signalfd", test_signalfd},
        {"signalfd_child", test_signalfd_child},
        {"epoll_level", test_epoll_level},
        {"epoll_edge", test_epoll_edge},
        {"epoll_oneshot", test_epoll_oneshot},
        {"epoll_close", test_epoll_close},
        {"epoll_many", test_epoll_many},
        {"epoll_blocks", test_epoll_blocks},
        {"epoll_signal", test_epoll_signal},
        {"epoll_refusals", test_epoll_refusals},
        {"poll_many", test_poll_many},
        {"select_many", test_select_many},
    };

    return RUN_TESTS(tests, argc, argv);
}
