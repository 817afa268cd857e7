/*
 * device_test.c: libmalv's calls into the kernel. The linker sends open, ioctl, mmap and close to
 * the functions here, which note what was asked and answer what a test prepared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <cmocka.h>

#include "user/libmalv/malv.h"

#define DEVICE_FD 777

static struct {
    int open_error;   /* of the next open; 0: it succeeds */
    const char *path; /* what was opened */
    bool is_open;
    int ioctl_error;        /* of the next ioctl other than INFO */
    uint32_t interruptions; /* how often an ioctl ends with EINTR before that */
    uint32_t waits;         /* WAIT ioctls that reached their end */
    struct malv_info info;
    struct malv_submit submitted;
    struct malv_program_create built;
    struct malv_kernel_create kernel;
    struct malv_destroy destroyed;
    struct malv_sub_buffer sub;
    off_t mapped; /* the last mmap's offset */
    size_t mapped_bytes;
    struct vgpgpu_fence_slot *fences; /* the page that was mapped */
} kernel_side;

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int __real_close(int fd);
void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);

int __wrap_open(const char *path, int flags, ...)
{
    (void)flags;
    kernel_side.path = path;
    if (kernel_side.open_error != 0) {
        errno = kernel_side.open_error;
        return -1;
    }
    kernel_side.is_open = true;
    return DEVICE_FD;
}

int __wrap_close(int fd)
{
    if (fd != DEVICE_FD) {
        return __real_close(fd);
    }
    assert_true(kernel_side.is_open);
    kernel_side.is_open = false;
    return 0;
}

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (fd != DEVICE_FD) {
        return __real_mmap(address, length, protection, flags, fd, offset);
    }
    assert_int_equal(flags, MAP_SHARED);
    assert_int_equal(offset % 4096, 0);
    kernel_side.mapped = offset;
    kernel_side.mapped_bytes = length;
    void *memory =
        __real_mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (offset == MALV_MMAP_FENCES) {
        assert_int_equal(protection, PROT_READ);
        assert_int_equal(length, 4096);
        kernel_side.fences = memory;
    }
    return memory;
}

static void request_answer(unsigned long request, void *argument)
{
    switch (request) {
    case MALV_IOC_BUFFER_CREATE: {
        struct malv_buffer_create *create = argument;
        create->buffer = 5;
        create->mmap_offset = 0x10000;
        break;
    }
    case MALV_IOC_PROGRAM_CREATE:
        kernel_side.built = *(struct malv_program_create *)argument;
        ((struct malv_program_create *)argument)->program = 6;
        break;
    case MALV_IOC_KERNEL_CREATE:
        kernel_side.kernel = *(struct malv_kernel_create *)argument;
        ((struct malv_kernel_create *)argument)->kernel = 7;
        ((struct malv_kernel_create *)argument)->arg_count = 3;
        break;
    case MALV_IOC_DESTROY:
        kernel_side.destroyed = *(struct malv_destroy *)argument;
        break;
    case MALV_IOC_SUBMIT:
        kernel_side.submitted = *(struct malv_submit *)argument;
        ((struct malv_submit *)argument)->fence = 41;
        break;
    case MALV_IOC_SUB_BUFFER:
        kernel_side.sub = *(struct malv_sub_buffer *)argument;
        ((struct malv_sub_buffer *)argument)->sub_buffer = 8;
        ((struct malv_sub_buffer *)argument)->mmap_offset = 0x80000;
        break;
    case MALV_IOC_WAIT:
        kernel_side.waits++;
        break;
    default:
        fail_msg("unknown request %lx", request);
    }
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    assert_int_equal(fd, DEVICE_FD);
    if (kernel_side.interruptions > 0) {
        kernel_side.interruptions--;
        errno = EINTR;
        return -1;
    }
    if (request == MALV_IOC_INFO) {
        memcpy(argument, &kernel_side.info, sizeof(kernel_side.info));
        return 0;
    }
    request_answer(request, argument);
    if (kernel_side.ioctl_error != 0) {
        errno = kernel_side.ioctl_error;
        return -1;
    }
    return 0;
}

