/*
 * signal.h: numbers and structures of Linux's signals on x86-64, the frame a handler runs on
 * included.
 */
#pragma once

#include <stdint.h>

#define LINUX_SIGNALS 64

enum {
    LINUX_SIGHUP = 1,
    LINUX_SIGINT = 2,
    LINUX_SIGQUIT = 3,
    LINUX_SIGILL = 4,
    LINUX_SIGTRAP = 5,
    LINUX_SIGABRT = 6,
    LINUX_SIGBUS = 7,
    LINUX_SIGFPE = 8,
    LINUX_SIGKILL = 9,
    LINUX_SIGUSR1 = 10,
    LINUX_SIGSEGV = 11,
    LINUX_SIGUSR2 = 12,
    LINUX_SIGPIPE = 13,
    LINUX_SIGALRM = 14,
    LINUX_SIGTERM = 15,
    LINUX_SIGSTKFLT = 16,
    LINUX_SIGCHLD = 17,
    LINUX_SIGCONT = 18,
    LINUX_SIGSTOP = 19,
    LINUX_SIGTSTP = 20,
    LINUX_SIGTTIN = 21,
    LINUX_SIGTTOU = 22,
    LINUX_SIGURG = 23,
    LINUX_SIGXCPU = 24,
    LINUX_SIGXFSZ = 25,
    LINUX_SIGVTALRM = 26,
    LINUX_SIGPROF = 27,
    LINUX_SIGWINCH = 28,
    LINUX_SIGRTMIN = 32,
};

#define LINUX_SIG_DFL 0ull
#define LINUX_SIG_IGN 1ull

#define LINUX_SA_NOCLDSTOP 0x00000001ull
#define LINUX_SA_NOCLDWAIT 0x00000002ull
#define LINUX_SA_SIGINFO   0x00000004ull
#define LINUX_SA_RESTORER  0x04000000ull
#define LINUX_SA_ONSTACK   0x08000000ull
#define LINUX_SA_RESTART   0x10000000ull
#define LINUX_SA_NODEFER   0x40000000ull
#define LINUX_SA_RESETHAND 0x80000000ull

enum { LINUX_SIG_BLOCK = 0, LINUX_SIG_UNBLOCK = 1, LINUX_SIG_SETMASK = 2 };

#define LINUX_SS_ONSTACK    1u
#define LINUX_SS_DISABLE    2u
#define LINUX_SS_AUTODISARM 0x80000000u
#define LINUX_MINSIGSTKSZ   2048u

/* Where a signal comes from. */
enum {
    LINUX_SI_USER = 0,
    LINUX_SI_KERNEL = 0x80,
    LINUX_SI_QUEUE = -1,
    LINUX_SI_TKILL = -6,
    LINUX_ILL_ILLOPN = 2,
    LINUX_FPE_INTDIV = 1,
    LINUX_FPE_FLTINV = 7,
    LINUX_SEGV_MAPERR = 1,
    LINUX_SEGV_ACCERR = 2,
    LINUX_BUS_ADRALN = 1,
    LINUX_BUS_ADRERR = 2,
    LINUX_TRAP_BRKPT = 1,
    LINUX_TRAP_TRACE = 2,
};

struct linux_sigaction {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};
_Static_assert(sizeof(struct linux_sigaction) == 32, "sigaction layout");

struct linux_siginfo {
    int32_t signo;
    int32_t error;
    int32_t code;
    int32_t pad;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value; /* sigqueue's */
        } sender;
        struct {
            int32_t pid;
            uint32_t uid;
            int32_t status;
            int32_t pad;
            int64_t user_time, system_time; /* ticks */
        } child;
        struct {
            uint64_t address;
        } fault;
        uint8_t bytes[112];
    };
};
_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo layout");

struct linux_stack {
    uint64_t sp;
    uint32_t flags;
    uint32_t pad;
    uint64_t size;
};

struct linux_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t fpstate; /* address of the vector state, 0: none */
    uint64_t reserved[8];
};
_Static_assert(sizeof(struct linux_sigcontext) == 256, "sigcontext layout");

#define LINUX_UC_FP_XSTATE         1u
#define LINUX_UC_SIGCONTEXT_SS     2u
#define LINUX_UC_STRICT_RESTORE_SS 4u

struct linux_ucontext {
    uint64_t flags;
    uint64_t link;
    struct linux_stack stack;
    struct linux_sigcontext context;
    uint64_t mask;
};

/* What lies on the stack when a handler starts; the return address comes first. */
struct linux_signal_frame {
    uint64_t return_address;
    struct linux_ucontext ucontext;
    struct linux_siginfo info;
};
_Static_assert(sizeof(struct linux_signal_frame) == 440, "signal frame layout");

/* In the 48 bytes that the processor leaves to software at the end of the FXSAVE area. */
struct linux_fpstate_info {
    uint32_t magic; /* LINUX_FP_MAGIC1: more than FXSAVE follows */
    uint32_t extended_size;
    uint64_t features;
    uint32_t state_size;
    uint32_t pad[7];
};
#define LINUX_FPSTATE_INFO_OFFSET 464u
#define LINUX_FP_MAGIC1           0x46505853u
#define LINUX_FP_MAGIC2           0x46505845u /* behind the state */
