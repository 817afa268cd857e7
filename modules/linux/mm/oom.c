/*
 * oom.c: what happens when a program needs a page and there is none: the process that uses most
 * memory ends, and whoever waits for memory goes on. See mm.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"

#define ENOUGH   (1ull << 20)     /* bytes: with so much free, trying again is what helps */
#define RETRY_NS (2 * NS_PER_MS)  /* until the next try */
#define PATIENCE (2 * NS_PER_SEC) /* that a process gets for its end before another must go */

static struct mutex lock = MUTEX_INIT(lock);
static int ending; /* the number of who was chosen last; 0: nobody; guarded by lock */
static uint64_t chosen_at;     /* guarded by lock */

/* Nothing can be allocated here: the processes are gone through by number. */
struct walk {
    int after;
    struct process *next; /* a reference: the process with the next number, or NULL */
};

static void find_next(struct process *p, void *context)
{
    struct walk *w = context;

    if (p->pid <= w->after || p->state != PROCESS_ALIVE || (w->next && p->pid > w->next->pid))
        return;
    if (w->next)
        process_unref(w->next);
    process_ref(p);
    w->next = p;
}

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

/* The process that uses most, with a reference, but not number `spared`. NULL: none uses anything. */
static struct process *find_largest(int spared, uint64_t *bytes)
{
    struct process *largest = NULL;
    struct walk w = {0};

    *bytes = 0;
    for (;;) {
        uint64_t n;

        w.next = NULL;
        process_for_each(find_next, &w);
        if (!w.next)
            return largest;
        w.after = w.next->pid;
        n = w.next->pid == spared ? 0 : memory_of(w.next);
        if (n <= *bytes) {
            process_unref(w.next);
            continue;
        }
        *bytes = n;
        if (largest)
            process_unref(largest);
        largest = w.next;
    }
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
    uint64_t bytes;
    struct process *p = find_largest(ending, &bytes);

    ending = p ? p->pid : 0;
    chosen_at = time_now();
    if (!p)
        return;
    log_error("linux: out of memory: %s (pid %d), which used most (%llu KiB), was ended; give the "
              "machine more memory",
              p->name, p->pid, (unsigned long long)(bytes / 1024));
    signal_send_simple(p, LINUX_SIGKILL, LINUX_SI_KERNEL, 0);
    process_unref(p);
}

void oom_relieve(struct task *t)
{
    struct memory_stats memory;

    mutex_lock(&lock);
    memory_stats(&memory);
    if (!task_must_exit(t) && memory.free < ENOUGH && !still_ends_locked())
        choose_locked();
    mutex_unlock(&lock);
    if (!task_must_exit(t))
        thread_sleep(time_now() + RETRY_NS, WAIT_INTERRUPTIBLE);
}
