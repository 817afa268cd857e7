/*
 * work.c: hostile_work lost|lives|any: a program that uses /dev/malv0 with all its calls, whatever the device does:
 * each call comes back in time and with an errno that uapi/malv.h knows; processes are killed in the middle of it;
 * nothing is alive afterwards; and the machine goes on. In the end the device is lost, or lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/gpucmd/gpucmd.h"
#include "uapi/malv.h"

#define CALL_S   25 /* 10 s and what docs/gpu-in-the-kernel.md adds, on a busy host; gpu.patience is 2 s here */
#define WAIT_NS  2000000000ull
#define FIGURES  "/sys/kernel/malv/gpu"
#define KILLS    6
#define SETTLE_S 40

static unsigned calls, errors, wrongs;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wrong(const char *what, double value)
{
    printf("FAIL hostile_work: %s (%g)\n", what, value);
    wrongs++;
}

/* What the header says, and what opening a file may add. */
static bool errno_known(int e)
{
    static const int known[] = {EINVAL, ENOENT, ENOSPC, ENOMEM, E2BIG, ENODEV, EIO, ETIME, ENOEXEC, ETIMEDOUT, EOPNOTSUPP};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (e == known[i])
            return true;
    return false;
}

static int came(const char *what, int r, double began)
{
    calls++;
    errors += r < 0;
    if (now() - began > CALL_S)
        wrong(what, now() - began);
    if (r < 0 && !errno_known(errno))
        wrong(what, errno);
    return r;
}

#define CALL(fd, request, argument) came(#request, ioctl(fd, request, argument), now())

static uint64_t submit(int fd, uint32_t queue, uint32_t buffer)
{
    uint64_t room[16];
    struct gpucmd c;
    struct malv_submit s = {.commands = (uintptr_t)room, .queue = queue};

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_fill(&c, buffer, 0, 64, "", 1);
    s.command_bytes = c.used;
    return CALL(fd, MALV_IOC_SUBMIT, &s) == 0 ? s.fence : 0;
}

static void await(int fd, uint32_t queue, uint64_t fence)
{
    struct malv_wait wait = {.fence = fence, .timeout_ns = WAIT_NS, .queue = queue};

    if (fence)
        CALL(fd, MALV_IOC_WAIT, &wait);
}

static void program(int fd)
{
    char log[64], info[64];
    struct malv_program_create p = {.source = (uintptr_t)"k", .log = (uintptr_t)log, .source_bytes = 1, .log_bytes = 64,
                                    .kind = VGPGPU_PROGRAM_OPENCL_C};
    struct malv_kernel_create k = {.name = "k"};
    struct malv_query q = {.address = (uintptr_t)info, .bytes = sizeof(info), .what = VGPGPU_QUERY_KERNEL};
    struct malv_destroy d = {.kind = MALV_KERNEL};

    if (CALL(fd, MALV_IOC_PROGRAM_CREATE, &p) < 0)
        return;
    k.program = p.program;
    if (CALL(fd, MALV_IOC_KERNEL_CREATE, &k) < 0)
        return;
    q.object = d.object = k.kernel;
    CALL(fd, MALV_IOC_QUERY, &q);
    if (q.bytes > sizeof(info))
        wrong("more than there is room for", q.bytes);
    CALL(fd, MALV_IOC_DESTROY, &d);
}

static void poll_fence(int fd, uint32_t buffer)
{
    struct malv_notify n = {.queue = 9, .fence = submit(fd, 9, buffer)};
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (n.fence && CALL(fd, MALV_IOC_NOTIFY, &n) == 0)
        poll(&p, 1, 1500);
}

