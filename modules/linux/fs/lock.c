/*
 * lock.c: advisory locks: flock(), which belongs to an open file, and record locks of fcntl(),
 * which belong to a process: to its table of descriptors.
 *
 * All locks stand in one list: there are few. Whoever waits looks again when any lock goes.
 */
#include "modules/linux/fs/lock.h"

#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

#define RANGE_END UINT64_MAX
#define OPEN_FILE (-1)
#define CHAIN_MAX 64u /* processes that wait for each other, one for the next */

/* A process that waits for a record lock. */
struct waiting {
    struct list link; /* guarded by lock_mutex */
    const struct lock *wanted;
};

struct lock {
    struct list link;
    const void *what;     /* the node, or what a file without one stands for */
    const void *owner;    /* a file, or a table of descriptors */
    uint64_t first, last; /* the range, last included */
    int pid;              /* of who set a record lock; OPEN_FILE: it belongs to the open file */
    bool exclusive;
};

static struct mutex lock_mutex = MUTEX_INIT(lock_mutex);
static struct list locks = LIST_INIT(locks); /* guarded by lock_mutex; looked at without */
static struct list waiters = LIST_INIT(waiters); /* struct waiting; guarded by lock_mutex */
static uint64_t generation;                  /* counts locks that went; guarded by lock_mutex */
static struct wait_queue gone = WAIT_QUEUE_INIT(gone);

static const void *what_of(const struct file *f)
{
    return f->node ? (const void *)node_body(f->node) : f->data;
}

static bool overlap(const struct lock *a, const struct lock *b)
{
    return a->what == b->what && a->first <= b->last && b->first <= a->last;
}

/* flock() and record locks do not know of each other: a file is no table. */
static struct lock *find_conflict(const struct lock *wanted, bool record)
{
    list_for_each (it, &locks) {
        struct lock *l = list_entry(it, struct lock, link);

        if (overlap(l, wanted) && l->owner != wanted->owner && (l->pid != 0) == record &&
            (l->exclusive || wanted->exclusive))
            return l;
    }
    return NULL;
}

static void drop(struct lock *l)
{
    list_remove(&l->link);
    kfree(l);
    generation++;
}

/* Takes a range out of the owner's locks. `spare` becomes the rest behind it where one is split.
 * true: it was used. */
static bool cut(const struct lock *range, struct lock *spare)
{
    bool used = false;

    list_for_each_safe (it, &locks) {
        struct lock *l = list_entry(it, struct lock, link);

        if (l->owner != range->owner || !overlap(l, range) ||
            (l->pid == 0) != (range->pid == 0)) /* flock() and F_OFD_SETLK of one file */
            continue;
        generation++;
        if (l->first < range->first && l->last > range->last) {
            *spare = *l;
            spare->first = range->last + 1;
            l->last = range->first - 1;
            list_push_back(&locks, &spare->link);
            used = true;
        } else if (l->first < range->first) {
            l->last = range->first - 1;
        } else if (l->last > range->last) {
            l->first = range->last + 1;
        } else {
            drop(l);
        }
    }
    return used;
}

/* Sets what `wanted` says, or takes it away (unlock). ERR_AGAIN: another's lock is in the way. */
static int change(const struct lock *wanted, bool unlock, bool record, uint64_t *seen)
{
    struct lock *fresh = kmalloc(sizeof(*fresh)), *spare = kmalloc(sizeof(*spare));
    int r = fresh && spare ? OK : ERR_NO_MEMORY;

    mutex_lock(&lock_mutex);
    *seen = generation;
    if (r == OK && !unlock && find_conflict(wanted, record))
        r = ERR_AGAIN;
    if (r == OK) {
        if (cut(wanted, spare))
            spare = NULL;
        if (!unlock) {
            *fresh = *wanted;
            list_push_back(&locks, &fresh->link);
            fresh = NULL;
        }
    }
    mutex_unlock(&lock_mutex);
    if (r == OK)
        wait_wake_all(&gone);
    kfree(fresh);
    kfree(spare);
    return r;
}

/* Whoever holds what `wanted` needs waits, over others perhaps, for its owner. */
static bool would_deadlock(const struct lock *wanted)
{
    const struct lock *blocked = wanted;

    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        const struct lock *held = find_conflict(blocked, true);

        if (!held || held->pid == OPEN_FILE)
            return false;
        if (held->owner == wanted->owner)
            return true;
        blocked = NULL;
        list_for_each (it, &waiters) {
            const struct waiting *w = list_entry(it, struct waiting, link);

            if (w->wanted->owner == held->owner)
                blocked = w->wanted;
        }
        if (!blocked)
            return false;
    }
    return true;
}

/* Sleeps until a lock has gone since `seen`. */
static int wait_gone(const struct lock *wanted, bool record, uint64_t seen)
{
    struct waiting w = {.wanted = wanted};
    bool listed = record && wanted->pid != OPEN_FILE;
    int r = OK;

    mutex_lock(&lock_mutex);
    if (listed && would_deadlock(wanted))
        r = LINUX_ERRNO(EDEADLK);
    else if (listed)
        list_push_back(&waiters, &w.link);
    mutex_unlock(&lock_mutex);
    if (r != OK)
        return r;
    r = WAIT_UNTIL(&gone, __atomic_load_n(&generation, __ATOMIC_RELAXED) != seen, TIME_NEVER,
                   WAIT_INTERRUPTIBLE);
    if (listed) {
        mutex_lock(&lock_mutex);
        list_remove(&w.link);
        mutex_unlock(&lock_mutex);
    }
    return r;
}

