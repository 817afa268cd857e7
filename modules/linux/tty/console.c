/*
 * console.c: /dev/console. With the option tty=ROWSxCOLUMNS it is a terminal, the other end of
 * which is the host's, through the launcher's channel; else it is the standard streams. See tty.h.
 *
 * Two threads of the kernel carry the bytes, so that nobody holds the terminal's lock while the
 * host is slow. They start with the first open and stay.
 */
#include <microlake/boot.h>
#include <microlake/memory.h>
#include <microlake/thread.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/stream.h"
#include "modules/linux/tty/tty.h"

#define OUTPUT_LIMIT 1024u /* what Ctrl-S can't hold back any more */
#define OUTPUT_ECHO  4096u
#define CHUNK        240u
#define DRAIN_LIMIT  (5 * NS_PER_SEC)

struct console {
    struct tty tty;
    struct byte_queue output; /* guarded by tty.lock; looked at without */
    bool sending;             /* bytes are on their way to the host; the sender's */
    struct wait_queue work;   /* the sender waits here */
};

static struct mutex open_lock = MUTEX_INIT(open_lock);
static struct console *console; /* NULL before the first open; guarded by open_lock */

static struct console *console_of(struct tty *t)
{
    return container_of(t, struct console, tty);
}

bool console_is_tty(void)
{
    return boot_option("tty", 0) != NULL;
}

/* ---- The terminal's driver
 * ------------------------------------------------------------------------- */

static size_t console_put(struct tty *t, const uint8_t *bytes, size_t count)
{
    struct console *c = console_of(t);
    size_t done = byte_queue_put(&c->output, bytes, count, OUTPUT_LIMIT + OUTPUT_ECHO);

    wait_wake_all(&c->work);
    return done;
}

static bool console_ready(struct tty *t)
{
    return byte_queue_count(&console_of(t)->output) < OUTPUT_LIMIT;
}

static uint32_t console_pending(struct tty *t)
{
    return byte_queue_count(&console_of(t)->output);
}

static void console_discard(struct tty *t)
{
    byte_queue_clear(&console_of(t)->output);
    tty_wake_writers(t);
}

static void console_tell(struct tty *t, unsigned status)
{
    (void)t;
    (void)status; /* only masters of ptys listen */
}

static void console_nothing(struct tty *t)
{
    (void)t; /* files come and go, the host's terminal stays */
}

static void console_release(struct tty *t)
{
    kfree(console_of(t));
}

static const struct tty_driver console_driver = {
    .put = console_put,
    .ready = console_ready,
    .pending = console_pending,
    .discard = console_discard,
    .tell = console_tell,
    .opened = console_nothing,
    .closed = console_nothing,
    .release = console_release,
};

/* ---- To and from the host
 * -------------------------------------------------------------------------- */

/* Takes a chunk out of the queue. */
static size_t chunk_take(struct console *c, char *out)
{
    const uint8_t *bytes;
    size_t count;

    mutex_lock(&c->tty.lock);
    bytes = byte_queue_peek(&c->output, &count);
    count = MIN(count, CHUNK);
    if (count > 0)
        memcpy(out, bytes, count);
    byte_queue_drop(&c->output, count);
    __atomic_store_n(&c->sending, count > 0, __ATOMIC_RELEASE);
    mutex_unlock(&c->tty.lock);
    return count;
}

static void sender(void *context)
{
    struct console *c = context;

    for (;;) {
        char chunk[CHUNK];
        size_t count = chunk_take(c, chunk);

        if (count > 0) {
            stream_print(1, chunk, count);
            tty_wake_writers(&c->tty);
            continue;
        }
        WAIT_UNTIL(&c->work, byte_queue_count(&c->output) > 0, TIME_NEVER, 0);
    }
}

static void size_check(struct console *c)
{
    const struct host_channel *channel = host_channel();
    struct linux_winsize size = {0};

    if (channel->size && channel->size(&size.rows, &size.columns))
        tty_set_size(&c->tty, &size);
}

static void type_all(struct console *c, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        size_t taken = tty_input(&c->tty, bytes, count);

        bytes += taken;
        count -= taken;
        if (taken == 0)
            WAIT_UNTIL(&c->tty.room, byte_queue_count(&c->tty.backlog) == 0, TIME_NEVER, 0);
    }
}

static void receiver(void *context)
{
    const struct host_channel *channel = host_channel();
    struct console *c = context;

    while (channel->read) {
        uint8_t bytes[CHUNK];
        long n = channel->read(bytes, sizeof(bytes), true);

        size_check(c);
        if (n > 0)
            type_all(c, bytes, (size_t)n);
        else if (n != ERR_AGAIN)
            break;
    }
    tty_hang_up(&c->tty);
}

void console_drain(void)
{
    uint64_t due = time_now() + DRAIN_LIMIT;

    if (!console)
        return;
    while ((byte_queue_count(&console->output) > 0 ||
            __atomic_load_n(&console->sending, __ATOMIC_ACQUIRE)) &&
           time_now() < due)
        thread_sleep(time_now() + NS_PER_MS / 10, 0);
}

/* ---- Opening
 * ---------------------------------------------------------------------------------------- */

/* "24x80"; anything else is no size, as 0 rows of 0 columns are. */
static struct linux_winsize size_parse(const char *text)
{
    uint32_t number[2] = {0, 0};
    unsigned which = 0;

    for (; *text; text++) {
        if (*text == 'x' && which == 0)
            which = 1;
        else if (*text >= '0' && *text <= '9' && number[which] < UINT16_MAX / 10)
            number[which] = number[which] * 10 + (uint32_t)(*text - '0');
        else
            return (struct linux_winsize){0};
    }
    return (struct linux_winsize){.rows = (uint16_t)number[0], .columns = (uint16_t)number[1]};
}

static int thread_begin(const char *name, void (*entry)(void *), struct console *c)
{
    struct thread *thread;
    int r = thread_create(name, entry, c, &thread);

    if (r == OK)
        thread_unref(thread);
    return r;
}

/* The threads have the reference that the console was made with, for ever. */
static int console_make(void)
{
    struct console *c = kzalloc(sizeof(*c));
    int r;

    if (!c)
        return ERR_NO_MEMORY;
    byte_queue_init(&c->output);
    wait_queue_init(&c->work);
    r = tty_init(&c->tty, &console_driver, LINUX_DEVICE_CONSOLE);
    if (r != OK) {
        tty_unref(&c->tty);
        return r;
    }
    c->tty.size = size_parse(boot_option("tty", 0));
    r = thread_begin("console out", sender, c);
    if (r != OK) {
        tty_unref(&c->tty);
        return r;
    }
    console = c; /* without input, when there is no memory for the other thread */
    return thread_begin("console in", receiver, c);
}

/* Without a terminal: the standard streams. */
static long stream_side_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)offset;
    return stream_read(at, size, f->flags & LINUX_O_NONBLOCK);
}

static long stream_side_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)f;
    (void)offset;
    return stream_write(1, at, size);
}

static const struct file_ops stream_side_ops = {.read = stream_side_read,
                                                .write = stream_side_write};

static int console_node_open(struct node *node, struct file *f)
{
    int r = OK;

    (void)node;
    if (!console_is_tty()) {
        f->ops = &stream_side_ops;
        return OK;
    }
    mutex_lock(&open_lock);
    if (!console)
        r = console_make();
    mutex_unlock(&open_lock);
    return r == OK ? tty_open(&console->tty, f) : r;
}

const struct node_ops console_node_ops = {.open = console_node_open};

void console_give(const struct file *f, struct process *p)
{
    control_attach(f->data, p, false);
}
