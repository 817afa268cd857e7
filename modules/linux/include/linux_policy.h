/*
 * linux_policy.h: policies of single programs, for a policy manager.
 *
 * A process may have a policy of its own in each class (policy_choose()). It holds for all its threads,
 * and a child has its parent's of that moment: so what is chosen for a process is chosen for the tree of
 * processes that grows from it. An exec changes nothing.
 *
 * Who is meant by "the caller": the program in whose thread a pseudo file's `store` runs. Threads of the
 * kernel may do everything. Thread context.
 */
#pragma once

#include <microlake/policy.h>

/* May the caller choose for others, whoever they are? */
bool linux_caller_is_root(void);

/* May the caller choose for this process (0: its own)? OK; ESRCH; EPERM: it acts for another user. As
 * with setpriority(2). */
int linux_policy_may_set(int pid);

/* Gives a process (0: the caller's) a policy in the nth class: its number, 0: the machine's. Errors as
 * above. */
int linux_policy_set(int pid, unsigned nth_class, uint64_t number);

/* Calls fn for each process that has a policy of its own in some class; fn must not sleep. */
typedef void linux_policy_fn(int pid, const uint64_t numbers[POLICY_CLASSES_MAX], void *context);
void linux_policy_for_each(linux_policy_fn *fn, void *context);

/* fn is called after each exec, in the program's thread and before its first instruction, with its name
 * (as in /proc/PID/comm). It may sleep. One listener; NULL: none any more, and nobody is inside on return. */
void linux_exec_watch(void (*fn)(const char *program));
