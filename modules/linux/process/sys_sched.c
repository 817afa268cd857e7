/*
 * sys_sched.c: calls about when and where threads run. Linux's niceness becomes the weight that
 * Micro-LAKE's scheduling policies see.
 */
#include <microlake/cpu.h>
#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/time/clock.h"

#define NICE_LOWEST   (-20)
#define NICE_HIGHEST  19
#define WEIGHT_NORMAL 1024u
#define WEIGHT_MAX    65536u
#define SCHED_OTHER   0
#define SCHED_FIFO    1
#define SCHED_RR      2
#define SCHED_BATCH   3
#define SCHED_IDLE    5
#define RESET_ON_FORK 0x40000000
#define RR_INTERVAL   (4 * NS_PER_MS) /* of ordinary threads */

/* One step of niceness is a quarter more or a fifth less, as on Linux. */
static uint32_t weight_of_nice(int nice)
{
    uint64_t weight = WEIGHT_NORMAL;

    for (int i = 0; i < nice; i++)
        weight = weight * 4 / 5;
    for (int i = 0; i > nice; i--)
        weight = weight * 5 / 4;
    return (uint32_t)MAX(MIN(weight, WEIGHT_MAX), 1u);
}

static void set_nice(struct task *t, int nice)
{
    nice = MAX(MIN(nice, NICE_HIGHEST), NICE_LOWEST);
    t->nice = nice;
    if (t->thread)
        thread_set_weight(t->thread, weight_of_nice(nice));
}

/* A task by number, 0 being the caller; the result is a reference. */
static struct task *task_of(struct call *c, int tid)
{
    if (tid != 0)
        return task_find(tid);
    task_ref(c->task);
    return c->task;
}

long sys_sched_yield(struct call *c)
{
    (void)c;
    thread_yield();
    return 0;
}

static cpu_mask_t all_cpus(void)
{
    unsigned count = cpu_count();

    return count >= MAX_CPUS ? ~0ull : (1ull << count) - 1;
}

long sys_sched_getaffinity(struct call *c)
{
    struct task *t;
    cpu_mask_t mask;

    if (c->arg[1] < sizeof(mask) || (c->arg[1] & (sizeof(mask) - 1)))
        return ERR_INVALID;
    t = task_of(c, (int)c->arg[0]);
    if (!t)
        return LINUX_ERRNO(ESRCH);
    mask = t->thread->affinity & all_cpus();
    task_unref(t);
    if (user_write(c->arg[2], &mask, sizeof(mask)) != OK)
        return ERR_FAULT;
    return sizeof(mask);
}

long sys_sched_setaffinity(struct call *c)
{
    cpu_mask_t mask = 0;
    struct task *t;
    int r;

    if (user_read(&mask, c->arg[2], MIN(c->arg[1], sizeof(mask))) != OK)
        return ERR_FAULT;
    mask &= all_cpus();
    if (mask == 0)
        return ERR_INVALID;
    t = task_of(c, (int)c->arg[0]);
    if (!t)
        return LINUX_ERRNO(ESRCH);
    r = thread_set_affinity(t->thread, mask);
    task_unref(t);
    return r;
}

long sys_getcpu(struct call *c)
{
    uint32_t cpu = cpu_id(), node = 0;

    if (c->arg[0] != 0 && user_write(c->arg[0], &cpu, sizeof(cpu)) != OK)
        return ERR_FAULT;
    if (c->arg[1] != 0 && user_write(c->arg[1], &node, sizeof(node)) != OK)
        return ERR_FAULT;
    return 0;
}

/* The result is 20 - nice, so that it is never negative. */
long sys_getpriority(struct call *c)
{
    struct task *t;
    long r;

    if ((int)c->arg[0] != LINUX_PRIO_PROCESS)
        return (int)c->arg[0] <= LINUX_PRIO_USER && (int)c->arg[0] > 0 ? 20 - c->task->nice
                                                                       : ERR_INVALID;
    t = task_of(c, (int)c->arg[1]);
    if (!t)
        return LINUX_ERRNO(ESRCH);
    r = 20 - t->nice;
    task_unref(t);
    return r;
}

long sys_setpriority(struct call *c)
{
    struct task *t;

    if ((int)c->arg[0] != LINUX_PRIO_PROCESS)
        return ERR_INVALID;
    t = task_of(c, (int)c->arg[1]);
    if (!t)
        return LINUX_ERRNO(ESRCH);
    set_nice(t, (int)c->arg[2]);
    task_unref(t);
    return 0;
}

/*
 * All threads are of the ordinary class, and the order among them is the active policy's: BATCH and
 * IDLE are remembered, FIFO and RR are not to be had.
 */
static long sched_task(struct call *c, struct task **t)
{
    if ((int)c->arg[0] < 0)
        return ERR_INVALID;
    *t = task_of(c, (int)c->arg[0]);
    return *t ? OK : LINUX_ERRNO(ESRCH);
}

long sys_sched_getscheduler(struct call *c)
{
    struct task *t;
    long r = sched_task(c, &t);

    if (r != OK)
        return r;
    r = t->sched_policy;
    task_unref(t);
    return r;
}

/* Ordinary classes know one priority only: 0. */
static long read_priority(vaddr_t at)
{
    int32_t priority;

    if (at == 0)
        return ERR_INVALID;
    if (user_read(&priority, at, sizeof(priority)) != OK)
        return ERR_FAULT;
    return priority == 0 ? OK : ERR_INVALID;
}

long sys_sched_setscheduler(struct call *c)
{
    int policy = (int)c->arg[1] & ~RESET_ON_FORK;
    struct task *t;
    long r;

    if (policy == SCHED_FIFO || policy == SCHED_RR)
        return LINUX_ERRNO(EPERM);
    if (policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE)
        return ERR_INVALID;
    r = read_priority(c->arg[2]);
    if (r == OK)
        r = sched_task(c, &t);
    if (r != OK)
        return r;
    t->sched_policy = policy;
    task_unref(t);
    return OK;
}

long sys_sched_setparam(struct call *c)
{
    struct task *t;
    long r = read_priority(c->arg[1]);

    if (r == OK)
        r = sched_task(c, &t);
    if (r == OK)
        task_unref(t);
    return r;
}

long sys_sched_getparam(struct call *c)
{
    int32_t priority = 0;
    struct task *t;
    long r = c->arg[1] == 0 ? ERR_INVALID : sched_task(c, &t);

    if (r != OK)
        return r;
    task_unref(t);
    return user_write(c->arg[1], &priority, sizeof(priority));
}

long sys_sched_rr_get_interval(struct call *c)
{
    struct task *t;
    long r = sched_task(c, &t);

    if (r != OK)
        return r;
    task_unref(t);
    return clock_write_timespec(c->arg[1], RR_INTERVAL);
}

long sys_sched_get_priority_max(struct call *c)
{
    switch ((int)c->arg[0]) {
    case SCHED_FIFO:
    case SCHED_RR:
        return 99;
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
        return 0;
    default:
        return ERR_INVALID;
    }
}

long sys_sched_get_priority_min(struct call *c)
{
    long max = sys_sched_get_priority_max(c);

    return max > 0 ? 1 : max;
}
