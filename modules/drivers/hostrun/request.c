/*
 * request.c: what the owner has asked for. Frames gather words and input; HOSTRUN_RUN starts a thread that
 * runs the program, waits for its end and tells it.
 *
 * A request is held by its place in the table, until its end has been told, and by each of the program's
 * three streams: children that it leaves behind may have them for longer.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/wait.h>

#include "hostrun.h"
#include "modules/linux/include/linux_run.h"

#define STATUS_FAILED     125 /* the request was none, or the machine has no memory for it */
#define STATUS_NOT_FOUND  127
#define STATUS_NOT_USABLE 126
#define INPUT_FIRST       4096u

struct request {
    uint32_t refs; /* atomic */
    uint8_t number;
    struct mutex write_lock;
    bool ended;    /* its number is another's: what is still written is lost; guarded by write_lock */
    bool started;  /* of the reader's thread */
    bool broken;   /* it has too many words, or too much input; likewise */
    char *words;
    size_t words_size;
    uint8_t *input;
    size_t input_size, input_room;
    bool killed;           /* guarded by lock */
    struct linux_run *run; /* while it runs; guarded by lock */
};

static struct mutex lock = MUTEX_INIT(lock);
static struct request *requests[HOSTRUN_REQUESTS]; /* guarded by lock */

static void request_unref(struct request *q)
{
    if (__atomic_sub_fetch(&q->refs, 1, __ATOMIC_ACQ_REL))
        return;
    kfree(q->words);
    kfree(q->input);
    kfree(q);
}

/* ---- Its streams ------------------------------------------------------------------------------- */

static long request_read(void *context, void *out, size_t size, uint64_t offset)
{
    const struct request *q = context;
    size_t n = offset < q->input_size ? MIN(size, q->input_size - offset) : 0;

    memcpy(out, q->input + offset, n);
    return (long)n;
}

static long request_write(void *context, unsigned stream, const void *bytes, size_t size)
{
    struct request *q = context;
    size_t n = MIN(size, HOSTRUN_MAX_PAYLOAD);
    bool lost;

    mutex_lock(&q->write_lock);
    lost = q->ended;
    if (!lost)
        line_send(stream == 2 ? HOSTRUN_STDERR : HOSTRUN_STDOUT, q->number, bytes, n);
    mutex_unlock(&q->write_lock);
    return lost ? ERR_LOST : (long)n;
}

static void request_close(void *context)
{
    request_unref(context);
}

static const struct linux_run_streams streams = {
    .read = request_read, .write = request_write, .close = request_close};

/* ---- Its life ---------------------------------------------------------------------------------- */

__printf(2, 3) static void request_say(const struct request *q, const char *format, ...)
{
    char line[160];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    line_send(HOSTRUN_STDERR, q->number, line, MIN((size_t)n, sizeof(line) - 1));
}

/* The number is free once the host hears of the end. */
static void request_end(struct request *q, uint8_t status)
{
    mutex_lock(&q->write_lock);
    q->ended = true;
    mutex_unlock(&q->write_lock);
    mutex_lock(&lock);
    requests[q->number] = NULL;
    mutex_unlock(&lock);
    line_send(HOSTRUN_EXIT, q->number, &status, 1);
    request_unref(q);
}

static void run_set(struct request *q, struct linux_run *run)
{
    mutex_lock(&lock);
    q->run = run;
    if (run && q->killed)
        linux_run_kill(run);
    mutex_unlock(&lock);
}

static int start_failed(const struct request *q, int r)
{
    if (r == ERR_NO_MEMORY)
        request_say(q, "malv: the machine has not enough memory to run %s\n", q->words);
    else
        request_say(q, "malv: the machine's boot archive has no program bin/%s that can be run\n",
                    q->words);
    return r == ERR_NOT_FOUND ? STATUS_NOT_FOUND : STATUS_NOT_USABLE;
}

