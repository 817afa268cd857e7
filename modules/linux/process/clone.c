/*
 * clone.c: new threads and processes: clone, clone3, fork, vfork.
 */
#include <microlake/user.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/process/pidfd.h"
#include "modules/linux/process/limits.h"
#include "modules/linux/process/process.h"
#include "modules/linux/process/vector.h"
#include "modules/linux/syscall.h"

/* What the calls ask for, in one form. */
struct clone_request {
    uint64_t flags; /* without the signal */
    int exit_signal;
    vaddr_t stack; /* the new stack pointer; 0: the caller's */
    vaddr_t parent_tid, child_tid;
    vaddr_t pidfd; /* where the new process's descriptor goes */
    uint64_t tls;
};

#define CLONE_SUPPORTED                                                                            \
    (LINUX_CLONE_VM | LINUX_CLONE_FS | LINUX_CLONE_FILES | LINUX_CLONE_SIGHAND |                   \
     LINUX_CLONE_VFORK | LINUX_CLONE_PARENT | LINUX_CLONE_THREAD | LINUX_CLONE_SYSVSEM |           \
     LINUX_CLONE_SETTLS | LINUX_CLONE_PARENT_SETTID | LINUX_CLONE_CHILD_CLEARTID |                 \
     LINUX_CLONE_DETACHED | LINUX_CLONE_PIDFD | LINUX_CLONE_CHILD_SETTID | LINUX_CLONE_PTRACE |                        \
     LINUX_CLONE_CLEAR_SIGHAND)

/* The parts that a thread shares with its process; it can't have its own. */
#define THREAD_PARTS (LINUX_CLONE_VM | LINUX_CLONE_FS | LINUX_CLONE_FILES | LINUX_CLONE_SIGHAND)

static int check_request(const struct clone_request *r)
{
    uint64_t flags = r->flags;

    if (flags & ~(uint64_t)CLONE_SUPPORTED)
        return ERR_INVALID;
    if ((flags & LINUX_CLONE_SIGHAND) && !(flags & LINUX_CLONE_VM))
        return ERR_INVALID;
    if ((flags & LINUX_CLONE_SIGHAND) && (flags & LINUX_CLONE_CLEAR_SIGHAND))
        return ERR_INVALID;
    if ((flags & LINUX_CLONE_THREAD) && (flags & THREAD_PARTS) != THREAD_PARTS)
        return ERR_INVALID;
    if (!(flags & LINUX_CLONE_THREAD) && (flags & LINUX_CLONE_SIGHAND))
        return ERR_INVALID; /* processes that share handlers are not there */
    if ((flags & LINUX_CLONE_PIDFD) && (flags & (LINUX_CLONE_THREAD | LINUX_CLONE_DETACHED)))
        return ERR_INVALID;
    if (r->exit_signal != 0 && !signal_valid(r->exit_signal))
        return ERR_INVALID;
    if (r->tls >= USER_ADDRESS_END && (flags & LINUX_CLONE_SETTLS))
        return LINUX_ERRNO(EPERM);
    return OK;
}

/* Copies, or shares, what a new process has of its parent. */
static int fill_process(struct process *child, struct process *parent,
                        const struct clone_request *r)
{
    int result = OK;

    child->exit_signal = r->flags & LINUX_CLONE_PARENT ? parent->exit_signal : r->exit_signal;
    if (r->flags & LINUX_CLONE_VM) {
        child->mm = parent->mm;
        mm_ref(child->mm);
        child->borrowed_mm = r->flags & LINUX_CLONE_VFORK;
    } else {
        result = mm_fork(parent->mm, &child->mm);
    }
    if (result != OK)
        return result;
    if (r->flags & LINUX_CLONE_FILES) {
        child->files = parent->files;
        fd_table_ref(child->files);
    } else {
        result = fd_table_copy(parent->files, &child->files);
    }
    if (result != OK)
        return result;
    if (r->flags & LINUX_CLONE_FS) {
        child->fs = parent->fs;
        fs_context_ref(child->fs);
    } else {
        result = fs_context_copy(parent->fs, &child->fs);
    }
    if (r->flags & LINUX_CLONE_CLEAR_SIGHAND)
        signal_reset_handlers(child);
    return result;
}

static int make_process(struct call *c, const struct clone_request *r, struct process **out)
{
    struct process *self = c->task->process;
    int result = process_create(self, r->flags & LINUX_CLONE_PARENT, out);

    if (result != OK)
        return result;
    result = fill_process(*out, self, r);
    if (result == OK && (*out)->limits[LINUX_RLIMIT_CPU].current != LINUX_RLIM_INFINITY)
        result = limit_cpu_changed(*out);
    if (result != OK)
        process_abandon(*out);
    return result;
}

