/*
 * work.c: cases about submissions, fences and waiting.
 */
#include <poll.h>
#include <pthread.h>

#include "lib/gpucmd/gpucmd.h"
#include "malvdev_test.h"

#define PAGE     4096ul
#define FOR_EVER UINT64_MAX
#define THREADS  4

const char spin_source[] = "__kernel void spin(__global uint *p, uint rounds)\n"
                                  "{\n"
                                  "    uint x = p[0] + 1;\n"
                                  "    for (uint i = 0; i < rounds; i++)\n"
                                  "        x = x * 1664525u + 1013904223u + p[x & 7];\n"
                                  "    p[8] = x;\n"
                                  "}\n";

static const char add_source[] = "__kernel void add(__global uint *p, uint n)\n"
                                 "{\n"
                                 "    p[get_global_id(0)] += n + (uint)get_global_id(0);\n"
                                 "}\n";

static uint32_t *map(int fd, uint64_t offset, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

    CHECK(at != MAP_FAILED);
    return at == MAP_FAILED ? NULL : at;
}

void case_work(void)
{
    int fd = device_open();
    uint32_t kernel = kernel_build(fd, add_source, "add"), id;
    uint64_t offset, fence;
    uint32_t *words;

    id = buffer_create(fd, PAGE, VGPGPU_BUFFER_GUEST, &offset);
    words = map(fd, offset, PAGE);
    for (uint32_t i = 0; words && i < 1024; i++)
        words[i] = i;
    fence = launch_submit(fd, kernel, id, 7, 1024);
    CHECK(fence == 1);
    CHECK(fence_wait(fd, 0, fence, FOR_EVER) == 0);
    for (uint32_t i = 0; words && i < 1024; i++)
        if (words[i] != 2 * i + 7)
            check_failed(__FILE__, __LINE__, "the kernel's result");
    close(fd);
    munmap(words, PAGE);
}

static void submit_refused(int fd, struct malv_submit submit, int number)
{
    CHECK_ERRNO(ioctl(fd, MALV_IOC_SUBMIT, &submit), number);
}

void case_bad_work(void)
{
    uint64_t garbage[8];
    struct malv_submit submit = {
        .commands = (uintptr_t)garbage, .command_bytes = sizeof(garbage), .queue = 1};
    int fd = device_open();
    uint32_t id = buffer_create(fd, PAGE, VGPGPU_BUFFER_GUEST, NULL);
    uint64_t fence;

    memset(garbage, 0xee, sizeof(garbage));
    submit.queue = 64;
    submit_refused(fd, submit, EINVAL);
    submit.queue = 1;
    submit.command_bytes = 12;
    submit_refused(fd, submit, EINVAL);
    submit.command_bytes = 1u << 30;
    submit_refused(fd, submit, E2BIG);
    submit.command_bytes = sizeof(garbage);
    submit.commands = 0x1000;
    submit_refused(fd, submit, EFAULT);
    submit.commands = (uintptr_t)garbage;
    CHECK(ioctl(fd, MALV_IOC_SUBMIT, &submit) == 0);
    CHECK_ERRNO(fence_wait(fd, 1, submit.fence, FOR_EVER), EINVAL);
    fence = fill_submit(fd, 2, 555, 1);
    CHECK_ERRNO(fence_wait(fd, 2, fence, FOR_EVER), ENOENT);
    fence = fill_submit(fd, 3, id, 1); /* another queue knows nothing of it */
    CHECK(fence_wait(fd, 3, fence, FOR_EVER) == 0);
    close(fd);
}

