/*
 * values.c: arguments: numbers, descriptors, paths, addresses. Structures are structs.c's.
 */
#include "fuzz.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

uint64_t value_number(struct fuzzer *z)
{
    uint64_t value = PICK(z, 0, 1, 2, 3, 7, 8, 9, 15, 16, 31, 63, 64, 100, 255, 256, 511, 512, 1023, 1024,
                          4095, 4096, 4097, 8192, 65535, 65536, 1 << 20, 0x7fffffff, 0x80000000,
                          0xfffff000, 0xffffffff, 1ull << 32, 1ull << 40, 1ull << 47, 1ull << 62,
                          0x7ffffffffffff000, 0x7fffffffffffffff, 0x8000000000000000, -4096ull, -4095ull,
                          -100ull, -22ull, -3ull, -2ull, -1ull);

    switch (below(z, 8)) {
    case 0:
        return random_next(z);
    case 1:
        return random_next(z) >> below(z, 64);
    case 2:
        return value + below(z, 3) - 1;
    default:
        return value;
    }
}

static uint64_t few_bits(struct fuzzer *z, unsigned bits)
{
    uint64_t value = 0;

    for (unsigned i = below(z, 4); i > 0; i--)
        value |= 1ull << below(z, bits);
    return value;
}

uint64_t value_fd(struct fuzzer *z)
{
    if (one_in(z, 8))
        return PICK(z, -1ull, -100ull, 0x7fffffff, 0x80000000, 1023, 1024, 65535, 0xffffffff, 1ull << 32);
    return below(z, one_in(z, 4) ? 64 : 24);
}

uint64_t value_length(struct fuzzer *z)
{
    if (one_in(z, 8))
        return value_number(z);
    return one_in(z, 16) ? LARGE_SIZE : below(z, one_in(z, 2) ? 64 : 10000);
}

uint64_t value_bad_pointer(struct fuzzer *z)
{
    switch (below(z, 8)) {
    case 0:
        return ARENA + below(z, ARENA_GROUPS) * ARENA_GROUP + ARENA_WRITE - below(z, 16);
    case 1: /* no rights, nothing there */
        return ARENA + below(z, ARENA_GROUPS) * ARENA_GROUP + ARENA_WRITE + PAGE + below(z, 2 * PAGE);
    case 2: /* beyond a file's end */
        return FILES + below(z, 2) * FILES_STEP + PAGE + below(z, 3 * PAGE);
    case 3: /* the program's own text */
        return (uint64_t)(uintptr_t)&value_bad_pointer;
    case 4:
        return (uint64_t)(uintptr_t)canary + below(z, CANARY_SIZE);
    default:
        return PICK(z, 0, 1, 8, 4095, 4096, 0x70000000, 0x7ffffffff000, 0x7fffffffeff8, 0x7fffffffefff,
                    0x7ffffffffff8, 0x800000000000, 0x800000000000000, 0xffff800000000000,
                    0xffff800000100000, 0xffff7fffffffffff, 0xffffffff80000000, 0xffffffff80100000,
                    0xffffffffffffeff8, 0xfffffffffffff000, 0xfffffffffffffff8, 0xffffffffffffffff);
    }
}

uint64_t value_pointer(struct fuzzer *z)
{
    switch (below(z, 16)) {
    case 0:
    case 1:
        return value_bad_pointer(z);
    case 2:
        return LARGE + below(z, LARGE_SIZE);
    case 3:
        return RACE + below(z, RACE_PAGES * PAGE);
    case 4:
        return FILES + below(z, 2) * FILES_STEP + below(z, PAGE + PAGE / 2);
    case 5:
        return (uint64_t)(uintptr_t)canary + below(z, CANARY_SIZE);
    default:
        return ARENA + below(z, ARENA_GROUPS) * ARENA_GROUP + below(z, ARENA_WRITE - PAGE);
    }
}

