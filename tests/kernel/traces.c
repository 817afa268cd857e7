/*
 * traces.c: tracepoints and counters: off, on, from several CPUs, overrun, and while being read.
 */
#include "ktest.h"
#include <microlake/trace.h>

TRACEPOINT(ktest_mark, "number=%u not=%x text=%s");
COUNTER(ktest_marks);

#define MARKS 300

static struct trace_set set = TRACE_SET;

/* A reader that has seen everything, so that only what comes now counts. */
static void reader_catch_up(struct trace_reader *reader)
{
    struct trace_event event;

    memset(reader, 0, sizeof(*reader));
    while (trace_read(reader, &event))
        ;
    reader->lost = 0;
}

static struct trace_reader *setup(const char *names)
{
    struct trace_reader *reader = kmalloc(sizeof(*reader));

    EXPECT(reader != NULL);
    EXPECT(trace_register(&set) == OK);
    EXPECT(trace_set(names) == OK);
    if (reader)
        reader_catch_up(reader);
    return reader;
}

static void finish(struct trace_reader *reader)
{
    EXPECT(trace_set("") == OK);
    trace_unregister(&set);
    kfree(reader);
}

static bool point_find(const char *name, struct trace_point_info *out)
{
    for (unsigned i = 0; trace_point_info(i, out) == OK; i++)
        if (!strcmp(out->name, name))
            return true;
    return false;
}

static bool counter_find(const char *name, struct counter_info *out)
{
    for (unsigned i = 0; counter_info(i, out) == OK; i++)
        if (!strcmp(out->name, name))
            return true;
    return false;
}

static uint64_t counter_value(const char *name)
{
    struct counter_info info;

    return counter_find(name, &info) ? info.value : ~0ull;
}

static void mark(void *arg)
{
    for (uint64_t i = 0; i < (uint64_t)arg; i++) {
        TRACE(ktest_mark, i, ~i, thread_current()->id);
        COUNT(ktest_marks, 1);
    }
}

/* Starts a thread on each CPU that marks n times; returns how many threads that is. */
static unsigned marks_start(uint64_t n, struct thread *t[MAX_CPUS])
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        EXPECT(thread_set_affinity(thread_current(), 1ull << i) == OK);
        thread_yield();
        EXPECT(thread_create("mark", mark, (void *)n, &t[i]) == OK);
        thread_set_affinity(t[i], 1ull << i);
    }
    thread_set_affinity(thread_current(), ~0ull);
    return cpu_count();
}

static void marks_end(unsigned threads, struct thread *t[MAX_CPUS])
{
    for (unsigned i = 0; i < threads; i++) {
        EXPECT(thread_join(t[i], time_now() + 60 * NS_PER_SEC) == OK);
        thread_unref(t[i]);
    }
}

static void off_records_nothing(void)
{
    struct trace_reader *reader = setup("");
    struct thread *t[MAX_CPUS];
    struct trace_event event;

    marks_end(marks_start(MARKS, t), t);
    EXPECT(!trace_read(reader, &event) && reader->lost == 0);
    EXPECT(trace_set("thread_wake") == OK); /* another point */
    reader_catch_up(reader);
    mark((void *)MARKS);
    while (trace_read(reader, &event))
        EXPECT(event.words[1] != ~event.words[0]);
    finish(reader);
}

/* Every mark of every thread comes once, in its order, and all in the order of time. */
static void on_records_in_order(void)
{
    struct trace_reader *reader = setup("ktest_mark");
    uint64_t next[MAX_CPUS] = {0}, id[MAX_CPUS], last = 0, sum = 0;
    struct trace_point_info point;
    struct thread *t[MAX_CPUS];
    struct trace_event event;
    unsigned threads = marks_start(MARKS, t);

    for (unsigned i = 0; i < threads; i++)
        id[i] = t[i]->id;
    marks_end(threads, t);
    EXPECT(point_find("ktest_mark", &point) && point.on);
    while (trace_read(reader, &event)) {
        unsigned i = 0;

        while (i < threads && id[i] != event.words[2])
            i++;
        EXPECT(i < threads && event.cpu < cpu_count() && event.point == point.id);
        EXPECT(event.time >= last && event.time <= time_now());
        EXPECT(i == threads || event.words[0] == next[i]);
        EXPECT(event.words[1] == ~event.words[0]);
        last = event.time;
        if (i < threads)
            next[i]++;
        sum++;
    }
    EXPECT(sum == MARKS * threads && reader->lost == 0);
    finish(reader);
}

