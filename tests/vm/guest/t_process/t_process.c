/*
 * t_process.c: processes: fork, exec, vfork, spawn, waiting, ends, groups, limits, time, and pipes
 * between them. Runs itself again with arguments for the exec tests.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/vm/guest/check.h"

extern char **environ;
static char self[256];

static void test_fork_wait(void)
{
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        _exit(getppid() > 0 ? 42 : 1);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    CHECK_ERRNO(wait(&status), ECHILD);
    CHECK_ERRNO(waitpid(-1, &status, 0x7000), EINVAL);
}

static void test_many_children(void)
{
    int sum = 0, status;

    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0)
            _exit(i);
    }
    for (int i = 0; i < 40; i++) {
        CHECK(wait(&status) > 0 && WIFEXITED(status));
        sum += WEXITSTATUS(status);
    }
    CHECK(sum == 39 * 40 / 2);
}

static void test_nohang(void)
{
    int status, p[2];
    char c;
    pid_t pid;

    CHECK(pipe(p) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(p[1]);
        _exit(read(p[0], &c, 1) == 0 ? 5 : 6);
    }
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    close(p[0]);
    close(p[1]);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
}

static void test_killed(void)
{
    int status;
    pid_t pid = fork();
    siginfo_t info;

    CHECK(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    CHECK(kill(pid, SIGTERM) == 0);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGTERM);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK_ERRNO(kill(pid, 0), ESRCH);
    pid = fork();
    if (pid == 0)
        for (;;) /* does not enter the kernel by itself */
            ;
    usleep(5000);
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
}

static int wait_exit(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_exec(void)
{
    char *args[] = {self, "echo", "one", "two words", NULL}, *env[] = {"KEY=value", NULL};
    char text[64] = {0};
    int p[2], n = 0;
    pid_t pid;

    CHECK(pipe(p) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(p[1], 1);
        close(p[0]), close(p[1]);
        execve(self, args, env);
        _exit(99);
    }
    close(p[1]);
    while (n < 63) {
        ssize_t got = read(p[0], text + n, (size_t)(63 - n));

        CHECK(got >= 0);
        if (got == 0)
            break;
        n += (int)got;
    }
    close(p[0]);
    CHECK(wait_exit(pid) == 17);
    CHECK(strcmp(text, "one|two words|value") == 0);
}

static void test_exec_errors(void)
{
    char *args[] = {"x", NULL};
    int fd;

    CHECK_ERRNO(execve("/none/such", args, environ), ENOENT);
    CHECK_ERRNO(execve("/tmp", args, environ), EACCES);
    fd = open("/tmp/t_process.bad", O_CREAT | O_WRONLY | O_TRUNC, 0700);
    CHECK(fd >= 0 && write(fd,
                           "\177ELF garbage that is long enough to hold a header "
                           "....................................",
                           80) == 80);
    close(fd);
    CHECK_ERRNO(execve("/tmp/t_process.bad", args, environ), ENOEXEC);
    CHECK(chmod("/tmp/t_process.bad", 0600) == 0);
    CHECK_ERRNO(execve("/tmp/t_process.bad", args, environ), EACCES);
    CHECK(unlink("/tmp/t_process.bad") == 0);
    CHECK_ERRNO(execve(self, bad_address(), environ), EFAULT);
}

static void test_script(void)
{
    char *args[] = {"ignored", "more", NULL}, line[300];
    int fd = open("/tmp/t_process.sh", O_CREAT | O_WRONLY | O_TRUNC, 0700);
    pid_t pid;
    int n;

    n = snprintf(line, sizeof(line), "#! %s  script arg \n", self);
    CHECK(fd >= 0 && write(fd, line, (size_t)n) == n);
    close(fd);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execve("/tmp/t_process.sh", args, environ);
        _exit(99);
    }
    CHECK(wait_exit(pid) == 23);
    unlink("/tmp/t_process.sh");
}

static void test_close_on_exec(void)
{
    char keep[8], drop[8], *args[] = {self, "fds", keep, drop, NULL};
    int kept = open("/dev/null", O_RDONLY), dropped = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid;

    CHECK(kept >= 0 && dropped >= 0);
    snprintf(keep, sizeof(keep), "%d", kept);
    snprintf(drop, sizeof(drop), "%d", dropped);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execve(self, args, environ);
        _exit(99);
    }
    CHECK(wait_exit(pid) == 0);
    close(kept), close(dropped);
}

