/*
 * t_futex.c: the futex call itself: values, limits, bit sets, requeueing, shared memory, signals.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/vm/guest/check.h"

#define WAITERS 8

static uint32_t word, second_word;
static int woken;

static long futex(uint32_t *at, int operation, uint32_t value, const void *limit, uint32_t *other,
                  uint32_t last)
{
    return syscall(SYS_futex, at, operation, value, limit, other, last);
}

static void test_value(void)
{
    struct timespec none = {0, 0}, bad = {0, -1};

    word = 5;
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 4, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 5, &none, NULL, 0), ETIMEDOUT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 5, &bad, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT_PRIVATE, 5, NULL, NULL, 0),
                EINVAL);
    CHECK_ERRNO(futex(bad_address(), FUTEX_WAIT_PRIVATE, 5, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, 99, 5, NULL, NULL, 0), ENOSYS);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
}

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void test_limit(void)
{
    struct timespec limit = {0, 30000000};
    long long start = now_ms();

    word = 1;
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 1, &limit, NULL, 0), ETIMEDOUT);
    CHECK(now_ms() - start >= 29);
    clock_gettime(CLOCK_MONOTONIC, &limit);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 1, &limit, NULL, 1), ETIMEDOUT);
    clock_gettime(CLOCK_REALTIME, &limit);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 1, &limit, NULL, 1),
                ETIMEDOUT);
}

static void *wait_word(void *bits)
{
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0)
        futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(uintptr_t)bits);
    __atomic_fetch_add(&woken, 1, __ATOMIC_ACQ_REL);
    return NULL;
}

static void settle(void)
{
    usleep(200000);
}

static void test_wake(void)
{
    pthread_t threads[WAITERS];

    word = 0, woken = 0;
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_create(&threads[i], NULL, wait_word, (void *)(uintptr_t)(1u << (i % 2))) ==
              0);
    settle();
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 4) == 0);
    CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 2) == WAITERS / 2);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0) == WAITERS / 2 - 1);
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(woken == WAITERS);
}

static void *wait_once(void *arg)
{
    futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_fetch_add(&woken, 1, __ATOMIC_ACQ_REL);
    return arg;
}

static void test_requeue(void)
{
    pthread_t threads[WAITERS];

    word = second_word = 0, woken = 0;
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_create(&threads[i], NULL, wait_once, NULL) == 0);
    settle();
    CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &second_word, 7), EAGAIN);
    CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)3, &second_word, 0) == 4);
    settle();
    CHECK(__atomic_load_n(&woken, __ATOMIC_ACQUIRE) == 1);
    CHECK(futex(&second_word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 3);
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == WAITERS - 4);
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void test_wake_op(void)
{
    pthread_t thread;

    word = 0, second_word = 10, woken = 0;
    CHECK(pthread_create(&thread, NULL, wait_once, NULL) == 0);
    settle();
    /* second_word += 5; wake on word; wake on second_word if it was 10 */
    CHECK(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &second_word,
                FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 10)) == 1);
    CHECK(second_word == 15);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void test_shared(void)
{
    uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t pid;

    CHECK(shared != MAP_FAILED);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        while (__atomic_load_n(shared, __ATOMIC_ACQUIRE) == 0)
            futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
        _exit(9);
    }
    settle();
    __atomic_store_n(shared, 1, __ATOMIC_RELEASE);
    CHECK(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0) == 1);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
    munmap(shared, 4096);
}

static void do_nothing(int number)
{
    (void)number;
}

static void *interrupted_wait(void *result)
{
    errno = 0;
    *(long *)result = futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return (void *)(intptr_t)errno;
}

static void test_signal(void)
{
    struct sigaction action = {.sa_handler = do_nothing};
    pthread_t thread;
    void *error;
    long result;

    word = 0;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, interrupted_wait, &result) == 0);
    settle();
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
    CHECK(pthread_join(thread, &error) == 0);
    CHECK(result == -1 && (intptr_t)error == EINTR);
}

/* Two threads hand a word to and fro: no wake may get lost. */
static void *hand_over(void *arg)
{
    uint32_t self = (uint32_t)(uintptr_t)arg;

    for (int i = 0; i < 3000; i++) {
        while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != self)
            futex(&word, FUTEX_WAIT_PRIVATE, 1 - self, NULL, NULL, 0);
        __atomic_store_n(&word, 1 - self, __ATOMIC_RELEASE);
        futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return NULL;
}