static void kernel_points_fire(void)
{
    struct trace_reader *reader = setup("thread_switch,thread_wake timer_expired\nirq_entry");
    struct trace_point_info point;
    struct trace_event event;
    unsigned away = 0, woken = 0;

    /* Long enough not to be over before it has begun, on a busy host. */
    thread_sleep(time_now() + 50 * NS_PER_MS, 0);
    EXPECT(trace_set("") == OK);
    while (trace_read(reader, &event)) {
        if (point_find("thread_switch", &point) && event.point == point.id)
            away += event.words[0] == thread_current()->id && event.words[2] == THREAD_BLOCKED;
        if (point_find("thread_wake", &point) && event.point == point.id)
            woken += event.words[0] == thread_current()->id;
    }
    EXPECT(away >= 1 && woken >= 1);
    finish(reader);
}

/* What does not fit is counted, to the event, and the newest are kept. */
static void overflow_is_counted(void)
{
    struct trace_reader *reader = setup("ktest_mark");
    struct trace_event event = {0};
    uint64_t read = 0, first = 0;

    preempt_disable();
    mark((void *)20000);
    preempt_enable();
    while (trace_read(reader, &event)) {
        if (read++ == 0)
            first = event.words[0];
        EXPECT(event.words[0] == first + read - 1);
    }
    EXPECT(read > 0 && reader->lost == 20000 - read && event.words[0] == 19999);
    finish(reader);
}

/* A reader beside the writers gets whole events only, each at most once, and misses none silently.
 */
static void reads_while_written(void)
{
    struct trace_reader *reader = setup("ktest_mark");
    uint64_t read = 0, total;
    struct thread *t[MAX_CPUS];
    struct trace_event event;
    unsigned threads = marks_start(20000, t);

    total = 20000ull * threads;
    for (uint64_t due = time_now() + 30 * NS_PER_SEC; read + reader->lost < total;) {
        if (!trace_read(reader, &event)) {
            if (time_now() > due)
                break;
            thread_yield();
            continue;
        }
        read++;
        EXPECT(event.words[1] == ~event.words[0]);
    }
    marks_end(threads, t);
    EXPECT(read > 0 && read + reader->lost == total);
    EXPECT(!trace_read(reader, &event));
    finish(reader);
}

static void counters_sum(void)
{
    struct trace_reader *reader = setup("");
    uint64_t switches = counter_value("context_switches"), wakes = counter_value("thread_wakes");
    struct thread *t[MAX_CPUS];
    unsigned threads = marks_start(1000, t);

    marks_end(threads, t);
    EXPECT(counter_value("ktest_marks") == 1000ull * threads);
    EXPECT(counter_value("context_switches") >= switches + threads);
    EXPECT(counter_value("thread_wakes") >= wakes + threads);
    EXPECT(counter_value("interrupts_timer") > 0);
    finish(reader);
    EXPECT(counter_value("ktest_marks") == ~0ull);
    reader = setup("");
    EXPECT(counter_value("ktest_marks") == 0);
    finish(reader);
}

static void names_are_checked(void)
{
    struct trace_reader *reader = setup("ktest_mark");
    struct trace_point_info point;

    EXPECT(trace_set("thread_wake, no_such_point") == ERR_NOT_FOUND);
    EXPECT(point_find("ktest_mark", &point) && point.on);
    EXPECT(point_find("thread_wake", &point) && !point.on);
    EXPECT(trace_set("all") == OK);
    for (unsigned i = 0; trace_point_info(i, &point) == OK; i++)
        EXPECT(point.on);
    EXPECT(trace_set(" ,\n") == OK);
    for (unsigned i = 0; trace_point_info(i, &point) == OK; i++)
        EXPECT(!point.on);
    finish(reader);
    EXPECT(!point_find("ktest_mark", &point));
}

/* A point that comes later is on when it was asked for. */
static void late_points_are_on(void)
{
    struct trace_reader *reader = setup("ktest_mark");
    struct trace_point_info point;
    uint32_t id;

    EXPECT(point_find("ktest_mark", &point) && point.on);
    id = point.id;
    trace_unregister(&set);
    EXPECT(trace_register(&set) == OK);
    EXPECT(point_find("ktest_mark", &point) && point.on && point.id != id);
    finish(reader);
}

static const struct ktest_case cases[] = {
    {"off_records_nothing", off_records_nothing},
    {"on_records_in_order", on_records_in_order},
    {"kernel_points_fire", kernel_points_fire},
    {"overflow_is_counted", overflow_is_counted},
    {"reads_while_written", reads_while_written},
    {"counters_sum", counters_sum},
    {"names_are_checked", names_are_checked},
    {"late_points_are_on", late_points_are_on},
    {NULL, NULL},
};

const struct ktest_suite suite_traces = {.name = "traces", .cases = cases};
