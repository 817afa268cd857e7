/*
 * tty.h: terminals: the line discipline (line.h) with its locks, its readers and writers, and a
 * driver behind it, which is the other end: the master of a pty, or the host's terminal.
 *
 * Thread context throughout. Locks, in the order in which they are taken: tty->lock, then
 * process_table_lock (process.h), under which it stands whose controlling terminal it is.
 *
 * A terminal is referenced by each open file and by its driver, and freed with the last reference.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/types.h>
#include <microlake/wait.h>

#include "modules/linux/include/linux_dev.h"
#include "modules/linux/tty/bytes.h"
#include "modules/linux/tty/line.h"

struct file;
struct node;
struct node_ops;
struct process;
struct tty;

/* Called with tty->lock held, but for ready, release and made_room. */
struct tty_driver {
    /* Bytes for the other end. Returns how many it took. */
    size_t (*put)(struct tty *t, const uint8_t *bytes, size_t count);
    /* put would take a byte now. Without the lock; may be wrong the next moment. */
    bool (*ready)(struct tty *t);
    uint32_t (*pending)(struct tty *t);           /* bytes not yet taken, for TIOCOUTQ */
    void (*discard)(struct tty *t);               /* forgets those */
    void (*tell)(struct tty *t, unsigned status); /* LINUX_TIOCPKT_*, for packet mode */
    void (*opened)(struct tty *t);                /* the first file, or again one */
    void (*closed)(struct tty *t);                /* the last file is gone */
    void (*release)(struct tty *t);               /* the last reference is gone: free it */
};

struct tty {
    uint32_t refs;
    const struct tty_driver *driver;
    uint32_t device; /* its number, as stat shows it */

    struct mutex lock;
    /* guarded by lock; who waits looks without */
    struct line line;
    struct byte_queue backlog; /* typed, and the line has no room */
    struct byte_queue held;    /* echo while output is stopped */
    struct linux_winsize size;
    uint32_t opens; /* files */
    bool exclusive;
    bool hung; /* the other end is gone for good */

    struct wait_queue readable; /* input came, or it hung up */
    struct wait_queue writable; /* output may go on, or it hung up */
    struct wait_queue room;     /* the backlog shrank */
    struct linux_poll_source source;

    /* guarded by process_table_lock */
    int session;             /* whose controlling terminal it is; 0: nobody's */
    int group;               /* the foreground; 0: none */
    struct list controlling; /* in the list of those that have a session */
};

/* ---- tty.c -------------------------------------------------------------------------------------
 */

/* A terminal inside a driver's structure; one reference is the driver's. ERR_NO_MEMORY. */
int tty_init(struct tty *t, const struct tty_driver *driver, uint32_t device);
void tty_ref(struct tty *t);
bool tty_ref_live(struct tty *t); /* false: the last reference is gone */
void tty_unref(struct tty *t);

/* Makes f a file of the terminal; it becomes the controlling one of a leader that has none, unless
 * f->flags say NOCTTY. EIO: hung up; ERR_BUSY: TIOCEXCL. */
int tty_open(struct tty *t, struct file *f);

/* Bytes come from the other end. Returns how many were taken; waiters on t->room learn of more. */
size_t tty_input(struct tty *t, const uint8_t *bytes, size_t count);

/* The other end is gone for good: readers see the end, the session's leader gets SIGHUP. */
void tty_hang_up(struct tty *t);

/* A new size of the window; the foreground gets SIGWINCH when it is another one. */
void tty_set_size(struct tty *t, const struct linux_winsize *size);

/* Output may go on: the driver has room again. */
void tty_wake_writers(struct tty *t);

/* Stops output, or lets it go on; t->lock is held. */
void tty_stop_locked(struct tty *t, bool stop);

/* Forgets input, and what waits for room in it; t->lock is held. */
void tty_flush_locked(struct tty *t);

extern const struct file_ops tty_file_ops;

/* ---- tty_ioctl.c -------------------------------------------------------------------------------
 */

/* A call on one of the terminal's files. own: it is the terminal's, not its master's. */
long tty_ioctl(struct tty *t, unsigned command, uint64_t argument, bool own, bool readable);

/* ---- control.c ---------------------------------------------------------------------------------
 */

/* The caller's controlling terminal, with a reference, or NULL. */
struct tty *control_terminal(void);

/* It becomes the controlling terminal of p, a leader without one. steal: also when another session
 * has it. EPERM. */
int control_attach(struct tty *t, struct process *p, bool steal);

/* TIOCNOTTY: the caller gives up its controlling terminal. ENOTTY: it is not this one. */
int control_detach(struct tty *t);

/* May the caller, if this is its terminal, do what only the foreground may? If not it gets the
 * signal, and ERR_INTERRUPTED comes back; or EIO. */
int control_check(struct tty *t, int signal);

/* It is no session's terminal any more. Returns the session that had it, or 0. */
int control_release(struct tty *t, int *group);

/* The session or foreground group of a terminal, for TIOCGSID and TIOCGPGRP; TIOCSPGRP. own: as for
 * tty_ioctl(). */
long control_get(struct tty *t, bool session, bool own);
int control_set_group(struct tty *t, int group);

/* A signal to the foreground group, from the kernel. */
void control_signal(struct tty *t, int signal);

/* The device number and foreground group of p's terminal, for /proc; 0 and -1: none. */
void control_describe(const struct process *p, uint32_t *device, int *group);

/* ---- devices -----------------------------------------------------------------------------------
 */

/* open() of /dev/tty, /dev/ptmx and /dev/console. */
extern const struct node_ops control_node_ops;
extern const struct node_ops ptmx_node_ops;
extern const struct node_ops console_node_ops;

/* pty.c: makes the folder /dev/pts. */
int pty_register(void);

/* console.c: the command runs on the host's terminal (option tty=). */
bool console_is_tty(void);

/* f, a file of /dev/console, is the first process's controlling terminal. */
void console_give(const struct file *f, struct process *p);

/* Waits, for a bounded time, until the host has what programs wrote. */
void console_drain(void);
