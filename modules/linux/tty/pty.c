/*
 * pty.c: pairs of a terminal (/dev/pts/N) and its master (a file of /dev/ptmx), which is what a
 * screen and a keyboard would be. See tty.h.
 *
 * The master's file and the node of /dev/pts hold a reference each; the node goes with the master.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/poll.h"
#include "modules/linux/process/process.h"
#include "modules/linux/tty/tty.h"

#define PTY_MAX      4096u
#define OUTPUT_LIMIT 12288u
#define OUTPUT_ECHO  4096u /* so much more for echoes and the rest of a write */
#define CHUNK        256u

static const struct file_system devpts = {.name = "devpts", .id = 12, .magic = 0x1cd1};

struct pty {
    struct tty tty;
    unsigned number;
    struct node *node; /* of /dev/pts, a reference; the master's */

    /* guarded by tty.lock; who waits looks without */
    struct byte_queue output; /* written, and the master has not read it */
    bool locked;              /* the terminal can't be opened yet */
    bool left;                /* it was open and is no more */
    bool packet;              /* each read of the master begins with a byte that says what it is */
    uint8_t status;           /* packet mode: what happened; LINUX_TIOCPKT_* */
    struct wait_queue readable;
    struct linux_poll_source source;
};

static struct mutex number_lock = MUTEX_INIT(number_lock);
static uint64_t numbers[PTY_MAX / 64]; /* those in use; guarded by number_lock */

static struct pty *pty_of(struct tty *t)
{
    return container_of(t, struct pty, tty);
}

static int number_take(unsigned *out)
{
    int r = LINUX_ERRNO(ENOSPC);

    mutex_lock(&number_lock);
    for (unsigned n = 0; n < PTY_MAX && r != OK; n++) {
        if (numbers[n / 64] >> (n % 64) & 1)
            continue;
        numbers[n / 64] |= 1ull << (n % 64);
        *out = n;
        r = OK;
    }
    mutex_unlock(&number_lock);
    return r;
}

static void number_give(unsigned n)
{
    mutex_lock(&number_lock);
    numbers[n / 64] &= ~(1ull << (n % 64));
    mutex_unlock(&number_lock);
}

/* ---- The terminal's driver
 * ------------------------------------------------------------------------- */

static void master_wake(struct pty *p, unsigned events)
{
    wait_wake_all(&p->readable);
    poll_notify(&p->source, events);
}

static size_t pty_put(struct tty *t, const uint8_t *bytes, size_t count)
{
    struct pty *p = pty_of(t);
    size_t done = byte_queue_put(&p->output, bytes, count, OUTPUT_LIMIT + OUTPUT_ECHO);

    master_wake(p, LINUX_POLLIN);
    return done;
}

static bool pty_ready(struct tty *t)
{
    return byte_queue_count(&pty_of(t)->output) < OUTPUT_LIMIT;
}

static uint32_t pty_pending(struct tty *t)
{
    return byte_queue_count(&pty_of(t)->output);
}

static void pty_tell(struct tty *t, unsigned status)
{
    struct pty *p = pty_of(t);
    const unsigned pairs[][2] = {{LINUX_TIOCPKT_STOP, LINUX_TIOCPKT_START},
                                 {LINUX_TIOCPKT_NOSTOP, LINUX_TIOCPKT_DOSTOP}};

    if (!p->packet)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (status & (pairs[i][0] | pairs[i][1]))
            p->status &= (uint8_t) ~(pairs[i][0] | pairs[i][1]);
    }
    p->status |= (uint8_t)status;
    master_wake(p, LINUX_POLLIN | LINUX_POLLPRI);
}

static void pty_discard(struct tty *t)
{
    byte_queue_clear(&pty_of(t)->output);
    pty_tell(t, LINUX_TIOCPKT_FLUSHWRITE);
    tty_wake_writers(t);
}

static void pty_opened(struct tty *t)
{
    __atomic_store_n(&pty_of(t)->left, false, __ATOMIC_RELAXED);
}

static void pty_closed(struct tty *t)
{
    struct pty *p = pty_of(t);

    __atomic_store_n(&p->left, true, __ATOMIC_RELAXED);
    p->packet = false;
    master_wake(p, ~0u);
}

static void pty_release(struct tty *t)
{
    struct pty *p = pty_of(t);

    byte_queue_clear(&p->output);
    number_give(p->number);
    kfree(p);
}

static const struct tty_driver pty_driver = {
    .put = pty_put,
    .ready = pty_ready,
    .pending = pty_pending,
    .discard = pty_discard,
    .tell = pty_tell,
    .opened = pty_opened,
    .closed = pty_closed,
    .release = pty_release,
};

/* ---- The terminal's node
 * ---------------------------------------------------------------------------- */

