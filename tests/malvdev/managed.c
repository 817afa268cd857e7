/*
 * managed.c: managed buffers by the bare ABI: results with a quota of a part of them, what kernels say of
 * arguments, mistakes, programs at once, and programs that are killed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/gpucmd/gpucmd.h"
#include "malvdev_test.h"

#define QUOTA   "/sys/kernel/malv/gpu_quota"
#define BUFFERS 6u
#define WORDS   16384u
#define BYTES   (WORDS * 4ull)

static const char source[] = "__kernel void stir(__global const uint *a, __global const uint *b, __global uint *c)"
                             "{ size_t i = get_global_id(0); c[i] = a[i] * 3 + (b[i] ^ (uint)i); }";

static void quota_set(unsigned long long bytes)
{
    FILE *file = fopen(QUOTA, "w");

    CHECK(file && fprintf(file, "%llu\n", bytes) > 0 && fclose(file) == 0);
}

static unsigned long long quota_get(void)
{
    FILE *file = fopen(QUOTA, "r");
    unsigned long long bytes = 0;

    CHECK(file && fscanf(file, "%llu", &bytes) == 1 && fclose(file) == 0);
    return bytes;
}

static int submit(int fd, uint32_t queue, const struct gpucmd *c, uint64_t *fence)
{
    struct malv_submit s = {.commands = (uintptr_t)c->out, .command_bytes = c->used, .queue = queue};
    int r = ioctl(fd, MALV_IOC_SUBMIT, &s);

    *fence = s.fence;
    return r;
}

/* c = mix(a, b) with what the kernel does to each of them. */
static int mix_submit(int fd, uint32_t kernel, const uint32_t *ids, const uint16_t *hints, uint64_t *fence)
{
    const struct gpucmd_arg args[] = {
        {.kind = VGPGPU_ARG_BUFFER, .buffer = ids[0], .hint = hints[0]},
        {.kind = VGPGPU_ARG_BUFFER, .buffer = ids[1], .hint = hints[1]},
        {.kind = VGPGPU_ARG_BUFFER, .buffer = ids[2], .hint = hints[2]},
    };
    const uint64_t items = WORDS;
    const struct gpucmd_launch launch = {
        .kernel = kernel, .dimensions = 1, .arg_count = 3, .global = &items, .args = args};
    uint64_t room[64];
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_launch(&c, &launch);
    return submit(fd, 0, &c, fence);
}

/* Rounds of a program whose buffers do not fit, against the same by the processor. */
static bool rounds_right(int fd, unsigned rounds, unsigned salt)
{
    static const uint16_t hints[2][3] = {{0, 0, 0}, {MALV_ARG_READ, MALV_ARG_READ, MALV_ARG_OVERWRITE}};
    uint32_t *model = calloc(BUFFERS, BYTES), ids[BUFFERS], kernel = kernel_build(fd, source, "stir");
    uint64_t offset, fence = 0;
    uint32_t staging = buffer_create(fd, BYTES, VGPGPU_BUFFER_GUEST, &offset);
    uint32_t *seen = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    bool right = model != NULL && seen != MAP_FAILED;

    for (unsigned i = 0; i < BUFFERS; i++)
        ids[i] = buffer_create(fd, BYTES, MALV_BUFFER_MANAGED, NULL);
    for (unsigned round = salt; round < rounds + salt && right; round++) {
        unsigned a = round * 5 % BUFFERS, b = (a + 1 + round % 2) % BUFFERS, c = (a + 3) % BUFFERS;
        const uint32_t names[3] = {ids[a], ids[b], ids[c]};

        right = mix_submit(fd, kernel, names, hints[round % 2], &fence) == 0;
        for (unsigned i = 0; i < WORDS; i++)
            model[c * WORDS + i] = model[a * WORDS + i] * 3 + (model[b * WORDS + i] ^ i);
    }
    for (unsigned n = 0; n < BUFFERS && right; n++) {
        uint64_t room[16];
        struct gpucmd c;

        gpucmd_begin(&c, room, sizeof(room));
        gpucmd_copy(&c, ids[n], 0, staging, 0, BYTES);
        right = submit(fd, 0, &c, &fence) == 0 && fence_wait(fd, 0, fence, UINT64_MAX) == 0 &&
                memcmp(seen, model + n * WORDS, BYTES) == 0;
    }
    if (seen != MAP_FAILED)
        munmap(seen, BYTES);
    free(model);
    return right;
}

