/*
 * process.c: the table of processes and tasks: making them, finding them, their references. The way
 * out is exit.c's. See process.h.
 */
#include "modules/linux/process/process.h"

#include <microlake/memory.h>
#include <microlake/time.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/policy.h"
#include "modules/linux/process/user_ops.h"
#include "modules/linux/time/clock.h"

#define ID_MAX     4194304
#define ID_BUCKETS 256u

struct spinlock process_table_lock = SPINLOCK_INIT;
struct process_counts process_counts;

static struct list processes[ID_BUCKETS]; /* by pid; guarded by process_table_lock */
static struct list tasks[ID_BUCKETS];     /* by tid; guarded by process_table_lock */
static int last_id;                       /* guarded by process_table_lock */

int process_init(void)
{
    for (unsigned i = 0; i < ID_BUCKETS; i++) {
        list_init(&processes[i]);
        list_init(&tasks[i]);
    }
    return OK;
}

static struct process *process_find_locked(int pid)
{
    list_for_each (it, &processes[(unsigned)pid % ID_BUCKETS]) {
        struct process *p = list_entry(it, struct process, id_link);

        if (p->pid == pid)
            return p;
    }
    return NULL;
}

static struct task *task_find_locked(int tid)
{
    list_for_each (it, &tasks[(unsigned)tid % ID_BUCKETS]) {
        struct task *t = list_entry(it, struct task, id_link);

        if (t->tid == tid)
            return t;
    }
    return NULL;
}

/* A number that neither a process nor a task has. */
static int id_take_locked(void)
{
    do {
        last_id = last_id >= ID_MAX ? 2 : last_id + 1;
    } while (process_find_locked(last_id) || task_find_locked(last_id));
    return last_id;
}

struct process *process_find(int pid)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct process *p = process_find_locked(pid);

    if (p)
        process_ref(p);
    spin_unlock_irqrestore(&process_table_lock, flags);
    return p;
}

int process_last_id(void)
{
    return __atomic_load_n(&last_id, __ATOMIC_RELAXED);
}

struct task *task_find(int tid)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct task *t = task_find_locked(tid);

    if (t)
        task_ref(t);
    spin_unlock_irqrestore(&process_table_lock, flags);
    return t;
}

void process_for_each_locked(void (*fn)(struct process *p, void *context), void *context)
{
    for (unsigned i = 0; i < ID_BUCKETS; i++) {
        list_for_each (it, &processes[i]) {
            fn(list_entry(it, struct process, id_link), context);
        }
    }
}

void process_for_each(void (*fn)(struct process *p, void *context), void *context)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);

    process_for_each_locked(fn, context);
    spin_unlock_irqrestore(&process_table_lock, flags);
}

struct walk {
    int after;
    struct process *next; /* a reference */
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

struct process *process_next(int after)
{
    struct walk w = {.after = after};

    process_for_each(find_next, &w);
    return w.next;
}

static void first_default(struct process *p)
{
    credentials_init(&p->credentials);
    p->dumpable = true;
    for (unsigned i = 0; i < LINUX_RLIMIT_COUNT; i++)
        p->limits[i] = (struct linux_rlimit){LINUX_RLIM_INFINITY, LINUX_RLIM_INFINITY};
    p->limits[LINUX_RLIMIT_STACK].current = LINUX_STACK_LIMIT;
    p->limits[LINUX_RLIMIT_CORE].current = 0;
    p->limits[LINUX_RLIMIT_MEMLOCK] = (struct linux_rlimit){LINUX_LOCK_LIMIT, LINUX_LOCK_LIMIT};
    p->limits[LINUX_RLIMIT_NOFILE] = (struct linux_rlimit){1024, 65536};
}

static void inherit(struct process *p, struct process *maker)
{
    uint64_t flags = spin_lock_irqsave(&maker->lock);

    memcpy(p->limits, maker->limits, sizeof(p->limits));
    memcpy(p->actions, maker->actions, sizeof(p->actions));
    memcpy(p->name, maker->name, sizeof(p->name));
    p->oom_adjustment = maker->oom_adjustment;
    credentials_inherit(&p->credentials, &maker->credentials);
    p->dumpable = maker->dumpable;
    memcpy(p->policies, maker->policies, sizeof(p->policies));
    spin_unlock_irqrestore(&maker->lock, flags);
}

static void enter_table(struct process *p, struct process *maker, bool sibling)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    struct process *parent = maker && sibling && maker->parent ? maker->parent : maker;

    p->pid = id_take_locked();
    p->parent = parent;
    p->group = maker ? maker->group : p->pid;
    p->session = maker ? maker->session : p->pid;
    p->detached = maker && maker->detached;
    list_push_back(&processes[(unsigned)p->pid % ID_BUCKETS], &p->id_link);
    if (parent)
        list_push_back(&parent->children, &p->sibling);
    spin_unlock_irqrestore(&process_table_lock, flags);
}

int process_create(struct process *maker, bool sibling, struct process **out)
{
    struct process *p = kzalloc(sizeof(*p));

    if (!p)
        return ERR_NO_MEMORY;
    p->refs = 2; /* the table's and the caller's */
    p->exit_signal = LINUX_SIGCHLD;
    p->start_time = time_now();
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->id_link);
    list_init(&p->tasks);
    signal_queue_init(&p->pending);
    wait_queue_init(&p->release_queue);
    wait_queue_init(&p->child_queue);
    wait_queue_init(&p->stop_queue);
    wait_queue_init(&p->tasks_queue);
    linux_poll_source_init(&p->end_source);
    if (maker)
        inherit(p, maker);
    else
        first_default(p);
    __atomic_add_fetch(&process_counts.processes, 1, __ATOMIC_RELAXED);
    enter_table(p, maker, sibling);
    *out = p;
    return OK;
}