/* Everything once. False: there is no device. */
static bool session(void)
{
    static const uint32_t flags[] = {VGPGPU_BUFFER_GUEST, VGPGPU_BUFFER_DEVICE, MALV_BUFFER_MANAGED};
    double began = now();
    struct malv_buffer_create buffers[3];
    struct malv_limit limit = {.time_ms = 5000};
    struct malv_sub_buffer sub = {.offset = 64, .size = 64};
    struct malv_destroy d = {.kind = MALV_BUFFER};
    void *mapped = MAP_FAILED;
    struct malv_info info;
    int fd = came("open", open(MALV_DEVICE_PATH, O_RDWR | O_CLOEXEC), began);

    if (fd < 0)
        return false;
    CALL(fd, MALV_IOC_INFO, &info);
    CALL(fd, MALV_IOC_LIMIT, &limit);
    for (unsigned i = 0; i < 2; i++) {
        buffers[i] = (struct malv_buffer_create){.size = 8192, .flags = flags[i]};
        CALL(fd, MALV_IOC_BUFFER_CREATE, &buffers[i]);
        for (unsigned j = 0; j < 4; j++)
            await(fd, j % 2, submit(fd, j % 2, buffers[i].buffer));
    }
    if (buffers[0].mmap_offset)
        mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)buffers[0].mmap_offset);
    sub.buffer = buffers[0].buffer;
    CALL(fd, MALV_IOC_SUB_BUFFER, &sub);
    program(fd);
    poll_fence(fd, buffers[0].buffer);
    buffers[2] = (struct malv_buffer_create){.size = 8192, .flags = flags[2]};
    CALL(fd, MALV_IOC_BUFFER_CREATE, &buffers[2]);
    await(fd, 3, submit(fd, 3, buffers[2].buffer));
    d.object = buffers[1].buffer;
    CALL(fd, MALV_IOC_DESTROY, &d);
    began = now();
    came("close", close(fd), began);
    if (mapped != MAP_FAILED)
        munmap(mapped, 8192);
    return true;
}

/* ---- Deaths and leftovers ---------------------------------------------------------------------- */

static void killed(unsigned n)
{
    struct timespec t = {.tv_nsec = (long)n * 3000000};
    double began = now();
    pid_t child = fork();
    int status;

    if (child == 0)
        for (;;)
            session();
    nanosleep(&t, NULL);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    if (now() - began > CALL_S)
        wrong("a killed process ends late", now() - began);
}

/* All that is alive; batches that the device has not given back are its own affair when it is silent about them. */
static unsigned long long alive(void)
{
    static const char *const names[] = {"contexts", "buffers", "programs", "kernels", "memory", "managed", "resident"};
    unsigned long long sum = 0, value;
    FILE *file = fopen(FIGURES, "r");
    char name[32];

    while (file && fscanf(file, "%31s %llu", name, &value) == 2)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (!strcmp(name, names[i]))
                sum += value;
    if (file)
        fclose(file);
    return sum;
}

static void alive_check(void)
{
    const struct timespec t = {.tv_nsec = 10000000};

    for (unsigned i = 0; alive() && i < SETTLE_S * 100; i++)
        nanosleep(&t, NULL);
    if (alive())
        wrong("left over", (double)alive());
}

/* The other programs of the machine. */
static void others_check(void)
{
    for (unsigned i = 0; i < 4; i++) {
        int status = -1;
        pid_t child = fork();

        if (child == 0)
            _exit(40 + (int)i);
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 40 + (int)i)
            wrong("a program goes on", status);
    }
}

int main(int argc, char **argv)
{
    const char *expected = argc > 1 ? argv[1] : "any";
    int fd;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("working\n");
    for (unsigned i = 0; i < 2 && session(); i++)
        ;
    for (unsigned i = 0; i < KILLS; i++)
        killed(i);
    alive_check();
    others_check();
    fd = open(MALV_DEVICE_PATH, O_RDWR);
    if (!strcmp(expected, "lost") && (fd >= 0 || errno != ENODEV))
        wrong("the device is lost", errno);
    if (!strcmp(expected, "lives") && fd < 0)
        wrong("the device lives", errno);
    if (!wrongs)
        printf("ok hostile_work: %u calls, %u errors\n", calls, errors);
    return wrongs > 0;
}
