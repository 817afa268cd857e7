/*
 * t_pipes.c: the sizes of pipes, pipes with a name, timers of CPU time and its clocks, waiting for
 * more files than a batch holds, and the calls about scheduling classes.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "tests/vm/guest/check.h"

#define FIFO "/tmp/t_pipes.fifo"
#define MANY 600

static void test_pipe_sizes(void)
{
    static char data[65536], back[65536];
    int fds[2];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + i / 251);
    CHECK(pipe(fds) == 0);
    CHECK(fcntl(fds[0], F_GETPIPE_SZ) == 65536);
    CHECK(fcntl(fds[1], F_SETPIPE_SZ, 5000) == 8192);
    CHECK(fcntl(fds[0], F_GETPIPE_SZ) == 8192);
    CHECK(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    CHECK(write(fds[1], data, sizeof(data)) == 8192);
    CHECK(write(fds[1], data, 1) == -1 && errno == EAGAIN);
    CHECK(fcntl(fds[1], F_SETPIPE_SZ, 4096) == -1 && errno == EBUSY);
    CHECK(read(fds[0], back, 5000) == 5000);
    CHECK(write(fds[1], data, 4096) == 4096);
    CHECK(fcntl(fds[1], F_SETPIPE_SZ, 100000) == 131072);
    CHECK(read(fds[0], back, sizeof(back)) == 3192 + 4096);
    CHECK(memcmp(back, data + 5000, 3192) == 0 && memcmp(back + 3192, data, 4096) == 0);
    CHECK(fcntl(fds[1], F_SETPIPE_SZ, -1) == -1 && errno == EINVAL);
    close(fds[0]);
    close(fds[1]);
    CHECK(fcntl(open("/", O_RDONLY), F_GETPIPE_SZ) == -1 && errno == EBADF);
}

static void *fifo_writer(void *argument)
{
    int fd = open(FIFO, O_WRONLY);
    long n = fd < 0 ? -1 : write(fd, "through a name", 14);

    (void)argument;
    close(fd);
    return (void *)n;
}

static void test_fifo(void)
{
    char text[20];
    pthread_t writer;
    void *wrote;
    int fd;

    unlink(FIFO);
    CHECK(mkfifo(FIFO, 0600) == 0);
    CHECK(open(FIFO, O_WRONLY | O_NONBLOCK) == -1 && errno == ENXIO);
    CHECK(pthread_create(&writer, NULL, fifo_writer, NULL) == 0);
    fd = open(FIFO, O_RDONLY);
    CHECK(fd >= 0);
    CHECK(read(fd, text, sizeof(text)) == 14 && memcmp(text, "through a name", 14) == 0);
    CHECK(read(fd, text, sizeof(text)) == 0);
    CHECK(pthread_join(writer, &wrote) == 0 && (long)wrote == 14);
    close(fd);
    unlink(FIFO);
}

/* Without a writer there is nothing and no end; with both ends in one file there is always one. */
static void test_fifo_ends(void)
{
    struct pollfd p = {.events = POLLIN};
    char byte;
    int reader, both;

    CHECK(mkfifo(FIFO, 0600) == 0);
    reader = open(FIFO, O_RDONLY | O_NONBLOCK);
    p.fd = reader;
    CHECK(reader >= 0 && read(reader, &byte, 1) == 0);
    CHECK(poll(&p, 1, 0) == 0);
    both = open(FIFO, O_RDWR);
    CHECK(both >= 0 && read(reader, &byte, 1) == -1 && errno == EAGAIN);
    CHECK(write(both, "x", 1) == 1 && poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    close(both);
    CHECK(read(reader, &byte, 1) == 1 && byte == 'x');
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLHUP);
    close(reader);
    /* What nobody has open keeps nothing. */
    both = open(FIFO, O_RDWR | O_NONBLOCK);
    CHECK(write(both, "y", 1) == 1);
    close(both);
    both = open(FIFO, O_RDWR | O_NONBLOCK);
    CHECK(read(both, &byte, 1) == -1 && errno == EAGAIN);
    close(both);
    unlink(FIFO);
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void test_fifo_interrupted(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval soon = {{0, 20000}, {0, 20000}}, none = {{0, 0}, {0, 0}};

    CHECK(mkfifo(FIFO, 0600) == 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    CHECK(open(FIFO, O_RDONLY) == -1 && errno == EINTR);
    setitimer(ITIMER_REAL, &none, NULL);
    unlink(FIFO);
}

/* /proc/self/fd leads to the file itself: also where it has no name, or no longer one. */
static void test_open_again(void)
{
    char text[64], byte;
    struct stat s;
    int fds[2], again, fd;

    CHECK(pipe(fds) == 0);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", fds[0]);
    CHECK(stat(text, &s) == 0 && S_ISFIFO(s.st_mode));
    again = open(text, O_RDONLY | O_NONBLOCK);
    CHECK(again >= 0 && read(again, &byte, 1) == -1 && errno == EAGAIN);
    CHECK(write(fds[1], "ab", 2) == 2);
    CHECK(read(again, &byte, 1) == 1 && byte == 'a');
    close(fds[0]);
    CHECK(read(again, &byte, 1) == 1 && byte == 'b');
    close(again);
    CHECK(pipe(fds) == 0 && write(fds[1], "z", 1) == 1);
    close(fds[1]);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", fds[0]);
    again = open(text, O_RDONLY); /* nobody writes, and nobody is waited for */
    CHECK(again >= 0 && read(again, text, 8) == 1 && read(again, text, 8) == 0);
    close(again);
    close(fds[0]);
    CHECK(pipe(fds) == 0);
    close(fds[0]);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", fds[1]);
    again = open(text, O_RDWR);
    close(fds[1]);
    CHECK(write(again, "c", 1) == 1 && read(again, &byte, 1) == 1 && byte == 'c');
    close(again);
    fd = open("/tmp/t_pipes.gone", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, "kept", 4) == 4 && unlink("/tmp/t_pipes.gone") == 0);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
    again = open(text, O_RDONLY);
    CHECK(again >= 0 && read(again, text, 8) == 4 && memcmp(text, "kept", 4) == 0);
    close(again);
    close(fd);
}

/* A descriptor that only names an end of a pipe does not keep that end open. */
static void test_path_only(void)
{
    char text[64], byte;
    int fds[2], path, again;

    CHECK(pipe(fds) == 0);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", fds[1]);
    path = open(text, O_PATH);
    CHECK(path >= 0 && close(fds[1]) == 0 && read(fds[0], &byte, 1) == 0);
    snprintf(text, sizeof(text), "/proc/self/fd/%d", path);
    again = open(text, O_WRONLY);
    CHECK(again >= 0 && write(again, "p", 1) == 1 && read(fds[0], &byte, 1) == 1 && byte == 'p');
    CHECK(close(again) == 0 && read(fds[0], &byte, 1) == 0);
    close(path);
    close(fds[0]);
}

static void test_null_seek(void)
{
    int fd = open("/dev/null", O_RDWR);

    CHECK(lseek(fd, 100, SEEK_SET) == 0 && lseek(fd, 0, SEEK_CUR) == 0);
    close(fd);
}

static volatile sig_atomic_t ticks;

static void on_tick(int signal)
{
    (void)signal;
    ticks = ticks + 1;
}

static void test_cpu_timer(int kind, int signal)
{
    struct itimerval every = {{0, 10000}, {0, 20000}}, left, none = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_tick};

    ticks = 0;
    sigaction(signal, &action, NULL);
    CHECK(setitimer(kind, &every, NULL) == 0);
    while (ticks < 3)
        continue;
    CHECK(getitimer(kind, &left) == 0 && left.it_interval.tv_usec == 10000);
    CHECK(setitimer(kind, &none, &left) == 0 && left.it_interval.tv_usec == 10000);
    CHECK(getitimer(kind, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
}

static void test_cpu_timers(void)
{
    test_cpu_timer(ITIMER_VIRTUAL, SIGVTALRM);
    test_cpu_timer(ITIMER_PROF, SIGPROF);
}

static void test_cpu_clocks(void)
{
    struct timespec mine, shown;
    clockid_t clock;

    CHECK(clock_getcpuclockid(getpid(), &clock) == 0);
    CHECK(clock_gettime(clock, &shown) == 0 && clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mine) == 0);
    CHECK(mine.tv_sec > shown.tv_sec ||
          (mine.tv_sec == shown.tv_sec && mine.tv_nsec >= shown.tv_nsec));
    CHECK(pthread_getcpuclockid(pthread_self(), &clock) == 0);
    CHECK(clock_gettime(clock, &shown) == 0);
    CHECK(clock_gettime((clockid_t)(~4000000u << 3 | 2), &shown) == -1 && errno == EINVAL);
}

static void test_many_files(void)
{
    static struct epoll_event events[MANY + 10];
    static struct pollfd polled[MANY + 200];
    struct rlimit limit = {MANY + 100, MANY + 100};
    int ep = epoll_create1(0), seen = 0;

    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int i = 0; i < MANY; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};

        polled[i] = (struct pollfd){.fd = eventfd(1, 0), .events = POLLIN};
        seen += epoll_ctl(ep, EPOLL_CTL_ADD, polled[i].fd, &event) == 0;
    }
    CHECK(seen == MANY);
    CHECK(epoll_wait(ep, events, MANY + 10, -1) == MANY);
    CHECK(epoll_wait(ep, events, 7, -1) == 7);
    CHECK(poll(polled, MANY, -1) == MANY);
    CHECK(poll(polled, MANY + 101, 0) == -1 && errno == EINVAL);
    for (int i = 0; i < MANY; i++)
        close(polled[i].fd);
    CHECK(epoll_wait(ep, events, MANY, 0) == 0);
    close(ep);
}

