/*
 * threads.c: what threads cost: made and waited for, taking turns, and waking each other.
 *
 * For the turns there is one partner thread on the same CPU; a round is there and back.
 */
#include "costs.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 500u

static void *nothing(void *argument)
{
    return argument;
}

static void thread_create_join(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL))
        cost_fail("pthread_create");
    pthread_join(thread, NULL);
}

static pthread_t partner_start(void *(*entry)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, entry, NULL))
        cost_fail("pthread_create");
    return thread;
}

/* ---- two threads that yield ---------------------------------------------------------------- */

static atomic_bool yielding;
static atomic_uint partner_yields;

static void *yield_back(void *argument)
{
    while (yielding) {
        partner_yields++;
        sched_yield();
    }
    return argument;
}

/* One yield of either thread; where the scheduler takes turns, each is a switch. */
static void yield_switch(void)
{
    double batches[BATCHES];
    yielding = true;
    pthread_t thread = partner_start(yield_back);
    while (!partner_yields)
        sched_yield();
    for (unsigned i = 0; i < BATCHES; i++) {
        unsigned before = partner_yields;
        uint64_t start = ticks_now();
        for (unsigned round = 0; round < ROUNDS; round++)
            sched_yield();
        uint64_t passed = ticks_now() - start;
        batches[i] = (double)passed / (ROUNDS + partner_yields - before);
        if (partner_yields - before < ROUNDS / 2)
            cost_fail("the threads did not take turns");
    }
    yielding = false;
    pthread_join(thread, NULL);
    cost_print("yield_switch", batches);
}

/* ---- a futex -------------------------------------------------------------------------------- */

enum turn { TURN_MAIN, TURN_PARTNER, TURN_END };

static atomic_uint turn;

static void turn_give(enum turn next)
{
    turn = next;
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void turn_await(enum turn other)
{
    while (turn == other)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, other, NULL, NULL, 0);
}

static void *futex_back(void *argument)
{
    for (;;) {
        turn_await(TURN_MAIN);
        if (turn == TURN_END)
            return argument;
        turn_give(TURN_MAIN);
    }
}

static void futex_round(void)
{
    turn_give(TURN_PARTNER);
    turn_await(TURN_PARTNER);
}

static void futex_ping_pong(void)
{
    pthread_t thread = partner_start(futex_back);
    cost_of_calls("futex_ping_pong", futex_round, ROUNDS);
    turn_give(TURN_END);
    pthread_join(thread, NULL);
}

/* ---- two pipes ------------------------------------------------------------------------------ */

static int there[2], back[2];

static void *pipe_back(void *argument)
{
    char byte;
    while (read(there[0], &byte, 1) == 1)
        if (write(back[1], &byte, 1) != 1)
            break;
    return argument;
}

static void pipe_round(void)
{
    char byte = 0;
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
        cost_fail("pipe");
}

static void pipes_open(void)
{
    if (pipe(there) || pipe(back))
        cost_fail("pipe");
}

static void pipes_close(void)
{
    close(there[0]);
    close(back[0]);
    close(back[1]);
}

static void pipe_ping_pong(void)
{
    pipes_open();
    pthread_t thread = partner_start(pipe_back);
    cost_of_calls("pipe_ping_pong", pipe_round, ROUNDS);
    close(there[1]);
    pthread_join(thread, NULL);
    pipes_close();
}

/* The partner is a process of its own: each turn changes the address space, too. */
static void pipe_ping_pong_processes(void)
{
    pipes_open();
    pid_t child = fork();
    if (child < 0)
        cost_fail("fork");
    if (!child) {
        close(there[1]);
        pipe_back(NULL);
        _exit(0);
    }
    cost_of_calls("pipe_ping_pong_processes", pipe_round, ROUNDS);
    close(there[1]);
    waitpid(child, NULL, 0);
    pipes_close();
}

void costs_of_threads(void)
{
    cost_of_calls("pthread_create_join", thread_create_join, 100);
    yield_switch();
    futex_ping_pong();
    pipe_ping_pong();
    pipe_ping_pong_processes();
}