static void test_vfork(void)
{
    char *args[] = {self, "exit", "7", NULL};
    volatile int shared = 1;
    pid_t pid = vfork();

    if (pid == 0) {
        shared = 2;
        execve(self, args, environ);
        _exit(99);
    }
    CHECK(pid > 0 && shared == 2);
    CHECK(wait_exit(pid) == 7);
}

static void test_spawn(void)
{
    char *args[] = {self, "exit", "11", NULL};
    pid_t pid;

    for (int i = 0; i < 10; i++) {
        CHECK(posix_spawn(&pid, self, NULL, NULL, args, environ) == 0);
        CHECK(wait_exit(pid) == 11);
    }
    CHECK(posix_spawn(&pid, "/none", NULL, NULL, args, environ) == ENOENT);
}

static void *exec_from_thread(void *arg)
{
    execve(self, arg, environ);
    return NULL;
}

static void *wait_forever(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void test_exec_from_thread(void)
{
    char number[16], *args[] = {self, "pid", number, NULL};
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        pthread_t threads[3];

        snprintf(number, sizeof(number), "%d", getpid());
        pthread_create(&threads[0], NULL, wait_forever, NULL);
        pthread_create(&threads[1], NULL, wait_forever, NULL);
        pthread_create(&threads[2], NULL, exec_from_thread, args);
        pthread_join(threads[2], NULL);
        _exit(99);
    }
    CHECK(wait_exit(pid) == 0);
}

static void *exit_now(void *arg)
{
    exit((int)(intptr_t)arg);
}

static void test_exit_from_thread(void)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        pthread_t threads[2];

        fclose(stdout);
        pthread_create(&threads[0], NULL, wait_forever, NULL);
        pthread_create(&threads[1], NULL, exit_now, (void *)31);
        for (;;)
            pause();
    }
    CHECK(wait_exit(pid) == 31);
    pid = fork();
    if (pid == 0) {
        pthread_t thread;

        /* the first thread leaves, the process lives on in the other */
        fclose(stdout);
        pthread_create(&thread, NULL, exit_now, (void *)32);
        syscall(SYS_exit, 1);
    }
    CHECK(wait_exit(pid) == 32);
}

static void test_orphan(void)
{
    int p[2];
    char c;
    pid_t pid;

    CHECK(pipe(p) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        pid_t middle = getpid();

        if (fork() == 0) {
            while (getppid() == middle)
                usleep(1000);
            _exit(write(p[1], "o", 1) == 1 ? 0 : 1);
        }
        _exit(0);
    }
    CHECK(wait_exit(pid) == 0);
    close(p[1]);
    CHECK(read(p[0], &c, 1) == 1 && c == 'o');
    CHECK(read(p[0], &c, 1) == 0);
    close(p[0]);
}

static volatile sig_atomic_t ends_heard;

static void on_end(int signal)
{
    (void)signal;
    ends_heard++;
}

/* A child that tells nobody of its end. */
static pid_t make_silent(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
}

/* Leaves a silent child behind: one that has ended, or one that lives until the pipe closes. */
static void leave_silent(bool ended, const int hold[2])
{
    siginfo_t info;
    pid_t pid = make_silent();
    char byte;

    if (pid == 0) {
        close(hold[1]);
        _exit(ended || read(hold[0], &byte, 1) == 0 ? 7 : 8);
    }
    if (ended && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | __WALL) != 0)
        _exit(1);
    _exit(pid > 0 ? 0 : 1);
}

/* A child whose end is told by no SIGCHLD is waited for by those alone who say so. */
static void test_silent(void)
{
    pid_t pid = make_silent();
    int status;

    if (pid == 0)
        _exit(5);
    CHECK(pid > 0);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    CHECK_ERRNO(waitpid(pid, &status, WNOHANG), ECHILD);
    CHECK(waitpid(pid, &status, __WCLONE) == pid && WEXITSTATUS(status) == 5);
    pid = make_silent();
    if (pid == 0)
        _exit(6);
    CHECK(waitpid(pid, &status, __WALL | __WNOTHREAD) == pid && WEXITSTATUS(status) == 6);
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_ERRNO(waitpid(pid, &status, __WCLONE), ECHILD);
    CHECK(waitpid(pid, &status, 0) == pid);
}

