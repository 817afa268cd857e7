/*
 * process.h: processes and their threads ("tasks"), and where they are found.
 *
 * A process is alive while it has tasks, a zombie until its parent has taken note of it, and freed
 * with its last reference. References are held by: the table of processes (until it is reaped),
 * each task, and whoever looked it up. A task is referenced by its thread and by the table until it
 * ends.
 *
 * Locks, in the order in which they are taken:
 *   process_table_lock   family ties, both id tables, process state
 *   process->lock        tasks of a process, its signals
 * Both are taken with interrupts off, because timers send signals.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>
#include <microlake/types.h>
#include <microlake/wait.h>

#include "modules/linux/abi/process.h"
#include "modules/linux/abi/signal.h"
#include "modules/linux/include/linux_dev.h"
#include "modules/linux/process/credentials.h"
#include "modules/linux/process/rseq.h"
#include "modules/linux/signal/signal.h"
#include "modules/linux/time/usage.h"

struct mm;
struct fd_table;
struct fs_context;

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE, PROCESS_REAPED };

struct process {
    uint32_t refs;
    int pid;

    /* guarded by process_table_lock */
    enum process_state state;
    struct process *parent; /* not a reference: a child is moved away before its parent goes */
    struct list children;
    struct list sibling;
    struct list id_link;
    int group, session;
    bool executed;  /* it has done an exec: its parent can't move it to another group any more */
    bool detached;  /* it has given up its session's terminal */
    bool stranded;  /* its group is orphaned and stands still; see job.c */
    int hung_group; /* a leader's: the foreground of the terminal it has lost; 0: none */

    struct spinlock lock;
    /* guarded by lock */
    struct list tasks;
    unsigned task_count;
    bool exiting;           /* all tasks are to end with exit_status */
    struct task *exec_task; /* all others are to end; NULL: none execs */
    struct signal_queue pending;
    struct linux_sigaction actions[LINUX_SIGNALS]; /* [signal - 1] */
    bool stopped;                                  /* tasks wait in stop_queue */
    int stop_signal;                               /* not yet told to the parent; 0: told */
    bool continued;                                /* not yet told to the parent */
    struct linux_rlimit limits[LINUX_RLIMIT_COUNT];
    char name[LINUX_TASK_NAME_MAX];
    struct credentials credentials;
    uint64_t policies[POLICY_CLASSES_MAX]; /* linux_policy_set(); 0: the machine's */

    int death_signal; /* what it gets when its parent ends; 0: nothing */
    bool dumpable;
    int oom_adjustment; /* -1000 to 1000: thousandths of all memory that it seems to use more; atomic */
    bool subreaper; /* it inherits the orphans among its descendants */

    int exit_status; /* as wait4() reports it; set once, under lock */
    int exit_signal; /* what the parent gets at the end; 0: nothing */

    /* Changed only by the one task that is left during exec and exit; read by its tasks, and by
     * others under lock. */
    struct mm *mm;
    struct fd_table *files;
    struct fs_context *fs;

    bool borrowed_mm;                /* vfork: the parent waits until it is given back */
    struct wait_queue release_queue; /* woken when borrowed_mm becomes false */
    struct wait_queue child_queue;   /* woken when a child changes state */
    struct wait_queue stop_queue;    /* woken when stopped becomes false, or all are to end */
    struct wait_queue tasks_queue;   /* woken when a task has left */
    struct linux_poll_source end_source; /* for poll(): notified when it has ended */

    uint64_t start_time;
    struct usage gone;            /* of tasks that have ended and memory given back; guarded by lock */
    struct usage children_usage;  /* of children reaped; guarded by process_table_lock */
    struct interval_timer *timers[LINUX_ITIMER_KINDS]; /* made when first used; guarded by lock */
    struct cpu_limit *cpu_limit; /* made when RLIMIT_CPU is first set; guarded by lock */
};

struct task {
    uint32_t refs;
    int tid;
    struct process *process; /* a reference */
    struct thread *thread;   /* a reference; NULL until it is started */
    struct list link;        /* process->lock */
    struct list id_link;     /* process_table_lock */

    /* signals: guarded by process->lock; the task itself may read `blocked` without */
    struct signal_queue pending;
    uint64_t blocked;
    uint64_t awaited; /* sigtimedwait: these interrupt although blocked */

