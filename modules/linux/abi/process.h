/*
 * process.h: numbers and structures of Linux's process, thread, futex and machine calls.
 */
#pragma once

#include <stdint.h>

#define LINUX_CLONE_SIGNAL_MASK    0xffu
#define LINUX_CLONE_VM             0x00000100u
#define LINUX_CLONE_FS             0x00000200u
#define LINUX_CLONE_FILES          0x00000400u
#define LINUX_CLONE_SIGHAND        0x00000800u
#define LINUX_CLONE_PIDFD          0x00001000u
#define LINUX_CLONE_PTRACE         0x00002000u
#define LINUX_CLONE_VFORK          0x00004000u
#define LINUX_CLONE_PARENT         0x00008000u
#define LINUX_CLONE_THREAD         0x00010000u
#define LINUX_CLONE_NEWNS          0x00020000u
#define LINUX_CLONE_SYSVSEM        0x00040000u
#define LINUX_CLONE_SETTLS         0x00080000u
#define LINUX_CLONE_PARENT_SETTID  0x00100000u
#define LINUX_CLONE_CHILD_CLEARTID 0x00200000u
#define LINUX_CLONE_DETACHED       0x00400000u
#define LINUX_CLONE_CHILD_SETTID   0x01000000u
#define LINUX_CLONE_CLEAR_SIGHAND  0x100000000ull

/* clone3's argument; 64 bytes in its first version, 88 in the third. */
struct linux_clone_args {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};
#define LINUX_CLONE_ARGS_SIZE_0 64u
_Static_assert(sizeof(struct linux_clone_args) == 88, "clone_args layout");

enum {
    LINUX_WNOHANG = 1,
    LINUX_WUNTRACED = 2, /* waitid: WSTOPPED */
    LINUX_WEXITED = 4,
    LINUX_WCONTINUED = 8,
    LINUX_WNOWAIT = 0x01000000,
};
#define LINUX_WNOTHREAD 0x20000000u
#define LINUX_WALL      0x40000000u
#define LINUX_WCLONE    0x80000000u
enum { LINUX_P_ALL = 0, LINUX_P_PID = 1, LINUX_P_PGID = 2, LINUX_P_PIDFD = 3 };
enum {
    LINUX_CLD_EXITED = 1,
    LINUX_CLD_KILLED = 2,
    LINUX_CLD_STOPPED = 5,
    LINUX_CLD_CONTINUED = 6,
};

enum {
    LINUX_ARCH_SET_GS = 0x1001,
    LINUX_ARCH_SET_FS = 0x1002,
    LINUX_ARCH_GET_FS = 0x1003,
    LINUX_ARCH_GET_GS = 0x1004,
};

enum {
    LINUX_PR_SET_PDEATHSIG = 1,
    LINUX_PR_GET_PDEATHSIG = 2,
    LINUX_PR_GET_DUMPABLE = 3,
    LINUX_PR_SET_DUMPABLE = 4,
    LINUX_PR_GET_KEEPCAPS = 7,
    LINUX_PR_SET_KEEPCAPS = 8,
    LINUX_PR_SET_NAME = 15,
    LINUX_PR_GET_NAME = 16,
    LINUX_PR_CAPBSET_READ = 23,
    LINUX_PR_CAPBSET_DROP = 24,
    LINUX_PR_GET_SECUREBITS = 27,
    LINUX_PR_SET_TIMERSLACK = 29,
    LINUX_PR_GET_TIMERSLACK = 30,
    LINUX_PR_SET_CHILD_SUBREAPER = 36,
    LINUX_PR_GET_CHILD_SUBREAPER = 37,
    LINUX_PR_SET_NO_NEW_PRIVS = 38,
    LINUX_PR_GET_NO_NEW_PRIVS = 39,
    LINUX_PR_GET_THP_DISABLE = 42,
    LINUX_PR_CAP_AMBIENT = 47,
};
enum {
    LINUX_PR_CAP_AMBIENT_IS_SET = 1,
    LINUX_PR_CAP_AMBIENT_RAISE = 2,
    LINUX_PR_CAP_AMBIENT_LOWER = 3,
    LINUX_PR_CAP_AMBIENT_CLEAR_ALL = 4,
};
#define LINUX_TASK_NAME_MAX 16u