static void test_ping_pong(void)
{
    pthread_t threads[2];

    word = 0;
    for (uintptr_t i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, hand_over, (void *)i) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- futex_waitv ------------------------------------------------------------------------------
 */

static long waitv(struct futex_waitv *words, unsigned count, const struct timespec *limit,
                  clockid_t clock)
{
    return syscall(SYS_futex_waitv, words, count, 0, limit, clock);
}

static struct futex_waitv word_of(uint32_t *at, uint32_t value)
{
    return (struct futex_waitv){
        .val = value, .uaddr = (uintptr_t)at, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
}

static void test_many_refused(void)
{
    struct timespec past = {0, 1}, bad = {0, -1};
    struct futex_waitv words[129];

    for (unsigned i = 0; i < 129; i++)
        words[i] = word_of(&word, 3);
    word = 3, second_word = 4;
    CHECK_ERRNO(syscall(SYS_futex_waitv, words, 1, 1, NULL, 0), EINVAL);
    CHECK_ERRNO(waitv(words, 0, NULL, 0), EINVAL);
    CHECK_ERRNO(waitv(words, 129, NULL, 0), EINVAL);
    CHECK_ERRNO(waitv(NULL, 1, NULL, 0), EINVAL);
    CHECK_ERRNO(waitv(bad_address(), 1, NULL, 0), EFAULT);
    CHECK_ERRNO(waitv(words, 1, &past, CLOCK_BOOTTIME), EINVAL);
    CHECK_ERRNO(waitv(words, 1, &bad, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(waitv(words, 1, bad_address(), CLOCK_MONOTONIC), EFAULT);
    CHECK_ERRNO(waitv(words, 128, &past, CLOCK_MONOTONIC), ETIMEDOUT);
    CHECK_ERRNO(waitv(words, 128, &past, CLOCK_REALTIME), ETIMEDOUT);
    words[1] = word_of(&second_word, 5);
    CHECK_ERRNO(waitv(words, 2, NULL, 0), EAGAIN);
    words[1] = word_of(bad_address(), 5);
    CHECK_ERRNO(waitv(words, 2, NULL, 0), EFAULT);
    words[1] = word_of((uint32_t *)((char *)&word + 2), 5);
    CHECK_ERRNO(waitv(words, 2, NULL, 0), EINVAL);
    words[1] = word_of(&word, 3);
    words[1].flags = FUTEX_PRIVATE_FLAG;
    CHECK_ERRNO(waitv(words, 2, &past, CLOCK_MONOTONIC), EINVAL);
    words[1].flags = FUTEX_32 | 64;
    CHECK_ERRNO(waitv(words, 2, &past, CLOCK_MONOTONIC), EINVAL);
    words[1].flags = FUTEX_32;
    words[1].__reserved = 1;
    CHECK_ERRNO(waitv(words, 2, &past, CLOCK_MONOTONIC), EINVAL);
    /* Nobody is left behind in a bucket. */
    CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 0);
}

static uint32_t many[5];

static void *wait_many(void *result)
{
    struct futex_waitv words[5];

    for (unsigned i = 0; i < 5; i++)
        words[i] = word_of(&many[i], 0);
    *(long *)result = waitv(words, 5, NULL, 0);
    return (void *)(intptr_t)errno;
}

static void test_many(void)
{
    pthread_t thread;
    long result;

    for (unsigned i = 0; i < 5; i++) {
        result = -2;
        CHECK(pthread_create(&thread, NULL, wait_many, &result) == 0);
        settle();
        CHECK(futex(&many[i], FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 1);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(result == i);
        CHECK(futex(&many[(i + 1) % 5], FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 0);
    }
}

static void test_many_shared(void)
{
    uint32_t *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct futex_waitv words[2];
    int status;
    pid_t pid;

    CHECK(shared != MAP_FAILED);
    words[0] = word_of(&word, 0), words[1] = word_of(&shared[1024], 0);
    words[1].flags = FUTEX_32;
    word = 0;
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit((int)waitv(words, 2, NULL, 0) + 10);
    settle();
    CHECK(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    CHECK(futex(&shared[1024], FUTEX_WAKE, 1, NULL, NULL, 0) == 1);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 11);
    munmap(shared, 8192);
}

static void test_many_signal(void)
{
    struct sigaction action = {.sa_handler = do_nothing};
    pthread_t thread;
    void *error;
    long result = -2;

    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, wait_many, &result) == 0);
    settle();
    CHECK(pthread_kill(thread, SIGUSR1) == 0);
    CHECK(pthread_join(thread, &error) == 0);
    CHECK(result == -1 && (intptr_t)error == EINTR);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"value", test_value},     {"limit", test_limit},         {"wake", test_wake},
        {"requeue", test_requeue}, {"wake_op", test_wake_op},     {"shared", test_shared},
        {"signal", test_signal},   {"ping_pong", test_ping_pong},
        {"many_refused", test_many_refused},
        {"many", test_many},
        {"many_shared", test_many_shared},
        {"many_signal", test_many_signal},
    };

    return RUN_TESTS(tests, argc, argv);
}
