/*
 * policy.c: which policies processes have of their own. See include/linux_policy.h.
 *
 * The process knows its choices; each of its threads has a copy, which is what Micro-LAKE looks at. Both
 * change under the process's lock, under which a thread is given to its task, too: so none is forgotten.
 */
#include "modules/linux/include/linux_policy.h"

#include "modules/linux/process/policy.h"
#include "modules/linux/process/process.h"

static struct mutex watch_lock = MUTEX_INIT(watch_lock);
static void (*exec_seen)(const char *program); /* written under watch_lock */

static bool may(enum capability c)
{
    return !task_current() || capable(c);
}

bool linux_caller_is_root(void)
{
    return may(CAP_SYS_ADMIN);
}

/* As setpriority() has it. */
static int process_check(const struct process *p)
{
    const struct ids *theirs = &p->credentials.user;
    uint32_t mine;

    if (__atomic_load_n(&p->state, __ATOMIC_RELAXED) != PROCESS_ALIVE)
        return LINUX_ERRNO(ESRCH);
    if (may(CAP_SYS_NICE))
        return OK;
    mine = task_current()->process->credentials.user.effective;
    return mine == theirs->real || mine == theirs->effective ? OK : LINUX_ERRNO(EPERM);
}

/* A reference, when the caller may choose for it. */
static int process_get(int pid, struct process **out)
{
    const struct task *self = task_current();
    int r;

    *out = pid == 0 && self ? self->process : NULL;
    if (*out)
        process_ref(*out);
    else
        *out = process_find(pid);
    if (!*out)
        return LINUX_ERRNO(ESRCH);
    r = process_check(*out);
    if (r != OK)
        process_unref(*out);
    return r;
}

int linux_policy_may_set(int pid)
{
    struct process *p;
    int r = process_get(pid, &p);

    if (r == OK)
        process_unref(p);
    return r;
}

void policies_give_locked(const struct process *p, struct thread *t)
{
    for (unsigned i = 0; i < POLICY_CLASSES_MAX; i++)
        thread_set_policy(t, i, p->policies[i]);
}

int linux_policy_set(int pid, unsigned nth_class, uint64_t number)
{
    struct process *p;
    uint64_t flags;
    int r = nth_class < POLICY_CLASSES_MAX ? process_get(pid, &p) : ERR_INVALID;

    if (r != OK)
        return r;
    flags = spin_lock_irqsave(&p->lock);
    p->policies[nth_class] = number;
    list_for_each (it, &p->tasks) {
        const struct task *t = list_entry(it, struct task, link);

        if (t->thread)
            thread_set_policy(t->thread, nth_class, number);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    process_unref(p);
    return OK;
}

struct visit {
    linux_policy_fn *fn;
    void *context;
};

/* Under the table's lock. */
static void process_visit(struct process *p, void *context)
{
    const struct visit *v = context;
    bool any = false;

    spin_lock(&p->lock);
    for (unsigned i = 0; i < POLICY_CLASSES_MAX; i++)
        any |= p->policies[i] != 0;
    if (any && p->state == PROCESS_ALIVE)
        v->fn(p->pid, p->policies, v->context);
    spin_unlock(&p->lock);
}

void linux_policy_for_each(linux_policy_fn *fn, void *context)
{
    struct visit v = {fn, context};

    process_for_each(process_visit, &v);
}

void linux_exec_watch(void (*fn)(const char *program))
{
    mutex_lock(&watch_lock);
    __atomic_store_n(&exec_seen, fn, __ATOMIC_RELEASE);
    mutex_unlock(&watch_lock);
}

void policies_see_exec(const char *program)
{
    if (likely(!__atomic_load_n(&exec_seen, __ATOMIC_ACQUIRE)))
        return;
    mutex_lock(&watch_lock);
    if (exec_seen)
        exec_seen(program);
    mutex_unlock(&watch_lock);
}