void case_waiting(void)
{
    int fd = device_open();
    uint32_t kernel = kernel_build(fd, spin_source, "spin");
    uint32_t id = buffer_create(fd, PAGE, VGPGPU_BUFFER_GUEST, NULL);
    struct malv_wait odd = {.reserved = 1};
    uint64_t fence;

    CHECK(fence_wait(fd, 0, 0, 0) == 0);
    CHECK_ERRNO(fence_wait(fd, 0, 1, 0), EINVAL);
    CHECK_ERRNO(fence_wait(fd, 64, 0, 0), EINVAL);
    CHECK_ERRNO(ioctl(fd, MALV_IOC_WAIT, &odd), EINVAL);
    fence = launch_submit(fd, kernel, id, 1, 1); /* built for good at its first launch */
    CHECK(fence_wait(fd, 0, fence, FOR_EVER) == 0);
    fence = launch_submit(fd, kernel, id, 200u << 20, 1);
    CHECK_ERRNO(fence_wait(fd, 0, fence, 0), ETIMEDOUT);
    CHECK_ERRNO(fence_wait(fd, 0, fence, 10000000), ETIMEDOUT);
    CHECK(fence_wait(fd, 0, fence, FOR_EVER) == 0);
    CHECK(fence_wait(fd, 0, fence, 0) == 0);
    close(fd);
}

/* A launch that takes long between two signals: the first comes before it, the fence after it. */
void case_signals(void)
{
    int fd = device_open();
    uint32_t kernel = kernel_build(fd, spin_source, "spin"), rounds = 400u << 20;
    uint64_t offset, items = 1, room[64];
    uint32_t id = buffer_create(fd, PAGE, VGPGPU_BUFFER_GUEST, &offset);
    uint32_t *words = map(fd, offset, PAGE), value = 5;
    const struct gpucmd_arg args[] = {GPUCMD_BUFFER(id), GPUCMD_VALUE(rounds)};
    const struct gpucmd_launch launch = {
        .kernel = kernel, .dimensions = 1, .arg_count = 2, .global = &items, .args = args};
    struct malv_submit submit = {.commands = (uintptr_t)room, .queue = 3 | MALV_SUBMIT_SIGNALS(2)};
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_fill(&c, id, 1024, 4, &value, sizeof(value));
    gpucmd_signal(&c, 2);
    gpucmd_launch(&c, &launch);
    gpucmd_signal(&c, 1);
    submit.command_bytes = c.used;
    CHECK(!c.failed && words);
    CHECK(fence_wait(fd, 0, launch_submit(fd, kernel, id, 1, 1), FOR_EVER) == 0); /* builds it for good */
    CHECK(ioctl(fd, MALV_IOC_SUBMIT, &submit) == 0);
    CHECK(submit.fence == 3);
    CHECK(fence_wait(fd, 3, 1, FOR_EVER) == 0);
    CHECK(words && words[256] == 5);
    CHECK_ERRNO(fence_wait(fd, 3, 3, 0), ETIMEDOUT);
    CHECK(fence_wait(fd, 3, 2, FOR_EVER) == 0);
    CHECK(fence_wait(fd, 3, 3, FOR_EVER) == 0);
    submit.queue = 4 | MALV_SUBMIT_SIGNALS(1); /* too little room */
    CHECK(ioctl(fd, MALV_IOC_SUBMIT, &submit) == 0);
    CHECK_ERRNO(fence_wait(fd, 4, 1, FOR_EVER), EINVAL);
    CHECK_ERRNO(fence_wait(fd, 4, 3, FOR_EVER), EINVAL);
    submit.queue = 64 | MALV_SUBMIT_SIGNALS(1);
    submit_refused(fd, submit, EINVAL);
    close(fd);
    munmap(words, PAGE);
}

void case_many_outstanding(void)
{
    int fd = device_open();
    uint64_t offset, fence = 0;
    uint32_t id = buffer_create(fd, PAGE, VGPGPU_BUFFER_GUEST, &offset);
    uint32_t *words = map(fd, offset, PAGE);

    for (uint32_t i = 1; i <= 2000; i++)
        fence = fill_submit(fd, 9, id, i);
    CHECK(fence == 2000);
    CHECK(fence_wait(fd, 9, fence, FOR_EVER) == 0);
    CHECK(words && words[0] == 2000);
    close(fd);
    munmap(words, PAGE);
}

/* ---- Work that takes longer than the driver waits for an answer --------------------------------- */

#define SILENCE_MS 13000 /* more than these 10 s */
#define MANY       5000u /* more than the device takes at a time */

static const char until_source[] = "__kernel void until(__global volatile uint *p, uint begun)\n"
                                   "{\n"
                                   "    p[1] = begun;\n"
                                   "    while (!p[0])\n"
                                   "        ;\n"
                                   "}\n";