/* Whoever inherits a child hears of its end, whatever had been agreed with its parent. */
static void test_heir(void)
{
    struct sigaction heard = {.sa_handler = on_end, .sa_flags = SA_RESTART}, old;

    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && sigaction(SIGCHLD, &heard, &old) == 0);
    for (int ended = 0; ended < 2; ended++) {
        int hold[2], status;
        pid_t child;

        ends_heard = 0;
        CHECK(pipe(hold) == 0);
        child = fork();
        if (child == 0)
            leave_silent(ended, hold);
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        close(hold[0]);
        close(hold[1]);
        child = waitpid(-1, &status, 0);
        CHECK(child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 7 && ends_heard >= 1);
        CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
    }
    CHECK(sigaction(SIGCHLD, &old, NULL) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

static void test_groups(void)
{
    int p[2], status;
    char c;
    pid_t pid;

    CHECK(getpgrp() == getpgid(0) && getpgid(getpid()) == getpgrp());
    CHECK(pipe(p) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(p[1]);
        if (setsid() != getpid() || getsid(0) != getpid() || getpgrp() != getpid())
            _exit(1);
        if (setsid() != -1 || errno != EPERM)
            _exit(2);
        _exit(read(p[0], &c, 1) == 1 ? 0 : 3);
    }
    CHECK(write(p[1], "x", 1) == 1);
    CHECK(wait_exit(pid) == 0);
    close(p[0]), close(p[1]);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    CHECK(setpgid(pid, pid) == 0 && getpgid(pid) == pid);
    CHECK(kill(-pid, SIGUSR1) == 0);
    CHECK(waitpid(-pid, &status, 0) == pid && WTERMSIG(status) == SIGUSR1);
}

static void test_stop(void)
{
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    CHECK(kill(pid, SIGSTOP) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(kill(pid, SIGCONT) == 0);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    CHECK(kill(pid, SIGSTOP) == 0 && kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
}

static void test_pipeline(void)
{
    int a[2], b[2];
    long total = 0;
    pid_t writer, filter;

    CHECK(pipe(a) == 0 && pipe(b) == 0);
    writer = fork();
    CHECK(writer >= 0);
    if (writer == 0) {
        static char block[10000];

        close(a[0]), close(b[0]), close(b[1]);
        for (int i = 0; i < 100; i++) {
            if (write(a[1], block, sizeof(block)) != sizeof(block))
                _exit(1);
        }
        _exit(0);
    }
    filter = fork();
    if (filter == 0) {
        static char block[3000];
        ssize_t n;

        close(a[1]), close(b[0]);
        while ((n = read(a[0], block, sizeof(block))) > 0) {
            if (write(b[1], block, (size_t)n) != n)
                _exit(1);
        }
        _exit(n == 0 ? 0 : 2);
    }
    close(a[0]), close(a[1]), close(b[1]);
    for (;;) {
        static char block[7000];
        ssize_t n = read(b[0], block, sizeof(block));

        CHECK(n >= 0);
        if (n == 0)
            break;
        total += n;
    }
    close(b[0]);
    CHECK(total == 1000000);
    CHECK(wait_exit(writer) == 0 && wait_exit(filter) == 0);
}

static void test_limits(void)
{
    struct rlimit old, fresh;

    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0 && old.rlim_cur > 16);
    fresh = (struct rlimit){16, old.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &fresh) == 0);
    CHECK_ERRNO(dup2(1, 20), EBADF);
    CHECK_ERRNO(fcntl(1, F_DUPFD, 20), EINVAL);
    for (int i = 0; i < 20; i++)
        fresh.rlim_cur = dup(1) < 0 ? 0 : 1;
    CHECK(fresh.rlim_cur == 0 && errno == EMFILE);
    for (int i = 3; i < 16; i++)
        close(i);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    fresh = (struct rlimit){5, 4};
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &fresh), EINVAL);
    CHECK_ERRNO(getrlimit(99, &old), EINVAL);
}

