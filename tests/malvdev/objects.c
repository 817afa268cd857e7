/*
 * objects.c: cases about objects: what can be made, what is refused and how.
 */
#include <stdio.h>
#include <stdlib.h>

#include "malvdev_test.h"

#define PAGE 4096ul

void case_info(void)
{
    struct malv_info info = {0};
    int fd = device_open();

    CHECK(ioctl(fd, MALV_IOC_INFO, &info) == 0);
    CHECK(info.abi_version == MALV_ABI_VERSION);
    CHECK(info.config.magic == VGPGPU_MAGIC);
    CHECK(info.config.version == VGPGPU_VERSION);
    CHECK(info.config.max_objects > 0 && info.config.max_buffer > 0);
    CHECK(info.config.device_name[0] != 0);
    close(fd);
}

void case_bad_calls(void)
{
    struct malv_info info;
    struct malv_destroy destroy = {.kind = 9, .object = 1};
    int fd = device_open();
    char byte;

    CHECK_ERRNO(ioctl(fd, MALV_IOC(0x77, struct malv_info), &info), ENOTTY);
    CHECK_ERRNO(ioctl(fd, MALV_IOC(0x00, struct malv_wait), &info), ENOTTY);
    CHECK_ERRNO(ioctl(fd, MALV_IOC_INFO, NULL), EFAULT);
    CHECK_ERRNO(ioctl(fd, MALV_IOC_INFO, (void *)0xffff800000000000ul), EFAULT);
    CHECK_ERRNO(ioctl(fd, MALV_IOC_DESTROY, &destroy), EINVAL);
    destroy.kind = MALV_BUFFER;
    CHECK_ERRNO(ioctl(fd, MALV_IOC_DESTROY, &destroy), ENOENT);
    destroy.object = UINT32_MAX;
    CHECK_ERRNO(ioctl(fd, MALV_IOC_DESTROY, &destroy), ENOENT);
    CHECK_ERRNO(read(fd, &byte, 1), EINVAL);
    close(fd);
}

static void buffer_refused(int fd, uint64_t size, uint32_t flags, int number)
{
    struct malv_buffer_create create = {.size = size, .flags = flags};

    CHECK_ERRNO(ioctl(fd, MALV_IOC_BUFFER_CREATE, &create), number);
}

void case_buffers(void)
{
    struct malv_destroy destroy = {.kind = MALV_BUFFER};
    int fd = device_open();

    buffer_refused(fd, 0, VGPGPU_BUFFER_GUEST, EINVAL);
    buffer_refused(fd, PAGE, 0, EINVAL);
    buffer_refused(fd, PAGE, VGPGPU_BUFFER_GUEST | VGPGPU_BUFFER_DEVICE, EINVAL);
    buffer_refused(fd, UINT64_MAX, VGPGPU_BUFFER_GUEST, E2BIG);
    buffer_refused(fd, 1ull << 50, VGPGPU_BUFFER_DEVICE, E2BIG);
    for (uint64_t size = 1; size < 40 * PAGE; size = size * 3 + 1) {
        destroy.object = buffer_create(fd, size, VGPGPU_BUFFER_GUEST, NULL);
        CHECK(ioctl(fd, MALV_IOC_DESTROY, &destroy) == 0);
        CHECK_ERRNO(ioctl(fd, MALV_IOC_DESTROY, &destroy), ENOENT);
    }
    buffer_create(fd, 3 * PAGE, VGPGPU_BUFFER_DEVICE, NULL);
    close(fd);
}

static void map_refused(int fd, size_t size, int prot, int flags, uint64_t offset, int number)
{
    errno = 0;
    CHECK(mmap(NULL, size, prot, flags, fd, (off_t)offset) == MAP_FAILED && errno == number);
}