/* The child's task, ready to run. */
static int make_task(struct call *c, struct process *p, const struct clone_request *r,
                     struct task **out)
{
    uint64_t fs_base = r->flags & LINUX_CLONE_SETTLS ? r->tls : thread_current()->fs_base;
    struct user_regs regs = *c->regs;
    struct task *self = c->task, *t;
    int result = task_create(p, &t);

    if (result != OK)
        return result;
    t->blocked = self->blocked;
    t->nice = self->nice;
    t->sched_policy = self->sched_policy;
    if (!(r->flags & LINUX_CLONE_VM) || (r->flags & LINUX_CLONE_VFORK))
        t->alternate_stack = self->alternate_stack;
    if (r->flags & LINUX_CLONE_CHILD_CLEARTID)
        t->clear_tid = r->child_tid;
    regs.rax = 0;
    regs.vector = 0;
    if (r->stack != 0)
        regs.rsp = r->stack;
    result = task_attach_thread(t, &regs, fs_base);
    if (result != OK) {
        task_abandon(t);
        return result;
    }
    vector_copy_to(t->thread);
    thread_set_weight(t->thread, thread_current()->sched.weight);
    thread_set_affinity(t->thread, thread_current()->affinity);
    if (!(r->flags & LINUX_CLONE_VM) && self->rseq.at != 0) {
        t->rseq = self->rseq; /* its copy of the area is not right yet */
        t->thread->seen_cpu = THREAD_CPU_UNTOLD;
    }
    *out = t;
    return OK;
}

/* Writes the new number where the caller wants it; in a forked child's memory it does so itself. */
static void write_numbers(struct task *child, const struct clone_request *r)
{
    int32_t tid = child->tid;

    if (r->flags & LINUX_CLONE_PARENT_SETTID)
        user_write(r->parent_tid, &tid, sizeof(tid));
    if (!(r->flags & LINUX_CLONE_CHILD_SETTID))
        return;
    if (r->flags & LINUX_CLONE_VM)
        user_write(r->child_tid, &tid, sizeof(tid));
    else
        child->set_tid = r->child_tid;
}

/* vfork: until the child has another program or has ended. Only the caller's own end cuts it short.
 */
static void wait_for_release(struct task *self, struct process *child)
{
    while (__atomic_load_n(&child->borrowed_mm, __ATOMIC_ACQUIRE)) {
        int r = WAIT_UNTIL(&child->release_queue,
                           !__atomic_load_n(&child->borrowed_mm, __ATOMIC_ACQUIRE), TIME_NEVER,
                           WAIT_INTERRUPTIBLE);

        if (r == ERR_INTERRUPTED && task_must_exit(self))
            return;
        if (r == ERR_INTERRUPTED)
            thread_interrupt_clear();
    }
}

static void start(struct task *t)
{
    /* It has something to do before its first instruction; or somebody wanted to prod it before it
     * had a thread, and could not. */
    if (t->set_tid != 0 || signal_waits(t))
        thread_interrupt(t->thread);
    thread_start(t->thread);
}

static long clone_thread(struct call *c, const struct clone_request *r)
{
    struct task *t;
    int tid, result = make_task(c, c->task->process, r, &t);

    if (result != OK)
        return result;
    tid = t->tid;
    write_numbers(t, r);
    start(t);
    return tid;
}

/* CLONE_PIDFD: a descriptor for the new process; *fd is -1 when none is asked for. */
static int give_pidfd(struct call *c, struct process *p, const struct clone_request *r, int *fd)
{
    struct file *f;
    long result;
    int32_t number;

    *fd = -1;
    if (!(r->flags & LINUX_CLONE_PIDFD))
        return OK;
    result = pidfd_create(p, 0, &f);
    if (result == OK)
        result = file_install(c->task, f, true);
    if (result < 0)
        return (int)result;
    *fd = number = (int32_t)result;
    return user_write(r->pidfd, &number, sizeof(number)) == OK ? OK : ERR_FAULT;
}

static void take_back(struct call *c, int fd)
{
    struct file *f = fd >= 0 ? fd_take(c->task->process->files, fd) : NULL;

    if (f)
        file_unref(f);
}