    /* the task's own */
    uint64_t saved_blocked; /* mask to go back to when restore_blocked */
    bool restore_blocked;
    struct linux_stack alternate_stack;
    vaddr_t clear_tid; /* zeroed and woken at the end; 0: none */
    vaddr_t set_tid;   /* a new task writes its number here before it starts; 0: nowhere */
    vaddr_t robust_list;
    struct rseq rseq;
    bool leaving;       /* it is in task_exit(): what it still does is to be done */
    bool announced;     /* the host is told when it starts: the machine's first program */
    uint64_t sleep_due; /* when the sleep that is restarted ends; 0: none */
    int nice;
    int sched_policy; /* LINUX_SCHED_*: what was asked for */
    uint8_t *window; /* the buffer behind fs/window.h's addresses; NULL: none */
    size_t window_size;
};

static inline struct task *task_current(void)
{
    return thread_current()->personality;
}

/* ---- Making ------------------------------------------------------------------------------------
 */

/* A process without tasks, in the table. It inherits limits, name, group, session and signal
 * actions of its maker (NULL: the first one, which has none), and is its child, or its sibling when
 * asked to be that and the maker has a parent. The caller owns the reference. ERR_NO_MEMORY. */
int process_create(struct process *maker, bool sibling, struct process **out);

/* Takes back what process_create() made and no task has entered. */
void process_abandon(struct process *p);

/* A task of p, in the table, without a thread. its tid is p->pid when p has no task yet.
 * ERR_NO_MEMORY; ERR_AGAIN when p is ending. */
int task_create(struct process *p, struct task **out);

/* Gives the task its thread (with regs and FS base) but does not start it. ERR_NO_MEMORY. */
int task_attach_thread(struct task *t, const struct user_regs *regs, uint64_t fs_base);

/* Takes back a task that was never started. */
void task_abandon(struct task *t);

/* ---- Looking up: the result is a reference, or NULL
 * ---------------------------------------------- */

struct process *process_find(int pid);
int process_last_id(void); /* the number that was given last, to a process or a task */
struct task *task_find(int tid);
void process_ref(struct process *p);
void process_unref(struct process *p);
void task_ref(struct task *t);

/* Names a task that has its thread, and with its first task the process. A long name is cut. */
void task_set_name(struct task *t, const char *text, size_t size);
void task_unref(struct task *t);

/* Calls fn for every process in the table, under process_table_lock: fn must not sleep. */
void process_for_each(void (*fn)(struct process *p, void *context), void *context);
void process_for_each_locked(void (*fn)(struct process *p, void *context), void *context);

/* The living process with the next higher number. Nothing is allocated. */
struct process *process_next(int after);

/* Takes a process's mm / files / fs with a reference of the caller's own; NULL when it is ending.
 */
struct mm *process_mm(struct process *p);
struct fd_table *process_files(struct process *p);
struct fs_context *process_fs(struct process *p);

/* ---- Ending
 * -------------------------------------------------------------------------------------- */

/* Ends the calling task; with the last one the process ends. status as wait4() reports it. */
void task_exit(struct task *t, int status) __noreturn;

/* Ends the whole process of the calling task. */
void process_exit(struct task *t, int status) __noreturn;

/* Makes all other tasks of the process end. false: the process is ending, so must the caller. */
bool process_end_other_tasks(struct task *t);

/* The task is to end now (exit_group, exec by another task, a deadly signal). Any lock state. */
bool task_must_exit(const struct task *t);

/* Gives a vfork parent its address space back. */
void process_release_mm(struct process *p);

/* Tells the parent that p stopped or continued. Takes process_table_lock. */
void process_notify_parent(struct process *p, int code, int status);

/* ns on CPUs of all its tasks, ended ones included. */
uint64_t process_cpu_time(struct process *p);

#define OOM_ADJUSTMENT_MAX 1000 /* one's memory seems to be all there is; -1000: it is never chosen */

/* Objects alive, to see that nothing leaks. */
struct process_counts {
    uint32_t processes, tasks;
    uint32_t memories, tables; /* struct mm, struct fd_table */
};
extern struct process_counts process_counts;

extern struct spinlock process_table_lock;

int process_init(void);

static inline int status_of_exit(unsigned code)
{
    return (int)(code & 0xff) << 8;
}

static inline int status_of_signal(int signal)
{
    return signal;
}
