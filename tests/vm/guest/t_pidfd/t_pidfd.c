/*
 * t_pidfd.c: processes as descriptors, and figures of what processes have used.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define PAGE 4096ul

static int pidfd_open_of(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static long pidfd_signal(int fd, int number, siginfo_t *info, unsigned flags)
{
    return syscall(SYS_pidfd_send_signal, fd, number, info, flags);
}

/* A child that waits until its standard input of a pipe ends, then ends with that status. */
static pid_t child_until(int release[2], int status)
{
    pid_t child;

    if (pipe(release) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        char byte;

        close(release[1]);
        _exit(read(release[0], &byte, 1) == 0 ? status : 99);
    }
    close(release[0]);
    return child;
}

static bool ready(int fd, int timeout)
{
    struct pollfd p = {fd, POLLIN, 0};

    return poll(&p, 1, timeout) == 1 && (p.revents & POLLIN);
}

static void test_poll_and_wait(void)
{
    int release[2];
    pid_t child = child_until(release, 7);
    int fd = pidfd_open_of(child, 0);
    siginfo_t info = {0};

    CHECK(child > 0 && fd >= 0);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(!ready(fd, 0));
    CHECK(waitid((idtype_t)3, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    close(release[1]);
    CHECK(ready(fd, -1));
    CHECK(waitid((idtype_t)3, (id_t)fd, &info, WEXITED) == 0);
    CHECK(info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 7);
    CHECK_ERRNO(waitid((idtype_t)3, (id_t)fd, &info, WEXITED), ECHILD);
    CHECK(ready(fd, 0));
    CHECK_ERRNO(pidfd_signal(fd, 0, NULL, 0), ESRCH);
    CHECK(close(fd) == 0);
}

static void test_epoll(void)
{
    int release[2];
    pid_t child = child_until(release, 0);
    int fd = pidfd_open_of(child, 0), set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, got;

    CHECK(fd >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(epoll_wait(set, &got, 1, 0) == 0);
    close(release[1]);
    CHECK(epoll_wait(set, &got, 1, -1) == 1 && got.data.u64 == 77);
    CHECK(waitpid(child, NULL, 0) == child && close(set) == 0 && close(fd) == 0);
}

static void test_signal(void)
{
    int release[2], status;
    pid_t child = child_until(release, 0);
    int fd = pidfd_open_of(child, 0);
    siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};

    CHECK(fd >= 0 && pidfd_signal(fd, 0, NULL, 0) == 0);
    CHECK_ERRNO(pidfd_signal(fd, 999, NULL, 0), EINVAL);
    CHECK_ERRNO(pidfd_signal(fd, SIGTERM, NULL, 0x8000), EINVAL);
    CHECK_ERRNO(pidfd_signal(fd, SIGUSR1, &info, 0), EINVAL);
    info.si_code = SI_USER;
    CHECK_ERRNO(pidfd_signal(fd, SIGTERM, &info, 0), EPERM);
    CHECK_ERRNO(pidfd_signal(STDOUT_FILENO, SIGTERM, NULL, 0), EBADF);
    CHECK_ERRNO(pidfd_signal(-1, SIGTERM, NULL, 0), EBADF);
    info.si_code = SI_QUEUE;
    CHECK(pidfd_signal(fd, SIGTERM, &info, 0) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
          WTERMSIG(status) == SIGTERM);
    CHECK(close(release[1]) == 0 && close(fd) == 0);
}

/* A descriptor of a process's folder in /proc takes signals, and nothing else. */
static void test_folder(void)
{
    int release[2], status, fd, by_path, text;
    pid_t child = child_until(release, 0);
    siginfo_t info;
    char name[64];

    snprintf(name, sizeof(name), "/proc/%d", child);
    fd = open(name, O_RDONLY | O_DIRECTORY);
    by_path = open(name, O_PATH);
    strcat(name, "/stat");
    text = open(name, O_RDONLY);
    CHECK(fd >= 0 && by_path >= 0 && text >= 0 && pidfd_signal(fd, 0, NULL, 0) == 0);
    CHECK_ERRNO(pidfd_signal(by_path, 0, NULL, 0), EBADF);
    CHECK_ERRNO(pidfd_signal(text, 0, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 0), EBADF);
    CHECK_ERRNO(waitid((idtype_t)3, (id_t)fd, &info, WEXITED), EBADF);
    CHECK(pidfd_signal(fd, SIGTERM, NULL, 0) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
          WTERMSIG(status) == SIGTERM);
    CHECK_ERRNO(pidfd_signal(fd, 0, NULL, 0), ESRCH);
    CHECK(close(release[1]) == 0 && close(fd) == 0 && close(by_path) == 0 && close(text) == 0);
}

static void test_open_errors(void)
{
    CHECK_ERRNO(pidfd_open_of(0, 0), EINVAL);
    CHECK_ERRNO(pidfd_open_of(-5, 0), EINVAL);
    CHECK_ERRNO(pidfd_open_of(getpid(), 0x4000000), EINVAL);
    CHECK_ERRNO(pidfd_open_of(0x3fffff, 0), ESRCH);
}

static void test_nonblock(void)
{
    int release[2];
    pid_t child = child_until(release, 0);
    int fd = pidfd_open_of(child, O_NONBLOCK);
    siginfo_t info;

    CHECK(fd >= 0);
    CHECK_ERRNO(waitid((idtype_t)3, (id_t)fd, &info, WEXITED), EAGAIN);
    close(release[1]);
    CHECK(ready(fd, -1) && waitid((idtype_t)3, (id_t)fd, &info, WEXITED) == 0);
    CHECK(info.si_pid == child && close(fd) == 0);
}

static void test_clone(void)
{
    int fd = -1, status;
    struct clone_args args = {
        .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD};
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

    if (child == 0)
        _exit(5);
    CHECK(child > 0 && fd >= 0 && ready(fd, -1));
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5 && close(fd) == 0);
    child = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0);
    if (child == 0)
        _exit(6);
    CHECK(child > 0 && ready(fd, -1));
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 6 && close(fd) == 0);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0),
                EINVAL);
}

