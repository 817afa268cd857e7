/*
 * main.c: bench_costs, what system calls and threads cost a program.
 *
 * Prints one JSON object a line: {"name", "value" in ticks}. bench/instructions.py runs it in
 * machines that count instructions. "bench_costs --bare" is for a Linux whose first program it is.
 */
#include "costs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/bench-bare/bare.h"

void cost_fail(const char *what)
{
    say("bench_costs: %s: %s\n", what, strerror(errno));
    say_end(1);
}

static int value_compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

void cost_print(const char *name, double batches[BATCHES])
{
    qsort(batches, BATCHES, sizeof(*batches), value_compare);
    say("{\"name\": \"%s\", \"value\": %.1f}\n", name, batches[BATCHES / 2]);
}

__attribute__((noinline)) static void nothing(void)
{
    __asm__ volatile("" ::: "memory");
}

static uint64_t calls_time(void (*operation)(void), unsigned count)
{
    uint64_t start = ticks_now();
    for (unsigned i = 0; i < count; i++)
        operation();
    return ticks_now() - start;
}

void cost_of_calls(const char *name, void (*operation)(void), unsigned count)
{
    double batches[BATCHES];
    operation();
    for (unsigned i = 0; i < BATCHES; i++) {
        double loop = (double)calls_time(nothing, count);
        batches[i] = ((double)calls_time(operation, count) - loop) / count;
    }
    cost_print(name, batches);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], END_AT_ONCE))
        _exit(0);
    /* Linux puts options of its own that it does not know before the first program's. */
    if (argc > 1 && !strcmp(argv[argc - 1], "--bare"))
        bare_begin();
    costs_of_calls();
    costs_of_threads();
    say_end(0);
}