void case_managed(void)
{
    unsigned long long old = quota_get();
    struct alive before = alive_now();
    struct malv_buffer_create create = {.size = BYTES, .flags = MALV_BUFFER_MANAGED};
    const uint16_t wrong[3] = {0, 4, 0}, none[3] = {0};
    int fd = device_open();
    uint64_t fence;

    quota_set(4 * BYTES);
    CHECK(quota_get() == 4 * BYTES);
    CHECK(rounds_right(fd, 60, 0));
    CHECK(ioctl(fd, MALV_IOC_BUFFER_CREATE, &create) == 0 && create.mmap_offset == 0);
    CHECK(mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, (off_t)((uint64_t)create.buffer << 40)) == MAP_FAILED);
    CHECK_ERRNO(mix_submit(fd, 1, (uint32_t[]){create.buffer, create.buffer, create.buffer}, wrong, &fence), EINVAL);
    quota_set(BYTES - 1);
    CHECK_ERRNO(mix_submit(fd, 1, (uint32_t[]){create.buffer, create.buffer, create.buffer}, none, &fence), E2BIG);
    create.flags |= VGPGPU_BUFFER_GUEST;
    CHECK_ERRNO(ioctl(fd, MALV_IOC_BUFFER_CREATE, &create), EINVAL);
    close(fd);
    quota_set(old);
    alive_check(&before);
}

void case_managed_programs(void)
{
    unsigned long long old = quota_get();
    struct alive before = alive_now();
    int status;

    quota_set(5 * BYTES);
    for (unsigned i = 0; i < 3; i++)
        if (fork() == 0)
            _exit(!rounds_right(device_open(), 50, i));
    for (unsigned i = 0; i < 3; i++)
        CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    quota_set(old);
    alive_check(&before);
}

void case_managed_killed(void)
{
    unsigned long long old = quota_get();
    struct alive before = alive_now();
    int status, fd;

    quota_set(4 * BYTES);
    for (long i = 0; i < 16; i++) {
        const struct timespec time = {.tv_nsec = i * i * 500000};
        pid_t child = fork();

        if (child == 0) {
            rounds_right(device_open(), 1u << 30, 0);
            _exit(0);
        }
        nanosleep(&time, NULL);
        CHECK(kill(child, SIGKILL) == 0);
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    }
    alive_check(&before);
    fd = device_open();
    CHECK(rounds_right(fd, 20, 0));
    close(fd);
    quota_set(old);
    alive_check(&before);
}

/* Somebody ends the device process, or the front, in the middle: errors, nothing left behind, and where the device
 * is replaced it works again, with all of its quota. */
void case_managed_lost(void)
{
    unsigned long long old = quota_get();
    struct alive before = alive_now();
    int fd = device_open(), other = device_open();
    uint32_t ids[BUFFERS];
    uint64_t fence = 0;
    unsigned i;

    CHECK(rounds_right(fd, 10, 0));
    quota_set(4 * BYTES);
    for (i = 0; i < BUFFERS; i++)
        ids[i] = buffer_create(i < 3 ? other : fd, BYTES, MALV_BUFFER_MANAGED, NULL);
    for (i = 0; i < 3; i++)
        CHECK(fence_wait(other, 0, fill_submit(other, 0, ids[i], i), UINT64_MAX) == 0);
    puts("working");
    for (i = 0; i < 100000000; i++) {
        uint64_t room[16];
        struct gpucmd c;

        gpucmd_begin(&c, room, sizeof(room));
        gpucmd_fill(&c, ids[3 + i % 3], 0, 64, &i, sizeof(i));
        if (submit(fd, i % 2, &c, &fence) != 0 || fence_wait(fd, i % 2, fence, UINT64_MAX) != 0)
            break;
    }
    CHECK(errno == ENODEV);
    close(fd);
    close(other);
    alive_check(&before);
    fd = open(MALV_DEVICE_PATH, O_RDWR);
    if (fd < 0)
        return; /* lost for good */
    CHECK(rounds_right(fd, 20, 0));
    close(fd);
    quota_set(old);
    alive_check(&before);
}
