/*
 * epoll.c: waiting for many files again and again.
 *
 * An item watches its file's source. What may be ready stands in a list; a wait takes items out,
 * asks their files, and puts back those that are to be reported for as long as they are ready. An
 * item holds no reference to its file: the file's end takes the item away.
 *
 * Locks, in the order in which they are taken: links_lock (which file has which items), an epoll's
 * lock (its items), a source's lock, ready_lock (what may be ready; interrupts off).
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/abi/event.h"
#include "modules/linux/event/event.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define BUCKETS   32u
#define DEPTH_MAX 5u /* of epolls in epolls */
#define ROOM_MIN  128u /* events that a wait has room for, however few items there are */
#define ALWAYS    (uint32_t)(LINUX_POLLERR | LINUX_POLLHUP)
#define BEHAVIOUR (LINUX_EPOLLEXCLUSIVE | LINUX_EPOLLWAKEUP | LINUX_EPOLLONESHOT | LINUX_EPOLLET)
#define EXCLUSIVE_OK                                                                               \
    (LINUX_EPOLLEXCLUSIVE | LINUX_EPOLLWAKEUP | LINUX_EPOLLET | ALWAYS | LINUX_POLLIN |            \
     LINUX_POLLOUT)

struct epoll {
    struct file *file; /* not a reference: it goes with its file */
    struct mutex lock;
    struct list items[BUCKETS]; /* by descriptor; guarded by lock */
    size_t count;               /* of items; guarded by lock; looked at without */
    struct spinlock ready_lock;
    struct list ready; /* guarded by ready_lock */
    struct wait_queue queue;
    struct linux_poll_source source;
};

struct epoll_item {
    struct poll_watcher watcher;
    struct epoll *epoll;
    struct file *file; /* not a reference: links go when it ends */
    int fd;
    struct list link;      /* epoll->lock */
    struct list file_link; /* links_lock */
    struct list ready;     /* epoll->ready_lock; in no list: linked to itself */
    uint32_t events;       /* changed under epoll->lock; 0: disabled until it is changed */
    uint64_t data;         /* guarded by epoll->lock */
};

static struct mutex links_lock = MUTEX_INIT(links_lock);

static bool has_ready(const struct epoll *e)
{
    return !list_empty(&e->ready);
}

/* The item may have something to say. Any context. */
static void make_ready(struct epoll_item *item)
{
    struct epoll *e = item->epoll;
    uint64_t flags = spin_lock_irqsave(&e->ready_lock);

    if (list_empty(&item->ready))
        list_push_back(&e->ready, &item->ready);
    spin_unlock_irqrestore(&e->ready_lock, flags);
    wait_wake_all(&e->queue);
    poll_notify(&e->source, LINUX_POLLIN);
}

static void item_notify(struct poll_watcher *w, unsigned events)
{
    struct epoll_item *item = container_of(w, struct epoll_item, watcher);
    uint32_t wanted = __atomic_load_n(&item->events, __ATOMIC_RELAXED);

    if ((wanted & ~BEHAVIOUR) != 0 && (events & (wanted | ALWAYS)))
        make_ready(item);
}

static uint32_t item_found(const struct epoll_item *item)
{
    struct linux_poll_source *source = NULL;

    if ((item->events & ~BEHAVIOUR) == 0)
        return 0;
    return file_poll(item->file, &source) & (item->events | ALWAYS);
}

static void item_free(struct epoll_item *item)
{
    struct epoll *e = item->epoll;
    uint64_t flags;

    poll_unwatch(&item->watcher);
    flags = spin_lock_irqsave(&e->ready_lock);
    list_remove(&item->ready);
    spin_unlock_irqrestore(&e->ready_lock, flags);
    list_remove(&item->link);
    e->count--;
    list_remove(&item->file_link);
    kfree(item);
}

void epoll_forget(struct file *f)
{
    mutex_lock(&links_lock);
    while (!list_empty(&f->epoll_items)) {
        struct epoll_item *item =
            list_entry(list_first(&f->epoll_items), struct epoll_item, file_link);
        struct epoll *e = item->epoll;

        mutex_lock(&e->lock);
        item_free(item);
        mutex_unlock(&e->lock);
    }
    mutex_unlock(&links_lock);
}

