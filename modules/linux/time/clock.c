/*
 * clock.c: clocks and sleeping. See clock.h.
 */
#include "modules/linux/time/clock.h"

#include <microlake/thread.h>
#include <microlake/user.h>
#include <microlake/wait.h>

#include "modules/linux/abi/fs.h"
#include "modules/linux/include/linux_fs.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"
#include "modules/linux/vdso/vdso.h"

#define SECONDS_MAX (INT64_MAX / (int64_t)NS_PER_SEC)
#define SETTABLE_MAX (SECONDS_MAX - 30ll * 366 * 24 * 3600) /* as Linux: room for 30 more years */
#define ZONE_MAX     (15 * 60)                              /* minutes west of Greenwich */

/* What programs have added to the wall clock; the machine's own goes on below. Atomic; written under
 * set_lock. */
static uint64_t wall_shift;
static struct mutex set_lock = MUTEX_INIT(set_lock);

int clock_read_timespec(vaddr_t at, uint64_t *ns)
{
    struct linux_timespec t;

    if (user_read(&t, at, sizeof(t)) != OK)
        return ERR_FAULT;
    if (t.sec < 0 || t.nsec < 0 || t.nsec >= (int64_t)NS_PER_SEC)
        return ERR_INVALID;
    *ns = t.sec >= SECONDS_MAX ? TIME_NEVER : (uint64_t)t.sec * NS_PER_SEC + (uint64_t)t.nsec;
    return OK;
}

int clock_write_timespec(vaddr_t at, uint64_t ns)
{
    struct linux_timespec t = {(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC)};

    return user_write(at, &t, sizeof(t));
}

uint64_t clock_due_in(uint64_t ns)
{
    uint64_t now = time_now();

    return ns > TIME_NEVER - now ? TIME_NEVER : now + ns;
}

uint64_t clock_wall_offset(void)
{
    return time_wall_offset() + __atomic_load_n(&wall_shift, __ATOMIC_RELAXED);
}

uint64_t clock_stamp(void)
{
    return time_now() + __atomic_load_n(&wall_shift, __ATOMIC_RELAXED);
}

uint64_t linux_wall_time(void)
{
    return clock_wall_offset() + time_now();
}

uint64_t clock_due_at_wall(uint64_t ns)
{
    uint64_t offset = clock_wall_offset();

    if (ns == TIME_NEVER)
        return TIME_NEVER;
    return ns > offset ? ns - offset : 0;
}

uint64_t clock_wall(void)
{
    uint64_t offset = clock_wall_offset();

    vdso_publish_wall(offset);
    return offset + time_now();
}

/* The wall clock never shows less than the time since the start. */
static int wall_set(uint64_t ns)
{
    uint64_t now = time_now();

    if (ns < now)
        return ERR_INVALID;
    mutex_lock(&set_lock);
    __atomic_store_n(&wall_shift, ns - now - time_wall_offset(), __ATOMIC_RELAXED);
    vdso_publish_wall(clock_wall_offset());
    mutex_unlock(&set_lock);
    return OK;
}

static int wall_check_set(int64_t seconds)
{
    if (seconds < 0 || seconds > SETTABLE_MAX)
        return ERR_INVALID;
    return capable(CAP_SYS_TIME) ? OK : LINUX_ERRNO(EPERM);
}

/* The CPU time of a process or a thread by number: clocks below 0 are made of those. */
static int cpu_clock_read(struct task *caller, int clock, uint64_t *ns)
{
    bool of_thread = (clock & 4) != 0;
    int id = ~(clock >> 3), kind = clock & 3;
    struct task *t = caller;

    if (kind == 3)
        return ERR_INVALID;
    t = id == 0 ? caller : task_find(id);
    if (!t)
        return ERR_INVALID;
    *ns = of_thread ? thread_cpu_time(t->thread) : process_cpu_time(t->process);
    if (t != caller || id != 0)
        task_unref(t);
    return OK;
}

/* The time that a clock shows. ERR_INVALID: no such clock. */
static int clock_read(struct task *t, int clock, uint64_t *ns)
{
    switch (clock) {
    case LINUX_CLOCK_REALTIME:
    case LINUX_CLOCK_REALTIME_COARSE:
    case LINUX_CLOCK_TAI:
        *ns = clock_wall();
        return OK;
    case LINUX_CLOCK_MONOTONIC:
    case LINUX_CLOCK_MONOTONIC_RAW:
    case LINUX_CLOCK_MONOTONIC_COARSE:
    case LINUX_CLOCK_BOOTTIME:
        *ns = time_now();
        return OK;
    case LINUX_CLOCK_PROCESS_CPUTIME:
        *ns = process_cpu_time(t->process);
        return OK;
    case LINUX_CLOCK_THREAD_CPUTIME:
        *ns = thread_cpu_time(t->thread);
        return OK;
    default:
        return clock < 0 ? cpu_clock_read(t, clock, ns) : ERR_INVALID;
    }
}

long sys_clock_gettime(struct call *c)
{
    uint64_t ns;
    int r = clock_read(c->task, (int)c->arg[0], &ns);

    return r == OK ? clock_write_timespec(c->arg[1], ns) : r;
}

