/*
 * linux_dev.h: what the Linux personality offers to other modules: character devices under /dev and
 * pseudo files under /sys and /proc.
 *
 * A module that uses this names "linux" in its manifest's needs and modules/linux in its NEEDS. All
 * functions and callbacks: thread context, may sleep, unless said otherwise. Callbacks of a file
 * run in the thread of the program that made the system call, so user_read() and user_write() reach
 * its memory; two threads of a program may be inside the same file at once: the callee locks.
 *
 * An open file holds a reference to the module in which its ops table lies, so a module with open
 * files can't be unloaded; unregistering hides the name at once.
 *
 * Callbacks return a status of types.h (OK, ERR_*), which the personality translates to an errno,
 * or LINUX_ERRNO(E...) where exactly one errno is right.
 */
#pragma once

#include <microlake/aspace.h>
#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/types.h>

#include "modules/linux/include/linux_errno.h"

/* ---- Readiness, for poll() ---------------------------------------------------------------------
 */

enum linux_poll_events {
    LINUX_POLLIN = 0x001,
    LINUX_POLLPRI = 0x002,
    LINUX_POLLOUT = 0x004,
    LINUX_POLLERR = 0x008,
    LINUX_POLLHUP = 0x010,
    LINUX_POLLNVAL = 0x020,
    LINUX_POLLRDHUP = 0x2000,
};

/* Something whose readiness changes. Lives as long as the file that hands it out. */
struct linux_poll_source {
    struct spinlock lock;
    struct list watchers; /* guarded by lock */
};

void linux_poll_source_init(struct linux_poll_source *source);

/* Readiness may have changed: whoever polls looks again. Any context. */
void linux_poll_notify(struct linux_poll_source *source);

/* ---- Character devices --------------------------------------------------------------------------
 */

#define LINUX_MAP_NO_WRITE 1 /* of mmap, below */

struct linux_device_ops {
    /*
     * A program opens the device: *file becomes what the other callbacks get. flags are open()'s.
     * NULL: `context` is what they get.
     */
    int (*open)(void *context, unsigned flags, void **file);

    /* The last descriptor and mapping call is gone (close, exit or death of the program). */
    void (*close)(void *file);

    /* Bytes done, or an error. `at` is a user address. NULL: EINVAL. nonblock: return ERR_AGAIN
     * instead of waiting. */
    long (*read)(void *file, vaddr_t at, size_t size, bool nonblock);
    long (*write)(void *file, vaddr_t at, size_t size, bool nonblock);

    /* argument: the third argument of ioctl(), mostly a user address. Result >= 0, or an error.
     * Unknown commands: LINUX_ERRNO(ENOTTY). NULL: ENOTTY. */
    long (*ioctl)(void *file, unsigned command, uint64_t argument);

    /* Which object lies behind [offset, offset + length) of the file, and where in it. Gives the
     * caller a reference. prot: enum map_prot; shared: MAP_SHARED was asked for. LINUX_MAP_NO_WRITE is as
     * good as OK; such a shared mapping can't be made writable later. NULL: ENODEV. */
    int (*mmap)(void *file, uint64_t offset, uint64_t length, unsigned prot, bool shared,
                struct memobj **object, uint64_t *object_offset);

    /* Events that hold now; *source (NULL at entry) is where changes are notified. NULL: always
     * ready to read and write. Must not sleep. */
    unsigned (*poll)(void *file, struct linux_poll_source **source);
};

/*
 * Makes /dev/NAME. mode: permission bits (0666). name is copied; ops and context must outlive the
 * registration. ERR_EXISTS, ERR_INVALID, ERR_NO_MEMORY.
 */
int linux_device_register(const char *name, unsigned mode, const struct linux_device_ops *ops,
                          void *context);
void linux_device_unregister(const char *name); /* of a name that is not there: nothing happens */

/* ---- Pseudo files
 * --------------------------------------------------------------------------------- */

struct linux_pseudo_ops {
    /*
     * Writes the file's whole text to out, at most size bytes (no NUL needed). Returns the length
     * that the whole text has, as snprintf() does: when that is more than size it is called again
     * with a larger buffer; or an error. Called when a program reads from the start. NULL: not
     * readable.
     */
    long (*show)(void *context, char *out, size_t size);

    /*
     * Takes what one write() call wrote: size bytes, with a NUL behind them, at most
     * LINUX_PSEUDO_STORE_MAX. OK: all was taken. NULL: not writable.
     */
    int (*store)(void *context, const char *text, size_t size);

    /* Permission bits; 0: 0444 if it can be shown, and 0200, which is root's, if it can be stored. Who
     * lets others write looks in `store` at who it is (linux_policy.h). */
    uint32_t mode;
};

#define LINUX_PSEUDO_STORE_MAX 65536u

/*
 * Makes a file at an absolute path below /sys or /proc ("/sys/kernel/malv/policy/sched"); folders
 * on the way come and go with their files. ops and context must outlive the registration.
 * ERR_EXISTS, ERR_INVALID, ERR_NO_MEMORY.
 */
int linux_pseudo_register(const char *path, const struct linux_pseudo_ops *ops, void *context);
void linux_pseudo_unregister(const char *path);

/*
 * Most machines end before anybody looks into /sys or /proc, and registering takes time of the start. fn is
 * called once, when somebody first lists a folder there or asks for a name that is not there; at once, if that
 * has been. It registers files; others wait for it. l lasts until it is taken back: after that fn is not
 * called, and nobody is inside.
 */
struct linux_pseudo_later {
    void (*fn)(void);
    struct list link; /* the personality's */
};
void linux_pseudo_later(struct linux_pseudo_later *l);
void linux_pseudo_later_end(struct linux_pseudo_later *l);