static void epoll_close(struct file *f)
{
    struct epoll *e = f->data;

    mutex_lock(&links_lock);
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (!list_empty(&e->items[i]))
            item_free(list_entry(list_first(&e->items[i]), struct epoll_item, link));
    }
    mutex_unlock(&links_lock);
    kfree(e);
}

static struct epoll_item *take_ready(struct epoll *e, struct list *from)
{
    uint64_t flags = spin_lock_irqsave(&e->ready_lock);
    struct list *it = list_pop_front(from);

    spin_unlock_irqrestore(&e->ready_lock, flags);
    return it ? list_entry(it, struct epoll_item, ready) : NULL;
}

/* Moves one list's items to another's end. ready_lock is held. */
static void move_all_locked(struct list *from, struct list *to)
{
    struct list *it;

    while ((it = list_pop_front(from)))
        list_push_back(to, it);
}

static void take_all(struct epoll *e, struct list *batch)
{
    uint64_t flags = spin_lock_irqsave(&e->ready_lock);

    move_all_locked(&e->ready, batch);
    spin_unlock_irqrestore(&e->ready_lock, flags);
}

/* Puts back what was not asked, then what became ready meanwhile, then what is to be asked again.
 */
static void put_back(struct epoll *e, struct list *batch, struct list *again)
{
    uint64_t flags = spin_lock_irqsave(&e->ready_lock);

    move_all_locked(&e->ready, batch);
    move_all_locked(batch, &e->ready);
    move_all_locked(again, &e->ready);
    spin_unlock_irqrestore(&e->ready_lock, flags);
}

static void keep(struct epoll *e, struct epoll_item *item, struct list *where)
{
    uint64_t flags = spin_lock_irqsave(&e->ready_lock);

    if (list_empty(&item->ready))
        list_push_back(where, &item->ready);
    spin_unlock_irqrestore(&e->ready_lock, flags);
}

/* Is there an item that has something to report? Drops those that have not any more. */
static bool peek(struct epoll *e)
{
    struct list batch = LIST_INIT(batch), found = LIST_INIT(found);
    struct epoll_item *item;

    mutex_lock(&e->lock);
    take_all(e, &batch);
    while (list_empty(&found) && (item = take_ready(e, &batch))) {
        if (item_found(item))
            keep(e, item, &found);
    }
    put_back(e, &found, &batch);
    mutex_unlock(&e->lock);
    return has_ready(e);
}

static unsigned epoll_poll(struct file *f, struct linux_poll_source **source)
{
    struct epoll *e = f->data;

    *source = &e->source;
    return has_ready(e) && peek(e) ? LINUX_POLLIN : 0u;
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll, .close = epoll_close, .kind = "anon_inode:[eventpoll]"};

static long make_epoll(struct task *t, bool close_on_exec)
{
    struct epoll *e = kzalloc(sizeof(*e));
    struct file *f;
    int r;

    if (!e)
        return ERR_NO_MEMORY;
    mutex_init(&e->lock);
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&e->items[i]);
    list_init(&e->ready);
    wait_queue_init(&e->queue);
    linux_poll_source_init(&e->source);
    r = file_create(&epoll_ops, e, LINUX_O_RDWR, &f);
    if (r != OK) {
        kfree(e);
        return r;
    }
    e->file = f;
    return file_install(t, f, close_on_exec);
}

long sys_epoll_create(struct call *c)
{
    return (int32_t)c->arg[0] <= 0 ? ERR_INVALID : make_epoll(c->task, false);
}

long sys_epoll_create1(struct call *c)
{
    if (c->arg[0] & ~(uint64_t)LINUX_O_CLOEXEC)
        return ERR_INVALID;
    return make_epoll(c->task, c->arg[0] & LINUX_O_CLOEXEC);
}

static struct list *bucket_of(struct epoll *e, int fd)
{
    return &e->items[(unsigned)fd % BUCKETS];
}

static struct epoll_item *item_find(struct epoll *e, int fd, const struct file *f)
{
    list_for_each (it, bucket_of(e, fd)) {
        struct epoll_item *item = list_entry(it, struct epoll_item, link);

        if (item->fd == fd && item->file == f)
            return item;
    }
    return NULL;
}

/* The setting is new: what holds now is to be reported. */
static void item_set(struct epoll_item *item, const struct linux_epoll_event *event)
{
    item->data = event->data;
    __atomic_store_n(&item->events, event->events | ALWAYS, __ATOMIC_RELAXED);
    if (item_found(item))
        make_ready(item);
}