static void test_getfd(void)
{
    int release[2], pipe_ends[2];
    pid_t child;
    int fd, taken;
    char byte = 0;

    CHECK(pipe(pipe_ends) == 0);
    child = child_until(release, 0);
    fd = pidfd_open_of(child, 0);
    CHECK(fd >= 0 && close(pipe_ends[1]) == 0);
    taken = (int)syscall(SYS_pidfd_getfd, fd, pipe_ends[1], 0); /* the child has it still */
    CHECK(taken >= 0 && write(taken, "x", 1) == 1 && read(pipe_ends[0], &byte, 1) == 1);
    CHECK(byte == 'x' && fcntl(taken, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 999, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 1), EINVAL);
    close(release[1]);
    CHECK(waitpid(child, NULL, 0) == child && close(fd) == 0 && close(taken) == 0);
}

/* ---- Figures ---- */

static void test_usage(void)
{
    const size_t pages = 2000;
    struct rusage before, after, thread;
    char *at;

    CHECK(getrusage(RUSAGE_SELF, &before) == 0);
    at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED && madvise(at, pages * PAGE, MADV_NOHUGEPAGE) == 0);
    for (size_t i = 0; i < pages; i++)
        at[i * PAGE] = 1;
    CHECK(munmap(at, pages * PAGE) == 0);
    CHECK(getrusage(RUSAGE_SELF, &after) == 0 && getrusage(RUSAGE_THREAD, &thread) == 0);
    CHECK(after.ru_minflt - before.ru_minflt >= (long)pages);
    CHECK(after.ru_maxrss >= (long)(pages * PAGE / 1024) && after.ru_maxrss >= before.ru_maxrss);
    CHECK(after.ru_utime.tv_sec * 1000000l + after.ru_utime.tv_usec + after.ru_stime.tv_sec +
              after.ru_stime.tv_usec >
          0);
    CHECK_ERRNO(getrusage(99, &after), EINVAL);
}

static void test_usage_of_children(void)
{
    const size_t pages = 4000;
    struct rusage children, waited;
    int status;
    pid_t child = fork();

    if (child == 0) {
        char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        _exit(at == MAP_FAILED);
    }
    CHECK(wait4(child, &status, 0, &waited) == child && status == 0);
    CHECK(waited.ru_maxrss >= (long)(pages * PAGE / 1024));
    CHECK(getrusage(RUSAGE_CHILDREN, &children) == 0 && children.ru_maxrss >= waited.ru_maxrss);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"poll_and_wait", test_poll_and_wait},
        {"epoll", test_epoll},
        {"signal", test_signal},
        {"folder", test_folder},
        {"open_errors", test_open_errors},
        {"nonblock", test_nonblock},
        {"clone", test_clone},
        {"getfd", test_getfd},
        {"usage", test_usage},
        {"usage_of_children", test_usage_of_children},
    };

    return RUN_TESTS(tests, argc, argv);
}