enum {
    LINUX_RLIMIT_CPU = 0,
    LINUX_RLIMIT_FSIZE = 1,
    LINUX_RLIMIT_DATA = 2,
    LINUX_RLIMIT_STACK = 3,
    LINUX_RLIMIT_CORE = 4,
    LINUX_RLIMIT_NPROC = 6,
    LINUX_RLIMIT_NOFILE = 7,
    LINUX_RLIMIT_MEMLOCK = 8,
    LINUX_RLIMIT_AS = 9,
    LINUX_RLIMIT_COUNT = 16,
};
#define LINUX_RLIM_INFINITY UINT64_MAX
#define LINUX_STACK_LIMIT   (8ull << 20) /* the first program's */
#define LINUX_LOCK_LIMIT    (8ull << 20)

struct linux_rlimit {
    uint64_t current;
    uint64_t maximum;
};

struct linux_timeval {
    int64_t sec;
    int64_t usec;
};

struct linux_itimerval {
    struct linux_timeval interval;
    struct linux_timeval value;
};

enum { LINUX_RUSAGE_SELF = 0, LINUX_RUSAGE_CHILDREN = -1, LINUX_RUSAGE_THREAD = 1 };

struct linux_rusage {
    struct linux_timeval user_time;
    struct linux_timeval system_time;
    int64_t max_rss_kib;
    int64_t shared_memory[3]; /* never counted */
    int64_t minor_faults, major_faults;
    int64_t never[6]; /* swaps, blocks, messages, signals */
    int64_t switches, involuntary_switches;
};
_Static_assert(sizeof(struct linux_rusage) == 144, "rusage layout");

struct linux_tms {
    int64_t user, system, children_user, children_system; /* ticks */
};
#define LINUX_TICKS_PER_SECOND 100u

#define LINUX_UTS_FIELD 65
struct linux_utsname {
    char sysname[LINUX_UTS_FIELD];
    char nodename[LINUX_UTS_FIELD];
    char release[LINUX_UTS_FIELD];
    char version[LINUX_UTS_FIELD];
    char machine[LINUX_UTS_FIELD];
    char domainname[LINUX_UTS_FIELD];
};

struct linux_sysinfo {
    int64_t uptime;
    uint64_t loads[3];
    uint64_t total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
    uint16_t processes;
    uint16_t pad;
    uint64_t total_high, free_high;
    uint32_t unit;
};
_Static_assert(sizeof(struct linux_sysinfo) == 112, "sysinfo layout");

enum {
    LINUX_FUTEX_WAIT = 0,
    LINUX_FUTEX_WAKE = 1,
    LINUX_FUTEX_REQUEUE = 3,
    LINUX_FUTEX_CMP_REQUEUE = 4,
    LINUX_FUTEX_WAKE_OP = 5,
    LINUX_FUTEX_WAIT_BITSET = 9,
    LINUX_FUTEX_WAKE_BITSET = 10,
    LINUX_FUTEX_COMMAND_MASK = 0x7f,
    LINUX_FUTEX_PRIVATE = 128,
    LINUX_FUTEX_CLOCK_REALTIME = 256,
};
#define LINUX_FUTEX_SIZE_32    2u /* of futex_waitv()'s words */
#define LINUX_FUTEX_ANY        0xffffffffu
#define LINUX_FUTEX_WAITERS    0x80000000u
#define LINUX_FUTEX_OWNER_DIED 0x40000000u
#define LINUX_FUTEX_TID_MASK   0x3fffffffu