static int set(const struct lock *wanted, bool unlock, bool record, bool wait)
{
    for (;;) {
        uint64_t seen;
        int r = change(wanted, unlock, record, &seen);

        if (r != ERR_AGAIN || !wait)
            return r;
        r = wait_gone(wanted, record, seen);
        if (r != OK)
            return r;
    }
}

static void drop_all(const void *owner, const void *what)
{
    if (list_empty(&locks))
        return;
    mutex_lock(&lock_mutex);
    list_for_each_safe (it, &locks) {
        struct lock *l = list_entry(it, struct lock, link);

        if (l->owner == owner && (!what || l->what == what))
            drop(l);
    }
    mutex_unlock(&lock_mutex);
    wait_wake_all(&gone);
}

void locks_drop_file(struct file *f)
{
    drop_all(f, NULL);
}

void locks_drop_table(const struct fd_table *table, const struct file *f)
{
    drop_all(table, f ? what_of(f) : NULL);
}

long sys_flock(struct call *c)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    unsigned op = (unsigned)c->arg[1] & ~(unsigned)LINUX_LOCK_NB;
    struct lock wanted;
    long r;

    if (!f)
        return LINUX_ERRNO(EBADF);
    wanted = (struct lock){
        .what = what_of(f), .owner = f, .last = RANGE_END, .exclusive = op == LINUX_LOCK_EX};
    if (op != LINUX_LOCK_SH && op != LINUX_LOCK_EX && op != LINUX_LOCK_UN)
        r = ERR_INVALID;
    else
        r = set(&wanted, op == LINUX_LOCK_UN, false, !(c->arg[1] & LINUX_LOCK_NB));
    file_unref(f);
    return r;
}

/* The range that a program means. */
static int range_of(struct file *f, const struct linux_flock *l, struct lock *out)
{
    int64_t base = 0, first, last;

    if (l->whence == LINUX_SEEK_CUR)
        base = (int64_t)f->offset;
    else if (l->whence == LINUX_SEEK_END)
        base = f->node ? (int64_t)node_size(f->node) : 0;
    else if (l->whence != LINUX_SEEK_SET)
        return ERR_INVALID;
    if (__builtin_add_overflow(base, l->start, &first) ||
        __builtin_add_overflow(first, l->length, &last))
        return LINUX_ERRNO(EOVERFLOW);
    if (l->length < 0) {
        int64_t swap = first;

        first = last;
        last = swap;
    }
    if (first < 0)
        return ERR_INVALID;
    out->first = (uint64_t)first;
    out->last = l->length == 0 ? RANGE_END : (uint64_t)last - 1;
    return OK;
}

static long get(const struct lock *wanted, struct linux_flock *l)
{
    const struct lock *other;

    mutex_lock(&lock_mutex);
    other = find_conflict(wanted, true);
    if (!other) {
        l->type = LINUX_F_UNLCK;
    } else {
        l->type = other->exclusive ? LINUX_F_WRLCK : LINUX_F_RDLCK;
        l->whence = LINUX_SEEK_SET;
        l->start = (int64_t)other->first;
        l->length = other->last == RANGE_END ? 0 : (int64_t)(other->last - other->first + 1);
        l->pid = other->pid;
    }
    mutex_unlock(&lock_mutex);
    return OK;
}

long lock_fcntl(struct task *t, struct file *f, int command, vaddr_t at)
{
    struct lock wanted = {.what = what_of(f), .owner = t->process->files, .pid = t->process->pid};
    struct linux_flock l;
    long r;

    if (user_read(&l, at, sizeof(l)) != OK)
        return ERR_FAULT;
    if (l.type < LINUX_F_RDLCK || l.type > LINUX_F_UNLCK)
        return ERR_INVALID;
    if (command >= LINUX_F_OFD_GETLK) {
        if (l.pid != 0)
            return ERR_INVALID;
        wanted.owner = f;
        wanted.pid = OPEN_FILE;
        command -= LINUX_F_OFD_GETLK - LINUX_F_GETLK;
    }
    r = range_of(f, &l, &wanted);
    if (r != OK)
        return r;
    wanted.exclusive = l.type == LINUX_F_WRLCK;
    if (command == LINUX_F_GETLK) {
        if (l.type == LINUX_F_UNLCK)
            return ERR_INVALID;
        r = get(&wanted, &l);
        return r == OK ? user_write(at, &l, sizeof(l)) : r;
    }
    if ((l.type == LINUX_F_RDLCK && !file_readable(f)) ||
        (l.type == LINUX_F_WRLCK && !file_writable(f)))
        return LINUX_ERRNO(EBADF);
    return set(&wanted, l.type == LINUX_F_UNLCK, true, command == LINUX_F_SETLKW);
}
