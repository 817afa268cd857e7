/*
 * job.h: process groups and sessions: job control.
 *
 * A group is orphaned when no member has a parent in another group of the same session: nobody is
 * there to continue it, so it is not stopped by keys, and it is hung up when it stands still.
 */
#pragma once

#include <microlake/types.h>

struct process;

/* process_table_lock is held: is the group orphaned, or would it be without `ignored`? */
bool group_is_orphaned_locked(int group, const struct process *ignored);

/* process_table_lock is held: the session of a group that has a member, else 0. */
int group_session_locked(int group);

bool group_is_orphaned(int group);

/* Sends a signal from the kernel to every member. Thread context. */
void group_signal(int group, int signal);

/* A session's terminal is gone: its leader learns it now, the foreground `group` at the leader's
 * end. */
void session_hang_up(int session, int group);

/* The process is about to become a zombie, process_table_lock is held: notes which groups are
 * orphaned by that and have stopped members. A child that goes to another parent is one of these
 * cases, and is noted by itself, after the change. */
void job_note_exit_locked(const struct process *p);
void job_note_child_locked(const struct process *p, const struct process *child);

/* ... and what follows of it, without the lock: hangs those groups up. A session that loses its
 * leader loses its terminal. */
void job_settle_exit(struct process *p);

/* tty/control.c: the leader of a session has ended. */
void control_leader_ended(const struct process *leader);
