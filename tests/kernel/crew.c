/*
 * crew.c: see crew.h.
 */
#include "crew.h"

struct pinned_start {
    void (*work)(void *arg);
    unsigned cpu;
};

static void crew_start(struct crew *crew, const char *name, void (*work)(void *), void *arg)
{
    if (crew->count == CREW_MAX ||
        thread_create(name, work, arg, &crew->threads[crew->count]) != OK)
        ktest_fail(__FILE__, __LINE__, "a crew's thread could not be made");
    else
        crew->count++;
}

void crew_add(struct crew *crew, const char *name, void (*work)(void *), void *arg, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        crew_start(crew, name, work, arg);
}

static void pinned_entry(void *arg)
{
    struct pinned_start start = *(struct pinned_start *)arg;

    kfree(arg);
    EXPECT(thread_set_affinity(thread_current(), (cpu_mask_t)1 << start.cpu) == OK);
    start.work((void *)(uint64_t)start.cpu);
}

void crew_add_pinned(struct crew *crew, const char *name, void (*work)(void *))
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
        struct pinned_start *start = kmalloc(sizeof(*start));

        *start = (struct pinned_start){work, cpu};
        crew_start(crew, name, pinned_entry, start);
    }
}

bool crew_stops(const struct crew *crew)
{
    return __atomic_load_n(&crew->stop, __ATOMIC_ACQUIRE);
}

bool crew_wait(struct crew *crew, unsigned seconds)
{
    uint64_t due = time_now() + seconds * NS_PER_SEC;

    for (; crew->count; crew->count--) {
        struct thread *t = crew->threads[crew->count - 1];

        if (thread_join(t, due) != OK) {
            log_error("thread %lu '%s' is stuck (state %d, CPU %u)", t->id, t->name, (int)t->state,
                      t->cpu);
            ktest_fail(__FILE__, __LINE__, "a crew's thread does not end; the console names it");
            return false;
        }
        thread_unref(t);
    }
    crew->stop = false;
    return true;
}

bool crew_end(struct crew *crew, unsigned seconds)
{
    __atomic_store_n(&crew->stop, true, __ATOMIC_RELEASE);
    return crew_wait(crew, seconds);
}

/* ---- a load ---------------------------------------------------------------------------------- */

static struct mutex load_lock = MUTEX_INIT(load_lock);
static uint64_t load_sum; /* guarded by load_lock */

static uint64_t spin(uint64_t rounds)
{
    uint64_t random = rounds | 1;

    while (rounds--)
        ktest_random(&random);
    return random;
}

/* Never lets go of its CPU: others run by preemption only. */
static void load_spin(void *arg)
{
    while (!crew_stops(arg))
        spin(1000);
}

/* Always ready. */
static void load_yield(void *arg)
{
    while (!crew_stops(arg)) {
        spin(1000);
        thread_yield();
    }
}

static void load_mixed(void *arg)
{
    for (unsigned i = 0; !crew_stops(arg); i++) {
        uint64_t found = spin(500);

        mutex_lock(&load_lock);
        load_sum += found;
        mutex_unlock(&load_lock);
        if (i % 8 == 0)
            thread_sleep(time_now() + 20 * NS_PER_US, 0);
        else
            thread_yield();
    }
}

void crew_add_load(struct crew *crew)
{
    crew_add(crew, "load.spin", load_spin, crew, 1);
    crew_add(crew, "load.yield", load_yield, crew, cpu_count());
    crew_add(crew, "load.mixed", load_mixed, crew, cpu_count());
}
