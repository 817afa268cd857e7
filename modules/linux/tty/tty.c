/*
 * tty.c: terminals as files: reading, writing, polling, hanging up. See tty.h.
 */
#include "modules/linux/tty/tty.h"

#include <microlake/memory.h>
#include <microlake/time.h>
#include <microlake/user.h>

#include "modules/linux/abi/signal.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/job.h"
#include "modules/linux/process/process.h"

#define CHUNK         256u
#define BACKLOG_LIMIT 8192u
#define HELD_LIMIT    4096u
#define TENTH         (NS_PER_SEC / 10)

int tty_init(struct tty *t, const struct tty_driver *driver, uint32_t device)
{
    t->refs = 1;
    t->driver = driver;
    t->device = device;
    mutex_init(&t->lock);
    byte_queue_init(&t->backlog);
    byte_queue_init(&t->held);
    wait_queue_init(&t->readable);
    wait_queue_init(&t->writable);
    wait_queue_init(&t->room);
    linux_poll_source_init(&t->source);
    list_init(&t->controlling);
    return line_init(&t->line);
}

void tty_ref(struct tty *t)
{
    __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
}

bool tty_ref_live(struct tty *t)
{
    uint32_t refs = __atomic_load_n(&t->refs, __ATOMIC_RELAXED);

    while (refs > 0) {
        if (__atomic_compare_exchange_n(&t->refs, &refs, refs + 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

void tty_unref(struct tty *t)
{
    int group;

    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    control_release(t, &group);
    byte_queue_clear(&t->backlog);
    byte_queue_clear(&t->held);
    line_free(&t->line);
    t->driver->release(t);
}

static bool is_hung(const struct tty *t)
{
    return __atomic_load_n(&t->hung, __ATOMIC_ACQUIRE);
}

static bool is_stopped(const struct tty *t)
{
    return __atomic_load_n(&t->line.stopped, __ATOMIC_ACQUIRE);
}

void tty_wake_writers(struct tty *t)
{
    wait_wake_all(&t->writable);
    poll_notify(&t->source, LINUX_POLLOUT);
}

/* ---- What the line discipline asks for
 * ------------------------------------------------------------- */

static void echo(void *context, const uint8_t *bytes, size_t count)
{
    struct tty *t = context;

    if (t->line.stopped)
        byte_queue_put(&t->held, bytes, count, HELD_LIMIT);
    else
        t->driver->put(t, bytes, count);
}

void tty_flush_locked(struct tty *t)
{
    line_flush(&t->line);
    byte_queue_clear(&t->backlog);
    wait_wake_all(&t->room);
}

static void signal_asked(void *context, int signal)
{
    struct tty *t = context;

    if (!line_local(&t->line, LINUX_NOFLSH)) {
        byte_queue_clear(&t->held);
        t->driver->discard(t);
    }
    control_signal(t, signal);
}

void tty_stop_locked(struct tty *t, bool stop)
{
    const uint8_t *bytes;
    size_t count;

    if (t->line.stopped == stop)
        return;
    __atomic_store_n(&t->line.stopped, stop, __ATOMIC_RELEASE);
    t->driver->tell(t, stop ? LINUX_TIOCPKT_STOP : LINUX_TIOCPKT_START);
    if (stop)
        return;
    while ((bytes = byte_queue_peek(&t->held, &count))) {
        t->driver->put(t, bytes, count);
        byte_queue_drop(&t->held, count);
    }
    tty_wake_writers(t);
}

static void stop_asked(void *context, bool stop)
{
    tty_stop_locked(context, stop);
}

/* ---- Input
 * ------------------------------------------------------------------------------------------ */

static size_t receive_locked(struct tty *t, const uint8_t *bytes, size_t count)
{
    const struct line_port port = {echo, signal_asked, stop_asked, t};

    return line_receive(&t->line, bytes, count, &port);
}

/* The backlog goes on as far as the line has room. */
static void feed_locked(struct tty *t)
{
    const uint8_t *bytes;
    size_t count;

    while ((bytes = byte_queue_peek(&t->backlog, &count))) {
        size_t taken = receive_locked(t, bytes, count);

        byte_queue_drop(&t->backlog, taken);
        wait_wake_all(&t->room);
        if (taken < count)
            break;
    }
}

size_t tty_input(struct tty *t, const uint8_t *bytes, size_t count)
{
    size_t done = 0;

    mutex_lock(&t->lock);
    if (byte_queue_count(&t->backlog) == 0)
        done = receive_locked(t, bytes, count);
    done += byte_queue_put(&t->backlog, bytes + done, count - done, BACKLOG_LIMIT);
    mutex_unlock(&t->lock);
    wait_wake_all(&t->readable);
    poll_notify(&t->source, LINUX_POLLIN);
    return done;
}

/* A read on its way. */
struct reading {
    vaddr_t at;
    size_t size, done;
    uint32_t least; /* bytes after which it is done */
    uint64_t due;   /* when it gives up; 0: at once; TIME_NEVER: never */
    uint64_t pause; /* ns; what ends it between two bytes; 0: nothing */
    bool ended;     /* a line ended */
};

/* VMIN and VTIME, as they are when the read begins. */
static void read_begin(const struct line *l, struct reading *rd)
{
    uint8_t least = l->termios.chars[LINUX_VMIN];
    uint64_t limit = l->termios.chars[LINUX_VTIME] * TENTH;

    rd->least = 1;
    rd->due = TIME_NEVER;
    if (line_local(l, LINUX_ICANON))
        return;
    if (least > 0) {
        rd->least = least;
        rd->pause = limit;
    } else {
        rd->due = limit > 0 ? time_now() + limit : 0;
    }
}

/* Takes what is there. */
static int read_some_locked(struct tty *t, struct reading *rd)
{
    bool any = false;

    while (rd->done < rd->size && !rd->ended && line_ready(&t->line, 1)) {
        uint8_t chunk[CHUNK];
        size_t n = line_take(&t->line, chunk, MIN(rd->size - rd->done, sizeof(chunk)), &rd->ended);

        if (user_write(rd->at + rd->done, chunk, n) != OK)
            return ERR_FAULT;
        rd->done += n;
        any = true;
    }
    if (any)
        feed_locked(t);
    if (any && rd->pause)
        rd->due = time_now() + rd->pause;
    return OK;
}

/* Enough for the reader, or nothing more to come. */
static bool read_over_locked(const struct tty *t, const struct reading *rd)
{
    if (rd->ended || rd->done == rd->size || rd->done >= rd->least)
        return true;
    return rd->done > 0 && line_local(&t->line, LINUX_ICANON);
}

/* Reads until it is over. t->lock is held, but for the time it sleeps. */
static long read_locked(struct tty *t, struct reading *rd, bool nonblock)
{
    for (;;) {
        int r = read_some_locked(t, rd);

        if (r != OK || read_over_locked(t, rd))
            return r;
        if (t->hung)
            return LINUX_ERRNO(EIO);
        if (rd->due == 0)
            return OK;
        if (nonblock)
            return ERR_AGAIN;
        mutex_unlock(&t->lock);
        r = WAIT_UNTIL(&t->readable, line_ready(&t->line, 1) || is_hung(t), rd->due,
                       WAIT_INTERRUPTIBLE);
        mutex_lock(&t->lock);
        if (r != OK)
            return r == ERR_TIMED_OUT ? OK : r;
    }
}

static long tty_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct reading rd = {.at = at, .size = size};
    struct tty *t = f->data;
    long r;

    (void)offset;
    if (is_hung(t) || size == 0)
        return 0;
    r = control_check(t, LINUX_SIGTTIN);
    if (r != OK)
        return r;
    mutex_lock(&t->lock);
    read_begin(&t->line, &rd);
    r = read_locked(t, &rd, f->flags & LINUX_O_NONBLOCK);
    mutex_unlock(&t->lock);
    return rd.done > 0 ? (long)rd.done : r;
}

/* ---- Output
 * ----------------------------------------------------------------------------------------- */

static bool can_write(struct tty *t)
{
    return !is_stopped(t) && t->driver->ready(t);
}

/* Puts out what the driver takes of a chunk. Returns how many of its bytes. */
static size_t write_locked(struct tty *t, const uint8_t *bytes, size_t count)
{
    size_t done = 0;

    while (done < count && can_write(t)) {
        uint8_t out[CHUNK];
        size_t used, n = line_cook(&t->line, bytes + done, count - done, out, sizeof(out), &used);

        t->driver->put(t, out, n);
        done += used;
    }
    return done;
}

/* Writes one chunk, or a part of it, once there is room. */
static long write_chunk(struct tty *t, const uint8_t *bytes, size_t count, bool nonblock)
{
    for (;;) {
        size_t done;
        int r;

        if (is_hung(t))
            return LINUX_ERRNO(EIO);
        mutex_lock(&t->lock);
        done = write_locked(t, bytes, count);
        mutex_unlock(&t->lock);
        if (done > 0)
            return (long)done;
        if (nonblock)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&t->writable, can_write(t) || is_hung(t), TIME_NEVER, WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
    }
}

static long tty_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct tty *t = f->data;
    size_t done = 0;
    long r;

    (void)offset;
    if (is_hung(t))
        return LINUX_ERRNO(EIO);
    r = line_local(&t->line, LINUX_TOSTOP) ? control_check(t, LINUX_SIGTTOU) : OK;
    if (r != OK)
        return r;
    while (done < size) {
        uint8_t chunk[CHUNK];
        size_t n = MIN(size - done, sizeof(chunk));

        r = user_read(chunk, at + done, n) == OK ? OK : ERR_FAULT;
        if (r == OK)
            r = write_chunk(t, chunk, n, f->flags & LINUX_O_NONBLOCK);
        if (r < 0)
            break;
        done += (size_t)r;
    }
    return done > 0 ? (long)done : r;
}

/* ---- Files
 * ------------------------------------------------------------------------------------------ */

static unsigned tty_poll(struct file *f, struct linux_poll_source **source)
{
    struct tty *t = f->data;
    const uint8_t *chars = t->line.termios.chars;
    uint32_t least = chars[LINUX_VTIME] == 0 ? MAX(chars[LINUX_VMIN], 1u) : 1;

    *source = &t->source;
    if (is_hung(t))
        return LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLERR | LINUX_POLLHUP;
    return (line_ready(&t->line, least) ? LINUX_POLLIN : 0u) | (can_write(t) ? LINUX_POLLOUT : 0u);
}

static long tty_file_ioctl(struct file *f, unsigned command, uint64_t argument)
{
    struct tty *t = f->data;

    if (is_hung(t))
        return LINUX_ERRNO(EIO);
    return tty_ioctl(t, command, argument, true, file_readable(f));
}

static void tty_close(struct file *f)
{
    struct tty *t = f->data;

    mutex_lock(&t->lock);
    if (--t->opens == 0) {
        t->exclusive = false;
        t->driver->closed(t);
    }
    mutex_unlock(&t->lock);
    tty_unref(t);
}

const struct file_ops tty_file_ops = {.read = tty_read,
                                      .write = tty_write,
                                      .ioctl = tty_file_ioctl,
                                      .poll = tty_poll,
                                      .close = tty_close};

int tty_open(struct tty *t, struct file *f)
{
    int r = OK;

    mutex_lock(&t->lock);
    if (t->hung) {
        r = LINUX_ERRNO(EIO);
    } else if (t->exclusive && !capable(CAP_SYS_ADMIN)) {
        r = ERR_BUSY;
    } else {
        t->opens++;
        t->driver->opened(t);
    }
    mutex_unlock(&t->lock);
    if (r != OK)
        return r;
    tty_ref(t);
    f->ops = &tty_file_ops;
    f->data = t;
    if (!(f->flags & LINUX_O_NOCTTY) && file_readable(f))
        control_attach(t, task_current()->process, false); /* who may not have it does without */
    return OK;
}

void tty_hang_up(struct tty *t)
{
    int group, session;

    mutex_lock(&t->lock);
    __atomic_store_n(&t->hung, true, __ATOMIC_RELEASE);
    session = control_release(t, &group);
    mutex_unlock(&t->lock);
    wait_wake_all(&t->readable);
    wait_wake_all(&t->room);
    tty_wake_writers(t);
    linux_poll_notify(&t->source);
    if (session != 0)
        session_hang_up(session, group);
}

void tty_set_size(struct tty *t, const struct linux_winsize *size)
{
    bool changed;

    mutex_lock(&t->lock);
    changed = memcmp(&t->size, size, sizeof(*size)) != 0;
    t->size = *size;
    mutex_unlock(&t->lock);
    if (changed)
        control_signal(t, LINUX_SIGWINCH);
}