static struct malv_device *device_open(void)
{
    struct malv_device *device = NULL;
    memset(&kernel_side, 0, sizeof(kernel_side));
    kernel_side.info.abi_version = MALV_ABI_VERSION;
    kernel_side.info.config.magic = VGPGPU_MAGIC;
    kernel_side.info.config.max_submit_bytes = 64;
    kernel_side.info.config.offset_align = 128;
    memset(kernel_side.info.config.device_name, 'x', 64);
    assert_int_equal(malv_device_open(NULL, &device), 0);
    assert_non_null(device);
    return device;
}

static void test_open_close(void **state)
{
    (void)state;
    struct malv_device *device = device_open();
    assert_string_equal(kernel_side.path, "/dev/malv0");
    assert_int_equal(strlen(malv_device_config(device)->device_name), 63);
    malv_device_close(device);
    assert_false(kernel_side.is_open);
    malv_device_close(NULL);
}

static void test_open_errors(void **state)
{
    (void)state;
    struct malv_device *device = NULL;
    memset(&kernel_side, 0, sizeof(kernel_side));
    kernel_side.open_error = ENOENT;
    assert_int_equal(malv_device_open("/dev/other", &device), -ENOENT);
    assert_string_equal(kernel_side.path, "/dev/other");
    kernel_side.open_error = 0;
    assert_int_equal(malv_device_open(NULL, &device), -EPROTONOSUPPORT);
    kernel_side.info.config.magic = VGPGPU_MAGIC;
    kernel_side.info.abi_version = MALV_ABI_VERSION + 1;
    assert_int_equal(malv_device_open(NULL, &device), -EPROTONOSUPPORT);
    assert_false(kernel_side.is_open);
    assert_null(device);
}

static void test_buffers(void **state)
{
    (void)state;
    struct malv_device *device = device_open();
    struct malv_buffer buffer;
    assert_int_equal(malv_buffer_create(device, 5000, VGPGPU_BUFFER_GUEST, &buffer), 0);
    assert_int_equal(buffer.id, 5);
    assert_null(buffer.memory);
    assert_int_equal(malv_buffer_map(device, &buffer), 0);
    void *memory = buffer.memory;
    memset(memory, 1, 5000);
    assert_int_equal(malv_buffer_map(device, &buffer), 0);
    assert_ptr_equal(buffer.memory, memory);
    assert_int_equal(malv_buffer_destroy(device, &buffer), 0);
    assert_int_equal(kernel_side.destroyed.kind, MALV_BUFFER);
    assert_int_equal(kernel_side.destroyed.object, 5);
    assert_int_equal(buffer.id, 0);
    assert_null(buffer.memory);
    assert_int_equal(malv_buffer_create(device, 1, VGPGPU_BUFFER_DEVICE, &buffer), 0);
    assert_int_equal(malv_buffer_map(device, &buffer), -EINVAL);
    kernel_side.ioctl_error = ENOMEM;
    assert_int_equal(malv_buffer_create(device, 1, VGPGPU_BUFFER_DEVICE, &buffer), -ENOMEM);
    assert_int_equal(buffer.id, 0);
    malv_device_close(device);
}

