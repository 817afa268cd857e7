/*
 * t_limits.c: what setrlimit() limits: the size of files, CPU time, data, locked memory. Each case sets
 * its limits in a process of its own.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/vm/guest/check.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define KIB 1024ul
#define MIB (1024ul * 1024)

static volatile sig_atomic_t heard;

static void hear(int number)
{
    (void)number;
    heard++;
}

static int limit(int which, rlim_t current, rlim_t maximum)
{
    struct rlimit l = {current, maximum};

    return setrlimit(which, &l);
}

/* The line at which a step of a child fails becomes its status, 0: none does. */
#define STEP(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)
#define STEP_ERRNO(call, number) STEP((long)(call) == -1 && errno == (number))

/* The status of a child that runs fn; its line goes through a pipe. */
static int status_of(int (*fn)(void), int *line)
{
    int status, ends[2];
    pid_t pid;

    *line = 0;
    if (pipe(ends) != 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        int r = fn();

        if (write(ends[1], &r, sizeof(r)) != sizeof(r))
            r = 1;
        _exit(r != 0);
    }
    close(ends[1]);
    if (read(ends[0], line, sizeof(*line)) != sizeof(*line))
        *line = -1;
    close(ends[0]);
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void check_child(int (*fn)(void))
{
    int line, status = status_of(fn, &line);

    if (status != 0)
        printf("# the child ended with status %x at line %d\n", (unsigned)status, line);
    CHECK(status == 0);
}

static int open_file(void)
{
    char name[] = "/tmp/t_limits.XXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    return fd;
}

/* ---- The size of files ---- */

static int file_size(void)
{
    static char bytes[2000];
    int fd = open_file(), ends[2], big;

    STEP(fd >= 0 && pipe(ends) == 0 && signal(SIGXFSZ, hear) != SIG_ERR);
    big = open_file();
    STEP(big >= 0 && ftruncate(big, 4000) == 0);
    STEP(limit(RLIMIT_FSIZE, 1000, RLIM_INFINITY) == 0);
    STEP(write(fd, bytes, 600) == 600 && write(fd, bytes, 600) == 400 && heard == 0);
    STEP_ERRNO(write(fd, bytes, 1), EFBIG);
    STEP(heard == 1 && write(fd, bytes, 0) == 0 && heard == 1);
    STEP(pwrite(fd, bytes, 200, 900) == 100);
    STEP_ERRNO(pwrite(fd, bytes, 200, 1000), EFBIG);
    STEP_ERRNO(ftruncate(fd, 1001), EFBIG);
    STEP_ERRNO(fallocate(fd, 0, 0, 1500), EFBIG);
    STEP(heard == 4);
    STEP(ftruncate(fd, 999) == 0 && ftruncate(fd, 1000) == 0 && ftruncate(big, 3000) == 0);
    STEP(fcntl(fd, F_SETFL, O_APPEND) == 0 && ftruncate(fd, 990) == 0);
    STEP(write(fd, bytes, 20) == 10);
    STEP_ERRNO(write(fd, bytes, 20), EFBIG);
    STEP(lseek(fd, 0, SEEK_END) == 1000 && heard == 5);
    STEP(write(ends[1], bytes, sizeof(bytes)) == sizeof(bytes));
    return 0;
}

static void test_file_size(void)
{
    check_child(file_size);
}

static int too_much(void)
{
    int fd = open_file();

    STEP(fd >= 0 && limit(RLIMIT_FSIZE, 10, 10) == 0);
    signal(SIGXFSZ, SIG_DFL);
    STEP(write(fd, "0123456789", 10) == 10);
    write(fd, "x", 1);
    return __LINE__;
}

static void test_file_size_end(void)
{
    int line, status = status_of(too_much, &line);

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

static int ignored(void)
{
    int fd = open_file();

    STEP(fd >= 0 && limit(RLIMIT_FSIZE, 10, 10) == 0);
    signal(SIGXFSZ, SIG_IGN);
    STEP_ERRNO(ftruncate(fd, 11), EFBIG);
    return 0;
}

static void test_file_size_ignored(void)
{
    check_child(ignored);
}

/* ---- CPU time ---- */

static volatile unsigned long turns;

static void work_until(time_t seconds)
{
    struct timespec t;

    do {
        for (int i = 0; i < 100000; i++)
            turns++;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    } while (t.tv_sec < seconds);
}

static int use_cpu(void)
{
    struct rlimit l;

    STEP(signal(SIGXCPU, hear) != SIG_ERR && limit(RLIMIT_CPU, 1, 20) == 0);
    while (!heard)
        work_until(0);
    STEP(getrlimit(RLIMIT_CPU, &l) == 0 && l.rlim_cur == 2 && l.rlim_max == 20);
    STEP(limit(RLIMIT_CPU, 2, 2) == 0);
    work_until(20);
    return __LINE__;
}

static void test_cpu(void)
{
    int line, status = status_of(use_cpu, &line);

    if (!WIFSIGNALED(status))
        printf("# status %x at line %d\n", (unsigned)status, line);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int inherited_cpu(void)
{
    STEP(limit(RLIMIT_CPU, 1, 1) == 0);
    signal(SIGXCPU, SIG_DFL);
    if (fork() == 0) {
        work_until(30);
        _exit(0);
    }
    for (int status;;) {
        STEP(wait(&status) > 0);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : __LINE__;
    }
}

static void test_cpu_inherited(void)
{
    check_child(inherited_cpu);
}

static int soft_cpu(void)
{
    STEP(limit(RLIMIT_CPU, 1, 30) == 0);
    signal(SIGXCPU, SIG_DFL);
    work_until(30);
    return __LINE__;
}

static void test_cpu_end(void)
{
    int line, status = status_of(soft_cpu, &line);

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
}

/* ---- Data ---- */

static void *map(size_t size, int prot, int flags)
{
    return mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0);
}

static int data(void)
{
    const int both = PROT_READ | PROT_WRITE;
    char *at, *heap = sbrk(0);

    STEP(limit(RLIMIT_DATA, 32 * MIB, RLIM_INFINITY) == 0);
    STEP_ERRNO(map(64 * MIB, both, MAP_PRIVATE), ENOMEM);
    STEP_ERRNO(map(64 * MIB, both, MAP_PRIVATE | MAP_NORESERVE), ENOMEM);
    STEP_ERRNO(sbrk(64 * MIB), ENOMEM);
    STEP(sbrk(0) == heap);
    at = map(64 * MIB, PROT_READ, MAP_PRIVATE);
    STEP(at != MAP_FAILED);
    STEP_ERRNO(mprotect(at, 64 * MIB, both), ENOMEM);
    STEP(mprotect(at, MIB, both) == 0);
    at = map(16 * MIB, both, MAP_PRIVATE);
    STEP(at != MAP_FAILED);
    STEP_ERRNO(mremap(at, 16 * MIB, 40 * MIB, MREMAP_MAYMOVE), ENOMEM);
    STEP_ERRNO(map(16 * MIB, both, MAP_PRIVATE), ENOMEM);
    STEP(munmap(at, 16 * MIB) == 0);
    STEP(map(16 * MIB, both, MAP_PRIVATE) != MAP_FAILED);
    STEP(map(64 * MIB, both, MAP_SHARED) != MAP_FAILED);
    return 0;
}

static void test_data(void)
{
    check_child(data);
}

/* ---- Locked memory ---- */

static long locked_kib(void)
{
    char line[200];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "VmLck: %ld", &kib);
    if (f)
        fclose(f);
    return kib;
}

static int locked(void)
{
    char *at = map(256 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    int status;

    STEP(at != MAP_FAILED && setuid(1000) == 0);
    STEP(limit(RLIMIT_MEMLOCK, 64 * KIB, 64 * KIB) == 0);
    STEP(mlock(at, 32 * KIB) == 0 && locked_kib() == 32);
    STEP(mlock(at, 64 * KIB) == 0 && locked_kib() == 64);
    STEP_ERRNO(mlock(at + 64 * KIB, 1), ENOMEM);
    STEP_ERRNO(mlockall(MCL_CURRENT), ENOMEM);
    STEP_ERRNO(map(4 * KIB, PROT_READ, MAP_PRIVATE | MAP_LOCKED), EAGAIN);
    STEP_ERRNO(madvise(at, 4 * KIB, MADV_DONTNEED), EINVAL);
    at[0] = 1;
    if (madvise(at, 4 * KIB, MADV_DONTNEED_LOCKED) == 0)
        STEP(at[0] == 0);
    STEP(munlock(at + 4 * KIB, 8 * KIB) == 0 && locked_kib() == 56);
    STEP(madvise(at + 4 * KIB, 4 * KIB, MADV_DONTNEED) == 0);
    STEP(syscall(SYS_mlock2, at + 4 * KIB, 4 * KIB, 1) == 0 && locked_kib() == 60);
    STEP_ERRNO(syscall(SYS_mlock2, at + 4 * KIB, 4 * KIB, 2), EINVAL);
    if (fork() == 0)
        _exit(locked_kib() == 0 ? 0 : 1);
    STEP(wait(&status) > 0 && status == 0);
    STEP(munmap(at, 16 * KIB) == 0 && locked_kib() == 48);
    STEP(munlockall() == 0 && locked_kib() == 0);
    STEP(mlockall(MCL_FUTURE) == 0 && map(8 * KIB, PROT_READ, MAP_PRIVATE) != MAP_FAILED);
    STEP(locked_kib() == 8);
    STEP_ERRNO(map(128 * KIB, PROT_READ, MAP_PRIVATE), EAGAIN);
    STEP(munlockall() == 0 && limit(RLIMIT_MEMLOCK, 0, 0) == 0);
    STEP_ERRNO(mlock(at + 32 * KIB, 1), EPERM);
    STEP_ERRNO(mlockall(MCL_FUTURE), EPERM);
    STEP_ERRNO(map(4 * KIB, PROT_READ, MAP_PRIVATE | MAP_LOCKED), EPERM);
    STEP_ERRNO(mlockall(0), EINVAL);
    STEP_ERRNO(mlockall(8), EINVAL);
    STEP_ERRNO(mlockall(4), EINVAL);
    return 0;
}

static void test_locked(void)
{
    check_child(locked);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"file_size", test_file_size},
        {"file_size_end", test_file_size_end},
        {"file_size_ignored", test_file_size_ignored},
        {"cpu", test_cpu},
        {"cpu_inherited", test_cpu_inherited},
        {"cpu_end", test_cpu_end},
        {"data", test_data},
        {"locked", test_locked},
    };

    return RUN_TESTS(tests, argc, argv);
}
