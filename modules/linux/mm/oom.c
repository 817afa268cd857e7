/*
 * oom.c: what happens when a program needs a page and there is none: the process that uses most
 * memory ends, and whoever waits for memory goes on. See mm.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "modules/linux/fs/cache.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"

#define ENOUGH   (1ull << 20)     /* bytes: with so much free, trying again is what helps */
#define RETRY_NS (2 * NS_PER_MS)  /* until the next try */
#define PATIENCE (2 * NS_PER_SEC) /* that a process gets for its end before another must go */

static struct mutex lock = MUTEX_INIT(lock);
static int ending; /* the number of who was chosen last; 0: nobody; guarded by lock */
static uint64_t chosen_at;     /* guarded by lock */

static uint64_t memory_of(struct process *p)
{
    struct mm *mm = process_mm(p);
    struct aspace_stats stats = {0};

    if (!mm)
        return 0;
    aspace_stats(mm->as, &stats);
    mm_unref(mm);
    return stats.resident;
}

/* What it uses, shifted by what /proc/PID/oom_score_adj says. 0: it must not be chosen. */
static uint64_t weight_of(struct process *p, uint64_t total)
{
    int64_t adjustment = __atomic_load_n(&p->oom_adjustment, __ATOMIC_RELAXED);
    int64_t used = (int64_t)memory_of(p);

    if (used == 0 || adjustment == -OOM_ADJUSTMENT_MAX)
        return 0;
    used += (int64_t)total / OOM_ADJUSTMENT_MAX * adjustment;
    return used > 0 ? (uint64_t)used : 1;
}

/* The process that weighs most, with a reference, but not number `spared`. NULL: there is none. */
static struct process *find_largest(int spared)
{
    struct process *largest = NULL, *p;
    struct memory_stats memory;
    uint64_t most = 0;

    memory_stats(&memory);
    for (int pid = 0; (p = process_next(pid));) {
        uint64_t n = p->pid == spared ? 0 : weight_of(p, memory.total);

        pid = p->pid;
        if (n <= most) {
            process_unref(p);
            continue;
        }
        most = n;
        if (largest)
            process_unref(largest);
        largest = p;
    }
    return largest;
}

static bool still_ends_locked(void)
{
    struct process *p = ending != 0 ? process_find(ending) : NULL;
    bool alive;

    if (!p)
        return false;
    alive = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PROCESS_ALIVE;
    process_unref(p);
    return alive && time_now() - chosen_at < PATIENCE;
}

static void choose_locked(void)
{
    struct process *p = find_largest(ending);

    ending = p ? p->pid : 0;
    chosen_at = time_now();
    if (!p)
        return;
    log_error("linux: out of memory: %s (pid %d), which used %llu KiB, was ended; give the "
              "machine more memory",
              p->name, p->pid, (unsigned long long)(memory_of(p) / 1024));
    signal_send_simple(p, LINUX_SIGKILL, LINUX_SI_KERNEL, 0);
    process_unref(p);
}

void oom_relieve(struct task *t)
{
    struct memory_stats memory;

    if (cache_relieve())
        return;
    mutex_lock(&lock);
    memory_stats(&memory);
    if (!task_must_exit(t) && memory.free < ENOUGH && !still_ends_locked())
        choose_locked();
    mutex_unlock(&lock);
    if (!task_must_exit(t))
        thread_sleep(time_now() + RETRY_NS, WAIT_INTERRUPTIBLE);
}