static void test_sub_buffers(void **state)
{
    (void)state;
    struct malv_device *device = device_open();
    struct malv_buffer buffer;
    struct malv_buffer sub;
    struct malv_buffer inner;
    assert_int_equal(malv_buffer_create(device, 20000, VGPGPU_BUFFER_GUEST, &buffer), 0);
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 64, 100, &sub), -ERANGE);
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 19968, 33, &sub), -ERANGE);
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 20096, 1, &sub), -ERANGE);
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 0, UINT64_MAX, &sub), -ERANGE);
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 0, 0, &sub), -EINVAL);
    assert_int_equal(kernel_side.sub.size, 0); /* the kernel was not asked */
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 4096 + 256, 8000, &sub), 0);
    assert_int_equal(kernel_side.sub.buffer, 5);
    assert_int_equal(kernel_side.sub.offset, 4096 + 256);
    assert_int_equal(kernel_side.sub.size, 8000);
    assert_int_equal(sub.id, 8);
    assert_int_equal(sub.size, 8000);
    assert_int_equal(malv_buffer_map(device, &sub), 0);
    assert_int_equal(kernel_side.mapped, 0x80000);
    assert_int_equal(kernel_side.mapped_bytes, 8256);
    assert_int_equal((uintptr_t)sub.memory % 4096, 256);
    memset(sub.memory, 1, sub.size);
    assert_int_equal(malv_sub_buffer_create(device, &sub, 4096 - 128, 8, &inner), 0);
    assert_int_equal(malv_buffer_map(device, &inner), 0);
    assert_int_equal((uintptr_t)inner.memory % 4096, 128);
    assert_int_equal(malv_buffer_destroy(device, &inner), 0);
    assert_int_equal(malv_buffer_destroy(device, &sub), 0);
    assert_int_equal(kernel_side.destroyed.object, 8);
    buffer.flags = MALV_BUFFER_MANAGED;
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 0, 1, &sub), -EINVAL);
    buffer.flags = VGPGPU_BUFFER_DEVICE;
    kernel_side.ioctl_error = ENOTTY; /* an older kernel */
    assert_int_equal(malv_sub_buffer_create(device, &buffer, 0, 1, &sub), -EOPNOTSUPP);
    assert_int_equal(sub.id, 0);
    malv_device_close(device);
}

static void test_programs(void **state)
{
    (void)state;
    struct malv_device *device = device_open();
    char log[10] = "old text";
    char name[80];
    uint32_t program = 0;
    uint32_t kernel = 0;
    uint32_t args = 0;
    assert_int_equal(malv_program_build(device, VGPGPU_PROGRAM_OPENCL_C, "source", 6, "-O", log,
                                        sizeof(log), &program),
                     0);
    assert_int_equal(program, 6);
    assert_string_equal(log, "");
    assert_int_equal(kernel_side.built.source_bytes, 6);
    assert_int_equal(kernel_side.built.options_bytes, 2);
    assert_int_equal(kernel_side.built.log_bytes, 10);
    assert_int_equal(malv_kernel_create(device, program, "add", &kernel, &args), 0);
    assert_int_equal(kernel, 7);
    assert_int_equal(args, 3);
    assert_string_equal(kernel_side.kernel.name, "add");
    memset(name, 'n', sizeof(name));
    name[64] = '\0';
    assert_int_equal(malv_kernel_create(device, program, name, &kernel, NULL), -E2BIG);
    name[63] = '\0';
    assert_int_equal(malv_kernel_create(device, program, name, &kernel, NULL), 0);
    kernel_side.ioctl_error = ENOEXEC;
    program = 99;
    assert_int_equal(
        malv_program_build(device, VGPGPU_PROGRAM_OPENCL_C, "x", 1, NULL, NULL, 0, &program),
        -ENOEXEC);
    assert_int_equal(program, 99);
    malv_device_close(device);
}