static int item_add(struct epoll *e, int fd, struct file *f, const struct linux_epoll_event *event)
{
    struct epoll_item *item = kzalloc(sizeof(*item));

    if (!item)
        return ERR_NO_MEMORY;
    item->watcher.notify = item_notify;
    item->epoll = e;
    item->file = f;
    item->fd = fd;
    list_init(&item->ready);
    list_push_back(bucket_of(e, fd), &item->link);
    e->count++;
    list_push_back(&f->epoll_items, &item->file_link);
    poll_watch(f, &item->watcher);
    item_set(item, event);
    return OK;
}

static int change_locked(struct epoll *e, int op, int fd, struct file *f,
                         const struct linux_epoll_event *event)
{
    struct epoll_item *item = item_find(e, fd, f);

    if (op == LINUX_EPOLL_CTL_ADD)
        return item ? ERR_EXISTS : item_add(e, fd, f, event);
    if (!item)
        return ERR_NOT_FOUND;
    if (op == LINUX_EPOLL_CTL_DEL)
        item_free(item);
    else if ((event->events | item->events) & LINUX_EPOLLEXCLUSIVE)
        return ERR_INVALID;
    else
        item_set(item, event);
    return OK;
}

/* How deep epolls lie in one another below this one, itself included; more than DEPTH_MAX when `to` is
 * among them. links_lock is held: no item comes or goes. */
static unsigned depth_below(const struct epoll *e, const struct epoll *to, unsigned above)
{
    unsigned deepest = 0;

    if (e == to || above >= DEPTH_MAX)
        return DEPTH_MAX + 1;
    for (unsigned i = 0; i < BUCKETS; i++) {
        list_for_each (it, &e->items[i]) {
            const struct epoll_item *item = list_entry(it, struct epoll_item, link);

            if (item->file->ops == &epoll_ops)
                deepest = MAX(deepest, depth_below(item->file->data, to, above + 1));
        }
    }
    return deepest + 1;
}

static unsigned depth_above(const struct file *f, unsigned below)
{
    unsigned highest = 0;

    if (below >= DEPTH_MAX)
        return DEPTH_MAX + 1;
    list_for_each (it, &f->epoll_items) {
        const struct epoll_item *item = list_entry(it, struct epoll_item, file_link);

        highest = MAX(highest, depth_above(item->epoll->file, below + 1));
    }
    return highest + 1;
}

/* May one epoll watch another? A circle would never end, a long chain takes too much stack. */
static int check_nesting(const struct file *ef, const struct file *f)
{
    if (f->ops != &epoll_ops)
        return OK;
    if (depth_below(f->data, ef->data, 0) + depth_above(ef, 0) > DEPTH_MAX)
        return LINUX_ERRNO(ELOOP);
    return OK;
}

/* May this file be watched? Files with a name are always ready; an epoll, as one of its own, is not. */
static int check_file(const struct file *f)
{
    if (f->flags & LINUX_O_PATH)
        return LINUX_ERRNO(EBADF);
    return f->node && !f->ops->poll ? LINUX_ERRNO(EPERM) : OK;
}

static int control(struct file *ef, int op, int fd, struct file *f,
                   const struct linux_epoll_event *event)
{
    struct epoll *e = ef->data;
    int r = check_file(f);

    if (r != OK)
        return r;
    if (ef->ops != &epoll_ops || ef == f || op < LINUX_EPOLL_CTL_ADD || op > LINUX_EPOLL_CTL_MOD)
        return ERR_INVALID;
    if ((event->events & LINUX_EPOLLEXCLUSIVE) && (event->events & ~EXCLUSIVE_OK))
        return ERR_INVALID;
    mutex_lock(&links_lock);
    r = op == LINUX_EPOLL_CTL_ADD ? check_nesting(ef, f) : OK;
    if (r != OK) {
        mutex_unlock(&links_lock);
        return r;
    }
    mutex_lock(&e->lock);
    r = change_locked(e, op, fd, f, event);
    mutex_unlock(&e->lock);
    mutex_unlock(&links_lock);
    return r;
}

