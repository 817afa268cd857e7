/*
 * user_ops.h: what process.c, exit.c, exec.c and the entry points share and nobody else uses.
 */
#pragma once

#include <microlake/user.h>

struct process;
struct task;
struct interval_timer;

/* The personality's entries, given to every thread of a program. */
extern const struct user_ops linux_user_ops;

/* Has the process one task only? Nobody but that one can change it. */
bool process_is_alone(struct process *p);

/* The table of descriptors becomes the process's own; it is alone, and the caller its task. ERR_NO_MEMORY. */
int process_own_files(struct process *p);

/* Drops a process's files, working folder and memory. */
void process_drop_resources(struct process *p);

/* Takes a process out of the table and from its parent; the table's reference is the caller's then.
 * process_table_lock is held. */
void process_leave_table_locked(struct process *p);

/* Takes the task out of table and process, which keeps the table's reference for the caller to
 * drop. Returns how many tasks the process has left. */
unsigned task_leave_table(struct task *t);

/* exec by a task that is not the first: it takes the process's number. Alone in its process. */
void task_take_pid(struct task *t);

/* Does what the task promised others for when it leaves its memory: robust futexes, clear_tid. */
void task_settle_memory(struct task *t);

/* time/timer.c: stops and frees an alarm (NULL is allowed), or a process's. */
void interval_timer_free(struct interval_timer *timer);
void process_stop_timers(struct process *p);

/* time/cpu_limit.c: forgets what watches RLIMIT_CPU. */
void cpu_limit_free(struct process *p);
