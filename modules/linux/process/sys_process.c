/*
 * sys_process.c: calls about who a process is: numbers, prctl. Groups and sessions are job.c's, users
 * credentials.c's, limits limits.c's.
 */
#include <microlake/memory.h>
#include <microlake/user.h>

#include "modules/linux/process/process.h"
#include "modules/linux/syscall.h"

long sys_getpid(struct call *c)
{
    return c->task->process->pid;
}

long sys_gettid(struct call *c)
{
    return c->task->tid;
}

long sys_getppid(struct call *c)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    const struct process *parent = c->task->process->parent;
    int pid = parent ? parent->pid : 0;

    spin_unlock_irqrestore(&process_table_lock, flags);
    return pid;
}

/* Programs are Linux programs, and nothing else. */
long sys_personality(struct call *c)
{
    uint32_t asked = (uint32_t)c->arg[0];

    return asked == 0 || asked == UINT32_MAX ? 0 : ERR_INVALID;
}

void task_set_name(struct task *t, const char *text, size_t size)
{
    struct process *p = t->process;
    uint64_t flags;

    size = MIN(size, LINUX_TASK_NAME_MAX - 1u);
    flags = spin_lock_irqsave(&p->lock);
    memcpy(t->thread->name, text, size);
    t->thread->name[size] = '\0';
    if (t->tid == p->pid)
        memcpy(p->name, t->thread->name, size + 1);
    spin_unlock_irqrestore(&p->lock, flags);
}

static long set_name(struct task *t, vaddr_t at)
{
    char name[LINUX_TASK_NAME_MAX];
    long n = user_read_string(name, at, sizeof(name));

    if (n == ERR_FAULT)
        return n;
    name[LINUX_TASK_NAME_MAX - 1] = '\0';
    task_set_name(t, name, strlen(name));
    return 0;
}

static long get_name(struct task *t, vaddr_t at)
{
    char name[LINUX_TASK_NAME_MAX] = {0};

    strlcpy(name, t->thread->name, sizeof(name));
    return user_write(at, name, sizeof(name));
}

/* What has an effect at once, or none in this kernel. */
static long prctl_simple(struct call *c)
{
    struct process *p = c->task->process;
    int32_t value;

    switch ((int)c->arg[0]) {
    case LINUX_PR_SET_NAME:
        return set_name(c->task, c->arg[1]);
    case LINUX_PR_GET_NAME:
        return get_name(c->task, c->arg[1]);
    case LINUX_PR_GET_DUMPABLE: /* nobody can attach to or dump a program */
        return p->dumpable;
    case LINUX_PR_SET_DUMPABLE:
        if (c->arg[1] > 1)
            return ERR_INVALID;
        p->dumpable = c->arg[1];
        return 0;
    case LINUX_PR_SET_PDEATHSIG:
        if (c->arg[1] != 0 && !signal_valid((int)c->arg[1]))
            return ERR_INVALID;
        p->death_signal = (int)c->arg[1];
        return 0;
    case LINUX_PR_GET_PDEATHSIG:
        value = p->death_signal;
        return user_write(c->arg[1], &value, sizeof(value));
    case LINUX_PR_SET_CHILD_SUBREAPER:
        p->subreaper = c->arg[1] != 0;
        return 0;
    case LINUX_PR_GET_CHILD_SUBREAPER:
        value = p->subreaper;
        return user_write(c->arg[1], &value, sizeof(value));
    case LINUX_PR_SET_TIMERSLACK:
        return 0;
    case LINUX_PR_GET_TIMERSLACK:
        return 1;
    case LINUX_PR_GET_THP_DISABLE:
        return 0;
    default:
        return ERR_INVALID;
    }
}

long sys_prctl(struct call *c)
{
    long result;

    return credentials_prctl(c, &result) ? result : prctl_simple(c);
}

long sys_arch_prctl(struct call *c)
{
    uint64_t base;

    switch ((int)c->arg[0]) {
    case LINUX_ARCH_SET_FS:
        if (c->arg[1] >= USER_ADDRESS_END)
            return LINUX_ERRNO(EPERM);
        thread_set_fs_base(c->arg[1]);
        return 0;
    case LINUX_ARCH_GET_FS:
        base = c->task->thread->fs_base;
        return user_write(c->arg[1], &base, sizeof(base));
    case LINUX_ARCH_GET_GS:
        base = c->task->thread->gs_base;
        return user_write(c->arg[1], &base, sizeof(base));
    default:
        return ERR_INVALID;
    }
}
