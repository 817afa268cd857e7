/*
 * poll.c: waiting for several files: poll, ppoll, select, pselect6.
 *
 * A poller watches the sources of its files; a source that is notified marks each poller that
 * watches it and wakes it, and the poller looks at all its files again.
 */
#include "modules/linux/fs/poll.h"

#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/process/process.h"
#include "modules/linux/signal/signal.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define FDSET_MAX 1024u

struct poller {
    struct wait_queue queue;
    bool notified;
};

/* One descriptor that is polled. */
struct polled {
    struct file *file; /* a reference, or NULL: the descriptor is not open, or is to be ignored */
    struct poll_watcher watcher;
    struct poller *poller;
    unsigned wanted, found;
};

void linux_poll_source_init(struct linux_poll_source *source)
{
    *source = (struct linux_poll_source){SPINLOCK_INIT, LIST_INIT(source->watchers)};
}

void poll_notify(struct linux_poll_source *source, unsigned events)
{
    uint64_t flags = spin_lock_irqsave(&source->lock);

    list_for_each (it, &source->watchers) {
        struct poll_watcher *w = list_entry(it, struct poll_watcher, link);

        w->notify(w, events);
    }
    spin_unlock_irqrestore(&source->lock, flags);
}

void linux_poll_notify(struct linux_poll_source *source)
{
    poll_notify(source, ~0u);
}

void poll_watch(struct file *f, struct poll_watcher *w)
{
    struct linux_poll_source *source = NULL;
    uint64_t flags;

    file_poll(f, &source);
    if (!source)
        return;
    w->source = source;
    flags = spin_lock_irqsave(&source->lock);
    list_push_back(&source->watchers, &w->link);
    spin_unlock_irqrestore(&source->lock, flags);
}

void poll_unwatch(struct poll_watcher *w)
{
    uint64_t flags;

    if (!w->source)
        return;
    flags = spin_lock_irqsave(&w->source->lock);
    list_remove(&w->link);
    spin_unlock_irqrestore(&w->source->lock, flags);
    w->source = NULL;
}

static void poller_notify(struct poll_watcher *w, unsigned events)
{
    struct poller *p = container_of(w, struct polled, watcher)->poller;

    (void)events;
    __atomic_store_n(&p->notified, true, __ATOMIC_RELEASE);
    wait_wake_all(&p->queue);
}

static void watch(struct polled *e, struct poller *p)
{
    e->poller = p;
    e->watcher.notify = poller_notify;
    if (e->file)
        poll_watch(e->file, &e->watcher);
}

/* Looks at all files once; returns how many have something to say. */
static unsigned look(struct polled *entries, size_t count)
{
    unsigned ready = 0;

    for (size_t i = 0; i < count; i++) {
        struct polled *e = &entries[i];
        struct linux_poll_source *source = NULL;

        if (e->file)
            e->found = file_poll(e->file, &source) & (e->wanted | LINUX_POLLERR | LINUX_POLLHUP);
        ready += e->found != 0;
    }
    return ready;
}

/* The count of ready entries, or ERR_INTERRUPTED. */
static long poll_wait(struct polled *entries, size_t count, uint64_t due)
{
    struct poller poller = {WAIT_QUEUE_INIT(poller.queue), false};
    unsigned ready = look(entries, count);
    int r = OK;

    if (ready > 0 || due == 0)
        return ready;
    for (size_t i = 0; i < count; i++)
        watch(&entries[i], &poller);
    for (;;) {
        __atomic_store_n(&poller.notified, false, __ATOMIC_SEQ_CST);
        ready = look(entries, count);
        if (ready > 0 || r != OK)
            break;
        r = WAIT_UNTIL(&poller.queue, __atomic_load_n(&poller.notified, __ATOMIC_ACQUIRE), due,
                       WAIT_INTERRUPTIBLE);
        if (r == ERR_INTERRUPTED)
            break;
    }
    for (size_t i = 0; i < count; i++)
        poll_unwatch(&entries[i].watcher);
    return ready > 0 || r == ERR_TIMED_OUT || r == OK ? (long)ready : r;
}

