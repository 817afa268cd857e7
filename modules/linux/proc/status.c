/*
 * status.c: what /proc/PID tells of a process or of one of its tasks. See proc.h.
 */
#include <microlake/cpu.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/mount.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/include/linux_text.h"
#include "modules/linux/mm/mm.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/process.h"
#include "modules/linux/tty/tty.h"

static int parent_number(const struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&process_table_lock);
    int pid = p->parent ? p->parent->pid : 0;

    spin_unlock_irqrestore(&process_table_lock, flags);
    return pid;
}

static bool is_asleep(struct process *p)
{
    uint64_t flags = spin_lock_irqsave(&p->lock);
    bool asleep = true;

    list_for_each (it, &p->tasks) {
        const struct task *t = list_entry(it, struct task, link);

        if (t->thread && t->thread->state != THREAD_BLOCKED)
            asleep = false;
    }
    spin_unlock_irqrestore(&p->lock, flags);
    return asleep;
}

static const char *state_name(struct process *p)
{
    if (p->state != PROCESS_ALIVE)
        return "Z (zombie)";
    if (p->stopped)
        return "T (stopped)";
    return is_asleep(p) ? "S (sleeping)" : "R (running)";
}

/* What differs between a process and each of its tasks. */
struct subject {
    int id;
    char name[LINUX_TASK_NAME_MAX];
    const char *state;
    struct usage usage;
};

static void subject_of_process(struct process *p, struct subject *out)
{
    out->id = p->pid;
    memcpy(out->name, p->name, sizeof(out->name));
    out->state = state_name(p);
    process_usage(p, &out->usage);
}

static int subject_of_task(const struct proc_entry *e, struct subject *out)
{
    struct task *t = proc_entry_task(e);
    const struct thread *thread = t ? t->thread : NULL;

    if (!t)
        return LINUX_ERRNO(ESRCH);
    *out = (struct subject){.id = t->tid, .state = "R (running)"};
    if (thread) {
        strlcpy(out->name, thread->name, sizeof(out->name));
        out->usage.cpu_time = thread->cpu_time;
        out->usage.switches = thread->switches;
        if (thread->state == THREAD_BLOCKED)
            out->state = e->process->stopped ? "T (stopped)" : "S (sleeping)";
    }
    task_unref(t);
    return OK;
}

/* ESRCH: the task has ended. */
static int subject_of(const struct proc_entry *e, struct subject *out)
{
    if (e->tid)
        return subject_of_task(e, out);
    subject_of_process(e->process, out);
    return OK;
}

static void add_ids(struct text *t, const char *name, const struct ids *ids)
{
    text_add(t, "%s:\t%u\t%u\t%u\t%u\n", name, ids->real, ids->effective, ids->saved, ids->files);
}

static void add_credentials(struct text *t, struct process *p)
{
    struct credentials c;
    uint64_t flags = spin_lock_irqsave(&p->lock);

    credentials_inherit(&c, &p->credentials);
    spin_unlock_irqrestore(&p->lock, flags);
    add_ids(t, "Uid", &c.user);
    add_ids(t, "Gid", &c.group);
    text_add(t, "Groups:\t");
    for (uint32_t i = 0; c.more && i < c.more->count; i++)
        text_add(t, "%u ", c.more->groups[i]);
    text_add(t, "\nCapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n",
             (unsigned long long)c.inheritable, (unsigned long long)c.permitted,
             (unsigned long long)c.effective);
    text_add(t, "CapBnd:\t%016llx\nCapAmb:\t%016llx\nNoNewPrivs:\t%u\n",
             (unsigned long long)c.bounding, (unsigned long long)c.ambient, c.no_new_privileges);
    credentials_drop(&c);
}

static void add_memory(struct text *t, const char *name, uint64_t bytes)
{
    text_add(t, "%s:\t%8llu kB\n", name, (unsigned long long)(bytes / 1024));
}

