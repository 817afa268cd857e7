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

#define GROUP_SIZE 1024u /* entries that are allocated together, at most */

struct poller {
    struct wait_queue queue;
    bool notified;
};

/* One descriptor that is polled. */
struct polled {
    struct polled *next; /* NULL: the last one */
    struct file *file; /* a reference, or NULL: the descriptor is not open, or is to be ignored */
    struct poll_watcher watcher;
    struct poller *poller;
    unsigned wanted, found;
};

/* Entries that lie together; all entries of a call are one list nevertheless. */
struct group {
    struct group *next;
    struct polled entries[];
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
static unsigned look(struct polled *first)
{
    unsigned ready = 0;

    for (struct polled *e = first; e; e = e->next) {
        struct linux_poll_source *source = NULL;

        if (e->file)
            e->found = file_poll(e->file, &source) & (e->wanted | LINUX_POLLERR | LINUX_POLLHUP);
        ready += e->found != 0;
    }
    return ready;
}

/* The count of ready entries, or ERR_INTERRUPTED. */
static long poll_wait(struct polled *first, uint64_t due)
{
    struct poller poller = {WAIT_QUEUE_INIT(poller.queue), false};
    unsigned ready = look(first);
    int r = OK;

    if (ready > 0 || due == 0)
        return ready;
    for (struct polled *e = first; e; e = e->next)
        watch(e, &poller);
    for (;;) {
        __atomic_store_n(&poller.notified, false, __ATOMIC_SEQ_CST);
        ready = look(first);
        if (ready > 0 || r != OK)
            break;
        r = WAIT_UNTIL(&poller.queue, __atomic_load_n(&poller.notified, __ATOMIC_ACQUIRE), due,
                       WAIT_INTERRUPTIBLE);
        if (r == ERR_INTERRUPTED)
            break;
    }
    for (struct polled *e = first; e; e = e->next)
        poll_unwatch(&e->watcher);
    return ready > 0 || r == ERR_TIMED_OUT || r == OK ? (long)ready : r;
}

static void entry_init(struct polled *e, struct fd_table *files, const struct linux_pollfd *fd)
{
    *e = (struct polled){.wanted = (uint16_t)fd->events};
    if (fd->fd < 0)
        return;
    e->file = fd_get(files, fd->fd);
    if (!e->file)
        e->found = LINUX_POLLNVAL;
}

/* Makes entries of descriptors, group by group. What was made is in *out also when it fails. */
static int groups_create(struct task *t, const struct linux_pollfd *fds, size_t count,
                         struct group **out)
{
    struct polled *last = NULL;

    *out = NULL;
    while (count > 0) {
        size_t n = MIN(count, GROUP_SIZE);
        struct group *g = kmalloc(sizeof(*g) + n * sizeof(g->entries[0]));

        if (!g)
            return ERR_NO_MEMORY;
        g->next = NULL;
        for (size_t i = 0; i < n; i++) {
            entry_init(&g->entries[i], t->process->files, fds++);
            if (last)
                last->next = &g->entries[i];
            last = &g->entries[i];
        }
        *out = g;
        out = &g->next;
        count -= n;
    }
    return OK;
}

static void groups_free(struct group *g)
{
    while (g) {
        struct group *next = g->next;

        kfree(g);
        g = next;
    }
}

/* Polls descriptors in kernel memory. */
static long poll_fds(struct task *t, struct linux_pollfd *fds, size_t count, uint64_t due)
{
    struct group *groups;
    long r = groups_create(t, fds, count, &groups);
    struct polled *first = groups ? groups->entries : NULL;

    if (r == OK)
        r = poll_wait(first, due);
    for (struct polled *e = first; e; e = e->next) {
        (fds++)->revents = (int16_t)e->found;
        if (e->file)
            file_unref(e->file);
    }
    groups_free(groups);
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

/* select()'s three sets, each of so many words: what to wait for, and what was found. */
struct fdsets {
    unsigned words;
    uint64_t *wanted, *found; /* set after set */
};

static const unsigned set_events[3] = {LINUX_POLLIN, LINUX_POLLOUT, LINUX_POLLPRI};
static const unsigned set_results[3] = {LINUX_POLLIN | LINUX_POLLHUP | LINUX_POLLERR,
                                        LINUX_POLLOUT | LINUX_POLLERR, LINUX_POLLPRI};

static bool set_has(const struct fdsets *s, unsigned set, unsigned fd)
{
    return s->wanted[set * s->words + fd / 64] >> (fd % 64) & 1;
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

/* Fills in what was found; returns the count of bits. */
static long sets_of_fds(struct fdsets *s, const struct linux_pollfd *fds, size_t n)
{
    long bits = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned fd = (unsigned)fds[i].fd;

        if (fds[i].revents & LINUX_POLLNVAL)
            return LINUX_ERRNO(EBADF);
        for (unsigned set = 0; set < 3; set++) {
            if (set_has(s, set, fd) && ((unsigned)fds[i].revents & set_results[set])) {
                s->found[set * s->words + fd / 64] |= 1ull << (fd % 64);
                bits++;
            }
        }
    }
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

/* Bits beyond the table of descriptors mean nothing: they are neither read nor written. */
static long select_user(struct call *c, uint64_t due)
{
    unsigned count = MIN((unsigned)c->arg[0], fd_table_size(c->task->process->files));
    struct fdsets s = {.words = ALIGN_UP(count, 64) / 64};
    size_t size = s.words * sizeof(*s.wanted);
    long r = OK;

    if ((int32_t)c->arg[0] < 0)
        return ERR_INVALID;
    s.wanted = kzalloc(6 * size + 1);
    if (!s.wanted)
        return ERR_NO_MEMORY;
    s.found = s.wanted + 3 * s.words;
    for (unsigned i = 0; i < 3 && r == OK; i++) {
        if (c->arg[1 + i] != 0)
            r = user_read(s.wanted + i * s.words, c->arg[1 + i], size);
    }
    if (r == OK)
        r = select_sets(c->task, &s, count, due);
    for (unsigned i = 0; i < 3 && r >= 0; i++) {
        if (c->arg[1 + i] != 0 && user_write(c->arg[1 + i], s.found + i * s.words, size) != OK)
            r = ERR_FAULT;
    }
    kfree(s.wanted);
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