static void drop_files(struct polled *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].file)
            file_unref(entries[i].file);
    }
}

static void take_files(struct task *t, struct polled *entries, const struct linux_pollfd *fds,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct polled *e = &entries[i];

        *e = (struct polled){.wanted = (uint16_t)fds[i].events};
        if (fds[i].fd < 0)
            continue;
        e->file = fd_get(t->process->files, fds[i].fd);
        if (!e->file)
            e->found = LINUX_POLLNVAL;
    }
}

/* Polls descriptors in kernel memory. */
static long poll_fds(struct task *t, struct linux_pollfd *fds, size_t count, uint64_t due)
{
    struct polled *entries = kmalloc(MAX(count, 1u) * sizeof(*entries));
    long r;

    if (!entries)
        return ERR_NO_MEMORY;
    take_files(t, entries, fds, count);
    r = poll_wait(entries, count, due);
    for (size_t i = 0; i < count; i++)
        fds[i].revents = (int16_t)entries[i].found;
    drop_files(entries, count);
    kfree(entries);
    return r;
}

static long poll_user(struct task *t, vaddr_t at, uint64_t count, uint64_t due)
{
    struct linux_pollfd *fds;
    long r;

    if (count > t->process->limits[LINUX_RLIMIT_NOFILE].current)
        return ERR_INVALID;
    fds = kmalloc(MAX(count, 1u) * sizeof(*fds));
    if (!fds)
        return ERR_NO_MEMORY;
    r = user_read(fds, at, count * sizeof(*fds));
    if (r == OK)
        r = poll_fds(t, fds, count, due);
    if (r >= 0 && user_write(at, fds, count * sizeof(*fds)) != OK)
        r = ERR_FAULT;
    kfree(fds);
    return r == ERR_INTERRUPTED ? LINUX_RESTART_NO_HANDLER : r;
}

long sys_poll(struct call *c)
{
    int32_t ms = (int32_t)c->arg[2];
    uint64_t due = ms < 0 ? TIME_NEVER : ms == 0 ? 0 : clock_due_in((uint64_t)ms * NS_PER_MS);

    return poll_user(c->task, c->arg[0], c->arg[1], due);
}

int poll_read_due(vaddr_t at, uint64_t *due)
{
    uint64_t ns;
    int r;

    *due = TIME_NEVER;
    if (at == 0)
        return OK;
    r = clock_read_timespec(at, &ns);
    if (r == OK)
        *due = ns == 0 ? 0 : clock_due_in(ns);
    return r;
}

/* A handler's frame, or the end of the call, brings back the old mask. */
int poll_mask_change(struct task *t, vaddr_t at, uint64_t size)
{
    uint64_t mask;

    if (at == 0)
        return OK;
    if (size != sizeof(mask))
        return ERR_INVALID;
    if (user_read(&mask, at, sizeof(mask)) != OK)
        return ERR_FAULT;
    t->saved_blocked = t->blocked;
    t->restore_blocked = true;
    signal_set_blocked(t, mask);
    return OK;
}

long poll_mask_restore(struct task *t, long result)
{
    if (t->restore_blocked && result != LINUX_RESTART_NO_HANDLER) {
        t->restore_blocked = false;
        signal_set_blocked(t, t->saved_blocked);
    }
    return result;
}

long sys_ppoll(struct call *c)
{
    uint64_t due;
    int r = poll_read_due(c->arg[2], &due);

    if (r == OK)
        r = poll_mask_change(c->task, c->arg[3], c->arg[4]);
    if (r != OK)
        return r;
    return poll_mask_restore(c->task, poll_user(c->task, c->arg[0], c->arg[1], due));
}

/* select()'s three sets: what to wait for, and what was found. */
struct fdsets {
    uint64_t sets[3][FDSET_MAX / 64];
};

static const unsigned set_events[3] = {LINUX_POLLIN, LINUX_POLLOUT, LINUX_POLLPRI};
static const unsigned set_results[3] = {LINUX_POLLIN | LINUX_POLLHUP | LINUX_POLLERR,
                                        LINUX_POLLOUT | LINUX_POLLERR, LINUX_POLLPRI};

