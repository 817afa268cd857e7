/*
 * main.c: bench_sched, how threads get the CPU, on MaLV-OS and on Linux alike.
 *
 *     bench_sched calibrate                   iterations of work a millisecond
 *     bench_sched latency [OPTION...]         a periodic thread beside hogs
 *     bench_sched server PATTERN [OPTION...]  an inference server beside a training job
 *     bench_sched adversary KIND [OPTION...]  who tries to get more than a share
 *
 * Prints one JSON object a line. With --bare before all that it is a Linux's first program.
 */
#include "sched.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/bench-bare/bare.h"

static bool bare;

void say(const char *format, ...)
{
    char line[240];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (bare)
        bare_write(line);
    else
        fputs(line, stdout);
}

void fail(const char *what, int error)
{
    say("bench_sched: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    if (bare)
        bare_end(1);
    exit(1);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (!*text || *end)
        fail("an option's number can't be read", 0);
    return value;
}

/* Takes "--name=value". */
static void option_take(struct settings *s, const char *word)
{
    const char *value = strchr(word, '=');
    value = value ? value + 1 : "";
    if (!strcmp(word, "--fifo"))
        s->fifo = true;
    else if (!strncmp(word, "--rate=", 7))
        s->rate = number(value);
    else if (!strncmp(word, "--seed=", 7))
        s->seed = number(value);
    else if (!strncmp(word, "--seconds=", 10))
        s->seconds = (unsigned)number(value);
    else if (!strncmp(word, "--periods=", 10))
        s->periods = (unsigned)number(value);
    else if (!strncmp(word, "--hogs=", 7))
        s->hogs = (unsigned)number(value);
    else
        s->what = word;
}

static void measure(const char *name, const struct settings *s)
{
    uint64_t rate = s->rate ? s->rate : work_calibrate();
    work_set_rate(rate);
    if (!strcmp(name, "calibrate"))
        say("{\"name\": \"rate\", \"value\": %lu}\n", (unsigned long)rate);
    else if (!strcmp(name, "latency"))
        measure_latency(s);
    else if (!strcmp(name, "server"))
        measure_server(s);
    else if (!strcmp(name, "adversary"))
        measure_adversary(s);
    else
        fail("it measures calibrate, latency, server or adversary", 0);
}

int main(int argc, char **argv)
{
    struct settings s = {.what = "", .seed = 1, .seconds = 5, .periods = 1000, .hogs = 4};
    int first = 1;
    /* Linux puts options of its own that it does not know before the first program's. */
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--bare")) {
            bare = true;
            first = i + 1;
        }
    if (bare)
        bare_begin();
    if (first >= argc)
        fail("what is to be measured?", 0);
    for (int i = first + 1; i < argc; i++)
        option_take(&s, argv[i]);
    measure(argv[first], &s);
    if (bare)
        bare_end(0);
    return 0;
}
