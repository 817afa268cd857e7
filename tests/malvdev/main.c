/*
 * main.c: runs all cases, or those that are named, and ends with 1 when one failed. After each one the GPU must be as
 * it was.
 */
#include <fcntl.h>
#include <stdio.h>

#include "lib/gpucmd/gpucmd.h"
#include "malvdev_test.h"

static char failure[200];

void check_failed(const char *file, int line, const char *what)
{
    if (!failure[0])
        snprintf(failure, sizeof(failure), "%s:%d: %s (%s)", file, line, what, strerror(errno));
}

int device_open(void)
{
    int fd = open(MALV_DEVICE_PATH, O_RDWR | O_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

uint32_t buffer_create(int fd, uint64_t size, uint32_t flags, uint64_t *mmap_offset)
{
    struct malv_buffer_create create = {.size = size, .flags = flags};

    CHECK(ioctl(fd, MALV_IOC_BUFFER_CREATE, &create) == 0);
    if (mmap_offset)
        *mmap_offset = create.mmap_offset;
    return create.buffer;
}

uint32_t kernel_build(int fd, const char *source, const char *name)
{
    struct malv_program_create program = {
        .source = (uintptr_t)source,
        .source_bytes = (uint32_t)strlen(source),
        .kind = VGPGPU_PROGRAM_OPENCL_C,
    };
    struct malv_kernel_create kernel = {0};

    CHECK(ioctl(fd, MALV_IOC_PROGRAM_CREATE, &program) == 0);
    kernel.program = program.program;
    snprintf(kernel.name, sizeof(kernel.name), "%s", name);
    CHECK(ioctl(fd, MALV_IOC_KERNEL_CREATE, &kernel) == 0);
    return kernel.kernel;
}

/* The fence, or 0 with errno. */
static uint64_t batch_submit(int fd, uint32_t queue, const struct gpucmd *c)
{
    struct malv_submit submit = {
        .commands = (uintptr_t)c->out, .command_bytes = c->used, .queue = queue};

    CHECK(!c->failed);
    return ioctl(fd, MALV_IOC_SUBMIT, &submit) == 0 ? submit.fence : 0;
}

static uint64_t fill_try(int fd, uint32_t queue, uint32_t buffer, uint32_t value)
{
    uint64_t room[16];
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_fill(&c, buffer, 0, 64, &value, sizeof(value));
    return batch_submit(fd, queue, &c);
}

uint64_t fill_submit(int fd, uint32_t queue, uint32_t buffer, uint32_t value)
{
    uint64_t fence = fill_try(fd, queue, buffer, value);

    CHECK(fence != 0);
    return fence;
}

void fill_until_lost(int fd, uint32_t buffer)
{
    uint64_t fence;
    uint32_t i = 0;

    do {
        fence = fill_try(fd, 0, buffer, i++);
    } while (fence && fence_wait(fd, 0, fence, UINT64_MAX) == 0);
    CHECK(errno == ENODEV);
}

uint64_t launch_on(int fd, uint32_t queue, uint32_t kernel, uint32_t buffer, uint32_t number, uint64_t items)
{
    const struct gpucmd_arg args[] = {GPUCMD_BUFFER(buffer), GPUCMD_VALUE(number)};
    const struct gpucmd_launch launch = {
        .kernel = kernel, .dimensions = 1, .arg_count = 2, .global = &items, .args = args};
    uint64_t room[64], fence;
    struct gpucmd c;

    gpucmd_begin(&c, room, sizeof(room));
    gpucmd_launch(&c, &launch);
    fence = batch_submit(fd, queue, &c);
    CHECK(fence != 0);
    return fence;
}

uint64_t launch_submit(int fd, uint32_t kernel, uint32_t buffer, uint32_t number, uint64_t items)
{
    return launch_on(fd, 0, kernel, buffer, number, items);
}

int fence_wait(int fd, uint32_t queue, uint64_t fence, uint64_t timeout_ns)
{
    struct malv_wait wait = {.fence = fence, .timeout_ns = timeout_ns, .queue = queue};

    return ioctl(fd, MALV_IOC_WAIT, &wait);
}

static const struct {
    const char *name;
    void (*run)(void);
    bool by_name; /* runs only when it is named */
} cases[] = {
    {"info", case_info, false},
    {"bad_calls", case_bad_calls, false},
    {"buffers", case_buffers, false},
    {"mappings", case_mappings, false},
    {"sub_buffers", case_sub_buffers, false},
    {"programs", case_programs, false},
    {"numbers_run_out", case_numbers_run_out, false},
    {"work", case_work, false},
    {"bad_work", case_bad_work, false},
    {"waiting", case_waiting, false},
    {"notify", case_notify, false},
    {"signals", case_signals, false},
    {"many_outstanding", case_many_outstanding, false},
    {"threads", case_threads, false},
    {"contexts", case_contexts, false},
    {"death_in_the_middle", case_death_in_the_middle, false},
    {"killed_at_any_moment", case_killed_at_any_moment, false},
    {"device_memory_runs_out", case_device_memory_runs_out, false},
    {"machine_memory_runs_out", case_machine_memory_runs_out, false},
    {"managed", case_managed, false},
    {"managed_programs", case_managed_programs, false},
    {"managed_killed", case_managed_killed, false},
    {"managed_lost", case_managed_lost, true},
    {"long_work", case_long_work, true},
    {"replaced", case_replaced, true},
    {"replaced_often", case_replaced_often, true},
    {"loss", case_loss, true},
};

int main(int argc, char **argv)
{
    int failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (argc > 1 ? strcmp(argv[1], cases[i].name) != 0 : cases[i].by_name)
            continue;
        struct alive before = alive_now();

        failure[0] = 0;
        cases[i].run();
        alive_check(&before);
        if (failure[0])
            printf("FAIL %s: %s\n", cases[i].name, failure);
        else
            printf("ok %s\n", cases[i].name);
        failed |= failure[0] != 0;
    }
    return failed;
}
