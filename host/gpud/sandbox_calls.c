/*
 * sandbox_calls.c: the system calls that a machine's processes may make, as a seccomp filter that
 * their children inherit. The device process's list is what gpud, PoCL with LLVM in the process, and
 * the linker that LLVM starts were seen to use, and their close relatives (another C library picks
 * other ones of a family). The front's is what its own code needs.
 *
 * Three answers: allowed; refused with an error, for what libraries try and do without; and SIGSYS,
 * which ends the process, for all others: ptrace, mount, bpf, keys, kernel modules, other processes'
 * memory, io_uring and whatever a newer kernel brings. Where the device is a GPU these are not there, as in an old
 * kernel: its driver is not ours to list, it changes with each release, and no kernel of a guest is machine code
 * beside it.
 */
#include "sandbox_calls.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "log.h"

#define CALL(name) SCMP_SYS(name)

static const int allowed[] = {
    /* memory */
    CALL(brk),
    CALL(mmap),
    CALL(munmap),
    CALL(mremap),
    CALL(mprotect),
    CALL(madvise),
    CALL(mincore),
    CALL(msync),
    CALL(mlock),
    CALL(mlock2),
    CALL(munlock),
    CALL(membarrier),
    CALL(memfd_create),
    CALL(mbind),
    CALL(get_mempolicy),
    CALL(set_mempolicy),
    /* threads, the linker's process, signals of this process */
    CALL(futex),
    CALL(futex_waitv),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(set_tid_address),
    CALL(arch_prctl),
    CALL(gettid),
    CALL(getpid),
    CALL(getppid),
    CALL(exit),
    CALL(exit_group),
    CALL(execve),
    CALL(wait4),
    CALL(waitid),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(sched_get_priority_max),
    CALL(sched_get_priority_min),

    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigpending),
    CALL(rt_sigtimedwait),
    CALL(rt_sigsuspend),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(pause),
    /* time */
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    CALL(times),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    /* what is known of itself and the host */
    CALL(uname),
    CALL(sysinfo),
    CALL(getcpu),
    CALL(getrandom),
    CALL(getrusage),
    CALL(getrlimit),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getresuid),
    CALL(getresgid),
    CALL(getgroups),
    CALL(getpgrp),
    CALL(umask),
    CALL(capget),
    CALL(getpriority),
    /* descriptors */
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(preadv),
    CALL(pwritev),
    CALL(lseek),
    CALL(close),
    CALL(close_range),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(fcntl),
    CALL(flock),
    CALL(pipe),
    CALL(pipe2),
    CALL(eventfd2),
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(copy_file_range),
    CALL(sendfile),
    /* the connection that is there already */
    CALL(recvmsg),
    CALL(recvfrom),
    CALL(sendmsg),
    CALL(getsockopt),
    CALL(getsockname),
    CALL(shutdown),
    /* files: which ones, Landlock says */
    CALL(open),
    CALL(openat),
    CALL(creat),
    CALL(stat),
    CALL(lstat),
    CALL(fstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(statfs),
    CALL(fstatfs),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(getdents),
    CALL(getdents64),
    CALL(getcwd),
    CALL(chdir),
    CALL(readlink),
    CALL(readlinkat),
    CALL(mkdir),
    CALL(mkdirat),
    CALL(rmdir),
    CALL(unlink),
    CALL(unlinkat),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(link),
    CALL(linkat),
    CALL(symlink),
    CALL(symlinkat),
    CALL(ftruncate),
    CALL(truncate),
    CALL(fallocate),
    CALL(fsync),
    CALL(fdatasync),
    CALL(fadvise64),
};

static const struct {
    int call;
    int error;
} refused[] = {
    /* glibc then makes its threads and processes with clone(), whose flags can be looked at. */
    {CALL(clone3), ENOSYS},
    {CALL(openat2), ENOSYS},
    /* Landlock leaves these alone; a linker marks its output executable, and need not. */
    {CALL(chmod), EPERM},
    {CALL(fchmod), EPERM},
    {CALL(fchmodat), EPERM},
    {CALL(utimensat), EPERM},
    {CALL(setxattr), EPERM},
    {CALL(mknod), EPERM},
    {CALL(mknodat), EPERM},
    /* The C library asks a daemon for the user's name, drivers ask theirs. */
    {CALL(socket), EACCES},
    {CALL(socketpair), EACCES},
    {CALL(connect), EACCES},
    {CALL(bind), EACCES},
    {CALL(listen), EACCES},
    {CALL(accept), EACCES},
    {CALL(accept4), EACCES},
    {CALL(sendto), EACCES},
    /* To be heard above others. */
    {CALL(sched_setscheduler), EPERM},
    {CALL(sched_setattr), EPERM},
    {CALL(setpriority), EPERM},
};

