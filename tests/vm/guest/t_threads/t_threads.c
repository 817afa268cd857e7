/*
 * t_threads.c: POSIX threads: creation, joining, mutexes, conditions, thread-local storage, robust
 * mutexes, cancellation, many at once.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/vm/guest/check.h"

#define THREADS 16
#define ROUNDS  2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static __thread long own;

static void *count_up(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        own++;
    }
    return (void *)(own + (intptr_t)arg);
}

static void test_join(void)
{
    pthread_t threads[THREADS];
    void *result;

    counter = 0;
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
    for (intptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], &result) == 0);
        CHECK((intptr_t)result == ROUNDS + i);
    }
    CHECK(counter == (long)THREADS * ROUNDS);
    CHECK(own == 0);
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void test_many_in_turn(void)
{
    for (intptr_t i = 0; i < 500; i++) {
        pthread_t thread;
        void *result;

        CHECK(pthread_create(&thread, NULL, do_nothing, (void *)i) == 0);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK((intptr_t)result == i);
    }
}

/* A queue of one place between producers and consumers. */
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static long place, sum;
static int left;

static void *produce(void *arg)
{
    for (int i = 1; i <= ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (place != 0)
            pthread_cond_wait(&emptied, &mutex);
        place = i;
        pthread_cond_signal(&filled);
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

static void *consume(void *arg)
{
    pthread_mutex_lock(&mutex);
    while (left > 0) {
        while (place == 0 && left > 0)
            pthread_cond_wait(&filled, &mutex);
        if (left == 0)
            break;
        sum += place;
        place = 0;
        if (--left == 0)
            pthread_cond_broadcast(&filled);
        pthread_cond_signal(&emptied);
    }
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void test_condition(void)
{
    pthread_t threads[8];

    sum = place = 0;
    left = 4 * ROUNDS;
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, i < 4 ? produce : consume, NULL) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(sum == 4l * ROUNDS * (ROUNDS + 1) / 2);
}

static pthread_barrier_t barrier;
static int phase[THREADS];

static void *step(void *arg)
{
    int self = (int)(intptr_t)arg;

    for (int i = 0; i < 20; i++) {
        phase[self] = i;
        pthread_barrier_wait(&barrier);
        for (int other = 0; other < THREADS; other++) {
            if (phase[other] != i)
                return (void *)1;
        }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void test_barrier(void)
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, step, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;

        CHECK(pthread_join(threads[i], &result) == 0);
        CHECK(result == NULL);
    }
}

static void *die_with_lock(void *arg)
{
    pthread_mutex_lock(arg);
    return NULL;
}

static void test_robust_mutex(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t robust;
    pthread_t thread;

    pthread_mutexattr_init(&attributes);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(&robust, &attributes) == 0);
    CHECK(pthread_create(&thread, NULL, die_with_lock, &robust) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pthread_mutex_lock(&robust) == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(&robust) == 0);
    CHECK(pthread_mutex_unlock(&robust) == 0);
}

static void *sleep_long(void *arg)
{
    sleep(1000);
    return arg;
}

static void test_cancel(void)
{
    pthread_t thread;
    void *result;

    CHECK(pthread_create(&thread, NULL, sleep_long, NULL) == 0);
    usleep(10000);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
}

static sem_t semaphore;

static void *post(void *arg)
{
    for (int i = 0; i < 100; i++)
        sem_post(&semaphore);
    return arg;
}

static void test_semaphore(void)
{
    struct timespec soon;
    pthread_t thread;

    CHECK(sem_init(&semaphore, 0, 0) == 0);
    CHECK(pthread_create(&thread, NULL, post, NULL) == 0);
    for (int i = 0; i < 100; i++)
        CHECK(sem_wait(&semaphore) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_sec++;
        soon.tv_nsec -= 1000000000;
    }
    CHECK_ERRNO(sem_timedwait(&semaphore, &soon), ETIMEDOUT);
}

static volatile double results[4];

static void *vectors(void *arg)
{
    intptr_t self = (intptr_t)arg;
    double x = 1.0;

    for (int i = 0; i < 200000; i++)
        x = x * 0.999 + (double)self;
    results[self] = x;
    return NULL;
}

/* Floating-point registers are a thread's own, whoever else computes. */
static void test_vector_registers(void)
{
    pthread_t threads[4];
    double expected[4];

    for (intptr_t i = 0; i < 4; i++) {
        vectors((void *)i);
        expected[i] = results[i];
    }
    for (intptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, vectors, (void *)i) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(results[i] == expected[i]);
}

static void *numbers(void *arg)
{
    long *ids = arg;

    ids[0] = getpid();
    ids[1] = syscall(SYS_gettid);
    return NULL;
}

static void test_numbers(void)
{
    pthread_t thread;
    long ids[2];

    CHECK(syscall(SYS_gettid) == getpid());
    CHECK(pthread_create(&thread, NULL, numbers, ids) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(ids[0] == getpid());
    CHECK(ids[1] != ids[0]);
}

static void test_affinity(void)
{
    cpu_set_t all, one;
    int first = -1;

    CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
    CHECK(CPU_COUNT(&all) >= 1);
    for (int i = 0; i < CPU_SETSIZE && first < 0; i++)
        first = CPU_ISSET(i, &all) ? i : -1;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    CHECK(sched_yield() == 0);
    CHECK(sched_getcpu() == first);
    CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
    CPU_ZERO(&one);
    CHECK_ERRNO(sched_setaffinity(0, sizeof(one), &one), EINVAL);
    CHECK(pthread_setname_np(pthread_self(), "renamed") == 0);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
}

/* Rarer than signals can be taken: Linux does nothing else when they come faster. */
#define STEP_US 500

/* Sets the process's one timer again and again, to go off soon, often or never. */
static void *set_timer(void *arg)
{
    intptr_t failed = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct itimerval when = {{0, (i + (intptr_t)arg) % 3 * STEP_US},
                                 {0, (i + (intptr_t)arg) % 4 * STEP_US}};

        failed += setitimer(ITIMER_REAL, &when, NULL) != 0;
    }
    return (void *)failed;
}

/* Threads that set one timer at once, while it goes off. */
static void test_timer(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, STEP_US}, {0, STEP_US}}, none = {{0, 0}, {0, 0}};
    pthread_t threads[4];
    void *failed;

    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (intptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, set_timer, (void *)i) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL);
    alarms = 0;
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (alarms < 20)
        sched_yield();
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0 && alarm(0) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"join", test_join},
        {"many_in_turn", test_many_in_turn},
        {"condition", test_condition},
        {"barrier", test_barrier},
        {"robust_mutex", test_robust_mutex},
        {"cancel", test_cancel},
        {"semaphore", test_semaphore},
        {"vector_registers", test_vector_registers},
        {"numbers", test_numbers},
        {"affinity", test_affinity},
        {"timer", test_timer},
    };

    return RUN_TESTS(tests, argc, argv);
}
