/*
 * policy.h: policies of single programs, for the parts that make and replace programs; policy.c.
 */
#pragma once

struct process;
struct thread;

/* A thread of p gets what p has chosen. p's lock is held. */
void policies_give_locked(const struct process *p, struct thread *t);

/* The calling process has become this program. */
void policies_see_exec(const char *program);
