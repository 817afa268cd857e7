/*
 * rseq.h: restartable sequences: a thread's view of the CPU it runs on, and its critical sections,
 * which start over when the thread did not run straight through them.
 */
#pragma once

#include <microlake/types.h>
#include <microlake/user.h>

struct task;

#define RSEQ_FEATURE_SIZE 28u /* bytes of struct linux_rseq up to mm_cid */
#define RSEQ_ALIGN        32u

struct rseq {
    vaddr_t at; /* 0: the thread has registered none */
    uint32_t size, signature;
};

/* Before the thread goes on in user mode where it may have been away, and before it enters a
 * handler: brings its area up to date and leaves a critical section by its abort address. false:
 * the area or the section is bad; the caller ends the thread with SIGSEGV. Only when t->rseq.at is
 * not 0. */
bool rseq_attend(struct task *t, struct user_regs *regs);

/* The thread gets another program. */
void rseq_forget(struct task *t);
