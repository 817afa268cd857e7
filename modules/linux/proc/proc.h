/*
 * proc.h: /proc, and what /sys tells of the machine.
 *
 *     entry.c    the nodes of /proc/PID: each lives only while it is used and holds its process
 *     process.c  the folders: /proc itself, PID, task, fd, fdinfo
 *     links.c    exe, cwd, root, fd/N
 *     status.c   status, stat, comm and other texts about a process
 *     memory.c   maps, smaps, statm and the figures that others repeat
 *     machine.c  files about the machine, made when somebody first looks into /proc or /sys
 *     cpu.c      cpuinfo, and the processors in /sys
 *
 * Thread context throughout.
 */
#pragma once

#include <microlake/aspace.h>

#include "modules/linux/include/linux_dev.h"

struct file;
struct file_system;
struct node;
struct node_ops;
struct process;
struct task;

/* ---- entry.c ---- */

extern const struct file_system proc_fs;

/* A node's data, and the context of its text: what it is about. */
struct proc_entry {
    struct process *process; /* a reference */
    int tid;                 /* the task in it; 0: the process as a whole */
    int fd;                  /* the descriptor, of nodes in fd and fdinfo */
    bool private;            /* it shows the inside of the process: not to everybody */
    const struct linux_pseudo_ops *ops;
};

/* A node about what `about` is about, or, where that is NULL, about p. The rest of its data is to
 * be set by the caller, who owns the reference. ERR_NO_MEMORY. */
int proc_entry_create(struct node *folder, const char *name, uint32_t mode,
                      const struct node_ops *ops, struct process *p,
                      const struct proc_entry *about, struct node **out);
void proc_entry_release(struct node *n);

/* May the caller see what is private of the entry's process? */
bool proc_may_look(const struct proc_entry *e);

/* The entry's task, or the process's first: a reference. NULL: it has ended. */
struct task *proc_entry_task(const struct proc_entry *e);

/* The open file behind the entry's descriptor, a reference, for who may look at it. ERR_ACCESS,
 * ERR_NOT_FOUND. */
int proc_entry_file(const struct proc_entry *e, struct file **out);

extern const struct node_ops proc_text_ops;

/* ---- links.c ---- */

extern const struct node_ops proc_exe_ops, proc_cwd_ops, proc_root_ops, proc_fd_ops;

/* ---- status.c: texts whose context is an entry ---- */

extern const struct linux_pseudo_ops proc_status, proc_stat, proc_comm, proc_cmdline, proc_environ,
    proc_mounts, proc_mountinfo, proc_cgroup, proc_oom_score_adj, proc_uid_map, proc_setgroups,
    proc_fdinfo;

/* ---- memory.c: the same ---- */

extern const struct linux_pseudo_ops proc_maps, proc_smaps, proc_smaps_rollup, proc_statm,
    proc_limits;

/* Bytes of address space by what they are for. */
struct proc_memory {
    struct aspace_stats stats;
    uint64_t data, stack, program, libraries, shared, locked;
};
void proc_memory_of(struct process *p, struct proc_memory *out);

/* ---- process.c ---- */

/* Makes /proc itself, whose lookup knows "self" and the numbers. */
int proc_init(void);

/* The process whose folder in /proc a node is, a reference; NULL: it is something else. */
struct process *proc_process_of(const struct node *folder);

/* ---- machine.c, cpu.c ---- */

/* Registers the files about the machine. */
int proc_machine_register(void);

/* What machine.c registers for the processors. */
int proc_cpu_register(void);
extern const struct linux_pseudo_ops proc_cpuinfo;

/* Shows the text that is its context, and a newline. */
extern const struct linux_pseudo_ops proc_constant;
