/*
 * t_kinfo.c: the files of module kinfo: what they show, and tracing a program's own page faults.
 */
#include <sys/mman.h>

#include "tests/vm/guest/check.h"
#include "tests/vm/guest/files.h"

#define ROOT "/sys/kernel/malv/"

static char text[1 << 20];

static bool show(const char *path)
{
    return text_read(path, text, sizeof(text));
}

/* The value of a counter; -1: there is none. */
static long counter(const char *name)
{
    char line[64];
    const char *at;

    snprintf(line, sizeof(line), "%s ", name);
    if (!show(ROOT "counters"))
        return -1;
    at = strncmp(text, line, strlen(line)) == 0 ? text : strstr(text, line);
    return at ? atol(at + strlen(line)) : -1;
}

static unsigned lines_with(const char *what)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

/* Touches fresh pages; returns where. */
static void *pages_touch(size_t pages)
{
    volatile char *p =
        mmap(NULL, pages << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    for (size_t i = 0; i < pages; i++)
        p[i << 12] = 1;
    return (void *)p;
}

static void test_log(void)
{
    CHECK(show(ROOT "log"));
    CHECK(strstr(text, "module kinfo 1.0.0: loaded\n"));
    CHECK(text[strlen(text) - 1] == '\n');
}

static void test_counters(void)
{
    long before = counter("pages_zeroed"), faults = counter("page_faults_user");

    CHECK(before > 0 && faults > 0);
    CHECK(pages_touch(100));
    CHECK(counter("pages_zeroed") >= before + 100);
    CHECK(counter("page_faults_user") >= faults + 100);
    CHECK(counter("context_switches") > 0);
    CHECK(counter("interrupts_timer") >= 0);
    CHECK(counter("no_such_counter") == -1);
}

static void test_threads(void)
{
    CHECK(show(ROOT "threads"));
    CHECK(strncmp(text, "   id cpu state", 15) == 0);
    CHECK(strstr(text, " idle\n"));
    CHECK(strstr(text, " running ") && strstr(text, " t_kinfo\n"));
}

static void test_trace(void)
{
    char address[40];
    void *p;

    CHECK(file_write(ROOT "trace", "page_fault"));
    p = pages_touch(10);
    CHECK(file_write(ROOT "trace", "\n"));
    CHECK(p && show(ROOT "trace"));
    CHECK(strstr(text, "# page_fault off address=%x access=%u at=%p\n"));
    for (unsigned i = 0; i < 10; i++) {
        snprintf(address, sizeof(address), " page_fault address=0x%lx access=2 at=0x",
                 (unsigned long)p + i * 4096);
        CHECK(lines_with(address) == 1);
    }
    CHECK(show(ROOT "trace"));
    CHECK(lines_with(" page_fault address=") == 0); /* each event is shown once */
}

static void test_trace_symbols(void)
{
    CHECK(file_write(ROOT "trace", "timer_expired,thread_switch"));
    usleep(3000);
    CHECK(file_write(ROOT "trace", "\n"));
    CHECK(show(ROOT "trace"));
    CHECK(strstr(text, "calls=alarm_expired+0x0\n") || strstr(text, " of linux\n"));
    CHECK(lines_with(" thread_switch from=") >= 2);
}

/* More than one ring and one read can hold: what is lost is said, what is shown is whole. */
static void test_trace_overflow(void)
{
    unsigned events;

    CHECK(file_write(ROOT "trace", "page_fault"));
    CHECK(pages_touch(5000));
    CHECK(file_write(ROOT "trace", "\n"));
    CHECK(show(ROOT "trace"));
    events = lines_with(" page_fault address=");
    CHECK(events > 500 && events < 5000);
    CHECK(strstr(text, "# lost "));
    CHECK(events + (unsigned)atoi(strstr(text, "# lost ") + 7) >= 5000);
}

static void test_bad_names(void)
{
    CHECK(!file_write(ROOT "trace", "no_such_point") && errno == ENOENT);
    CHECK(!file_write(ROOT "log", "x") && errno == EACCES);
}

static const struct test tests[] = {
    {"log", test_log},
    {"counters", test_counters},
    {"threads", test_threads},
    {"trace", test_trace},
    {"trace symbols", test_trace_symbols},
    {"trace overflow", test_trace_overflow},
    {"bad names", test_bad_names},
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "sleep") == 0)
        return (int)sleep(60); /* somebody to look at: tests/vm/gdb */
    return run_tests(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
