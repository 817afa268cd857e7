/*
 * mm.h: the memory of a process: its address space and where its parts lie.
 */
#pragma once

#include <microlake/aspace.h>
#include <microlake/types.h>
#include <microlake/wait.h>

struct node;

struct mm {
    uint32_t refs; /* processes that use it, and whoever looks at it */
    struct aspace *as;
    struct mutex lock;          /* one call that changes the layout at a time */
    vaddr_t brk_start, brk_end; /* guarded by lock */
    bool lock_future;           /* mlockall(): what is mapped from now on is locked */

    vaddr_t hand;  /* where trim.c goes on; atomic */
    uint64_t owed; /* pages that it could not take; atomic */

    unsigned barriers; /* LINUX_MEMBARRIER_REGISTER_...; atomic */

    /* set by exec, then constant */
    vaddr_t stack_start, stack_end;
    vaddr_t vdso; /* the kernel's shared object in it */
    vaddr_t arguments, arguments_end; /* strings of the command line */
    vaddr_t environment_end;          /* strings of the environment lie behind them */
    struct node *program;             /* a reference */
};

/* A fresh address space with nothing in it. ERR_NO_MEMORY. */
int mm_create(struct mm **out);

/* A copy for fork. ERR_NO_MEMORY. */
int mm_fork(struct mm *mm, struct mm **out);

void mm_ref(struct mm *mm);
void mm_unref(struct mm *mm);

/* Finds room for length bytes (a multiple of PAGE_SIZE) and keeps it, inaccessible. */
int mm_reserve(struct mm *mm, uint64_t length, vaddr_t *out);

/* A range as programs give it, to whole pages; false: it makes no sense. */
bool mm_decode_range(vaddr_t at, uint64_t size, uint64_t *length);

/* Every page of the range belongs to a mapping. */
bool mm_range_is_mapped(struct aspace *as, vaddr_t at, vaddr_t end);

/* A random number of pages below 2^bits, in bytes. */
uint64_t mm_random_pages(unsigned bits);

/* mm/oom.c: the task needs a page and there is none: somebody ends, maybe the task's own process.
 * Returns when it is worth trying again, or the task is to end. Thread context; mutexes may be held:
 * who waits for them can't end, and another is chosen. */
struct task;
void oom_relieve(struct task *t);

/* mm/futex.c */
void futex_init(void);
void futex_wake_address(struct mm *mm, vaddr_t at, unsigned count);

/* Marks the robust futexes a task dies with. */
void futex_exit_robust_list(struct task *t);