static const char *const paths[] = {
    "a", "b", "c", "d", "dir", "dir/a", "dir/b", "dir/dir", "dir/dir/c", "link", "loop", "./a", "dir/..",
    "dir/../a", "a/", "a/b", "dir/", ".", "..", "/", "", "//", "/tmp", "/tmp/fuzz/a", "/tmp/fuzz/dir/a",
    "/bin/true", "/bin/fuzz_calls", "/bin", "/etc/modules", "/dev", "/dev/null", "/dev/zero", "/dev/full",
    "/dev/random", "/dev/urandom", "/dev/shm", "/dev/shm/s", "/dev/ptmx", "/proc", "/proc/self",
    "/proc/self/maps", "/proc/self/fd", "/proc/self/fd/3", "/proc/self/cwd", "/proc/self/exe",
    "/proc/self/stat", "/proc/self/status", "/proc/self/cmdline", "/proc/self/mem", "/proc/self/task",
    "/proc/self/comm", "/proc/cpuinfo", "/proc/meminfo", "/proc/1/maps", "/proc/2/stat", "/proc/3/fd",
    "/proc/99999", "/proc/stat", "/proc/mounts", "/sys", "/sys/kernel", "/sys/kernel/malv/threads",
    "/sys/kernel/malv/counters", "/sys/devices/system/cpu/online", "/none/none", "socket", "socket2",
};

const char *value_path_text(struct fuzzer *z)
{
    return paths[below(z, one_in(z, 2) ? 16 : sizeof(paths) / sizeof(paths[0]))];
}

static uint64_t path_make(struct fuzzer *z)
{
    char text[5000];
    size_t size;

    if (one_in(z, 16)) { /* long ones, with and without an end */
        size = PICK(z, 255, 256, 257, 4094, 4095, 4096, 4097, 4999);
        for (size_t i = 0; i < size; i++)
            text[i] = one_in(z, 100) ? '/' : (char)('a' + below(z, 26));
        text[size] = '\0';
        return scratch_put(z, text, size + !one_in(z, 3));
    }
    strcpy(text, value_path_text(z));
    size = strlen(text);
    if (one_in(z, 24) && size > 0)
        text[below(z, (unsigned)size)] = (char)random_next(z);
    return scratch_put(z, text, size + 1);
}

/* Words that threads of a worker meet at. */
static uint64_t word_address(struct fuzzer *z)
{
    if (one_in(z, 6))
        return value_pointer(z);
    return (one_in(z, 3) ? FILES : ARENA) + below(z, 4) * 4;
}

static uint64_t map_address(struct fuzzer *z)
{
    if (one_in(z, 40)) /* seldom: this may end the worker */
        return value_bad_pointer(z);
    if (one_in(z, 24))
        return value_pointer(z) & ~(PAGE - 1);
    return RACE + below(z, RACE_PAGES) * PAGE + (one_in(z, 16) ? below(z, PAGE) : 0);
}

static uint64_t pid_make(struct fuzzer *z)
{
    switch (below(z, 6)) {
    case 0:
        return value_number(z);
    case 1:
        return 2 + below(z, 30);
    case 2:
        return (uint64_t)CALL(SYS_gettid);
    case 3:
        return 0;
    default:
        return (uint64_t)CALL(SYS_getpid);
    }
}

static uint64_t maps_make(struct fuzzer *z)
{
    uint64_t flags = PICK(z, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, 0);

    flags |= one_in(z, 3) ? 0 : MAP_ANONYMOUS;
    flags |= one_in(z, 3) ? 0 : MAP_FIXED;
    return flags | (one_in(z, 3) ? few_bits(z, 32) : 0);
}

