/*
 * pass.c: waiting until every CPU has been through the scheduler; see thread.h.
 */
#include <microlake/thread.h>
#include <microlake/time.h>

/* On that CPU, behind those that are ready there. */
static void cpu_visit(void *cpu)
{
    thread_set_affinity(thread_current(), (cpu_mask_t)1 << (uintptr_t)cpu);
    thread_yield();
}

/* All at once, by threads where there is memory for them. */
void cpus_pass(void)
{
    cpu_mask_t before = thread_current()->affinity;
    struct thread *visitors[MAX_CPUS];

    for (uintptr_t cpu = 0; cpu < cpu_count(); cpu++)
        if (thread_create("visitor", cpu_visit, (void *)cpu, &visitors[cpu]) != OK) {
            visitors[cpu] = NULL;
            cpu_visit((void *)cpu);
        }
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        if (visitors[cpu]) {
            thread_join(visitors[cpu], TIME_NEVER);
            thread_unref(visitors[cpu]);
        }
    thread_set_affinity(thread_current(), before);
}
