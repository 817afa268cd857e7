/*
 * signal.h: signals, from their sender to the handler.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>

#include "modules/linux/abi/signal.h"

struct call;
struct process;
struct task;
struct user_fault;
struct user_regs;

/* Signals sent and not yet taken. Guarded by the process's lock. */
struct signal_queue {
    uint64_t set; /* signal_bit() of each */
    struct list
        items; /* struct signal_item, oldest first; one may be missing when memory ran out */
};

static inline uint64_t signal_bit(int signal)
{
    return 1ull << (signal - 1);
}

static inline bool signal_valid(int signal)
{
    return signal >= 1 && signal <= LINUX_SIGNALS;
}

void signal_queue_init(struct signal_queue *q);
void signal_queue_clear(struct signal_queue *q); /* frees what is in it */

/* Takes all signals of `which` out. */
void signal_queue_discard(struct signal_queue *q, uint64_t which);

/* A standard signal that waits already is not queued again. Without memory only its number waits. */
void signal_queue_add(struct signal_queue *q, const struct linux_siginfo *info);

/* Takes the lowest signal of `wanted` out. false: there is none. */
bool signal_queue_take(struct signal_queue *q, uint64_t wanted, struct linux_siginfo *out);

/*
 * Sends *info to a process or to one task. Any context. Signals that are ignored vanish. OK also
 * when the receiver is ending.
 */
void signal_send_process(struct process *p, const struct linux_siginfo *info);
void signal_send_task(struct task *t, const struct linux_siginfo *info);

/* Sends with si_code, as the kernel or the process `sender` (0: the kernel) would. */
void signal_send_simple(struct process *p, int signal, int code, int sender);

/* A fault of the calling task: it can't be ignored or blocked. */
void signal_force(struct task *t, const struct linux_siginfo *info);
void signal_force_segv(struct task *t); /* by the kernel, without an address */

/* Something waits for the task: a signal, a stop, its end. No lock needed; may be early. */
bool signal_waits(const struct task *t);

/* Something that waits for the task will end it. Takes the process's lock. */
bool signal_ends(struct task *t);

/*
 * Attends to everything that waits for the calling task before it goes on in user mode: may change
 * *regs to enter a handler, may stop, may not return. result: what the system call that ends here
 * returned, if it is one of the restarts, else 0.
 */
void signal_attend(struct task *t, struct user_regs *regs, long result);

/* Replaces the set of blocked signals of the calling task. */
void signal_set_blocked(struct task *t, uint64_t mask);

/* For exec: handlers become default, ignored ones stay. The task is alone in its process. */
void signal_reset_handlers(struct process *p);

/* Traps of user mode, made signals. */
void signal_fault(struct task *t, struct user_regs *regs, const struct user_fault *fault);

/* Takes the first pending signal out of `wanted`. false: none. Takes the process's lock. */
bool signal_take(struct task *t, uint64_t wanted, struct linux_siginfo *out);

/* Waits for one of `set`, which the task blocks, until `due`: its number, ERR_AGAIN, or EINTR. */
long signal_await(struct task *t, uint64_t set, uint64_t due, struct linux_siginfo *info);

/* signal/frame.c: enters and leaves handlers. false: the frame can't be written. */
bool signal_frame_enter(struct task *t, struct user_regs *regs, const struct linux_siginfo *info,
                        const struct linux_sigaction *action, uint64_t mask);
long signal_frame_leave(struct task *t, struct user_regs *regs);

/* Bytes of user stack that entering a handler takes, for AT_MINSIGSTKSZ. */
size_t signal_frame_size(void);
