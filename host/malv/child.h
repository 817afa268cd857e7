/*
 * child.h: the programs that malv starts. A child dies with malv, however malv dies, is in a
 * process group of its own (so Ctrl-C reaches only malv), and inherits standard error alone.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid;   /* 0: not running */
    pid_t group; /* of it and of what it starts; 0: nothing left to end */
    int status;  /* as waitpid gives it, once it has ended */
};

/*
 * Starts words[0]. `keep` are descriptors that the child inherits under the same numbers, -1 is none; standard
 * input and output become /dev/null. False: a line on standard error said why.
 *
 * first: its first thread goes before the host's ordinary work, where that is permitted; the threads and
 * processes that it starts do not inherit that.
 */
bool child_start(struct child *child, char *const *words, const int *keep, unsigned keep_count,
                 bool first);

/* Looks whether a child has ended; then pid is 0 and status is set. */
bool child_ended(struct child *child);

/* Waits up to `milliseconds` for the end. */
bool child_wait(struct child *child, unsigned milliseconds);

/*
 * Ends a child, asking it first where grace_ms is not 0, and whatever it started that still runs.
 * Nothing happens to one that was never started or was ended before.
 */
void child_end(struct child *child, unsigned grace_ms);