static long clone_process(struct call *c, const struct clone_request *r)
{
    struct process *p;
    struct task *t;
    int fd, pid, result = make_process(c, r, &p);

    if (result != OK)
        return result;
    result = give_pidfd(c, p, r, &fd);
    if (result == OK)
        result = make_task(c, p, r, &t);
    if (result != OK) {
        take_back(c, fd);
        process_abandon(p);
        return result;
    }
    pid = p->pid;
    write_numbers(t, r);
    start(t);
    if (r->flags & LINUX_CLONE_VFORK)
        wait_for_release(c->task, p);
    process_unref(p);
    return pid;
}

struct task_count {
    uint32_t user;
    uint64_t count;
};

static void count_tasks(struct process *p, void *context)
{
    struct task_count *t = context;

    if (p->credentials.user.real == t->user)
        t->count += p->task_count;
}

/* RLIMIT_NPROC: how many threads a user has; those that may do more than others have no limit. */
static int check_count(const struct process *p)
{
    uint64_t limit = p->limits[LINUX_RLIMIT_NPROC].current;
    struct task_count t = {.user = p->credentials.user.real};

    if (limit == LINUX_RLIM_INFINITY || t.user == 0 || capable(CAP_SYS_RESOURCE) ||
        capable(CAP_SYS_ADMIN))
        return OK;
    process_for_each(count_tasks, &t);
    return t.count < limit ? OK : ERR_AGAIN;
}

static long clone_apply(struct call *c, const struct clone_request *r)
{
    int result = check_request(r);

    if (result == OK)
        result = check_count(c->task->process);
    if (result != OK)
        return result;
    return r->flags & LINUX_CLONE_THREAD ? clone_thread(c, r) : clone_process(c, r);
}

long sys_clone(struct call *c)
{
    struct clone_request r = {
        .flags = (uint32_t)c->arg[0] & ~LINUX_CLONE_SIGNAL_MASK,
        .exit_signal = (int)(c->arg[0] & LINUX_CLONE_SIGNAL_MASK),
        .stack = c->arg[1],
        .parent_tid = c->arg[2],
        .child_tid = c->arg[3],
        .pidfd = c->arg[2],
        .tls = c->arg[4],
    };

    if ((r.flags & LINUX_CLONE_PIDFD) && (r.flags & LINUX_CLONE_PARENT_SETTID))
        return ERR_INVALID; /* one place for both */
    return clone_apply(c, &r);
}

/* A caller built for a later version may only have zeroes in what we do not know. */
static int read_clone_args(vaddr_t at, uint64_t size, struct linux_clone_args *out)
{
    uint8_t extra;

    *out = (struct linux_clone_args){0};
    if (size < LINUX_CLONE_ARGS_SIZE_0)
        return ERR_INVALID;
    if (size > PAGE_SIZE)
        return LINUX_ERRNO(E2BIG);
    if (user_read(out, at, MIN(size, sizeof(*out))) != OK)
        return ERR_FAULT;
    for (uint64_t i = sizeof(*out); i < size; i++) {
        if (user_read(&extra, at + i, 1) != OK)
            return ERR_FAULT;
        if (extra != 0)
            return LINUX_ERRNO(E2BIG);
    }
    return OK;
}

long sys_clone3(struct call *c)
{
    struct linux_clone_args args;
    struct clone_request r;
    int result = read_clone_args(c->arg[0], c->arg[1], &args);

    if (result != OK)
        return result;
    if (args.set_tid_size != 0 || (args.flags & LINUX_CLONE_SIGNAL_MASK) || args.cgroup != 0 ||
        (args.stack == 0) != (args.stack_size == 0) || args.exit_signal > LINUX_SIGNALS)
        return ERR_INVALID;
    r = (struct clone_request){
        .flags = args.flags,
        .exit_signal = (int)args.exit_signal,
        .stack = args.stack + args.stack_size,
        .parent_tid = args.parent_tid,
        .child_tid = args.child_tid,
        .pidfd = args.pidfd,
        .tls = args.tls,
    };
    return clone_apply(c, &r);
}

long sys_fork(struct call *c)
{
    struct clone_request r = {.exit_signal = LINUX_SIGCHLD};

    return clone_apply(c, &r);
}

long sys_vfork(struct call *c)
{
    struct clone_request r = {.flags = LINUX_CLONE_VM | LINUX_CLONE_VFORK,
                              .exit_signal = LINUX_SIGCHLD};

    return clone_apply(c, &r);
}

long sys_set_tid_address(struct call *c)
{
    c->task->clear_tid = c->arg[0];
    return c->task->tid;
}
