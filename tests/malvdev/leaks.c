/*
 * leaks.c: cases that count what is alive on the GPU before and after: a process that is killed at any moment of its
 * work, memory of the device and of the machine that runs out.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "malvdev_test.h"

#define FIGURES   "/sys/kernel/malv/gpu"
#define SETTLE_MS 10000
#define KILLS     24
#define MIB       (1ul << 20)
#define MANY      4096

static void sleep_us(long us)
{
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    nanosleep(&time, NULL);
}

struct alive alive_now(void)
{
    struct alive now = {0};
    FILE *file = fopen(FIGURES, "r");
    unsigned long long value;
    char name[32];

    CHECK(file != NULL);
    while (file && fscanf(file, "%31s %llu", name, &value) == 2) {
        if (!strcmp(name, "contexts"))
            now.contexts = value;
        else if (!strcmp(name, "buffers"))
            now.buffers = value;
        else if (!strcmp(name, "programs"))
            now.programs = value;
        else if (!strcmp(name, "kernels"))
            now.kernels = value;
        else if (!strcmp(name, "memory"))
            now.memory = value;
        else if (!strcmp(name, "batches"))
            now.batches = value;
        else if (!strcmp(name, "managed"))
            now.managed = value;
        else if (!strcmp(name, "resident"))
            now.resident = value;
    }
    if (file)
        fclose(file);
    return now;
}

void alive_check(const struct alive *before)
{
    struct alive now = alive_now();

    for (unsigned ms = 0; ms < SETTLE_MS && memcmp(&now, before, sizeof(now)) != 0; ms++) {
        sleep_us(1000);
        now = alive_now();
    }
    CHECK(now.contexts == before->contexts);
    CHECK(now.buffers == before->buffers);
    CHECK(now.programs == before->programs);
    CHECK(now.kernels == before->kernels);
    CHECK(now.memory == before->memory);
    CHECK(now.batches == before->batches);
    CHECK(now.managed == before->managed && now.resident == before->resident);
}

/* One of a program's threads: it submits, waits asleep and awake, makes buffers and destroys them, for ever. */
static void *work_for_ever(void *arg)
{
    int fd = *(int *)arg;
    uint32_t kept = buffer_create(fd, 64 * 4096, VGPGPU_BUFFER_GUEST, NULL);
    uint32_t kernel = kernel_build(fd, spin_source, "spin");

    for (uint32_t i = 0;; i++) {
        struct malv_destroy destroy = {.kind = MALV_BUFFER};
        uint64_t offset, fence;

        destroy.object = buffer_create(fd, 8 * 4096, VGPGPU_BUFFER_GUEST, &offset);
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
        fence = fill_submit(fd, i % 64, destroy.object, i);
        launch_submit(fd, kernel, kept, i % 3 * 200000, 1);
        if (i % 2)
            fence_wait(fd, i % 64, fence, UINT64_MAX);
        if (i % 4)
            ioctl(fd, MALV_IOC_DESTROY, &destroy);
    }
    return NULL;
}

static void child_work(void)
{
    pthread_t threads[3];
    int fd = device_open();

    for (unsigned i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work_for_ever, &fd);
    work_for_ever(&fd);
}

/* From the first call on to long after the program has been built. */
void case_killed_at_any_moment(void)
{
    struct alive before = alive_now();
    int status;

    for (long i = 0; i < KILLS; i++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0)
            child_work();
        sleep_us(i < KILLS / 2 ? i * 1500 : i * i * 400);
        CHECK(kill(child, SIGKILL) == 0);
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    }
    alive_check(&before);
}

/* Takes buffers until one is refused with ENOMEM, gives one back, and takes it again. */
static void buffers_until_full(uint64_t size, uint32_t flags)
{
    struct malv_buffer_create create = {.size = size, .flags = flags};
    struct malv_destroy destroy = {.kind = MALV_BUFFER};
    struct alive before = alive_now();
    int fd = device_open();
    unsigned count = 0;

    while (count < MANY && ioctl(fd, MALV_IOC_BUFFER_CREATE, &create) == 0) {
        destroy.object = create.buffer;
        count++;
    }
    CHECK(count > 0 && count < MANY && errno == ENOMEM);
    CHECK(alive_now().buffers == before.buffers + count);
    CHECK(ioctl(fd, MALV_IOC_DESTROY, &destroy) == 0);
    CHECK(ioctl(fd, MALV_IOC_BUFFER_CREATE, &create) == 0);
    CHECK(fence_wait(fd, 5, fill_submit(fd, 5, create.buffer, 1), UINT64_MAX) == 0);
    close(fd);
    alive_check(&before);
}

void case_device_memory_runs_out(void)
{
    struct malv_info info;
    int fd = device_open();

    CHECK(ioctl(fd, MALV_IOC_INFO, &info) == 0);
    close(fd);
    /* Not so large that two of them are all, nor so small that the numbers run out first. */
    buffers_until_full(info.config.global_memory / 20, VGPGPU_BUFFER_DEVICE);
}

void case_machine_memory_runs_out(void)
{
    buffers_until_full(16 * MIB, VGPGPU_BUFFER_GUEST);
}
