/*
 * processes.c: cases about contexts of several files and processes, and what a death leaves behind.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "malvdev_test.h"

#define SLACK_BYTES (1ul << 20) /* per-CPU caches of the kernel */
#define FILES_MAX   1024

static uint64_t memory_free(void)
{
    FILE *f = fopen("/sys/kernel/mlaas/memory", "r");
    unsigned long long bytes = 0;
    char line[100];

    CHECK(f != NULL);
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "free %llu", &bytes);
    if (f)
        fclose(f);
    return bytes;
}

void case_contexts(void)
{
    static int files[FILES_MAX];
    struct malv_info info;
    unsigned opened = 0;

    files[0] = device_open();
    CHECK(ioctl(files[0], MALV_IOC_INFO, &info) == 0);
    for (opened = 1; opened < FILES_MAX; opened++) {
        files[opened] = open(MALV_DEVICE_PATH, O_RDWR);
        if (files[opened] < 0)
            break;
    }
    CHECK(opened == FILES_MAX || errno == ENOSPC || errno == EMFILE);
    CHECK(opened <= info.config.max_contexts);
    while (opened)
        close(files[--opened]);
    files[0] = device_open();
    close(files[0]);
}

/* Leaves everything open and unfinished. */
static void child_run(void)
{
    int fd = device_open();
    uint32_t id = buffer_create(fd, 8ul << 20, VGPGPU_BUFFER_GUEST, NULL);

    for (uint32_t i = 0; i < 300; i++)
        fill_submit(fd, i % 64, id, i);
    kill(getpid(), SIGKILL);
}

void case_death_in_the_middle(void)
{
    struct alive before = alive_now();
    uint64_t free_before = memory_free();
    int status;

    for (unsigned i = 0; i < 10; i++) {
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0)
            child_run();
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    alive_check(&before);
    CHECK(memory_free() + SLACK_BYTES > free_before);
}

/* The file's context is lost: nothing can be made in it or asked of it. */
static void context_is_lost(int fd, uint32_t buffer)
{
    struct malv_buffer_create create = {.size = 4096, .flags = VGPGPU_BUFFER_GUEST};
    uint64_t fence = fill_submit(fd, 7, buffer, 1);

    CHECK(fence != 0);
    CHECK_ERRNO(fence_wait(fd, 7, fence, UINT64_MAX), ENODEV);
    CHECK_ERRNO(ioctl(fd, MALV_IOC_BUFFER_CREATE, &create), ENODEV);
}

/* A new file of the same device works. */
static void device_works(void)
{
    int fd = device_open();
    uint64_t offset;
    uint32_t id = buffer_create(fd, 4096, VGPGPU_BUFFER_GUEST, &offset);
    uint32_t *words = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)offset);

    CHECK(words != MAP_FAILED);
    CHECK(fence_wait(fd, 0, fill_submit(fd, 0, id, 4711), UINT64_MAX) == 0);
    CHECK(words[15] == 4711);
    munmap(words, 4096);
    close(fd);
}

void case_replaced(void)
{
    uint64_t before = memory_free();
    int fd = device_open(), other = device_open();
    uint32_t id = buffer_create(fd, 4096, VGPGPU_BUFFER_GUEST, NULL);
    uint32_t others = buffer_create(other, 4096, VGPGPU_BUFFER_GUEST, NULL);

    puts("working");
    fill_until_lost(fd, id);
    context_is_lost(fd, id);
    context_is_lost(other, others);
    device_works();
    context_is_lost(fd, id);
    close(fd);
    close(other);
    device_works();
    CHECK(memory_free() + SLACK_BYTES > before);
}

/* Its work, on several queues, until the device process is killed under it; then the device works again. */
static void killed_once(void)
{
    uint64_t fences[4] = {0};
    int fd = device_open(), r = 0;
    uint32_t id = buffer_create(fd, 64 << 10, VGPGPU_BUFFER_GUEST, NULL);

    puts("working");
    for (uint32_t i = 0; r == 0; i++) {
        fences[i % 4] = fill_submit(fd, i % 4, id, i);
        if (!fences[i % 4])
            return;
        r = i < 4 ? 0 : fence_wait(fd, (i + 1) % 4, fences[(i + 1) % 4], UINT64_MAX);
    }
    CHECK(errno == ENODEV);
    for (uint32_t i = 0; i < 4; i++) /* nobody waits for ever */
        fence_wait(fd, i, fences[i], UINT64_MAX);
    context_is_lost(fd, id);
    device_works();
    close(fd);
}

void case_replaced_often(void)
{
    uint64_t before;
    struct alive alive;

    device_works();
    before = memory_free();
    alive = alive_now();
    for (unsigned i = 0; i < 10; i++)
        killed_once();
    alive_check(&alive);
    CHECK(memory_free() + SLACK_BYTES > before);
}

void case_loss(void)
{
    struct malv_buffer_create create = {.size = 4096, .flags = VGPGPU_BUFFER_GUEST};
    struct alive before = alive_now();
    int fd = device_open();
    uint32_t id = buffer_create(fd, 4096, VGPGPU_BUFFER_GUEST, NULL);

    puts("working");
    fill_until_lost(fd, id);
    CHECK_ERRNO(ioctl(fd, MALV_IOC_BUFFER_CREATE, &create), ENODEV);
    CHECK_ERRNO(open(MALV_DEVICE_PATH, O_RDWR), ENODEV);
    close(fd);
    alive_check(&before);
}