static void add_memory_figures(struct text *t, struct process *p)
{
    struct proc_memory m;

    proc_memory_of(p, &m);
    add_memory(t, "VmPeak", m.stats.mapped);
    add_memory(t, "VmSize", m.stats.mapped);
    add_memory(t, "VmLck", m.locked);
    add_memory(t, "VmHWM", m.stats.most);
    add_memory(t, "VmRSS", m.stats.resident);
    add_memory(t, "VmData", m.data);
    add_memory(t, "VmStk", m.stack);
    add_memory(t, "VmExe", m.program);
    add_memory(t, "VmLib", m.libraries);
    add_memory(t, "VmSwap", 0);
}

/* What the process's signals are set to; of one of its tasks what that blocks. */
struct signal_sets {
    uint64_t pending, shared, blocked, ignored, caught;
};

static const struct task *task_locked(const struct process *p, int tid)
{
    list_for_each (it, &p->tasks) {
        const struct task *t = list_entry(it, struct task, link);

        if (tid == 0 || t->tid == tid)
            return t;
    }
    return NULL;
}

static void signal_sets_of(const struct proc_entry *e, struct signal_sets *out)
{
    struct process *p = e->process;
    uint64_t flags = spin_lock_irqsave(&p->lock);
    const struct task *t = task_locked(p, e->tid);

    *out = (struct signal_sets){.shared = p->pending.set};
    if (t) {
        out->pending = t->pending.set;
        out->blocked = t->blocked;
    }
    for (int i = 1; i <= LINUX_SIGNALS; i++) {
        uint64_t handler = p->actions[i - 1].handler;

        if (handler == LINUX_SIG_IGN)
            out->ignored |= signal_bit(i);
        else if (handler != LINUX_SIG_DFL)
            out->caught |= signal_bit(i);
    }
    spin_unlock_irqrestore(&p->lock, flags);
}

static void add_signals(struct text *t, const struct proc_entry *e)
{
    struct signal_sets s;

    signal_sets_of(e, &s);
    text_add(t, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n",
             (unsigned long long)s.pending, (unsigned long long)s.shared,
             (unsigned long long)s.blocked);
    text_add(t, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", (unsigned long long)s.ignored,
             (unsigned long long)s.caught);
}

/* At least `digits` digits. */
static void add_octal(struct text *t, const char *name, uint32_t value, unsigned digits)
{
    while (digits * 3 < 32 && value >> digits * 3)
        digits++;
    text_add(t, "%s", name);
    while (digits-- > 0)
        text_add(t, "%u", value >> digits * 3 & 7);
    text_add(t, "\n");
}

