/*
 * syscall.h: a system call on its way through the personality.
 */
#pragma once

#include <microlake/types.h>

#include "modules/linux/include/linux_errno.h"

struct task;
struct user_regs;

/* One call. Arguments are as the program gave them: nothing is checked. */
struct call {
    uint64_t arg[6];
    struct task *task;      /* who calls */
    struct user_regs *regs; /* its registers, for calls that change more than the result */
};

/*
 * Every handler has this form: a result >= 0, a status (ERR_*), LINUX_ERRNO(E...), or one of the
 * restarts below. Runs in the calling thread, may sleep.
 */
typedef long (*syscall_handler)(struct call *c);

#define SYSCALL(number, name) long sys_##name(struct call *c);
#include "modules/linux/abi/syscalls.h"
#undef SYSCALL

enum syscall_number {
#define SYSCALL(number, name) NR_##name = number,
#include "modules/linux/abi/syscalls.h"
#undef SYSCALL
    SYSCALL_NUMBERS,
};

/*
 * A wait that a signal ended. ERR_INTERRUPTED restarts the call unless a handler without SA_RESTART
 * runs; LINUX_RESTART_NO_HANDLER restarts it only when no handler runs at all. Otherwise: EINTR.
 */
#define LINUX_RESTART_NO_HANDLER (-2 * LINUX_ERRNO_BASE)

/* The one place where results become Linux's: value, or -errno. */
long errno_of_result(long result);

/* Carries out the call in *regs, attends to signals, and leaves the result in regs->rax. */
void syscall_enter(struct user_regs *regs);

/* The name of a call for messages, or "?". */
const char *syscall_name(uint64_t number);