void case_mappings(void)
{
    struct malv_destroy destroy = {.kind = MALV_BUFFER};
    const int both = PROT_READ | PROT_WRITE;
    struct vgpgpu_fence_slot *fences;
    uint64_t offset, fence;
    uint32_t *words, id;
    int fd = device_open();

    id = buffer_create(fd, 3 * PAGE, VGPGPU_BUFFER_GUEST, &offset);
    map_refused(fd, 3 * PAGE, both, MAP_PRIVATE, offset, EINVAL);
    map_refused(fd, 4 * PAGE, both, MAP_SHARED, offset, EINVAL);
    map_refused(fd, PAGE, both, MAP_SHARED, offset + 3 * PAGE, EINVAL);
    map_refused(fd, PAGE, both, MAP_SHARED, offset * 2, ENOENT);
    map_refused(fd, PAGE, both, MAP_SHARED, MALV_MMAP_FENCES, EACCES);
    map_refused(fd, 2 * PAGE, PROT_READ, MAP_SHARED, MALV_MMAP_FENCES, EINVAL);
    words = mmap(NULL, 3 * PAGE, both, MAP_SHARED, fd, (off_t)offset);
    fences = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, MALV_MMAP_FENCES);
    CHECK(words != MAP_FAILED && fences != MAP_FAILED);
    if (words == MAP_FAILED || fences == MAP_FAILED)
        return;
    CHECK_ERRNO(mprotect(fences, PAGE, both), EACCES);
    for (size_t i = 0; i < 3 * PAGE / sizeof(*words); i++)
        if (words[i])
            check_failed(__FILE__, __LINE__, "a new buffer is zeroed");
    fence = fill_submit(fd, 3, id, 0x1234);
    while (__atomic_load_n(&fences[3].signalled, __ATOMIC_ACQUIRE) < fence)
        continue;
    CHECK(words[0] == 0x1234 && words[15] == 0x1234 && words[16] == 0);
    destroy.object = id;
    CHECK(ioctl(fd, MALV_IOC_DESTROY, &destroy) == 0);
    words[1] = 5;
    close(fd);
    words[2] = 6; /* pages live as long as the mapping */
    CHECK(words[0] == 0x1234 && words[1] == 5 && words[2] == 6 && fences[3].signalled == fence);
    CHECK(munmap(words, 3 * PAGE) == 0 && munmap(fences, PAGE) == 0);
}

static void sub_refused(int fd, struct malv_sub_buffer sub, int number)
{
    CHECK_ERRNO(ioctl(fd, MALV_IOC_SUB_BUFFER, &sub), number);
}

void case_sub_buffers(void)
{
    struct malv_info info = {0};
    struct malv_destroy destroy = {.kind = MALV_BUFFER};
    uint64_t offset, fence;
    int fd = device_open();
    uint32_t id = buffer_create(fd, 4 * PAGE, VGPGPU_BUFFER_GUEST, &offset);
    uint32_t managed = buffer_create(fd, 4 * PAGE, MALV_BUFFER_MANAGED, NULL);
    struct malv_sub_buffer sub = {.buffer = id, .offset = 2 * PAGE, .size = 600};
    uint32_t *words, *whole;

    CHECK(ioctl(fd, MALV_IOC_INFO, &info) == 0);
    CHECK(info.config.features & VGPGPU_FEATURE_SUB_BUFFER);
    sub.offset += info.config.offset_align;
    sub_refused(fd, (struct malv_sub_buffer){.buffer = id}, EINVAL);
    sub_refused(fd, (struct malv_sub_buffer){.buffer = 99, .size = 1}, ENOENT);
    sub_refused(fd, (struct malv_sub_buffer){.buffer = managed, .size = 1}, EINVAL);
    sub_refused(fd, (struct malv_sub_buffer){.buffer = id, .size = 4 * PAGE + 1}, EINVAL);
    sub_refused(fd, (struct malv_sub_buffer){.buffer = id, .offset = 1, .size = 1}, EINVAL);
    sub_refused(fd, (struct malv_sub_buffer){.buffer = id, .offset = UINT64_MAX - 127, .size = 256}, EINVAL);
    CHECK(ioctl(fd, MALV_IOC_SUB_BUFFER, &sub) == 0);
    fence = fill_submit(fd, 0, sub.sub_buffer, 0x77); /* in a context with managed buffers */
    CHECK(fence_wait(fd, 0, fence, UINT64_MAX) == 0);
    whole = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, (off_t)offset);
    destroy.object = id;
    CHECK(ioctl(fd, MALV_IOC_DESTROY, &destroy) == 0);
    words = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)sub.mmap_offset);
    CHECK(words != MAP_FAILED && whole != MAP_FAILED);
    if (words == MAP_FAILED || whole == MAP_FAILED)
        return;
    words += info.config.offset_align / 4;
    whole += (2 * PAGE + info.config.offset_align) / 4;
    CHECK(words[-1] == 0 && words[0] == 0x77 && words[15] == 0x77 && words[16] == 0);
    words[0] = 0x78;
    CHECK(whole[0] == 0x78);
    fence = fill_submit(fd, 1, id, 1); /* its own name is gone */
    CHECK_ERRNO(fence_wait(fd, 1, fence, UINT64_MAX), ENOENT);
    fence = fill_submit(fd, 2, sub.sub_buffer, 0x79);
    CHECK(fence_wait(fd, 2, fence, UINT64_MAX) == 0);
    CHECK(whole[15] == 0x79);
    map_refused(fd, PAGE, PROT_READ, MAP_SHARED, sub.mmap_offset + 2 * PAGE, EINVAL);
    destroy.object = sub.sub_buffer;
    CHECK(ioctl(fd, MALV_IOC_DESTROY, &destroy) == 0);
    CHECK(words[0] == 0x79); /* for mappings it goes on */
    close(fd);
    munmap(words - info.config.offset_align / 4, PAGE);
    munmap(whole - (2 * PAGE + info.config.offset_align) / 4, 4 * PAGE);
}

