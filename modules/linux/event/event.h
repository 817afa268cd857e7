/*
 * event.h: files that stand for events, as the rest of the personality sees them.
 */
#pragma once

struct file;

/* The last reference of a file that epolls watch is gone: they forget it. Thread context. */
void epoll_forget(struct file *f);

/* A signal was sent: who polls a signalfd looks again. Any context. */
void signalfd_notify(void);
