/*
 * usage.c: figures of what processes have used, and the calls that ask for them. See usage.h.
 */
#include "modules/linux/time/usage.h"

#include <microlake/time.h>
#include <microlake/user.h>

#include "modules/linux/mm/mm.h"
#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

void usage_add(struct usage *sum, const struct usage *part)
{
    sum->cpu_time += part->cpu_time;
    sum->most = MAX(sum->most, part->most);
    sum->faults += part->faults;
    sum->switches += part->switches;
}

static struct usage usage_of_memory(struct mm *mm)
{
    struct aspace_stats stats;

    aspace_stats(mm->as, &stats);
    return (struct usage){.most = stats.most, .faults = stats.faults};
}

void usage_keep(struct process *p, struct mm *mm)
{
    struct usage memory = usage_of_memory(mm);
    uint64_t flags = spin_lock_irqsave(&p->lock);

    usage_add(&p->gone, &memory);
    spin_unlock_irqrestore(&p->lock, flags);
}

void process_usage(struct process *p, struct usage *out)
{
    struct mm *mm = process_mm(p);
    struct usage memory = mm ? usage_of_memory(mm) : (struct usage){0};
    uint64_t flags;

    if (mm)
        mm_unref(mm);
    flags = spin_lock_irqsave(&p->lock);
    *out = p->gone;
    list_for_each (it, &p->tasks) {
        const struct task *t = list_entry(it, struct task, link);

        if (t->thread) {
            out->cpu_time += thread_cpu_time(t->thread);
            out->switches += t->thread->switches;
        }
    }
    spin_unlock_irqrestore(&p->lock, flags);
    usage_add(out, &memory);
}

static struct linux_timeval timeval_of(uint64_t ns)
{
    return (struct linux_timeval){(int64_t)(ns / NS_PER_SEC),
                                  (int64_t)(ns % NS_PER_SEC / NS_PER_US)};
}

int usage_write(vaddr_t at, const struct usage *u)
{
    struct linux_rusage usage = {.user_time = timeval_of(u->cpu_time),
                                 .max_rss_kib = (int64_t)(u->most / 1024),
                                 .minor_faults = (int64_t)u->faults,
                                 .switches = (int64_t)u->switches};

    return user_write(at, &usage, sizeof(usage));
}

static struct usage children_of(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct usage u = p->children_usage;

    spin_unlock_irqrestore(&process_table_lock, flags);
    return u;
}

long sys_getrusage(struct call *c)
{
    struct thread *thread = c->task->thread;
    struct usage u;

    process_usage(c->task->process, &u);
    switch ((int)c->arg[0]) {
    case LINUX_RUSAGE_SELF:
        break;
    case LINUX_RUSAGE_CHILDREN:
        u = children_of(c->task->process);
        break;
    case LINUX_RUSAGE_THREAD: /* memory is the process's */
        u.cpu_time = thread_cpu_time(thread);
        u.switches = thread->switches;
        break;
    default:
        return ERR_INVALID;
    }
    return usage_write(c->arg[1], &u);
}

long sys_times(struct call *c)
{
    const uint64_t tick = NS_PER_SEC / LINUX_TICKS_PER_SECOND;
    struct usage children = children_of(c->task->process);
    struct linux_tms t = {
        .user = (int64_t)(process_cpu_time(c->task->process) / tick),
        .children_user = (int64_t)(children.cpu_time / tick),
    };

    if (c->arg[0] != 0 && user_write(c->arg[0], &t, sizeof(t)) != OK)
        return ERR_FAULT;
    return (long)(time_now() / tick);
}