static int slave_open(struct node *node, struct file *f)
{
    struct pty *p = node->data;
    bool locked;

    mutex_lock(&p->tty.lock);
    locked = p->locked;
    mutex_unlock(&p->tty.lock);
    return locked ? LINUX_ERRNO(EIO) : tty_open(&p->tty, f);
}

static void slave_release(struct node *node)
{
    struct pty *p = node->data;

    if (p)
        tty_unref(&p->tty);
}

static const struct node_ops folder_ops = {0};
static const struct node_ops slave_node_ops = {.open = slave_open, .release = slave_release};

static int pts_folder(struct node **out)
{
    return node_make_folders(node_root, "dev/pts", 7, &devpts, &folder_ops, out);
}

int pty_register(void)
{
    struct node *folder;
    int r = pts_folder(&folder);

    if (r == OK)
        node_unref(folder);
    return r;
}

static int slave_attach(struct pty *p)
{
    struct node *folder;
    char name[16];
    int r = pts_folder(&folder);

    if (r != OK)
        return r;
    snprintf(name, sizeof(name), "%u", p->number);
    r = node_create(folder, name, LINUX_S_IFCHR | 0620, &devpts, &slave_node_ops, NULL, &p->node);
    node_unref(folder);
    if (r != OK)
        return r;
    p->node->data = p;
    tty_ref(&p->tty);
    p->node->device = p->tty.device;
    p->node->uid = task_current()->process->credentials.user.files;
    p->node->gid = task_current()->process->credentials.group.files;
    r = node_attach(p->node);
    if (r != OK)
        node_unref(p->node);
    return r;
}

/* ---- The master's file
 * ------------------------------------------------------------------------------- */

/* Something for a read of the master. */
static bool master_ready(const struct pty *p)
{
    return byte_queue_count(&p->output) > 0 || (p->packet && p->status != 0);
}

static bool has_left(const struct pty *p)
{
    return __atomic_load_n(&p->left, __ATOMIC_RELAXED);
}

static long take_output_locked(struct pty *p, vaddr_t at, size_t size)
{
    const uint8_t *bytes;
    size_t done = 0, count;

    while (done < size && (bytes = byte_queue_peek(&p->output, &count))) {
        count = MIN(count, size - done);
        if (user_write(at + done, bytes, count) != OK)
            return done > 0 ? (long)done : ERR_FAULT;
        byte_queue_drop(&p->output, count);
        done += count;
    }
    return (long)done;
}

/* In packet mode: the byte that comes first, and what it says is taken. */
static long take_packet_locked(struct pty *p, vaddr_t at, size_t size)
{
    uint8_t status = p->status;
    long r;

    if (user_write(at, &status, 1) != OK)
        return ERR_FAULT;
    p->status = 0;
    if (status != 0)
        return 1;
    r = take_output_locked(p, at + 1, size - 1);
    return r < 0 ? r : r + 1;
}

/* What is there; 0: nothing. */
static long master_take(struct pty *p, vaddr_t at, size_t size)
{
    long r = 0;

    mutex_lock(&p->tty.lock);
    if (master_ready(p))
        r = p->packet ? take_packet_locked(p, at, size) : take_output_locked(p, at, size);
    mutex_unlock(&p->tty.lock);
    if (r > 0)
        tty_wake_writers(&p->tty);
    return r;
}

static long master_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct pty *p = f->data;

    (void)offset;
    if (size == 0)
        return 0;
    for (;;) {
        bool left = has_left(p); /* before looking: what was written earlier is seen */
        long r = master_take(p, at, size);

        if (r != 0)
            return r;
        if (left)
            return LINUX_ERRNO(EIO);
        if (f->flags & LINUX_O_NONBLOCK)
            return ERR_AGAIN;
        r = WAIT_UNTIL(&p->readable, master_ready(p) || has_left(p), TIME_NEVER,
                       WAIT_INTERRUPTIBLE);
        if (r != OK)
            return r;
    }
}

static bool backlog_empty(const struct tty *t)
{
    return byte_queue_count(&t->backlog) == 0;
}

static long master_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    struct pty *p = f->data;
    size_t done = 0;
    long r = OK;

    (void)offset;
    while (done < size && r == OK) {
        uint8_t chunk[CHUNK];
        size_t taken, n = MIN(size - done, sizeof(chunk));

        r = user_read(chunk, at + done, n) == OK ? OK : ERR_FAULT;
        taken = r == OK ? tty_input(&p->tty, chunk, n) : 0;
        done += taken;
        if (r == OK && taken == 0)
            r = f->flags & LINUX_O_NONBLOCK ? ERR_AGAIN
                                            : WAIT_UNTIL(&p->tty.room, backlog_empty(&p->tty),
                                                         TIME_NEVER, WAIT_INTERRUPTIBLE);
    }
    return done > 0 ? (long)done : r;
}

