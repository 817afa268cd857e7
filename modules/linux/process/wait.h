/*
 * wait.h: what the way out (exit.c), waiting (wait.c) and signals share.
 */
#pragma once

struct linux_siginfo;
struct process;

/* The process that inherits orphans: the first one made; NULL before. */
struct process *process_first(void);

/* Starts the end of all tasks of p with this status; p->lock is held. */
void process_begin_exit_locked(struct process *p, int status);

/* The siginfo that tells of a child's change of state. */
void process_fill_child_info(struct process *p, int code, int status, struct linux_siginfo *out);
