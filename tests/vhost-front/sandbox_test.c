/*
 * sandbox_test.c: a hostile guest's kernel is machine code in gpud's device process (PoCL). These
 * kernels make system calls: what it does not need must be refused, or cost it its life.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "rig.h"

/* c[0]: the call's number, then the result; c[1] to c[4]: arguments; bit i of `places` makes
 * argument i an offset into the buffer. */
static const char caller[] =
    "kernel void caller(global volatile long *c, long places) {"
    "  long a[4], result;"
    "  for (int i = 0; i < 4; i++)"
    "    a[i] = c[1 + i] + ((places >> i & 1) ? (long)c : 0);"
    "  __asm__ volatile(\"mov %5, %%r10\\n\\tsyscall\" : \"=a\"(result)"
    "                   : \"a\"(c[0]), \"D\"(a[0]), \"S\"(a[1]), \"d\"(a[2]), \"r\"(a[3])"
    "                   : \"rcx\", \"r10\", \"r11\", \"memory\");"
    "  c[0] = result;"
    "}";

#define TEXT_AT  256 /* offset of a text for the call */
#define OWN_USER 1000000 /* stands for the device process's user */
#define INHERITED 200    /* a descriptor that gpud is started with */

static char shared_path[] = "/dev/shm/gpud-sandbox-XXXXXX";

struct call {
    const char *name;
    long number;
    long args[4];
    long places;
    const char *text; /* at TEXT_AT */
    long result;
};

static uint32_t call_make(struct rig *rig, const struct call *call, volatile long *cells)
{
    memset((void *)(uintptr_t)cells, 0, VGPGPU_PAGE);
    cells[0] = call->number;
    for (unsigned i = 0; i < 4; i++)
        cells[1 + i] = call->args[i];
    if (call->text)
        strcpy((char *)(uintptr_t)cells + TEXT_AT, call->text);
    struct front_batch *batch = rig_batch(rig);
    batch_launch(batch, 1, 1, 1);
    batch_arg_buffer(batch, 1, 0);
    batch_arg_value(batch, &call->places, sizeof(call->places));
    return rig_run(rig, 0);
}

static void test_calls_that_are_refused(void **state)
{
    static const struct call calls[] = {
        {"getuid answers", SYS_getuid, {0}, 0, NULL, OWN_USER},
        {"a file of the system", SYS_open, {TEXT_AT, O_RDONLY}, 1, "/etc/passwd", -EACCES},
        {"to write into what it may read", SYS_open, {TEXT_AT, O_WRONLY}, 1, "/usr/lib/os-release", -EACCES},
        {"another's memory", SYS_open, {TEXT_AT, O_RDWR}, 1, "/proc/1/mem", -EACCES},
        {"a device that is no GPU", SYS_open, {TEXT_AT, O_RDWR}, 1, "/dev/tty", -EACCES},
        {"the kernel's log", SYS_open, {TEXT_AT, O_RDONLY}, 1, "/dev/kmsg", -EACCES},
        {"shared memory", SYS_open, {TEXT_AT, O_RDWR}, 1, shared_path, -EACCES},
        {"another's command line", SYS_open, {TEXT_AT, O_RDONLY}, 1, "/proc/1/cmdline", -EACCES},
        {"what gpud's user had open", SYS_fcntl, {INHERITED, F_GETFD}, 0, NULL, -EBADF},
        {"a shell", SYS_execve, {TEXT_AT, 0, 0}, 1, "/bin/sh", -EACCES},
        {"a socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}, 0, NULL, -EACCES},
        {"a local socket", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}, 0, NULL, -EACCES},
        {"a signal to init", SYS_kill, {1, 0}, 0, NULL, -EPERM},
        {"a signal to all", SYS_kill, {-1, 0}, 0, NULL, -EPERM},
        {"rights of a file", SYS_chmod, {TEXT_AT, 0777}, 1, "/etc/passwd", -EPERM},
        {"a new open", SYS_openat2, {0}, 0, NULL, -ENOSYS},
    };
    struct rig rig;
    (void)state;
    volatile long *cells = rig_open_with(&rig, "caller", caller, 2);
    long user = (long)rig_user(rig_process("gpud-device"), 16);
    assert_true(rig_users_apart() ? user > 0 : user == (long)getuid());
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        assert_int_equal(call_make(&rig, &calls[i], cells), 0);
        long expected = calls[i].result == OWN_USER ? user : calls[i].result;
        if (cells[0] != expected)
            fail_msg("%s: %ld instead of %ld", calls[i].name, cells[0], expected);
    }
    rig_close(&rig);
}