static bool set_has(const struct fdsets *s, unsigned set, unsigned fd)
{
    return s->sets[set][fd / 64] >> (fd % 64) & 1;
}

static size_t set_bytes(unsigned count)
{
    return ALIGN_UP(count, 64) / 8;
}

static size_t fds_of_sets(const struct fdsets *s, unsigned count, struct linux_pollfd *fds)
{
    size_t n = 0;

    for (unsigned fd = 0; fd < count; fd++) {
        unsigned events = 0;

        for (unsigned set = 0; set < 3; set++)
            events |= set_has(s, set, fd) ? set_events[set] : 0;
        if (events != 0)
            fds[n++] = (struct linux_pollfd){(int32_t)fd, (int16_t)events, 0};
    }
    return n;
}

/* Replaces the sets by what was found; returns the count of bits. */
static long sets_of_fds(struct fdsets *s, const struct linux_pollfd *fds, size_t n)
{
    struct fdsets found = {0};
    long bits = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned fd = (unsigned)fds[i].fd;

        if (fds[i].revents & LINUX_POLLNVAL)
            return LINUX_ERRNO(EBADF);
        for (unsigned set = 0; set < 3; set++) {
            if (set_has(s, set, fd) && ((unsigned)fds[i].revents & set_results[set])) {
                found.sets[set][fd / 64] |= 1ull << (fd % 64);
                bits++;
            }
        }
    }
    *s = found;
    return bits;
}

static long select_sets(struct task *t, struct fdsets *s, unsigned count, uint64_t due)
{
    struct linux_pollfd *fds = kmalloc((count + 1) * sizeof(*fds));
    size_t n;
    long r;

    if (!fds)
        return ERR_NO_MEMORY;
    n = fds_of_sets(s, count, fds);
    r = poll_fds(t, fds, n, due);
    if (r >= 0)
        r = sets_of_fds(s, fds, n);
    kfree(fds);
    return r == ERR_INTERRUPTED ? LINUX_RESTART_NO_HANDLER : r;
}

static long select_user(struct call *c, uint64_t due)
{
    struct fdsets *s;
    unsigned count = (unsigned)c->arg[0];
    long r = OK;

    if ((int32_t)c->arg[0] < 0 || count > FDSET_MAX)
        return ERR_INVALID;
    s = kzalloc(sizeof(*s));
    if (!s)
        return ERR_NO_MEMORY;
    for (unsigned i = 0; i < 3 && r == OK; i++) {
        if (c->arg[1 + i] != 0)
            r = user_read(s->sets[i], c->arg[1 + i], set_bytes(count));
    }
    if (r == OK)
        r = select_sets(c->task, s, count, due);
    for (unsigned i = 0; i < 3 && r >= 0; i++) {
        if (c->arg[1 + i] != 0 && user_write(c->arg[1 + i], s->sets[i], set_bytes(count)) != OK)
            r = ERR_FAULT;
    }
    kfree(s);
    return r;
}

long sys_select(struct call *c)
{
    struct linux_timeval limit;
    uint64_t due = TIME_NEVER, ns;

    if (c->arg[4] != 0) {
        if (user_read(&limit, c->arg[4], sizeof(limit)) != OK)
            return ERR_FAULT;
        if (limit.sec < 0 || limit.usec < 0 || limit.sec > INT32_MAX)
            return ERR_INVALID;
        ns = (uint64_t)limit.sec * NS_PER_SEC + (uint64_t)limit.usec * NS_PER_US;
        due = ns == 0 ? 0 : clock_due_in(ns);
    }
    return select_user(c, due);
}

long sys_pselect6(struct call *c)
{
    uint64_t mask[2] = {0, 0}; /* address and size */
    uint64_t due;
    int r = poll_read_due(c->arg[4], &due);

    if (r == OK && c->arg[5] != 0)
        r = user_read(mask, c->arg[5], sizeof(mask));
    if (r == OK)
        r = poll_mask_change(c->task, mask[0], mask[1]);
    if (r != OK)
        return r;
    return poll_mask_restore(c->task, select_user(c, due));
}