static void test_classes(void)
{
    struct sched_param zero = {0}, one = {1}, got = {9};
    struct timespec slice;

    CHECK(sched_getscheduler(0) == SCHED_OTHER);
    CHECK(sched_getscheduler(-1) == -1 && errno == EINVAL);
    CHECK(sched_getscheduler(4000000) == -1 && errno == ESRCH);
    CHECK(sched_setscheduler(0, SCHED_BATCH, &zero) == 0 && sched_getscheduler(0) == SCHED_BATCH);
    CHECK(sched_setscheduler(0, SCHED_BATCH, &one) == -1 && errno == EINVAL);
    CHECK(sched_setscheduler(0, 77, &zero) == -1 && errno == EINVAL);
    CHECK(sched_setparam(0, &zero) == 0);
    CHECK(sched_setparam(0, &one) == -1 && errno == EINVAL);
    CHECK(sched_setparam(-1, &zero) == -1 && errno == EINVAL);
    CHECK(sched_getparam(0, &got) == 0 && got.sched_priority == 0);
    CHECK(sched_getparam(-1, &got) == -1 && errno == EINVAL);
    CHECK(sched_rr_get_interval(-1, &slice) == -1 && errno == EINVAL);
    CHECK(sched_setscheduler(0, SCHED_OTHER, &zero) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"sizes", test_pipe_sizes},      {"fifo", test_fifo},
        {"fifo_ends", test_fifo_ends},   {"fifo_interrupted", test_fifo_interrupted},
        {"open_again", test_open_again}, {"path_only", test_path_only},
        {"null_seek", test_null_seek},
        {"cpu_timers", test_cpu_timers}, {"cpu_clocks", test_cpu_clocks},
        {"many_files", test_many_files}, {"classes", test_classes},
    };

    return RUN_TESTS(tests, argc, argv);
}