struct long_work {
    int fd;
    uint32_t held, filled; /* buffers */
    uint64_t fence;        /* of the last of many submissions */
    int destroyed;         /* what destroying the first one gave */
};

/* When it has waited for the work that it knows of, there is more with the buffer. */
static void *held_destroy(void *arg)
{
    struct long_work *w = arg;
    struct malv_destroy destroy = {.kind = MALV_BUFFER, .object = w->held};

    w->destroyed = ioctl(w->fd, MALV_IOC_DESTROY, &destroy);
    return NULL;
}

static void *many_submit(void *arg)
{
    struct long_work *w = arg;

    for (uint32_t i = 1; i <= MANY; i++)
        w->fence = fill_submit(w->fd, 0, w->filled, i);
    return NULL;
}

static void begun_await(const volatile uint32_t *words)
{
    while (!words[1])
        poll(NULL, 0, 1);
}

/* Others come and go meanwhile. */
static void others_pass(void)
{
    int fd = device_open();

    buffer_create(fd, PAGE, VGPGPU_BUFFER_GUEST, NULL);
    close(fd);
}

/* It costs nobody the device: neither a buffer that is destroyed while a kernel has it, nor submissions that do not
 * fit. */
void case_long_work(void)
{
    struct long_work w = {.fd = device_open(), .destroyed = -1};
    uint32_t kernel = kernel_build(w.fd, until_source, "until"), before;
    uint64_t offset;
    volatile uint32_t *first, *second;
    pthread_t destroyer, submitter;

    before = buffer_create(w.fd, PAGE, VGPGPU_BUFFER_GUEST, &offset);
    first = map(w.fd, offset, PAGE);
    w.held = buffer_create(w.fd, PAGE, VGPGPU_BUFFER_GUEST, &offset);
    second = map(w.fd, offset, PAGE);
    w.filled = buffer_create(w.fd, PAGE, VGPGPU_BUFFER_GUEST, NULL);
    if (!first || !second)
        return;
    launch_on(w.fd, 63, kernel, before, 1, 1);
    begun_await(first);
    CHECK(pthread_create(&destroyer, NULL, held_destroy, &w) == 0);
    poll(NULL, 0, 500);
    launch_on(w.fd, 0, kernel, w.held, 1, 1); /* the destroyer waits for queue 63 by now */
    CHECK(pthread_create(&submitter, NULL, many_submit, &w) == 0);
    poll(NULL, 0, 500);
    first[0] = 1;
    begun_await(second);
    for (int ms = 0; ms < SILENCE_MS; ms += 500) {
        others_pass();
        poll(NULL, 0, 500);
    }
    CHECK(w.destroyed == -1);
    second[0] = 1;
    CHECK(pthread_join(destroyer, NULL) == 0 && pthread_join(submitter, NULL) == 0);
    CHECK(w.destroyed == 0 && w.fence != 0);
    CHECK(fence_wait(w.fd, 0, w.fence, FOR_EVER) == 0);
    close(w.fd);
    munmap((void *)first, PAGE);
    munmap((void *)second, PAGE);
}

static int shared_fd;

static void *worker(void *arg)
{
    uint32_t queue = (uint32_t)(uintptr_t)arg;

    for (uint32_t i = 1; i <= 100; i++) {
        struct malv_destroy destroy = {.kind = MALV_BUFFER};
        uint64_t offset, fence;
        uint32_t *words;

        destroy.object = buffer_create(shared_fd, PAGE, VGPGPU_BUFFER_GUEST, &offset);
        words = map(shared_fd, offset, PAGE);
        fence = fill_submit(shared_fd, queue, destroy.object, i);
        CHECK(fence_wait(shared_fd, queue, fence, FOR_EVER) == 0);
        CHECK(words && words[0] == i);
        munmap(words, PAGE);
        CHECK(ioctl(shared_fd, MALV_IOC_DESTROY, &destroy) == 0);
    }
    return NULL;
}

void case_threads(void)
{
    pthread_t threads[THREADS];

    shared_fd = device_open();
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, worker, (void *)(i / 2)) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    close(shared_fd);
}
