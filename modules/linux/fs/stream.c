/*
 * stream.c: see stream.h.
 */
#include "modules/linux/fs/stream.h"

#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/user.h>
#include <microlake/wait.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"
#include "modules/linux/signal/signal.h"
#include "modules/linux/fs/window.h"

#define CHUNK    512u   /* on the stack */
#define LARGE    16384u /* from the heap, for who moves more */
#define LINE_MAX 200u

/* A line on its way to the log, when there is no channel. */
struct line {
    struct mutex lock;
    size_t used;         /* guarded by lock */
    char text[LINE_MAX]; /* guarded by lock */
};

static struct line lines[3] = {
    {.lock = MUTEX_INIT(lines[0].lock)},
    {.lock = MUTEX_INIT(lines[1].lock)},
    {.lock = MUTEX_INIT(lines[2].lock)},
};

static void line_end_locked(struct line *line)
{
    log_info("%.*s", (int)line->used, line->text);
    line->used = 0;
}

static void log_bytes(unsigned stream, const char *text, size_t size)
{
    struct line *line = &lines[stream];

    mutex_lock(&line->lock);
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\n')
            line->text[line->used++] = text[i];
        if (text[i] == '\n' || line->used == LINE_MAX)
            line_end_locked(line);
    }
    mutex_unlock(&line->lock);
}

void stream_flush(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        mutex_lock(&lines[i].lock);
        if (lines[i].used > 0)
            line_end_locked(&lines[i]);
        mutex_unlock(&lines[i].lock);
    }
}

/* Bytes taken, or an error. */
static long put_bytes(unsigned stream, const char *text, size_t size)
{
    const struct host_channel *channel = host_channel();

    if (channel->write)
        return channel->write(stream, text, size);
    log_bytes(stream, text, size);
    return (long)size;
}

void stream_print(unsigned stream, const char *text, size_t size)
{
    while (size > 0) {
        long n = put_bytes(stream, text, size);

        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

/* The host reads the stream no more. */
static long broken_stream(void)
{
    struct task *t = task_current();
    struct linux_siginfo info = {.signo = LINUX_SIGPIPE, .code = LINUX_SI_USER};

    info.sender.pid = t->process->pid;
    signal_send_task(t, &info);
    return LINUX_ERRNO(EPIPE);
}

/* Writes through a buffer of `room` bytes. */
static long write_through(char *buffer, size_t room, unsigned stream, vaddr_t at, size_t size)
{
    size_t done = 0;

    while (done < size) {
        size_t n = MIN(size - done, room);
        long r = bytes_in(buffer, at + done, n) == OK ? put_bytes(stream, buffer, n) : ERR_FAULT;

        if (r <= 0)
            return done > 0 ? (long)done : r;
        done += (size_t)r;
    }
    return (long)done;
}

long stream_write(unsigned stream, vaddr_t at, size_t size)
{
    char chunk[CHUNK], *large = size > CHUNK ? kmalloc(MIN(size, LARGE)) : NULL;
    long r = large ? write_through(large, MIN(size, LARGE), stream, at, size)
                   : write_through(chunk, CHUNK, stream, at, size);

    kfree(large);
    return r == ERR_LOST ? broken_stream() : r;
}

long stream_read(vaddr_t at, size_t size, bool nonblock)
{
    const struct host_channel *channel = host_channel();
    char chunk[CHUNK], *large;
    long n;

    if (!channel->read || size == 0)
        return 0;
    large = size > CHUNK ? kmalloc(MIN(size, LARGE)) : NULL;
    n = channel->read(large ? large : chunk, MIN(size, large ? LARGE : CHUNK), !nonblock);
    if (n > 0 && bytes_out(at, large ? large : chunk, (size_t)n) != OK)
        n = ERR_FAULT;
    kfree(large);
    return n;
}

/* f->data is the stream's number. */
static long stream_file_read(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)offset;
    return stream_read(at, size, f->flags & LINUX_O_NONBLOCK);
}

static long stream_file_write(struct file *f, vaddr_t at, size_t size, uint64_t *offset)
{
    (void)offset;
    return stream_write((unsigned)(uintptr_t)f->data, at, size);
}

static int stream_open_again(struct node *node, struct file *f);

static const struct node_ops stream_again = {.open = stream_open_again};

static const struct file_ops stream_ops = {
    .read = stream_file_read, .write = stream_file_write, .again = &stream_again};

static int stream_open_again(struct node *node, struct file *f)
{
    f->ops = &stream_ops;
    f->data = node->data;
    return OK;
}

int stream_open(unsigned stream, struct file **out)
{
    uint32_t flags = stream == 0 ? LINUX_O_RDONLY : LINUX_O_WRONLY;

    return file_create(&stream_ops, (void *)(uintptr_t)stream, flags, out);
}