/* Of the clocks that can't be set, those of CPU time say that it is not allowed. */
long sys_clock_settime(struct call *c)
{
    int clock = (int)c->arg[0];
    struct linux_timespec t;
    uint64_t ns;
    int r;

    if (clock != LINUX_CLOCK_REALTIME && clock >= 0)
        return ERR_INVALID;
    if (user_read(&t, c->arg[1], sizeof(t)) != OK)
        return ERR_FAULT;
    if (clock < 0)
        return cpu_clock_read(c->task, clock, &ns) == OK ? LINUX_ERRNO(EPERM) : ERR_INVALID;
    if (t.nsec < 0 || t.nsec >= (int64_t)NS_PER_SEC)
        return ERR_INVALID;
    r = wall_check_set(t.sec);
    return r == OK ? wall_set((uint64_t)t.sec * NS_PER_SEC + (uint64_t)t.nsec) : r;
}

/* The time zone is checked, and kept by nobody. */
long sys_settimeofday(struct call *c)
{
    struct linux_timeval t = {0, 0};
    int32_t zone[2] = {0, 0};
    int r;

    if (c->arg[0] != 0 && user_read(&t, c->arg[0], sizeof(t)) != OK)
        return ERR_FAULT;
    if (t.usec < 0 || t.usec >= 1000000)
        return ERR_INVALID;
    if (c->arg[1] != 0 && user_read(zone, c->arg[1], sizeof(zone)) != OK)
        return ERR_FAULT;
    r = wall_check_set(t.sec);
    if (r == OK && (zone[0] < -ZONE_MAX || zone[0] > ZONE_MAX))
        r = ERR_INVALID;
    if (r != OK || c->arg[0] == 0)
        return r;
    return wall_set((uint64_t)t.sec * NS_PER_SEC + (uint64_t)t.usec * NS_PER_US);
}

long sys_clock_getres(struct call *c)
{
    uint64_t ns;
    int r = clock_read(c->task, (int)c->arg[0], &ns);

    if (r != OK || c->arg[1] == 0)
        return r;
    return clock_write_timespec(c->arg[1], 1);
}

long sys_gettimeofday(struct call *c)
{
    uint64_t ns = clock_wall();
    struct linux_timeval now = {(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / NS_PER_US)};
    int32_t zone[2] = {0, 0};

    if (c->arg[0] != 0 && user_write(c->arg[0], &now, sizeof(now)) != OK)
        return ERR_FAULT;
    if (c->arg[1] != 0 && user_write(c->arg[1], zone, sizeof(zone)) != OK)
        return ERR_FAULT;
    return 0;
}

long sys_time(struct call *c)
{
    int64_t now = (int64_t)(clock_wall() / NS_PER_SEC);

    if (c->arg[0] != 0 && user_write(c->arg[0], &now, sizeof(now)) != OK)
        return ERR_FAULT;
    return now;
}

/* Sleeps until due. A signal that runs no handler lets it go on; else `left` gets the rest. */
static long sleep_until(struct task *t, uint64_t due, vaddr_t left)
{
    uint64_t now;

    if (thread_sleep(due, WAIT_INTERRUPTIBLE) != ERR_INTERRUPTED)
        return 0;
    now = time_now();
    if (left != 0 && clock_write_timespec(left, due > now ? due - now : 0) != OK)
        return ERR_FAULT;
    t->sleep_due = due;
    return LINUX_RESTART_NO_HANDLER;
}

/* A relative sleep; one that is restarted keeps the end it had. */
static long sleep_for(struct task *t, uint64_t ns, vaddr_t left)
{
    uint64_t due = t->sleep_due != 0 ? t->sleep_due : clock_due_in(ns);

    t->sleep_due = 0;
    return sleep_until(t, due, left);
}

long sys_nanosleep(struct call *c)
{
    uint64_t ns;
    int r = clock_read_timespec(c->arg[0], &ns);

    return r == OK ? sleep_for(c->task, ns, c->arg[1]) : r;
}

long sys_clock_nanosleep(struct call *c)
{
    int clock = (int)c->arg[0];
    bool absolute = c->arg[1] & LINUX_TIMER_ABSTIME;
    bool wall = clock == LINUX_CLOCK_REALTIME || clock == LINUX_CLOCK_TAI;
    uint64_t ns;
    int r;

    if (!wall && clock != LINUX_CLOCK_MONOTONIC && clock != LINUX_CLOCK_BOOTTIME)
        return clock_read(c->task, clock, &ns) == OK ? ERR_UNSUPPORTED : ERR_INVALID;
    r = clock_read_timespec(c->arg[2], &ns);
    if (r != OK)
        return r;
    if (!absolute)
        return sleep_for(c->task, ns, c->arg[3]);
    if (thread_sleep(wall ? clock_due_at_wall(ns) : ns, WAIT_INTERRUPTIBLE) == ERR_INTERRUPTED)
        return LINUX_RESTART_NO_HANDLER;
    return 0;
}
