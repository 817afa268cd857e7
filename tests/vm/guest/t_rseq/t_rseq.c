/*
 * t_rseq.c: restartable sequences, as the C library registers them for each thread, and membarrier.
 */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/vm/guest/check.h"

#define AREA_SIZE 32u

static volatile struct rseq *area(void)
{
    return (volatile struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static long rseq_call(volatile void *at, unsigned size, int flags, unsigned signature)
{
    return syscall(SYS_rseq, at, size, flags, signature);
}

static long membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0);
}

/* Pins the caller to the first of its CPUs after `cpu`; returns it, or -1. */
static int pin_after(int cpu)
{
    static cpu_set_t all;
    cpu_set_t one;

    if (CPU_COUNT(&all) == 0 && sched_getaffinity(0, sizeof(all), &all) != 0)
        return -1;
    for (cpu++; cpu < 64; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        return sched_setaffinity(0, sizeof(one), &one) == 0 ? cpu : -1;
    }
    return -1;
}

static void test_registered(void)
{
    CHECK(__rseq_size > 0);
    CHECK((int32_t)area()->cpu_id >= 0);
    CHECK(area()->cpu_id == area()->cpu_id_start);
    CHECK(area()->rseq_cs == 0);
}

static void test_follows_cpu(void)
{
    for (int round = 0; round < 50; round++) {
        for (int cpu = pin_after(-1); cpu >= 0; cpu = pin_after(cpu)) {
            CHECK((int)area()->cpu_id == cpu && (int)area()->cpu_id_start == cpu);
            CHECK(sched_getcpu() == cpu);
        }
    }
}

static void test_calls(void)
{
    volatile struct rseq *mine = area();
    static char other[64] __attribute__((aligned(32)));

    CHECK_ERRNO(rseq_call(mine, AREA_SIZE, 0, RSEQ_SIG), EBUSY);
    CHECK_ERRNO(rseq_call(mine, AREA_SIZE, 0, RSEQ_SIG + 1), EPERM);
    CHECK_ERRNO(rseq_call(other, AREA_SIZE, 0, RSEQ_SIG), EINVAL);
    CHECK_ERRNO(rseq_call(mine, AREA_SIZE, 2, RSEQ_SIG), EINVAL);
    CHECK_ERRNO(rseq_call(mine, AREA_SIZE, RSEQ_FLAG_UNREGISTER | 2, RSEQ_SIG), EINVAL);
    CHECK_ERRNO(rseq_call(mine, AREA_SIZE, RSEQ_FLAG_UNREGISTER, RSEQ_SIG + 1), EPERM);
    CHECK_ERRNO(rseq_call(other, AREA_SIZE, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), EINVAL);
    CHECK(rseq_call(mine, AREA_SIZE, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0);
    CHECK(mine->cpu_id == (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
    CHECK_ERRNO(rseq_call(mine, AREA_SIZE, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), EINVAL);
    CHECK_ERRNO(rseq_call(other + 4, AREA_SIZE, 0, RSEQ_SIG), EINVAL);
    CHECK_ERRNO(rseq_call(other, 16, 0, RSEQ_SIG), EINVAL);
    CHECK(rseq_call(mine, AREA_SIZE, 0, RSEQ_SIG) == 0);
    CHECK((int)mine->cpu_id == sched_getcpu());
}

/*
 * A critical section that goes on until *leave is not 0, and says how it ended: 0: to its end; 1:
 * by its abort address. entered counts what began.
 */
static int section(volatile int *entered, volatile int *leave)
{
    int aborted = 0;

    __asm__ volatile(
        ".pushsection .data.rel, \"aw\"\n\t"
        ".balign 32\n"
        "1:\n\t"
        ".long 0, 0\n\t"
        ".quad 2f, 3f - 2f, 4f\n\t"
        ".popsection\n\t"
        "leaq 1b(%%rip), %%rax\n\t"
        "movq %%rax, %[field]\n"
        "2:\n\t"
        "incl %[entered]\n"
        "5:\n\t"
        "cmpl $0, %[leave]\n\t"
        "je 5b\n"
        "3:\n\t"
        "jmp 6f\n\t"
        ".byte 0x0f, 0xb9, 0x3d\n\t" /* as the C library's: no instruction that is ever run */
        ".long 0x53053053\n"
        "4:\n\t"
        "movl $1, %[aborted]\n"
        "6:\n\t"
        "movq $0, %[field]\n\t"
        : [aborted] "+r"(aborted), [entered] "+m"(*entered), [field] "=m"(area()->rseq_cs)
        : [leave] "m"(*leave)
        : "rax", "memory", "cc");
    return aborted;
}

static volatile int entered, leave;

static void on_alarm(int number)
{
    (void)number;
}

static void test_ends(void)
{
    leave = 1;
    CHECK(section(&entered, &leave) == 0);
    CHECK(area()->rseq_cs == 0);
}

/* A signal that comes while it goes round ends it, and the handler returns to the abort address. */
static void test_signal(void)
{
    struct itimerval_stand_in {
        long interval[2], value[2];
    } soon = {{0, 0}, {0, 20000}};

    signal(SIGALRM, on_alarm);
    entered = leave = 0;
    CHECK(syscall(SYS_setitimer, 0, &soon, NULL) == 0);
    CHECK(section(&entered, &leave) == 1);
    CHECK(entered == 1 && area()->rseq_cs == 0);
}

/* Two threads on one CPU take turns: whoever was in a section starts over. */
static volatile int done;

static void *make_company(void *arg)
{
    pin_after(-1);
    (void)arg;
    while (!done)
        ;
    return NULL;
}

static void test_preemption(void)
{
    pthread_t other;

    CHECK(pin_after(-1) >= 0);
    entered = leave = done = 0;
    CHECK(pthread_create(&other, NULL, make_company, NULL) == 0);
    CHECK(section(&entered, &leave) == 1);
    done = 1;
    pthread_join(other, NULL);
    CHECK(entered == 1);
}

/* A counter that threads on one CPU change with plain instructions inside a section. */
static volatile long counter;

static void count_one(void)
{
    long seen;

    __asm__ volatile(".pushsection .data.rel, \"aw\"\n\t"
                     ".balign 32\n"
                     "1:\n\t"
                     ".long 0, 0\n\t"
                     ".quad 2f, 3f - 2f, 4f\n\t"
                     ".popsection\n"
                     "5:\n\t"
                     "leaq 1b(%%rip), %%rax\n\t"
                     "movq %%rax, %[field]\n"
                     "2:\n\t"
                     "movq %[counter], %[seen]\n\t"
                     "incq %[seen]\n\t"
                     "movq %[seen], %[counter]\n"
                     "3:\n\t"
                     "jmp 6f\n\t"
                     ".byte 0x0f, 0xb9, 0x3d\n\t"
                     ".long 0x53053053\n"
                     "4:\n\t"
                     "jmp 5b\n"
                     "6:\n\t"
                     "movq $0, %[field]\n\t"
                     : [counter] "+m"(counter), [seen] "=&r"(seen), [field] "=m"(area()->rseq_cs)
                     :
                     : "rax", "memory", "cc");
}

#define COUNTERS 3
#define COUNTS   200000

static void *count_many(void *arg)
{
    (void)arg;
    pin_after(-1);
    for (int i = 0; i < COUNTS; i++)
        count_one();
    return NULL;
}

static void test_counter(void)
{
    pthread_t threads[COUNTERS];

    counter = 0;
    for (int i = 0; i < COUNTERS; i++)
        CHECK(pthread_create(&threads[i], NULL, count_many, NULL) == 0);
    for (int i = 0; i < COUNTERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(counter == COUNTERS * (long)COUNTS);
}

/* What another thread's membarrier does to a section. */
static volatile int section_result = -1;

static void *stay_inside(void *arg)
{
    (void)arg;
    section_result = section(&entered, &leave);
    return NULL;
}

static void test_membarrier(void)
{
    pthread_t other;
    long commands = membarrier(MEMBARRIER_CMD_QUERY);

    CHECK(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    CHECK(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
    CHECK(membarrier(MEMBARRIER_CMD_GLOBAL) == 0);
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ), EPERM);
    CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) == 0);
    CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0);
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_GLOBAL), EINVAL);
    CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 77, 0), EINVAL);
    int status;
    pid_t child = fork(); /* it is registered too */
    if (child == 0)
        _exit(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0 ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    entered = leave = 0;
    CHECK(pthread_create(&other, NULL, stay_inside, NULL) == 0);
    while (!entered)
        sched_yield();
    CHECK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) == 0);
    pthread_join(other, NULL);
    CHECK(section_result == 1);
}