static void test_limits(void **state)
{
    static const int limits[] = {RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_NPROC};
    struct rig rig;
    (void)state;
    volatile long *cells = rig_open_with(&rig, "caller", caller, 2);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct call get = {"limit", SYS_prlimit64, {0, limits[i], 0, TEXT_AT}, 8, NULL, 0};
        struct rlimit64 limit;
        assert_int_equal(call_make(&rig, &get, cells), 0);
        assert_int_equal(cells[0], 0);
        memcpy(&limit, (const char *)(uintptr_t)cells + TEXT_AT, sizeof(limit));
        assert_true(limit.rlim_max < 1u << 31);
        assert_int_equal(limit.rlim_max, limit.rlim_cur);
        if (limits[i] == RLIMIT_CORE)
            assert_int_equal(limit.rlim_max, 0);
    }
    const struct call data = {"limit of memory", SYS_prlimit64, {0, RLIMIT_DATA, 0, TEXT_AT}, 8, NULL, 0};
    struct rlimit64 memory;
    assert_int_equal(call_make(&rig, &data, cells), 0);
    memcpy(&memory, (const char *)(uintptr_t)cells + TEXT_AT, sizeof(memory));
    assert_true(memory.rlim_max > rig.front->config.global_memory && memory.rlim_max < 1ull << 50);
    assert_int_equal(memory.rlim_max, memory.rlim_cur); /* a build's own has ended with it */
    const struct call others = {"another's limit", SYS_prlimit64, {1, RLIMIT_CORE}, 0, NULL, 0};
    assert_int_equal(call_make(&rig, &others, cells), VGPGPU_ERR_LOST);
    rig_close(&rig);
}

/* A line "NAME:\tVALUE" of a process's status. */
static void expect_status(pid_t pid, const char *name, const char *value)
{
    char path[64], line[256], want[64];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    snprintf(want, sizeof(want), "%s:\t%s\n", name, value);
    FILE *status = fopen(path, "r");
    assert_non_null(status);
    while (!found && fgets(line, sizeof(line), status))
        found = strcmp(line, want) == 0;
    fclose(status);
    if (!found)
        fail_msg("%s has no line %s", path, want);
}

/* Both processes that read what a guest wrote: a filter for system calls, no capability, none to be had. */
static void test_processes_are_shut_in(void **state)
{
    static const char *const names[] = {"gpud-front", "gpud-device"};
    struct rig rig;
    (void)state;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        pid_t pid = rig_process(names[i]);
        assert_true(pid > 0);
        expect_status(pid, "Seccomp", "2");
        expect_status(pid, "NoNewPrivs", "1");
        expect_status(pid, "CapEff", "0000000000000000");
        expect_status(pid, "CapPrm", "0000000000000000");
        expect_status(pid, "CapInh", "0000000000000000");
    }
    rig_close(&rig);
}

/* Each costs the machine its device process, and the log says so; then there is another, and the
 * other machine notices nothing. */
static void test_calls_that_end_the_device_process(void **state)
{
    static const struct call calls[] = {
        {"ptrace", SYS_ptrace, {16, 1}, 0, NULL, 0},
        {"mount", SYS_mount, {TEXT_AT, TEXT_AT, TEXT_AT}, 7, "/", 0},
        {"bpf", SYS_bpf, {0}, 0, NULL, 0},
        {"keyctl", SYS_keyctl, {0}, 0, NULL, 0},
        {"init_module", SYS_init_module, {0}, 0, NULL, 0},
        {"finit_module", SYS_finit_module, {0}, 0, NULL, 0},
        {"process_vm_writev", SYS_process_vm_writev, {1}, 0, NULL, 0},
        {"io_uring_setup", 425, {8}, 0, NULL, 0},
        {"unshare", SYS_unshare, {0x10000000}, 0, NULL, 0},
        {"setsid", SYS_setsid, {0}, 0, NULL, 0},
        {"execveat", SYS_execveat, {0}, 0, NULL, 0},
        {"perf_event_open", SYS_perf_event_open, {0}, 0, NULL, 0},
        {"prctl", SYS_prctl, {PR_SET_PDEATHSIG, 0}, 0, NULL, 0},
        {"ioctl", SYS_ioctl, {2, TIOCSTI, TEXT_AT}, 4, "x", 0},
        {"clone", SYS_clone, {0x10000000 | SIGCHLD}, 0, NULL, 0},
    };
    struct rig rig, other;
    (void)state;
    rig_open(&other);
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        char line[80];
        volatile long *cells = rig_guest_buffer(&rig, 1, 1);
        rig_kernel(&rig, 1, "caller", caller, 2);
        uint32_t status = call_make(&rig, &calls[i], cells);
        if (status != VGPGPU_ERR_LOST)
            fail_msg("%s: status %u, result %ld", calls[i].name, status, cells[0]);
        snprintf(line, sizeof(line), "system call that is not allowed, %s (%ld)", calls[i].name,
                 calls[i].number);
        if (!rig_log_has(line))
            fail_msg("the log does not say \"%s\"", line);
        assert_int_equal(front_context_destroy(rig.front, 1), 0);
        assert_int_equal(front_context_create(rig.front, 1, rig.fence_guest), 0);
        rig.fences[0] = 0;
    }
    rig_close(&rig);
    rig_batch(&other);
    assert_int_equal(rig_run(&other, 0), 0);
    rig_close(&other);
}

static int start(void **state)
{
    int shared = mkstemp(shared_path);
    if (shared < 0 || dup2(shared, INHERITED) < 0)
        return -1;
    close(shared);
    return rig_start(state);
}

static int stop(void **state)
{
    unlink(shared_path);
    return rig_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_that_are_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_processes_are_shut_in),
        cmocka_unit_test(test_calls_that_end_the_device_process),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