static void request_run(void *context)
{
    struct request *q = context;
    struct linux_run *run;
    char path[64];
    int status, r;

    snprintf(path, sizeof(path), "bin/%s", q->words);
    __atomic_add_fetch(&q->refs, 3, __ATOMIC_RELAXED);
    r = linux_run_start(path, q->words, q->words_size, &streams, q, &run);
    if (r != OK) {
        request_end(q, (uint8_t)start_failed(q, r));
        return;
    }
    run_set(q, run);
    status = linux_run_wait(run);
    run_set(q, NULL);
    linux_run_free(run);
    request_end(q, (uint8_t)status);
}

/* A program's name and its words: each ends in this piece. */
static bool words_are_sound(const struct request *q)
{
    return !q->broken && q->words_size && q->words[0] && q->words[q->words_size - 1] == '\0' &&
           !strchr(q->words, '/');
}

static void request_start(struct request *q)
{
    struct thread *t;

    q->started = true;
    if (!words_are_sound(q)) {
        request_say(q, "malv: this is no request: too long, or without a program's name\n");
        request_end(q, STATUS_FAILED);
    } else if (thread_create("hostrun", request_run, q, &t) == OK) {
        thread_unref(t);
    } else {
        request_say(q, "malv: the machine has not enough memory for a request\n");
        request_end(q, STATUS_FAILED);
    }
}

/* ---- Frames ------------------------------------------------------------------------------------ */

/* The request of a number, with a reference; made when its first frame comes. */
static struct request *request_get(uint8_t number)
{
    struct request *q;

    mutex_lock(&lock);
    q = requests[number];
    if (!q) {
        q = kzalloc(sizeof(*q));
        if (q) {
            q->refs = 1;
            q->number = number;
            mutex_init(&q->write_lock);
        }
        requests[number] = q;
    }
    if (q)
        __atomic_add_fetch(&q->refs, 1, __ATOMIC_RELAXED);
    mutex_unlock(&lock);
    return q;
}

static void words_add(struct request *q, const uint8_t *bytes, size_t size)
{
    if (!q->words)
        q->words = kmalloc(HOSTRUN_WORDS_BYTES);
    if (!q->words || size > HOSTRUN_WORDS_BYTES - q->words_size) {
        q->broken = true;
        return;
    }
    memcpy(q->words + q->words_size, bytes, size);
    q->words_size += size;
}

static bool input_grow(struct request *q, size_t wanted)
{
    size_t room = q->input_room ? q->input_room : INPUT_FIRST;
    uint8_t *larger;

    while (room < wanted)
        room *= 2;
    if (room == q->input_room)
        return true;
    larger = kmalloc(room);
    if (!larger)
        return false;
    if (q->input_size)
        memcpy(larger, q->input, q->input_size);
    kfree(q->input);
    q->input = larger;
    q->input_room = room;
    return true;
}

static void input_add(struct request *q, const uint8_t *bytes, size_t size)
{
    if (q->broken || size > HOSTRUN_INPUT_BYTES - q->input_size ||
        !input_grow(q, q->input_size + size)) {
        q->broken = true;
        return;
    }
    memcpy(q->input + q->input_size, bytes, size);
    q->input_size += size;
}

/* One that has not started ends at once: the host has given it up. */
static void request_kill(uint8_t number)
{
    struct request *q;
    bool waiting;

    mutex_lock(&lock);
    q = requests[number];
    waiting = q && !q->started;
    if (q)
        q->killed = true;
    if (q && q->run)
        linux_run_kill(q->run);
    mutex_unlock(&lock);
    if (waiting)
        request_end(q, STATUS_FAILED);
}

void request_take(void *context, uint8_t type, uint8_t number, const uint8_t *payload, size_t length)
{
    bool known = type == HOSTRUN_WORDS || type == HOSTRUN_INPUT || type == HOSTRUN_RUN;
    struct request *q;

    (void)context;
    if (type == HOSTRUN_KILL)
        request_kill(number);
    q = known ? request_get(number) : NULL;
    if (!q)
        return;
    if (q->started)
        log_warn("hostrun: request %u is under way", number);
    else if (type == HOSTRUN_WORDS)
        words_add(q, payload, length);
    else if (type == HOSTRUN_INPUT)
        input_add(q, payload, length);
    else
        request_start(q);
    request_unref(q);
}