static uint64_t number_of_kind(struct fuzzer *z, enum kind kind)
{
    switch (kind) {
    case FD:
        return value_fd(z);
    case AT:
        return one_in(z, 2) ? (uint64_t)AT_FDCWD : value_fd(z);
    case PID:
        return pid_make(z);
    case SIG:
        return one_in(z, 6) ? value_number(z) : below(z, 66);
    case LEN:
        return value_length(z);
    case PAGES:
        return one_in(z, 10) ? value_number(z)
                             : (1 + below(z, one_in(z, 4) ? RACE_PAGES : 4)) * PAGE -
                                   (one_in(z, 8) ? below(z, PAGE) : 0);
    case OFF:
        return one_in(z, 3) ? value_number(z) : below(z, 4) * PAGE;
    case FLAGS:
        return one_in(z, 2) ? 0 : one_in(z, 8) ? value_number(z) : few_bits(z, 32);
    case MODE:
        return one_in(z, 8) ? value_number(z) : 0700 | few_bits(z, 9);
    case PROT:
        return one_in(z, 10) ? value_number(z) : below(z, 8);
    case MAPS:
        return maps_make(z);
    case OPENS:
        return PICK(z, O_RDONLY, O_WRONLY, O_RDWR, 3) | (one_in(z, 2) ? O_CREAT : 0) |
               (one_in(z, 3) ? few_bits(z, 24) : 0) | (one_in(z, 4) ? O_NONBLOCK : 0);
    case MSGS:
        return one_in(z, 3) ? MSG_DONTWAIT : few_bits(z, 31);
    case COUNT:
        return one_in(z, 8) ? value_number(z) : below(z, 12);
    case FEW:
        return one_in(z, 8) ? value_number(z) : below(z, 20);
    case SETLEN:
        return one_in(z, 8) ? value_number(z) : 8;
    case FCNTL:
        return one_in(z, 10) ? value_number(z) : one_in(z, 5) ? 1024 + below(z, 17) : below(z, 40);
    case IOCTL:
        return one_in(z, 4) ? value_number(z) : one_in(z, 2) ? 0x5400 + below(z, 0x62)
                                                             : PICK(z, FIONREAD, FIONBIO, TIOCGPTN, 0x80045430,
                                                                    0x40045431, 0x5450, 0x5451, 0x5452);
    case PRCTL:
        return one_in(z, 8) ? value_number(z) : below(z, 70);
    case ARCH:
        return one_in(z, 8) ? value_number(z) : PICK(z, ARCH_SET_GS, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS, 0x1011, 0x1012, 0x1021);
    case FUTEX:
        return one_in(z, 8) ? value_number(z)
                            : below(z, 14) | (one_in(z, 2) ? FUTEX_PRIVATE_FLAG : 0) |
                                  (one_in(z, 4) ? FUTEX_CLOCK_REALTIME : 0);
    case FAMILY:
        return one_in(z, 4) ? value_number(z) : AF_UNIX;
    case OPTION:
        return one_in(z, 4) ? value_number(z) : below(z, 64);
    case CLONES:
        return one_in(z, 3) ? few_bits(z, 34) | below(z, 66)
                            : PICK(z, 17, 0x3d0f00, 0x50f00, CLONE_VM | 17, CLONE_VM | CLONE_VFORK | 17,
                                   CLONE_FILES | 17, CLONE_FS | 17, CLONE_PARENT | 17,
                                   CLONE_VM | CLONE_FILES | 17, 0, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | 17,
                                   CLONE_CHILD_CLEARTID | CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES);
    case MOUNTS:
        return one_in(z, 3) ? few_bits(z, 32)
                            : PICK(z, MS_BIND, MS_BIND | MS_REC, MS_BIND | MS_RDONLY, MS_REMOUNT, 0);
    default:
        return value_number(z);
    }
}

uint64_t value_make(struct fuzzer *z, enum kind kind)
{
    switch (kind) {
    case NO:
        return one_in(z, 4) ? value_number(z) : 0;
    case IN:
    case OUT:
        return value_pointer(z);
    case ADDR:
        return map_address(z);
    case PATH:
        return path_make(z);
    case WORD:
        return word_address(z);
    case ANY:
        return one_in(z, 2) ? value_number(z) : one_in(z, 3) ? value_fd(z) : value_pointer(z);
    default:
        return kind > FEW ? struct_make(z, kind) : number_of_kind(z, kind);
    }
}