static unsigned master_poll(struct file *f, struct linux_poll_source **source)
{
    struct pty *p = f->data;

    *source = &p->source;
    return (master_ready(p) ? LINUX_POLLIN : 0u) |
           (p->packet && p->status != 0 ? LINUX_POLLPRI : 0u) | (has_left(p) ? LINUX_POLLHUP : 0u) |
           (backlog_empty(&p->tty) ? LINUX_POLLOUT : 0u);
}

static long number_write(vaddr_t at, unsigned number)
{
    return user_write(at, &number, sizeof(number));
}

static long flag_set(struct pty *p, bool *flag, vaddr_t at)
{
    int32_t on;

    if (user_read(&on, at, sizeof(on)) != OK)
        return ERR_FAULT;
    mutex_lock(&p->tty.lock);
    if (flag == &p->packet && on && !p->packet)
        p->status = 0;
    *flag = on != 0;
    mutex_unlock(&p->tty.lock);
    return 0;
}

/* Opens the terminal without its name. */
static long peer_open(struct pty *p, uint64_t flags)
{
    struct file *f;
    int r = file_open(p->node, (uint32_t)flags & ~(uint32_t)LINUX_O_CLOEXEC, &f);

    return r == OK ? file_install(task_current(), f, flags & LINUX_O_CLOEXEC) : r;
}

/* The master's input is the terminal's output. */
static long master_flush(struct pty *p, uint64_t which)
{
    if (which > LINUX_TCIOFLUSH)
        return ERR_INVALID;
    mutex_lock(&p->tty.lock);
    if (which != LINUX_TCOFLUSH)
        byte_queue_clear(&p->output);
    if (which != LINUX_TCIFLUSH)
        tty_flush_locked(&p->tty);
    mutex_unlock(&p->tty.lock);
    tty_wake_writers(&p->tty);
    return 0;
}

static long send_signal(struct pty *p, int signal)
{
    if (signal != LINUX_SIGINT && signal != LINUX_SIGQUIT && signal != LINUX_SIGTSTP)
        return ERR_INVALID;
    control_signal(&p->tty, signal);
    return 0;
}

static long master_ioctl(struct file *f, unsigned command, uint64_t argument)
{
    struct pty *p = f->data;

    switch (command) {
    case LINUX_TIOCGPTN:
        return number_write(argument, p->number);
    case LINUX_TIOCSPTLCK:
        return flag_set(p, &p->locked, argument);
    case LINUX_TIOCGPTLCK:
        return number_write(argument, p->locked);
    case LINUX_TIOCPKT:
        return flag_set(p, &p->packet, argument);
    case LINUX_TIOCGPKT:
        return number_write(argument, p->packet);
    case LINUX_TIOCGPTPEER:
        return peer_open(p, argument);
    case LINUX_TIOCSIG:
        return send_signal(p, (int)argument);
    case LINUX_FIONREAD:
        return number_write(argument, byte_queue_count(&p->output));
    case LINUX_TIOCOUTQ:
        return number_write(argument, byte_queue_count(&p->tty.backlog));
    case LINUX_TCFLSH:
        return master_flush(p, argument);
    default:
        return tty_ioctl(&p->tty, command, argument, false, true);
    }
}

static void master_close(struct file *f)
{
    struct pty *p = f->data;
    struct node *node = p->node;

    node_detach(node);
    tty_hang_up(&p->tty);
    node_unref(node);
    tty_unref(&p->tty);
}

static const struct file_ops master_ops = {.read = master_read,
                                           .write = master_write,
                                           .ioctl = master_ioctl,
                                           .poll = master_poll,
                                           .close = master_close};

/* A new pair without its node. */
static int pty_make(struct pty **out)
{
    struct pty *p = kzalloc(sizeof(*p));
    int r = p ? number_take(&p->number) : ERR_NO_MEMORY;

    if (r != OK) {
        kfree(p);
        return r;
    }
    byte_queue_init(&p->output);
    wait_queue_init(&p->readable);
    linux_poll_source_init(&p->source);
    p->locked = true;
    r = tty_init(&p->tty, &pty_driver,
                 LINUX_MAJOR_PTS << 8 | (p->number & 0xff) | (p->number & ~0xffu) << 12);
    if (r != OK) {
        tty_unref(&p->tty);
        return r;
    }
    *out = p;
    return OK;
}

static int ptmx_open(struct node *node, struct file *f)
{
    struct pty *p;
    int r = pty_make(&p);

    (void)node;
    if (r != OK)
        return r;
    r = slave_attach(p);
    if (r != OK) {
        tty_unref(&p->tty);
        return r;
    }
    f->ops = &master_ops;
    f->data = p;
    return OK;
}

const struct node_ops ptmx_node_ops = {.open = ptmx_open};