static void program_refused(int fd, struct malv_program_create program, int number)
{
    CHECK_ERRNO(ioctl(fd, MALV_IOC_PROGRAM_CREATE, &program), number);
}

/* As long as the device says that one may be, and a byte longer. */
static void longest_program(int fd)
{
    static const char text[] = "__kernel void end(void) {}";
    struct malv_program_create program = {.kind = VGPGPU_PROGRAM_OPENCL_C};
    struct malv_info info = {0};
    char *source;

    CHECK(ioctl(fd, MALV_IOC_INFO, &info) == 0);
    source = malloc(info.config.max_program_bytes + 1ul);
    CHECK(source != NULL);
    if (!source)
        return;
    memset(source, '\n', info.config.max_program_bytes + 1ul);
    memcpy(source + info.config.max_program_bytes - strlen(text), text, strlen(text));
    program.source = (uintptr_t)source;
    program.source_bytes = info.config.max_program_bytes + 1;
    program_refused(fd, program, E2BIG);
    program.source_bytes--;
    CHECK(ioctl(fd, MALV_IOC_PROGRAM_CREATE, &program) == 0);
    free(source);
}

void case_programs(void)
{
    static const char bad[] = "__kernel void broken( {";
    char log[64];
    struct malv_program_create program = {
        .source = (uintptr_t)bad,
        .source_bytes = sizeof(bad) - 1,
        .log = (uintptr_t)log,
        .log_bytes = sizeof(log),
        .kind = VGPGPU_PROGRAM_OPENCL_C,
    };
    struct malv_kernel_create kernel = {.program = 99, .name = "x"};
    int fd = device_open();

    memset(log, 'x', sizeof(log));
    program_refused(fd, program, ENOEXEC);
    CHECK(strnlen(log, sizeof(log)) > 0 && strnlen(log, sizeof(log)) < sizeof(log));
    program.log = 0x1000;
    program_refused(fd, program, ENOEXEC);
    program.source = 0x1000;
    program_refused(fd, program, EFAULT);
    program.source_bytes = 0;
    program_refused(fd, program, EINVAL);
    program.source_bytes = 1u << 31;
    program_refused(fd, program, E2BIG);
    program.source_bytes = 1;
    program.reserved = 1;
    program_refused(fd, program, EINVAL);
    CHECK_ERRNO(ioctl(fd, MALV_IOC_KERNEL_CREATE, &kernel), ENOENT);
    kernel.reserved = 1;
    CHECK_ERRNO(ioctl(fd, MALV_IOC_KERNEL_CREATE, &kernel), EINVAL);
    kernel.reserved = 0;
    memset(kernel.name, 'k', sizeof(kernel.name));
    CHECK_ERRNO(ioctl(fd, MALV_IOC_KERNEL_CREATE, &kernel), EINVAL);
    longest_program(fd);
    close(fd);
}

void case_numbers_run_out(void)
{
    struct malv_buffer_create create = {.size = PAGE, .flags = VGPGPU_BUFFER_GUEST};
    struct malv_info info;
    uint32_t made = 0;
    int fd = device_open();

    CHECK(ioctl(fd, MALV_IOC_INFO, &info) == 0);
    while (made <= info.config.max_objects && ioctl(fd, MALV_IOC_BUFFER_CREATE, &create) == 0)
        made++;
    CHECK(errno == ENOSPC);
    CHECK(made == info.config.max_objects);
    close(fd);
    fd = device_open();
    buffer_create(fd, PAGE, VGPGPU_BUFFER_GUEST, NULL);
    close(fd);
}
