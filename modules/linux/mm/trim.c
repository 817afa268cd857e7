/*
 * trim.c: see trim.h. Each address space has a hand that goes round it, as in a clock (Corbato, 1968): a page that
 * was used since the hand was there last stays for another round.
 */
#include "modules/linux/mm/trim.h"

#include <microlake/thread.h>
#include <microlake/time.h>
#include <microlake/wait.h>

#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"

#define LOOKS     512u              /* pages, while the space is locked */
#define ROUNDS    2u                /* the first one may only find that all was used */
#define AWAIT_NS  (20 * NS_PER_MS)
#define REST_NS   (2 * NS_PER_MS)   /* whoever has nothing to give is not asked again at once */

static struct wait_queue work = WAIT_QUEUE_INIT(work), progress = WAIT_QUEUE_INIT(progress);
static uint64_t wanted; /* atomic; pages */
static uint64_t turns;  /* atomic; of the thread */
static uint64_t taken;  /* atomic; pages, by the thread */

/* A piece of an address space from its hand on. Written pages that were taken are with their file then, or stay as
 * they are. */
static int trim_piece(struct mm *mm, uint64_t *pages)
{
    vaddr_t at = __atomic_load_n(&mm->hand, __ATOMIC_RELAXED);
    struct aspace_aged aged;
    int r = aspace_age(mm->as, &at, LOOKS, &aged);

    if (r == ERR_BUSY)
        return r;
    __atomic_store_n(&mm->hand, r == OK ? at : 0, __ATOMIC_RELAXED);
    if (aged.obj) {
        memobj_write_back(aged.obj, aged.first, aged.count);
        memobj_unref(aged.obj);
    }
    *pages += aged.unmapped;
    return r;
}

/* Until there are so many pages, or the hand has been everywhere. Where somebody is at work in the space, which may
 * be for long, he is asked to do it. */
static uint64_t trim_space(struct mm *mm, uint64_t pages, unsigned rounds)
{
    uint64_t n = 0;

    while (n < pages && rounds > 0) {
        int r = trim_piece(mm, &n);

        if (r == ERR_BUSY) {
            __atomic_store_n(&mm->owed, pages - n, __ATOMIC_RELAXED);
            break;
        }
        rounds -= r == ERR_NOT_FOUND;
    }
    return n;
}

/* NULL: a thread of the kernel. It stays while a task of the process runs. */
static struct mm *mm_own(void)
{
    struct task *t = task_current();

    return t ? t->process->mm : NULL;
}

uint64_t trim_own(uint64_t pages)
{
    struct mm *mm = mm_own();

    return mm ? trim_space(mm, pages, ROUNDS) : 0;
}

void trim_owed(void)
{
    struct mm *mm = mm_own();

    if (mm && __atomic_load_n(&mm->owed, __ATOMIC_RELAXED))
        trim_space(mm, __atomic_exchange_n(&mm->owed, 0, __ATOMIC_RELAXED), ROUNDS);
}

/* Goes on behind the process where it stopped the last time. */
static uint64_t trim_all(uint64_t pages)
{
    static int last;
    unsigned rounds = ROUNDS;
    uint64_t n = 0;

    while (n < pages && rounds > 0) {
        struct process *p = process_next(last);
        struct mm *mm = p ? process_mm(p) : NULL;

        rounds -= !p;
        last = p ? p->pid : 0;
        if (mm) {
            n += trim_space(mm, pages - n, 1);
            mm_unref(mm);
        }
        if (p)
            process_unref(p);
    }
    return n;
}

static void trimmer(void *arg)
{
    (void)arg;
    for (;;) {
        WAIT_UNTIL(&work, __atomic_load_n(&wanted, __ATOMIC_ACQUIRE), TIME_NEVER, 0);
        __atomic_add_fetch(&taken, trim_all(__atomic_exchange_n(&wanted, 0, __ATOMIC_ACQ_REL)), __ATOMIC_RELEASE);
        __atomic_add_fetch(&turns, 1, __ATOMIC_RELEASE);
        wait_wake_all(&progress);
        thread_sleep(time_now() + REST_NS, 0);
    }
}

int trim_start(void)
{
    struct thread *t;
    int r = thread_create("trim", trimmer, NULL, &t);

    if (r == OK)
        thread_unref(t);
    return r;
}

void trim_want(uint64_t pages)
{
    __atomic_store_n(&wanted, pages, __ATOMIC_RELEASE);
    wait_wake(&work, 1);
}

bool trim_await(uint64_t pages)
{
    uint64_t before = __atomic_load_n(&taken, __ATOMIC_ACQUIRE), turn = __atomic_load_n(&turns, __ATOMIC_ACQUIRE);

    trim_want(pages);
    WAIT_UNTIL(&progress, __atomic_load_n(&turns, __ATOMIC_ACQUIRE) != turn, time_now() + AWAIT_NS, 0);
    return __atomic_load_n(&taken, __ATOMIC_ACQUIRE) != before;
}