struct linux_futex_word {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

struct linux_robust_list_head {
    uint64_t next;
    int64_t futex_offset;
    uint64_t pending;
};

/* Keys of the auxiliary vector. */
enum {
    LINUX_AT_NULL = 0,
    LINUX_AT_IGNORE = 1,
    LINUX_AT_PHDR = 3,
    LINUX_AT_PHENT = 4,
    LINUX_AT_PHNUM = 5,
    LINUX_AT_PAGESZ = 6,
    LINUX_AT_BASE = 7,
    LINUX_AT_FLAGS = 8,
    LINUX_AT_ENTRY = 9,
    LINUX_AT_UID = 11,
    LINUX_AT_EUID = 12,
    LINUX_AT_GID = 13,
    LINUX_AT_EGID = 14,
    LINUX_AT_PLATFORM = 15,
    LINUX_AT_HWCAP = 16,
    LINUX_AT_CLKTCK = 17,
    LINUX_AT_SECURE = 23,
    LINUX_AT_RANDOM = 25,
    LINUX_AT_RSEQ_FEATURE_SIZE = 27,
    LINUX_AT_RSEQ_ALIGN = 28,
    LINUX_AT_EXECFN = 31,
    LINUX_AT_SYSINFO_EHDR = 33,
    LINUX_AT_MINSIGSTKSZ = 51,
};

enum { LINUX_GRND_NONBLOCK = 1, LINUX_GRND_RANDOM = 2, LINUX_GRND_INSECURE = 4 };
enum { LINUX_ITIMER_REAL = 0, LINUX_ITIMER_VIRTUAL = 1, LINUX_ITIMER_PROF = 2, LINUX_ITIMER_KINDS };
enum { LINUX_PRIO_PROCESS = 0, LINUX_PRIO_PGRP = 1, LINUX_PRIO_USER = 2 };

enum {
    LINUX_CLOCK_REALTIME = 0,
    LINUX_CLOCK_MONOTONIC = 1,
    LINUX_CLOCK_PROCESS_CPUTIME = 2,
    LINUX_CLOCK_THREAD_CPUTIME = 3,
    LINUX_CLOCK_MONOTONIC_RAW = 4,
    LINUX_CLOCK_REALTIME_COARSE = 5,
    LINUX_CLOCK_MONOTONIC_COARSE = 6,
    LINUX_CLOCK_BOOTTIME = 7,
    LINUX_CLOCK_TAI = 11,
};
#define LINUX_TIMER_ABSTIME 1

/* rseq: what a thread and the kernel tell each other, and a critical section. */
struct linux_rseq {
    uint32_t cpu_id_start, cpu_id;
    uint64_t critical_section; /* address of a struct linux_rseq_cs; 0: in none */
    uint32_t flags;
    uint32_t node_id, mm_cid;
};
struct linux_rseq_cs {
    uint32_t version, flags;
    uint64_t start, length, abort;
};
_Static_assert(sizeof(struct linux_rseq_cs) == 32, "rseq_cs layout");
#define LINUX_RSEQ_UNREGISTER    1u
#define LINUX_RSEQ_UNINITIALIZED UINT32_MAX

enum {
    LINUX_MEMBARRIER_QUERY = 0,
    LINUX_MEMBARRIER_GLOBAL = 1 << 0,
    LINUX_MEMBARRIER_GLOBAL_EXPEDITED = 1 << 1,
    LINUX_MEMBARRIER_REGISTER_GLOBAL_EXPEDITED = 1 << 2,
    LINUX_MEMBARRIER_PRIVATE_EXPEDITED = 1 << 3,
    LINUX_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED = 1 << 4,
    LINUX_MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE = 1 << 5,
    LINUX_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 1 << 6,
    LINUX_MEMBARRIER_PRIVATE_EXPEDITED_RSEQ = 1 << 7,
    LINUX_MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ = 1 << 8,
    LINUX_MEMBARRIER_GET_REGISTRATIONS = 1 << 9,
};