/*
 * NVIDIA's driver binds a socket without a name in the file system and listens on it, to hand its memory to other
 * processes that know of it, and does not start where it may not. Nobody is answered on it: accept() is refused.
 */
static const int driver_allowed[] = {CALL(bind), CALL(listen), CALL(setsockopt)};

/* The front: its memory and threads, the descriptors that it is given, time. */
static const int front_allowed[] = {
    CALL(brk),
    CALL(memfd_create),
    CALL(ftruncate),
    CALL(mmap),
    CALL(munmap),
    CALL(mremap),
    CALL(mprotect),
    CALL(madvise),
    CALL(futex),
    CALL(set_robust_list),
    CALL(rseq),
    CALL(gettid),
    CALL(getpid),
    CALL(exit),
    CALL(exit_group),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(clock_gettime),
    CALL(clock_nanosleep),
    CALL(getrandom),
    CALL(read),
    CALL(write),
    CALL(recvmsg),
    CALL(recvfrom),
    CALL(sendmsg),
    CALL(shutdown),
    CALL(poll),
    CALL(ppoll),
    CALL(fcntl),
    CALL(fstat),
    CALL(newfstatat),
    CALL(dup),
    CALL(eventfd2),
    CALL(close),
};

/* Every rule is one of these; `ok` stays false after the first that failed. */
struct filter {
    scmp_filter_ctx context;
    enum sandbox_kind kind;
    uint32_t otherwise; /* what a call gets that has no rule: no rule may say the same */
    bool ok;
};

static void rule_add(struct filter *filter, uint32_t action, int call)
{
    if (filter->ok && action != filter->otherwise)
        filter->ok = seccomp_rule_add(filter->context, action, call, 0) == 0;
}

static void rule_add_if(struct filter *filter, uint32_t action, int call, struct scmp_arg_cmp test)
{
    if (filter->ok)
        filter->ok = seccomp_rule_add_array(filter->context, action, call, 1, &test) == 0;
}

/* Threads and a linker's process, but no namespaces. */
static void clone_rules(struct filter *filter)
{
    const scmp_datum_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, spaces, 0));
}

/* Signals only to itself. */
static void kill_rules(struct filter *filter)
{
    const scmp_datum_t self = (scmp_datum_t)getpid();
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(tgkill), SCMP_A0(SCMP_CMP_EQ, self));
    rule_add_if(filter, SCMP_ACT_ERRNO(EPERM), CALL(tgkill), SCMP_A0(SCMP_CMP_NE, self));
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(kill), SCMP_A0(SCMP_CMP_EQ, self));
    rule_add_if(filter, SCMP_ACT_ERRNO(EPERM), CALL(kill), SCMP_A0(SCMP_CMP_NE, self));
}

/* LLVM puts handlers of its own for fatal signals, and goes on after them: not for SIGSYS. */
static void handler_rules(struct filter *filter)
{
    const scmp_datum_t forbidden = SIGSYS;
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(rt_sigaction), SCMP_A0(SCMP_CMP_NE, forbidden));
    rule_add_if(filter, SCMP_ACT_ERRNO(EPERM), CALL(rt_sigaction), SCMP_A0(SCMP_CMP_EQ, forbidden));
}

/* It dies with its parent, whatever it wishes: of prctl() only what names threads and memory. */
static void prctl_rules(struct filter *filter)
{
    static const scmp_datum_t fine[] = {PR_SET_NAME,         PR_GET_NAME,
                                        PR_GET_DUMPABLE,     PR_CAPBSET_READ,
                                        PR_GET_NO_NEW_PRIVS, 0x53564d41 /* PR_SET_VMA */};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        rule_add_if(filter, SCMP_ACT_ALLOW, CALL(prctl), SCMP_A0(SCMP_CMP_EQ, fine[i]));
}

/*
 * A GPU's driver is spoken to with ioctl(); the terminal that the log goes to must not be (it could
 * be made to take input). Its requests are those of the type 0x54, of which a few are harmless; any
 * other type differs from that in one of 8 bits.
 */