void process_leave_table_locked(struct process *p)
{
    p->state = PROCESS_REAPED;
    list_remove(&p->id_link);
    list_remove(&p->sibling);
}

void process_abandon(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);

    process_leave_table_locked(p);
    spin_unlock_irqrestore(&process_table_lock, flags);
    process_drop_resources(p);
    process_unref(p); /* the table's */
    process_unref(p);
}

void process_ref(struct process *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
}

void process_unref(struct process *p)
{
    if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    signal_queue_clear(&p->pending);
    process_stop_timers(p);
    credentials_drop(&p->credentials);
    kfree(p);
    __atomic_sub_fetch(&process_counts.processes, 1, __ATOMIC_RELAXED);
}

/* Swaps the pointers out under the lock, so that whoever looks from outside takes its reference
 * before or finds nothing. */
void process_drop_resources(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct fd_table *files = p->files;
    struct fs_context *fs = p->fs;
    struct mm *mm = p->mm;

    p->files = NULL;
    p->fs = NULL;
    p->mm = NULL;
    spin_unlock_irqrestore(&p->lock, flags);
    if (files)
        fd_table_unref(files);
    if (fs)
        fs_context_unref(fs);
    if (!mm)
        return;
    if (!p->borrowed_mm) /* what is lent is its owner's */
        usage_keep(p, mm);
    mm_unref(mm);
}

struct mm *process_mm(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct mm *mm = p->mm;

    if (mm)
        mm_ref(mm);
    spin_unlock_irqrestore(&p->lock, flags);
    return mm;
}

struct fd_table *process_files(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct fd_table *files = p->files;

    if (files)
        fd_table_ref(files);
    spin_unlock_irqrestore(&p->lock, flags);
    return files;
}

struct fs_context *process_fs(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    struct fs_context *fs = p->fs;

    if (fs)
        fs_context_ref(fs);
    spin_unlock_irqrestore(&p->lock, flags);
    return fs;
}

int task_create(struct process *p, struct task **out)
{
    struct task *t = kzalloc(sizeof(*t));
    uint64_t flags;
    int r = OK;

    if (!t)
        return ERR_NO_MEMORY;
    t->refs = 2; /* the table's and the caller's, which its thread takes over */
    t->process = p;
    process_ref(p);
    signal_queue_init(&t->pending);
    t->alternate_stack.flags = LINUX_SS_DISABLE;
    __atomic_add_fetch(&process_counts.tasks, 1, __ATOMIC_RELAXED);
    flags = spin_lock_irqsave(&process_table_lock);
    spin_lock(&p->lock);
    if (p->exiting || p->exec_task)
        r = ERR_AGAIN;
    if (r == OK) {
        t->tid = p->task_count == 0 ? p->pid : id_take_locked();
        list_push_back(&tasks[(unsigned)t->tid % ID_BUCKETS], &t->id_link);
        list_push_back(&p->tasks, &t->link);
        p->task_count++;
    }
    spin_unlock(&p->lock);
    spin_unlock_irqrestore(&process_table_lock, flags);
    if (r != OK) {
        task_unref(t);
        task_unref(t);
        return r;
    }
    *out = t;
    return OK;
}

int task_attach_thread(struct task *t, const struct user_regs *regs, uint64_t fs_base)
{
    struct thread *thread;
    uint64_t flags;
    int r =
        thread_create_user(t->process->name, t->process->mm->as, &linux_user_ops, t, regs, &thread);

    if (r != OK)
        return r;
    thread->fs_base = fs_base;
    flags = spin_lock_irqsave(&t->process->lock);
    t->thread = thread;
    policies_give_locked(t->process, thread);
    spin_unlock_irqrestore(&t->process->lock, flags);
    return OK;
}

/* Takes the task out of table and process. Returns how many tasks the process has left. */
unsigned task_leave_table(struct task *t)
{
    struct process *p = t->process;
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    unsigned left;

    spin_lock(&p->lock);
    list_remove(&t->id_link);
    list_remove(&t->link);
    left = --p->task_count;
    if (t->thread)
        usage_add(&p->gone, &(struct usage){.cpu_time = thread_cpu_time(t->thread),
                                            .switches = t->thread->switches});
    spin_unlock(&p->lock);
    spin_unlock_irqrestore(&process_table_lock, flags);
    wait_wake_all(&p->tasks_queue);
    return left;
}

void task_abandon(struct task *t)
{
    task_leave_table(t);
    task_unref(t); /* the table's */
    task_unref(t);
}

void task_ref(struct task *t)
{
    __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
}

void task_unref(struct task *t)
{
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    signal_queue_clear(&t->pending);
    if (t->thread)
        thread_unref(t->thread);
    process_unref(t->process);
    kfree(t);
    __atomic_sub_fetch(&process_counts.tasks, 1, __ATOMIC_RELAXED);
}

/* The task that execs becomes the process's first: it takes over the process's number. */
void task_take_pid(struct task *t)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);

    list_remove(&t->id_link);
    t->tid = t->process->pid;
    list_push_back(&tasks[(unsigned)t->tid % ID_BUCKETS], &t->id_link);
    spin_unlock_irqrestore(&process_table_lock, flags);
}

uint64_t process_cpu_time(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    uint64_t sum = p->gone.cpu_time;

    list_for_each (it, &p->tasks) {
        const struct task *t = list_entry(it, struct task, link);

        if (t->thread)
            sum += thread_cpu_time(t->thread);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return sum;
}