long sys_epoll_ctl(struct call *c)
{
    struct fd_table *files = c->task->process->files;
    struct linux_epoll_event event = {0, 0};
    int op = (int)c->arg[1], fd = (int)c->arg[2];
    struct file *ef, *f;
    long r = LINUX_ERRNO(EBADF);

    if (op != LINUX_EPOLL_CTL_DEL && user_read(&event, c->arg[3], sizeof(event)) != OK)
        return ERR_FAULT;
    ef = fd_get(files, (int)c->arg[0]);
    if (!ef)
        return r;
    f = fd_get(files, fd);
    if (f) {
        r = control(ef, op, fd, f, &event);
        file_unref(f);
    }
    file_unref(ef);
    return r;
}

/* What one item has to report; whether it is to be asked again goes to *again. */
static uint32_t report(struct epoll_item *item, bool *again)
{
    uint32_t found = item_found(item);

    *again = found && !(item->events & (LINUX_EPOLLET | LINUX_EPOLLONESHOT));
    if (found && (item->events & LINUX_EPOLLONESHOT))
        __atomic_store_n(&item->events, item->events & BEHAVIOUR, __ATOMIC_RELAXED);
    return found;
}

/* Takes up to `room` events. Those that stay ready go behind the others. */
static size_t collect(struct epoll *e, struct linux_epoll_event *out, size_t room)
{
    struct list batch = LIST_INIT(batch), again = LIST_INIT(again);
    struct epoll_item *item;
    size_t n = 0;

    mutex_lock(&e->lock);
    take_all(e, &batch);
    while (n < room && (item = take_ready(e, &batch))) {
        bool stays;
        uint32_t found = report(item, &stays);

        if (found)
            out[n++] = (struct linux_epoll_event){found, item->data};
        if (stays)
            keep(e, item, &again);
    }
    put_back(e, &batch, &again);
    mutex_unlock(&e->lock);
    return n;
}

static long wait_events(struct epoll *e, struct linux_epoll_event *out, size_t room, uint64_t due)
{
    int r = OK;

    for (;;) {
        size_t n = collect(e, out, room);

        if (n > 0 || r == ERR_TIMED_OUT || due == 0)
            return (long)n;
        r = WAIT_UNTIL(&e->queue, has_ready(e), due, WAIT_INTERRUPTIBLE);
        if (r == ERR_INTERRUPTED)
            return LINUX_RESTART_NO_HANDLER;
    }
}

static long epoll_wait(struct call *c, uint64_t due)
{
    struct file *f = fd_get(c->task->process->files, (int)c->arg[0]);
    int32_t room = (int32_t)c->arg[2];
    struct linux_epoll_event *events;
    struct epoll *e;
    long n;

    if (!f)
        return LINUX_ERRNO(EBADF);
    if (room <= 0 || f->ops != &epoll_ops) {
        file_unref(f);
        return ERR_INVALID;
    }
    e = f->data;
    room = (int32_t)MIN((size_t)room, MAX(__atomic_load_n(&e->count, __ATOMIC_RELAXED), ROOM_MIN));
    events = kmalloc((size_t)room * sizeof(*events));
    n = events ? wait_events(e, events, (size_t)room, due) : ERR_NO_MEMORY;
    if (n > 0 && user_write(c->arg[1], events, (size_t)n * sizeof(*events)) != OK)
        n = ERR_FAULT;
    kfree(events);
    file_unref(f);
    return n;
}

static uint64_t due_of_ms(uint64_t argument)
{
    int32_t ms = (int32_t)argument;

    return ms < 0 ? TIME_NEVER : ms == 0 ? 0 : clock_due_in((uint64_t)ms * NS_PER_MS);
}

long sys_epoll_wait(struct call *c)
{
    return epoll_wait(c, due_of_ms(c->arg[3]));
}

/* With another mask of signals. */
static long wait_masked(struct call *c, uint64_t due)
{
    int r = poll_mask_change(c->task, c->arg[4], c->arg[5]);

    return r == OK ? poll_mask_restore(c->task, epoll_wait(c, due)) : r;
}

long sys_epoll_pwait(struct call *c)
{
    return wait_masked(c, due_of_ms(c->arg[3]));
}

long sys_epoll_pwait2(struct call *c)
{
    uint64_t due;
    int r = poll_read_due(c->arg[3], &due);

    return r == OK ? wait_masked(c, due) : r;
}
