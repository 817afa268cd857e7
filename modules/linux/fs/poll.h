/*
 * poll.h: watching files for readiness, and what the calls that wait for it share.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>

#include "modules/linux/include/linux_dev.h"

struct file;
struct task;

/* Somebody who watches a source. */
struct poll_watcher {
    struct list link; /* guarded by the source's lock */
    struct linux_poll_source *source;
    /* Some of `events` may hold now. Any context, under the source's lock. */
    void (*notify)(struct poll_watcher *w, unsigned events);
};

/* Starts watching the file's source, if it has one; poll_unwatch() of one that does not watch does
 * nothing. w->notify is set, w->source is NULL. */
void poll_watch(struct file *f, struct poll_watcher *w);
void poll_unwatch(struct poll_watcher *w);

/* As linux_poll_notify(), where it is known which events may hold now. Any context. */
void poll_notify(struct linux_poll_source *source, unsigned events);

/* Another mask of signals for the time of a call, from user memory (address 0: none); the second
 * goes with the call's result. ERR_FAULT, ERR_INVALID. */
int poll_mask_change(struct task *t, vaddr_t at, uint64_t size);
long poll_mask_restore(struct task *t, long result);

/* When a relative time at a user address ends; address 0: never; no time: 0. */
int poll_read_due(vaddr_t at, uint64_t *due);