static void test_submit(void **state)
{
    (void)state;
    struct malv_device *device = device_open();
    struct malv_batch batch;
    uint64_t fence = 0;
    malv_batch_init(&batch);
    assert_int_equal(malv_submit(device, 0, &batch, &fence), -EINVAL);
    for (uint32_t i = 0; i < 8; i++) {
        malv_batch_barrier(&batch);
    }
    assert_int_equal(malv_submit(device, 64, &batch, &fence), -EINVAL);
    assert_int_equal(malv_submit(device, 63, &batch, &fence), 0);
    assert_int_equal(fence, 41);
    assert_int_equal(kernel_side.submitted.command_bytes, 64);
    assert_int_equal(kernel_side.submitted.queue, 63);
    malv_batch_barrier(&batch);
    assert_int_equal(malv_submit(device, 63, &batch, &fence), -E2BIG);
    malv_batch_reset(&batch);
    malv_batch_barrier(&batch);
    assert_int_equal(malv_batch_signal(&batch, 3), 0);
    assert_int_equal(malv_batch_signal(&batch, 1), 0);
    assert_int_equal(malv_submit_unordered(device, 7, &batch, &fence), 0);
    assert_int_equal(kernel_side.submitted.queue, 7 | MALV_SUBMIT_UNORDERED | MALV_SUBMIT_SIGNALS(3));
    assert_int_equal(malv_batch_signal(&batch, 0), -EINVAL);
    malv_batch_reset(&batch);
    assert_int_equal(malv_batch_signal(&batch, MALV_SIGNALS_MAX), 0);
    assert_int_equal(malv_submit(device, 7, &batch, &fence), 0);
    assert_int_equal(kernel_side.submitted.queue, 7 | (uint32_t)MALV_SIGNALS_MAX << 8);
    assert_int_equal(malv_batch_signal(&batch, MALV_SIGNALS_MAX + 1), -EINVAL);
    malv_batch_free(&batch);
    malv_device_close(device);
}

static void test_wait_looks_before_it_calls(void **state)
{
    (void)state;
    struct malv_device *device = device_open();
    struct vgpgpu_fence_slot *slot = &kernel_side.fences[2];
    slot->signalled = 10;
    assert_int_equal(malv_wait(device, 2, 10, UINT64_MAX), 0);
    assert_int_equal(malv_wait(device, 2, 0, 0), 0);
    assert_int_equal(kernel_side.waits, 0);
    slot->failed = 11; /* later than what is waited for */
    assert_int_equal(malv_wait(device, 2, 10, 0), 0);
    assert_int_equal(kernel_side.waits, 0);
    assert_int_equal(malv_wait(device, 64, 1, 0), -EINVAL);
    malv_device_close(device);
}

static void test_wait_asks_the_kernel(void **state)
{
    (void)state;
    struct malv_device *device = device_open();
    struct vgpgpu_fence_slot *slot = &kernel_side.fences[2];
    assert_int_equal(malv_wait(device, 2, 1, UINT64_MAX), 0);
    assert_int_equal(kernel_side.waits, 1);
    kernel_side.interruptions = 3;
    assert_int_equal(malv_wait(device, 2, 1, 1000000), 0);
    assert_int_equal(kernel_side.waits, 2);
    kernel_side.ioctl_error = ETIMEDOUT;
    assert_int_equal(malv_wait(device, 2, 1, 0), -ETIMEDOUT);
    slot->signalled = 20;
    slot->failed = 15;
    kernel_side.ioctl_error = EIO;
    assert_int_equal(malv_wait(device, 2, 20, UINT64_MAX), -EIO);
    assert_int_equal(kernel_side.waits, 4);
    malv_device_close(device);
}

static void test_every_error_has_a_text(void **state)
{
    (void)state;
    const int errors[] = {0,   EINVAL, ENOENT,  ENOSPC,    ENOMEM,     E2BIG,          ENODEV,
                          EIO, ETIME,  ENOEXEC, ETIMEDOUT, EOPNOTSUPP, EPROTONOSUPPORT};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(malv_error_text(-errors[i]), malv_error_text(-errors[j]));
        }
        assert_string_not_equal(malv_error_text(-errors[i]), malv_error_text(-12345));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_close),
        cmocka_unit_test(test_open_errors),
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_sub_buffers),
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_submit),
        cmocka_unit_test(test_wait_looks_before_it_calls),
        cmocka_unit_test(test_wait_asks_the_kernel),
        cmocka_unit_test(test_every_error_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