static void test_time(void)
{
    struct timespec a, b, nap = {0, 20000000};
    struct timeval day;
    struct tms t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &a) == 0);
    CHECK(nanosleep(&nap, NULL) == 0);
    CHECK(clock_gettime(CLOCK_MONOTONIC, &b) == 0);
    CHECK((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 20000000);
    CHECK(gettimeofday(&day, NULL) == 0 && day.tv_sec > 1600000000);
    CHECK(labs(time(NULL) - day.tv_sec) <= 600);
    CHECK_ERRNO(clock_gettime(1234, &a), EINVAL);
    nap.tv_nsec = 1000000000;
    CHECK_ERRNO(nanosleep(&nap, NULL), EINVAL);
    CHECK(times(&t) != (clock_t)-1);
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a) == 0);
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a) == 0);
}

static void test_machine(void)
{
    unsigned char bytes[32] = {0};
    struct utsname name;
    struct rusage usage;
    struct sysinfo info;
    char title[16];
    int sum = 0, before, after;

    CHECK(uname(&name) == 0 && strcmp(name.sysname, "Linux") == 0);
    CHECK(strcmp(name.machine, "x86_64") == 0);
    CHECK(sysinfo(&info) == 0 && info.totalram > 0);
    CHECK(getrandom(bytes, sizeof(bytes), 0) == 32);
    for (int i = 0; i < 32; i++)
        sum |= bytes[i];
    CHECK(sum != 0);
    CHECK_ERRNO(getrandom(bytes, 1, 0x1000), EINVAL);
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    CHECK(prctl(PR_SET_NAME, "a-name-longer-than-fits") == 0);
    CHECK(prctl(PR_GET_NAME, title) == 0 && strcmp(title, "a-name-longer-t") == 0);
    before = getpriority(PRIO_PROCESS, 0);
    after = before > 14 ? 19 : before + 5;
    errno = 0;
    CHECK(nice(5) == after && errno == 0);
    CHECK(getpriority(PRIO_PROCESS, 0) == after);
    CHECK(syscall(9999) == -1 && errno == ENOSYS);
}

/* What the program does when it is run again. */
static int run_again(int argc, char **argv)
{
    if (strcmp(argv[1], "echo") == 0) {
        printf("%s|%s|%s", argv[2], argv[3], getenv("KEY"));
        return argc == 4 ? 17 : 18;
    }
    if (strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    if (strcmp(argv[1], "pid") == 0)
        return atoi(argv[2]) == getpid() && syscall(SYS_gettid) == getpid() ? 0 : 1;
    if (strcmp(argv[1], "fds") == 0)
        return fcntl(atoi(argv[2]), F_GETFD) == 0 && fcntl(atoi(argv[3]), F_GETFD) == -1 ? 0 : 1;
    if (strcmp(argv[1], "script arg") == 0)
        return argc == 4 && strcmp(argv[2], "/tmp/t_process.sh") == 0 &&
                       strcmp(argv[3], "more") == 0
                   ? 23
                   : 24;
    return -1;
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"fork_wait", test_fork_wait},
        {"many_children", test_many_children},
        {"nohang", test_nohang},
        {"killed", test_killed},
        {"exec", test_exec},
        {"exec_errors", test_exec_errors},
        {"script", test_script},
        {"close_on_exec", test_close_on_exec},
        {"vfork", test_vfork},
        {"spawn", test_spawn},
        {"exec_from_thread", test_exec_from_thread},
        {"exit_from_thread", test_exit_from_thread},
        {"silent", test_silent},
        {"heir", test_heir}, /* before there are orphans that are nobody else's */
        {"orphan", test_orphan},
        {"groups", test_groups},
        {"stop", test_stop},
        {"pipeline", test_pipeline},
        {"limits", test_limits},
        {"time", test_time},
        {"machine", test_machine},
    };
    int again = argc > 2 ? run_again(argc, argv) : -1;
    ssize_t n;

    if (again >= 0)
        return again;
    n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0) {
        printf("FAIL setup: cannot find the program itself\n");
        return 1;
    }
    return RUN_TESTS(tests, argc, argv);
}