/* How a child ends that comes to attention with this description of a section. */
static int end_with(const void *description)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        struct rlimit_stand_in {
            unsigned long current, maximum;
        } none = {0, 0};

        syscall(SYS_setrlimit, 4 /* RLIMIT_CORE */, &none);
        signal(SIGUSR1, on_alarm);
        area()->rseq_cs = (uintptr_t)description;
        kill(getpid(), SIGUSR1);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return status;
}

static uint32_t code_stand_in[64] __attribute__((aligned(32)));

static void test_bad_sections(void)
{
    static struct rseq_cs bad __attribute__((aligned(32)));
    uintptr_t code = (uintptr_t)code_stand_in;

    code_stand_in[7] = RSEQ_SIG;
    CHECK(end_with(NULL) == 0);
    bad = (struct rseq_cs){.start_ip = code, .post_commit_offset = 8, .abort_ip = code + 32};
    CHECK(end_with(&bad) == 0); /* right, and the child is not in it */
    bad.abort_ip = code + 36;   /* no signature in front of it */
    CHECK(end_with(&bad) == SIGSEGV);
    bad.abort_ip = code + 4; /* inside itself */
    CHECK(end_with(&bad) == SIGSEGV);
    bad.abort_ip = code + 32;
    bad.version = 1;
    CHECK(end_with(&bad) == SIGSEGV);
    bad.version = 0;
    bad.post_commit_offset = UINT64_MAX - 3;
    CHECK(end_with(&bad) == SIGSEGV);
    CHECK(end_with(bad_address()) == SIGSEGV);
    CHECK(end_with((void *)0xffff800000000000) == SIGSEGV);
}

static void test_fork(void)
{
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            int cpu = pin_after(-1);

            _exit((int)area()->cpu_id == cpu ? 0 : 1);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

int main(int argc, char **argv)
{
    const struct test tests[] = {
        {"registered", test_registered},
        {"follows_cpu", test_follows_cpu},
        {"calls", test_calls},
        {"ends", test_ends},
        {"signal", test_signal},
        {"preemption", test_preemption},
        {"counter", test_counter},
        {"membarrier", test_membarrier},
        {"bad_sections", test_bad_sections},
        {"fork", test_fork},
    };

    return RUN_TESTS(tests, argc, argv);
}