static void add_cpus(struct text *t, const struct proc_entry *e)
{
    struct task *task = proc_entry_task(e);
    uint64_t all = cpu_count() < 64 ? (1ull << cpu_count()) - 1 : ~0ull;
    uint64_t allowed = task && task->thread ? task->thread->affinity & all : all;
    const char *comma = "";

    if (task)
        task_unref(task);
    text_add(t, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", (unsigned long long)allowed);
    for (unsigned i = 0; i < cpu_count(); i++) {
        unsigned last = i;

        if (!(allowed >> i & 1))
            continue;
        while (last + 1 < cpu_count() && (allowed >> (last + 1) & 1))
            last++;
        text_add(t, last > i ? "%s%u-%u" : "%s%u", comma, i, last);
        comma = ",";
        i = last;
    }
    text_add(t, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

static uint32_t mask_of(struct process *p)
{
    struct fs_context *fs = process_fs(p);
    uint32_t mask = fs ? fs->mask : 0;

    if (fs)
        fs_context_unref(fs);
    return mask;
}

static long show_status(void *context, char *out, size_t size)
{
    const struct proc_entry *e = context;
    struct process *p = e->process;
    struct text t = {out, size, 0};
    struct subject s;
    int r = subject_of(e, &s);

    if (r != OK)
        return r;
    text_add(&t, "Name:\t%s\n", s.name);
    add_octal(&t, "Umask:\t", mask_of(p), 4);
    text_add(&t, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\n", s.state, p->pid, s.id);
    text_add(&t, "PPid:\t%d\nTracerPid:\t0\n", parent_number(p));
    add_credentials(&t, p);
    add_memory_figures(&t, p);
    text_add(&t, "Threads:\t%u\n", p->task_count);
    add_signals(&t, e);
    text_add(&t, "Seccomp:\t0\n");
    add_cpus(&t, e);
    text_add(&t, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t0\n",
             (unsigned long long)s.usage.switches);
    return text_length(&t);
}

static long show_stat(void *context, char *out, size_t size)
{
    const uint64_t tick = NS_PER_SEC / LINUX_TICKS_PER_SECOND;
    const struct proc_entry *e = context;
    struct process *p = e->process;
    struct text t = {out, size, 0};
    struct proc_memory memory;
    struct signal_sets signals;
    struct subject s;
    uint32_t terminal;
    int foreground, r = subject_of(e, &s);

    if (r != OK)
        return r;
    proc_memory_of(p, &memory);
    signal_sets_of(e, &signals);
    control_describe(p, &terminal, &foreground);
    text_add(&t, "%d (%s) %c %d %d %d %u %d 0 %llu %llu 0 0 ", s.id, s.name, *s.state,
             parent_number(p), p->group, p->session, terminal, foreground,
             (unsigned long long)s.usage.faults, (unsigned long long)p->children_usage.faults);
    text_add(&t, "%llu 0 %llu 0 20 0 %u 0 %llu %llu %llu", /* times, threads, start, sizes */
             (unsigned long long)(s.usage.cpu_time / tick),
             (unsigned long long)(p->children_usage.cpu_time / tick), p->task_count,
             (unsigned long long)(p->start_time / tick), (unsigned long long)memory.stats.mapped,
             (unsigned long long)(memory.stats.resident / PAGE_SIZE));
    text_add(&t, " %llu 1 1 0 0 0 %llu %llu %llu %llu 0 0 0 %d 0", /* limit, signals, end */
             (unsigned long long)LINUX_RLIM_INFINITY,
             (unsigned long long)(signals.pending & INT32_MAX),
             (unsigned long long)(signals.blocked & INT32_MAX),
             (unsigned long long)(signals.ignored & INT32_MAX),
             (unsigned long long)(signals.caught & INT32_MAX), p->exit_signal);
    for (unsigned i = 0; i < 13; i++)
        text_add(&t, " 0");
    text_add(&t, "\n");
    return text_length(&t);
}

static long show_comm(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct subject s;
    int r = subject_of(context, &s);

    if (r != OK)
        return r;
    text_add(&t, "%s\n", s.name);
    return text_length(&t);
}

/* A process may name its own tasks. */
static int store_comm(void *context, const char *text, size_t size)
{
    const struct proc_entry *e = context;
    struct task *t;

    if (task_current()->process != e->process)
        return ERR_INVALID;
    t = proc_entry_task(e);
    if (!t)
        return LINUX_ERRNO(ESRCH);
    if (size > 0 && text[size - 1] == '\n')
        size--;
    task_set_name(t, text, size);
    task_unref(t);
    return OK;
}

/* Strings that lie in another process's memory, read through its pages without changing them. */
static long copy_strings(struct mm *mm, vaddr_t from, vaddr_t to, char *out, size_t size)
{
    size_t total = to - from;

    for (size_t done = 0; done < MIN(total, size);) {
        struct aspace_mapping m;
        vaddr_t at = from + done;
        size_t n = MIN(MIN(total, size) - done, PAGE_SIZE - (at & PAGE_MASK));

        int r = ERR_FAULT;

        if (aspace_find_ref(mm->as, at, &m) != OK)
            return (long)done;
        if (m.obj && m.start <= at)
            r = memobj_read(m.obj, m.offset + (at - m.start), out + done, n);
        if (m.obj)
            memobj_unref(m.obj);
        if (r != OK)
            return (long)done;
        done += n;
    }
    return (long)total;
}

static long show_cmdline(void *context, char *out, size_t size)
{
    const struct proc_entry *e = context;
    struct mm *mm = process_mm(e->process);
    long r;

    if (!mm)
        return 0;
    r = copy_strings(mm, mm->arguments, mm->arguments_end, out, size);
    mm_unref(mm);
    return r;
}

static long show_environ(void *context, char *out, size_t size)
{
    const struct proc_entry *e = context;
    struct mm *mm = process_mm(e->process);
    long r;

    if (!mm)
        return 0;
    r = copy_strings(mm, mm->arguments_end, mm->environment_end, out, size);
    mm_unref(mm);
    return r;
}

static long show_mounts(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    mounts_show(&t);
    return text_length(&t);
}

static long show_mountinfo(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    mounts_show_info(&t);
    return text_length(&t);
}

static long show_text(char *out, size_t size, const char *text)
{
    struct text t = {out, size, 0};

    text_add(&t, "%s", text);
    return text_length(&t);
}

/* One group of all. */
static long show_cgroup(void *context, char *out, size_t size)
{
    (void)context;
    return show_text(out, size, "0::/\n");
}

/* One user namespace: numbers mean themselves. */
static long show_uid_map(void *context, char *out, size_t size)
{
    (void)context;
    return show_text(out, size, "         0          0 4294967295\n");
}

static long show_setgroups(void *context, char *out, size_t size)
{
    (void)context;
    return show_text(out, size, "allow\n");
}

static long show_fdinfo(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct file *f;
    int r = proc_entry_file(context, &f);

    if (r != OK)
        return r;
    text_add(&t, "pos:\t%llu\n",
             (unsigned long long)__atomic_load_n(&f->offset, __ATOMIC_RELAXED));
    add_octal(&t, "flags:\t", f->flags, 3);
    text_add(&t, "mnt_id:\t%u\nino:\t%llu\n", f->node ? f->node->fs->id : 0u, (unsigned long long)(f->node ? node_body(f->node)->number : 0u));
    file_unref(f);
    return text_length(&t);
}

static long show_oom_score_adj(void *context, char *out, size_t size)
{
    const struct proc_entry *e = context;
    struct text t = {out, size, 0};

    text_add(&t, "%d\n", __atomic_load_n(&e->process->oom_adjustment, __ATOMIC_RELAXED));
    return text_length(&t);
}

static bool parse_number(const char *text, int *out)
{
    bool negative = *text == '-';
    int n = 0;

    text += negative;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (n > OOM_ADJUSTMENT_MAX)
            return false;
        n = n * 10 + (*text - '0');
    }
    *out = negative ? -n : n;
    return *text == '\0' || *text == '\n';
}

/* Who may not raise priorities may only make an end more likely. */
static int store_oom_score_adj(void *context, const char *text, size_t size)
{
    const struct proc_entry *e = context;
    struct process *p = e->process;
    int n = 0;

    (void)size;
    if (!proc_may_look(e))
        return ERR_ACCESS;
    if (!parse_number(text, &n) || n < -OOM_ADJUSTMENT_MAX || n > OOM_ADJUSTMENT_MAX)
        return ERR_INVALID;
    if (n < p->oom_adjustment && !capable(CAP_SYS_RESOURCE))
        return ERR_ACCESS;
    __atomic_store_n(&p->oom_adjustment, n, __ATOMIC_RELAXED);
    return OK;
}

const struct linux_pseudo_ops proc_status = {.show = show_status};
const struct linux_pseudo_ops proc_stat = {.show = show_stat};
const struct linux_pseudo_ops proc_comm = {.show = show_comm, .store = store_comm};
const struct linux_pseudo_ops proc_cmdline = {.show = show_cmdline};
const struct linux_pseudo_ops proc_environ = {.show = show_environ};
const struct linux_pseudo_ops proc_mounts = {.show = show_mounts};
const struct linux_pseudo_ops proc_mountinfo = {.show = show_mountinfo};
const struct linux_pseudo_ops proc_cgroup = {.show = show_cgroup};
const struct linux_pseudo_ops proc_uid_map = {.show = show_uid_map};
const struct linux_pseudo_ops proc_setgroups = {.show = show_setgroups};
const struct linux_pseudo_ops proc_fdinfo = {.show = show_fdinfo};
const struct linux_pseudo_ops proc_oom_score_adj = {
    .show = show_oom_score_adj, .store = store_oom_score_adj};
