/*
 * worker.c: a process whose threads make calls until its time is over.
 *
 * Its first thread makes none: it kicks the others out of calls that wait, with SIGUSR1, and now and
 * then lets a handler return with a damaged frame, by SIGUSR2.
 */
#include "fuzz.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#define CALLERS 3u
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
#define BIRTHS 4u
#define KICK_NS 2000000

static struct fuzzer callers[CALLERS + 1]; /* the last one is the first thread's own */
static uint32_t tids[CALLERS];             /* the kernel writes them at their start */

static void kicked(int signal)
{
    (void)signal;
}

/* Damages one word of what it returns to. */
static void returning_badly(int signal, siginfo_t *info, void *frame)
{
    struct fuzzer z = {.random = (uint64_t)(uintptr_t)frame + shared->made[SYS_rt_sigreturn]++};
    uint64_t *words = frame;

    (void)signal;
    (void)info;
    random_next(&z);
    words[below(&z, sizeof(ucontext_t) / 8)] = one_in(&z, 2) ? value_number(&z) : value_bad_pointer(&z);
}

static void handlers_set(void)
{
    uint64_t kick[4] = {(uint64_t)(uintptr_t)kicked, 0x04000000, (uint64_t)(uintptr_t)signal_restorer, 0};
    uint64_t bad[4] = {(uint64_t)(uintptr_t)returning_badly, 0x04000004,
                       (uint64_t)(uintptr_t)signal_restorer, 0};

    CALL(SYS_rt_sigaction, SIGUSR1, kick, 0, 8);
    CALL(SYS_rt_sigaction, SIGUSR2, bad, 0, 8);
}

static void caller_run(void *context)
{
    struct fuzzer *z = context;
    uint64_t none = 0;

    for (;;) {
        if (one_in(z, 12))
            CALL(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
        if (one_in(z, 6))
            descriptor_renew(z);
        call_make(z);
    }
}

static void callers_start(uint64_t seed, unsigned index)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        struct fuzzer *z = &callers[i];
        uint64_t stack = STACKS + (i + 1) * STACK_SIZE;
        uint64_t arguments[ARGUMENTS] = {THREAD_FLAGS | CLONE_PARENT_SETTID, stack,
                                         (uint64_t)(uintptr_t)&tids[i]};

        *z = (struct fuzzer){.random = seed + i * 0x10001,
                             .thread = i,
                             .births = BIRTHS,
                             .record = &shared->records[index][i]};
        random_next(z);
        call_twice(SYS_clone, arguments, caller_run, z);
    }
}

static void kick(struct fuzzer *z)
{
    long self = CALL(SYS_getpid);

    for (unsigned i = 0; i < CALLERS; i++)
        CALL(SYS_tgkill, self, tids[i], one_in(z, 200) ? SIGUSR2 : SIGUSR1);
    if (one_in(z, 4))
        handlers_set();
}

static uint64_t now_ns(void)
{
    struct timespec now = {0};

    CALL(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void worker_run(uint64_t seed, unsigned index, unsigned milliseconds)
{
    struct fuzzer *z = &callers[CALLERS];
    uint64_t due = now_ns() + milliseconds * 1000000ull;
    struct timespec pause = {0, KICK_NS};

    *z = (struct fuzzer){.random = seed, .thread = CALLERS, .record = &shared->records[index][CALLERS]};
    CALL(SYS_close_range, 0, ~0u, 0);
    CALL(SYS_setsid);
    CALL(SYS_chdir, "/tmp/fuzz");
    if (memory_setup()) {
        for (unsigned i = 0; i < 40; i++)
            descriptor_renew(z);
        handlers_set();
        callers_start(seed, index);
        while (now_ns() < due) {
            CALL(SYS_nanosleep, &pause, 0);
            kick(z);
        }
    }
    for (;;)
        CALL(SYS_exit_group, 0);
}
