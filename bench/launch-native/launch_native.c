/*
 * launch_native.c: how long an empty kernel takes from launch to the end of the wait, through gpud
 * over vhost-user and on the host's OpenCL directly, by turns in the same run. Value and baseline
 * are medians over the runs, a run's figure being its median launch.
 *
 * With --direct only the latter, on the first device that OpenCL's loader shows: a remote one perhaps.
 *
 * Meanwhile threads of the lowest priority keep the processors awake. Else waking one takes what its hypervisor,
 * or its power saving, takes, which is twice as long in one minute as in the next and not what is measured.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/native/native.h"
#include "direct.h"

#define MEMORY    (64ull << 20)
#define RUNS      15u
#define LAUNCHES  300u
#define BATCHES   60u
#define BATCH     64u
#define WARM_UP   30u
#define SPIN_US   200u /* before the waiting side sleeps */
#define MAX_TIMES LAUNCHES

#define MOST_CPUS 64

static pid_t wakers[MOST_CPUS];
static struct native *through;
static struct front_batch one, many;

static _Noreturn void awake_keep(void)
{
    struct sched_param none = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_setscheduler(0, SCHED_IDLE, &none))
        _exit(1);
    for (;;)
        __builtin_ia32_pause();
}

static void awake_begin(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < cpus && i < MOST_CPUS; i++) {
        wakers[i] = fork();
        if (wakers[i] == 0)
            awake_keep();
    }
}

static void awake_end(void)
{
    for (unsigned i = 0; i < MOST_CPUS; i++)
        if (wakers[i] > 0) {
            kill(wakers[i], SIGKILL);
            waitpid(wakers[i], NULL, 0);
        }
}

static void gpud_run(unsigned count)
{
    native_run(through, count == 1 ? &one : &many, SPIN_US);
}

/* The median of `times` repetitions of `count` launches and a wait, in microseconds. */
static double run_time(void (*run)(unsigned count), unsigned count, unsigned times)
{
    static double passed[MAX_TIMES];
    for (unsigned i = 0; i < WARM_UP; i++)
        run(count);
    for (unsigned i = 0; i < times; i++) {
        double start = native_now_us();
        run(count);
        passed[i] = native_now_us() - start;
    }
    return native_median(passed, times);
}

static void launches_measure(const char *name, unsigned count, unsigned times)
{
    double by_gpud[RUNS], by_hand[RUNS];
    for (unsigned i = 0; i < RUNS; i++) {
        by_hand[i] = run_time(direct_run, count, times);
        by_gpud[i] = run_time(gpud_run, count, times);
    }
    native_row(name, "direct PoCL in C", by_gpud, by_hand, RUNS);
}

static void measure(struct native *n)
{
    through = n;
    native_kernel(n, 1, "empty", "kernel void empty(void) {}");
    batch_launch(&one, 1, 1, 1);
    for (unsigned i = 0; i < BATCH; i++)
        batch_launch(&many, 1, 1, 1);
    awake_begin();
    direct_open();
    launches_measure("launch_native_empty", 1, LAUNCHES);
    launches_measure("launch_native_batch64", BATCH, BATCHES);
    direct_close();
    awake_end();
}

static void direct_measure(const char *name, unsigned count, unsigned times)
{
    double passed[RUNS];
    for (unsigned i = 0; i < RUNS; i++)
        passed[i] = run_time(direct_run, count, times);
    printf("{\"row\": \"%s\", \"value\": %.2f, \"unit\": \"us\", \"runs\": %u}\n", name,
           native_median(passed, RUNS), RUNS);
}

static int direct_only(void)
{
    awake_begin();
    direct_open();
    direct_measure("launch_direct_empty", 1, LAUNCHES);
    direct_measure("launch_direct_batch64", BATCH, BATCHES);
    direct_close();
    awake_end();
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--direct"))
        return direct_only();
    return native_main(argc, argv, MEMORY, measure);
}
