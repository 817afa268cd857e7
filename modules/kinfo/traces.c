/*
 * traces.c: tracepoints as a file: switched by writing, read as lines, each event once.
 *
 * show() may be called again with a larger buffer for the same read, so what it took counts as read
 * only when all of it fitted.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/time.h>
#include <microlake/trace.h>
#include <microlake/wait.h>

#include "kinfo.h"
#include "modules/linux/include/linux_text.h"

#define READ_MAX   (256u << 10) /* bytes of one read; the next one goes on */
#define POINTS_MAX 64

struct trace_points {
    struct trace_point_info list[POINTS_MAX];
    unsigned count;
};

static struct mutex reader_lock = MUTEX_INIT(reader_lock);
static struct trace_reader reader; /* guarded by reader_lock */

static void points_add(struct text *t, struct trace_points *points)
{
    struct trace_point_info *p = points->list;

    for (; points->count < POINTS_MAX && trace_point_info(points->count, p) == OK; p++) {
        text_add(t, "# %s %s %s\n", p->name, p->on ? "on" : "off", p->format);
        points->count++;
    }
}

static const struct trace_point_info *point_of(const struct trace_points *points, uint32_t id)
{
    for (unsigned i = 0; i < points->count; i++)
        if (points->list[i].id == id)
            return &points->list[i];
    return NULL;
}

/* One word as its letter says; text takes all the words behind, too. Returns how many were used. */
static unsigned word_add(struct text *t, char letter, const uint64_t *words, unsigned left)
{
    char name[80];

    switch (letter) {
    case 'x':
        text_add(t, "0x%lx", words[0]);
        return 1;
    case 'p':
        symbol_text(words[0], name, sizeof(name));
        text_add(t, "%s", name);
        return 1;
    case 's':
        text_add(t, "%.*s", (int)(left * sizeof(*words)), (const char *)words);
        return left;
    default:
        text_add(t, "%lu", words[0]);
        return 1;
    }
}

static void event_add(struct text *t, const struct trace_points *points,
                      const struct trace_event *event)
{
    const struct trace_point_info *point = point_of(points, event->point);
    const char *format = point ? point->format : "%x %x %x";
    unsigned used = 0;

    text_add(t, "%lu.%09lu %u %s ", event->time / NS_PER_SEC, event->time % NS_PER_SEC, event->cpu,
             point ? point->name : "(gone)");
    for (; *format; format++) {
        if (format[0] == '%' && format[1] && used < ARRAY_SIZE(event->words))
            used += word_add(t, *++format, event->words + used,
                             (unsigned)ARRAY_SIZE(event->words) - used);
        else
            text_add(t, "%c", *format);
    }
    text_add(t, "\n");
}

static void events_add(struct text *t, const struct trace_points *points, struct trace_reader *r)
{
    struct trace_event event;
    uint64_t lost = r->lost;

    while (t->used < READ_MAX && trace_read(r, &event)) {
        if (r->lost != lost)
            text_add(t, "# lost %lu\n", r->lost - lost);
        lost = r->lost;
        event_add(t, points, &event);
    }
}

long trace_show(void *context, char *out, size_t size)
{
    struct trace_points *points = kzalloc(sizeof(*points));
    struct trace_reader *ahead = kmalloc(sizeof(*ahead));
    struct text t = {out, size, 0};

    (void)context;
    if (points && ahead) {
        points_add(&t, points);
        mutex_lock(&reader_lock);
        *ahead = reader;
        events_add(&t, points, ahead);
        if ((size_t)text_length(&t) <= size)
            reader = *ahead;
        mutex_unlock(&reader_lock);
    }
    kfree(ahead);
    kfree(points);
    return points && ahead ? text_length(&t) : ERR_NO_MEMORY;
}

int trace_store(void *context, const char *text, size_t size)
{
    int r = strlen(text) == size ? trace_set(text) : ERR_INVALID;

    (void)context;
    if (r == ERR_NOT_FOUND)
        log_warn("kinfo: there is no such tracepoint; read /sys/kernel/malv/trace for their names");
    return r;
}
