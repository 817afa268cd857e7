/*
 * t_switch.c: the scheduler's policies change under load: pairs that wake each other, sleepers and hogs.
 * A wake-up that is lost would leave a pair standing for good. Needs module sched_burst.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/vm/guest/check.h"

#define SCHED    "/sys/kernel/mlaas/classes/sched/"
#define PAIRS    4
#define SLEEPERS 6
#define HOGS     2
#define SWITCHES 400
#define PATIENCE 120 /* s: the machine may be slow */

struct pair {
    atomic_uint turn;
    atomic_ulong rounds;
};

static struct pair pairs[PAIRS];
static atomic_ulong sleeps[SLEEPERS], hog_steps[HOGS];
static atomic_bool over;

static void turn_wait(struct pair *p, unsigned mine)
{
    unsigned now;

    while ((now = p->turn) != mine && !over)
        syscall(SYS_futex, &p->turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

static void turn_give(struct pair *p, unsigned to)
{
    p->turn = to;
    syscall(SYS_futex, &p->turn, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0);
}

static void *ping(void *argument)
{
    struct pair *p = argument;

    while (!over) {
        turn_give(p, 1);
        turn_wait(p, 0);
        p->rounds++;
    }
    turn_give(p, 1);
    return NULL;
}

static void *pong(void *argument)
{
    struct pair *p = argument;

    while (!over) {
        turn_wait(p, 1);
        turn_give(p, 0);
    }
    turn_give(p, 0);
    return NULL;
}

static void *sleeper(void *argument)
{
    struct timespec t = {0, 1000000};

    while (!over) {
        nanosleep(&t, NULL);
        ++*(atomic_ulong *)argument;
    }
    return NULL;
}

static void *hog(void *argument)
{
    while (!over)
        ++*(atomic_ulong *)argument;
    return NULL;
}

static pthread_t threads[2 * PAIRS + SLEEPERS + HOGS];
static unsigned thread_count;

static void begin(void *(*entry)(void *), void *argument)
{
    if (pthread_create(&threads[thread_count], NULL, entry, argument) == 0)
        thread_count++;
}

static bool put(const char *file, const char *text)
{
    char path[100];
    snprintf(path, sizeof(path), SCHED "%s", file);
    int fd = open(path, O_WRONLY);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

/* The number behind "NAME " in the class's figures; -1: there is none. */
static long figure(const char *name)
{
    static char text[8192];
    char line[80];
    int fd = open(SCHED "stats", O_RDONLY);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (size < 0)
        return -1;
    text[size] = '\0';
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    return at ? strtol(at + strlen(line), NULL, 10) : -1;
}

/* Everybody has gone on since: each count is another. */
static bool all_go_on(void)
{
    static atomic_ulong *counts[PAIRS + SLEEPERS + HOGS];
    unsigned long before[PAIRS + SLEEPERS + HOGS];
    unsigned count = 0;

    for (unsigned i = 0; i < PAIRS; i++)
        counts[count++] = &pairs[i].rounds;
    for (unsigned i = 0; i < SLEEPERS; i++)
        counts[count++] = &sleeps[i];
    for (unsigned i = 0; i < HOGS; i++)
        counts[count++] = &hog_steps[i];
    for (unsigned i = 0; i < count; i++)
        before[i] = *counts[i];
    for (unsigned waited = 0, left = count; left && waited < PATIENCE * 100; waited++) {
        left = 0;
        usleep(10000);
        for (unsigned i = 0; i < count; i++)
            left += *counts[i] == before[i];
        if (!left)
            return true;
    }
    return false;
}

static void test_switches(void)
{
    static const char *const policies[] = {"sched_burst", "round_robin", "sched_burst", "sched_fair"};
    long fallbacks = figure("fallbacks");

    for (unsigned i = 0; i < SWITCHES; i++) {
        CHECK(put("policy", policies[i % 4]));
        CHECK(i % 16 || put("shadow", i % 32 ? "sched_burst" : "none"));
        CHECK(i % 40 || all_go_on());
        usleep(i % 7 * 500);
    }
    CHECK(all_go_on());
    CHECK(figure("fallbacks") == fallbacks);
}

/* Wake-ups of the machine's policy are judged and measured, and the shadow's answers too. */
static void test_figures(void)
{
    static const char *const names[] = {"sched_burst.judged", "sched_fair.judged", "sched_fair.work"};
    long before[3], now = 0;

    CHECK(put("policy", "sched_fair"));
    CHECK(put("shadow", "sched_burst"));
    for (unsigned i = 0; i < 3; i++)
        before[i] = figure(names[i]);
    for (unsigned waited = 0; waited < PATIENCE * 100 && now < 3; waited++) {
        usleep(10000);
        now = 0;
        for (unsigned i = 0; i < 3; i++)
            now += figure(names[i]) > before[i];
    }
    CHECK(now == 3);
    CHECK(figure("sched_burst.right") <= figure("sched_burst.judged"));
    CHECK(put("shadow", "none"));
    CHECK(!put("shadow", "sched_fair")); /* it can't say what it would do */
}

static void test_end(void)
{
    over = true;
    for (unsigned i = 0; i < PAIRS; i++) {
        turn_give(&pairs[i], 0);
        turn_give(&pairs[i], 1);
    }
    for (unsigned i = 0; i < thread_count; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(put("policy", "sched_fair"));
}

static const struct test tests[] = {
    {"switched under load", test_switches},
    {"figures", test_figures},
    {"all threads end", test_end},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < PAIRS; i++) {
        begin(ping, &pairs[i]);
        begin(pong, &pairs[i]);
    }
    for (unsigned i = 0; i < SLEEPERS; i++)
        begin(sleeper, &sleeps[i]);
    for (unsigned i = 0; i < HOGS; i++)
        begin(hog, &hog_steps[i]);
    return RUN_TESTS(tests, argc, argv);
}