static void ioctl_rules(struct filter *filter)
{
    static const scmp_datum_t fine[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX};
    const scmp_datum_t low = 0xffffffffu, terminal = 0x5400;
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        rule_add_if(filter, SCMP_ACT_ALLOW, CALL(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, low, fine[i]));
    for (scmp_datum_t bit = 0x100; bit < 0x10000; bit <<= 1)
        rule_add_if(filter, SCMP_ACT_ALLOW, CALL(ioctl),
                    SCMP_A1(SCMP_CMP_MASKED_EQ, bit, ~terminal & bit));
}

static bool is_drivers(int call)
{
    for (size_t i = 0; i < sizeof(driver_allowed) / sizeof(driver_allowed[0]); i++)
        if (driver_allowed[i] == call)
            return true;
    return call == CALL(socket) || call == CALL(socketpair);
}

/* Sockets of this host alone; not of datagrams, which can be sent to any that has a name. */
static void driver_socket_rules(struct filter *filter, int call)
{
    const scmp_datum_t kind = 0xf;
    static const scmp_datum_t fine[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]) && filter->ok; i++) {
        const struct scmp_arg_cmp tests[] = {SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                                             SCMP_A1(SCMP_CMP_MASKED_EQ, kind, fine[i])};
        filter->ok = seccomp_rule_add_array(filter->context, SCMP_ACT_ALLOW, call, 2, tests) == 0;
    }
}

static void driver_rules(struct filter *filter)
{
    for (size_t i = 0; i < sizeof(driver_allowed) / sizeof(driver_allowed[0]); i++)
        rule_add(filter, SCMP_ACT_ALLOW, driver_allowed[i]);
    driver_socket_rules(filter, CALL(socket));
    driver_socket_rules(filter, CALL(socketpair));
}

static void filter_fill(struct filter *filter)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        rule_add(filter, SCMP_ACT_ALLOW, allowed[i]);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (filter->kind != SANDBOX_DRIVER || !is_drivers(refused[i].call))
            rule_add(filter, SCMP_ACT_ERRNO((uint32_t)refused[i].error), refused[i].call);
    if (filter->kind == SANDBOX_DRIVER)
        driver_rules(filter);
    clone_rules(filter);
    kill_rules(filter);
    handler_rules(filter);
    prctl_rules(filter);
    ioctl_rules(filter);
    /* Its own limits, which can only shrink. */
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0));
}

/* Threads, and nothing else that clone() makes. */
static void front_filter_fill(struct filter *filter)
{
    const scmp_datum_t self = (scmp_datum_t)getpid(), thread = CLONE_VM | CLONE_THREAD;
    for (size_t i = 0; i < sizeof(front_allowed) / sizeof(front_allowed[0]); i++)
        rule_add(filter, SCMP_ACT_ALLOW, front_allowed[i]);
    rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3));
    rule_add(filter, SCMP_ACT_ERRNO(EPERM), CALL(rt_sigaction));
    /* The heap of a thread that shrinks: malloc asks /proc about overcommitment, and does without. */
    rule_add(filter, SCMP_ACT_ERRNO(EACCES), CALL(openat));
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(clone),
                SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(tgkill), SCMP_A0(SCMP_CMP_EQ, self));
    rule_add_if(filter, SCMP_ACT_ALLOW, CALL(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0));
}

static int filter_enter(void (*fill)(struct filter *filter), enum sandbox_kind kind, uint32_t otherwise)
{
    struct filter filter = {
        .context = seccomp_init(otherwise), .kind = kind, .otherwise = otherwise, .ok = true};
    if (!filter.context)
        return -1;
    seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, where it can */
    fill(&filter);
    int error = filter.ok ? seccomp_load(filter.context) : -EINVAL;
    seccomp_release(filter.context);
    if (!error)
        return 0;
    log_line("system calls cannot be limited: %s", strerror(-error));
    return -1;
}

int sandbox_calls_shut(enum sandbox_kind kind, bool strict)
{
    bool refuses = kind == SANDBOX_DRIVER && !strict;
    return filter_enter(filter_fill, kind, refuses ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_TRAP);
}

int sandbox_calls_shut_front(void)
{
    return filter_enter(front_filter_fill, SANDBOX_KERNELS, SCMP_ACT_TRAP);
}

const char *sandbox_call_name(int number)
{
    const char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    return name ? name : "unknown";
}
