/*
 * credentials.h: who a process acts for, and what it may do: user and group numbers, further
 * groups, capabilities.
 *
 * All tasks of a process have the same ones (Linux gives each thread its own, and C libraries go to
 * lengths to keep them equal). p->lock guards changes; the process's own tasks may read single
 * words without it, but not the set of groups.
 */
#pragma once

#include <microlake/types.h>

struct process;
struct task;

enum capability {
    CAP_CHOWN = 0,
    CAP_DAC_OVERRIDE = 1,
    CAP_DAC_READ_SEARCH = 2,
    CAP_FOWNER = 3,
    CAP_FSETID = 4,
    CAP_KILL = 5,
    CAP_SETGID = 6,
    CAP_SETUID = 7,
    CAP_SETPCAP = 8,
    CAP_IPC_LOCK = 14,
    CAP_SYS_MODULE = 16,
    CAP_SYS_CHROOT = 18,
    CAP_SYS_ADMIN = 21,
    CAP_SYS_NICE = 23,
    CAP_SYS_RESOURCE = 24,
    CAP_SYS_TIME = 25,
    CAP_MKNOD = 27,
    CAP_LAST = 40,
};
#define CAP_BIT(c) (1ull << (c))
#define CAP_ALL    (CAP_BIT(CAP_LAST + 1) - 1)

/* The kinds of numbers: of users and of groups alike. */
struct ids {
    uint32_t real, effective, saved, files;
};

/* The groups besides the effective one; shared by processes, never changed. */
struct group_set {
    uint32_t refs, count;
    uint32_t groups[];
};

struct credentials {
    struct ids user, group;
    struct group_set *more;                                        /* a reference; NULL: none */
    uint64_t permitted, effective, inheritable, bounding, ambient; /* sets of CAP_BIT() */
    bool keep;                                                     /* PR_SET_KEEPCAPS */
    bool no_new_privileges;
};

/* What the first process has: everything. */
void credentials_init(struct credentials *c);

/* A copy for a child; the maker's lock is held. */
void credentials_inherit(struct credentials *to, const struct credentials *from);
void credentials_drop(struct credentials *c);

/* The calling process may do what takes that capability. */
bool capable(enum capability c);

/* The caller's file group, or one of its further groups, is this one. */
bool credentials_in_group(struct process *p, uint32_t group);

/* May `self` send a signal to p? Any lock but the processes' own may be held. */
bool credentials_may_signal(struct process *self, struct process *p, int signal);

/* p acts for the same user and group as self and for nobody else, or self may do as it likes. */
bool credentials_same_user(struct process *self, struct process *p);

/* What a program of this mode and owner gets at exec when *now is what its process has; changes
 * *now. Returns true when the program must not trust its caller (AT_SECURE). */
bool credentials_exec(struct credentials *now, uint32_t mode, uint32_t uid, uint32_t gid);

struct call;

/* prctl() commands about credentials; false: it is none of them. */
bool credentials_prctl(struct call *c, long *result);
