/*
 * entry.c: the ways in: system calls, traps and the work before a return to user mode; and results
 * on their way out.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/thread.h>
#include <microlake/user.h>

#include "modules/linux/entry.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/syscall.h"

#define SYSCALL_TABLE_SIZE 512u

static bool trace_calls;
static uint64_t reported[SYSCALL_TABLE_SIZE / 64]; /* absent calls that the log has named */

static const char *const names[SYSCALL_TABLE_SIZE] = {
#define SYSCALL(number, name) [number] = #name,
#include "modules/linux/abi/syscalls.h"
#undef SYSCALL
};

void entry_init(void)
{
    trace_calls = boot_option("linux.trace", 0) != NULL;
}

const char *syscall_name(uint64_t number)
{
    return number < SYSCALL_TABLE_SIZE && names[number] ? names[number] : "?";
}

long errno_of_result(long result)
{
    static const uint8_t errno_of_status[] = {
        [-ERR_NO_MEMORY] = ENOMEM,
        [-ERR_INVALID] = EINVAL,
        [-ERR_NOT_FOUND] = ENOENT,
        [-ERR_EXISTS] = EEXIST,
        [-ERR_BUSY] = EBUSY,
        [-ERR_ACCESS] = EACCES,
        [-ERR_FAULT] = EFAULT,
        [-ERR_RANGE] = ERANGE,
        [-ERR_TIMED_OUT] = ETIMEDOUT,
        [-ERR_INTERRUPTED] = EINTR,
        [-ERR_UNSUPPORTED] = EOPNOTSUPP,
        [-ERR_BAD_FORMAT] = ENOEXEC,
        [-ERR_AGAIN] = EAGAIN,
        [-ERR_LIMIT] = ENOSPC,
        [-ERR_LOST] = ENODEV,
        [-ERR_IO] = EIO,
        [-ERR_BUILD] = ENOEXEC,
    };

    if (result >= 0)
        return result;
    if (result == LINUX_RESTART_NO_HANDLER)
        return -EINTR;
    if (result <= -LINUX_ERRNO_BASE && result > -2 * LINUX_ERRNO_BASE)
        return result + LINUX_ERRNO_BASE;
    if (-result < (long)ARRAY_SIZE(errno_of_status) && errno_of_status[-result] != 0)
        return -(long)errno_of_status[-result];
    return -EINVAL;
}

/* Once a call: two CPUs may both say it, which does no harm. */
static long report_absent(const struct task *t, uint64_t number)
{
    uint64_t bit = 1ull << (number % 64);
    uint64_t *word = &reported[number % SYSCALL_TABLE_SIZE / 64];

    if (!(__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit))
        log_warn("linux: %s asks for system call %llu (%s), which is not there yet",
                 t->process->name, (unsigned long long)number, syscall_name(number));
    return LINUX_ERRNO(ENOSYS);
}

static void trace(const struct call *c, uint64_t number, long result)
{
    log_info("linux: [%d] %s(%lx, %lx, %lx, %lx, %lx, %lx) = %ld", c->task->tid,
             syscall_name(number), c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5],
             errno_of_result(result));
}

static bool is_restart(long result)
{
    return result == ERR_INTERRUPTED || result == LINUX_RESTART_NO_HANDLER;
}

void syscall_enter(struct user_regs *regs)
{
    struct task *t = task_current();
    uint64_t number = regs->error;
    struct call c = {{regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9}, t, regs};
    syscall_handler handler = syscall_find(number);
    long result = handler ? handler(&c) : report_absent(t, number);

    if (trace_calls)
        trace(&c, number, result);
    /* Calls that replace the registers (sigreturn, exec) have said so. */
    if (regs->vector == USER_VECTOR_SYSCALL)
        regs->rax = (uint64_t)errno_of_result(result);
    if (is_restart(result))
        signal_attend(t, regs, result);
    else if (signal_waits(t))
        signal_attend(t, regs, 0);
}

static void trap_enter(struct user_regs *regs, const struct user_fault *fault)
{
    signal_fault(task_current(), regs, fault);
}

static void attend(struct user_regs *regs)
{
    struct task *t = task_current();
    int32_t tid = t->tid;

    if (t->set_tid != 0) {
        user_write(t->set_tid, &tid, sizeof(tid));
        t->set_tid = 0;
    }
    if (t->rseq.at != 0 && !rseq_attend(t, regs))
        signal_force_segv(t);
    signal_attend(t, regs, 0);
    if (t->announced) {
        t->announced = false;
        boot_command_begins();
    }
}

/* Its program can't tell a call's use of its memory from its own: nor may lack of memory differ. */
static bool starved(void)
{
    struct task *t = task_current();

    oom_relieve(t);
    return !task_must_exit(t);
}

static void task_gone(void *personality)
{
    task_unref(personality);
}

const struct user_ops linux_user_ops = {
    .syscall = syscall_enter,
    .fault = trap_enter,
    .before_return = attend,
    .starved = starved,
    .exited = task_gone,
};
