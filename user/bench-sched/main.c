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

#include <stdlib.h>
#include <string.h>

void fail(const char *what, int error)
{
    say("bench_sched: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    say_end(1);
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
    else if (!strcmp(word, "--loop"))
        s->loop = true;
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
            bare_begin();
            first = i + 1;
        }
    if (first >= argc)
        fail("what is to be measured?", 0);
    for (int i = first + 1; i < argc; i++)
        option_take(&s, argv[i]);
    measure(argv[first], &s);
    say_end(0);
}
