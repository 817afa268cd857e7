/*
 * calls.c: one call with arguments of its row's kinds, and what keeps the run going: nothing reaches
 * the watcher or ends the machine, and births are counted.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define WATCHER 1
#define CHILD_CALLS 30u

static bool watcher_or_all(uint64_t pid)
{
    return (int32_t)pid == WATCHER || (int32_t)pid == -1;
}

/* Calls that name a process must not name the watcher. */
static void spare_watcher(uint16_t number, uint64_t *a)
{
    uint64_t self = (uint64_t)CALL(SYS_getpid);

    switch (number) {
    case SYS_tgkill:
    case SYS_rt_tgsigqueueinfo:
    case SYS_setpriority:
        if (watcher_or_all(a[1]))
            a[1] = self;
        if (number == SYS_setpriority && (int32_t)a[0] == PRIO_USER)
            a[0] = PRIO_PROCESS;
        if (watcher_or_all(a[0]) && number != SYS_setpriority)
            a[0] = self;
        return;
    case SYS_kill:
    case SYS_tkill:
    case SYS_rt_sigqueueinfo:
    case SYS_sched_setaffinity:
    case SYS_sched_setscheduler:
    case SYS_sched_setparam:
    case SYS_sched_setattr:
    case SYS_prlimit64:
    case SYS_pidfd_open:
    case SYS_process_vm_writev:
        if (watcher_or_all(a[0]))
            a[0] = self;
        return;
    case SYS_ptrace:
        a[1] = self;
        return;
    }
}

/* No call takes all memory: that is another test's. And the kick goes on. */
static void spare_memory(uint16_t number, uint64_t *a)
{
    if (number == SYS_mmap && a[1] > RACE_PAGES * PAGE)
        a[3] &= ~(uint64_t)(MAP_POPULATE | MAP_LOCKED);
    if (number == SYS_rt_sigaction && (int32_t)a[0] == SIGUSR1)
        a[0] = SIGURG;
    if (number == SYS_rt_sigaction && (int32_t)a[0] == SIGUSR2)
        a[0] = SIGPIPE;
}

/* Makes a child or a thread; the new one makes some calls of its own or ends at once. */
static void child_live(void *context)
{
    struct fuzzer *maker = context, z = *maker;

    z.random = random_next(maker) ^ (uint64_t)CALL(SYS_gettid);
    z.births = 0;
    for (unsigned i = 0; i < CHILD_CALLS; i++)
        call_make(&z);
}

/* Memory that is shared with the maker: a new one must not live on its maker's stack. */
static bool shares_stack(uint16_t number, const uint64_t *a)
{
    if (number == SYS_clone)
        return (a[0] & CLONE_VM) && a[1] == 0;
    return number == SYS_vfork || number == SYS_clone3;
}

static long birth_make(struct fuzzer *z, uint16_t number, uint64_t *a)
{
    bool live = one_in(z, 2) && !shares_stack(number, a);

    if (z->births == 0)
        return -1;
    z->births--;
    if (number == SYS_clone && one_in(z, 2) && (a[0] & CLONE_VM))
        a[1] = STACKS + z->thread * STACK_SIZE + STACK_SIZE / 2 - below(z, 64);
    else if (number == SYS_clone && !(a[0] & CLONE_VM) && !one_in(z, 8))
        a[1] = 0;
    live = live && !(number == SYS_clone && shares_stack(number, a));
    return call_twice(number, a, live ? child_live : NULL, z);
}

/* A frame that never was. */
static void frame_return(struct fuzzer *z)
{
    uint64_t frame[110];

    for (unsigned i = 0; i < 110; i++)
        frame[i] = one_in(z, 3) ? value_pointer(z) : one_in(z, 2) ? 0 : value_number(z);
    if (one_in(z, 2))
        frame[21] = (uint64_t)(uintptr_t)thread_end; /* rip of the frame, seen from the stack */
    call_sigreturn(scratch_put(z, frame, sizeof(frame)));
}

static const struct call_row *row_draw(struct fuzzer *z)
{
    for (;;) {
        const struct call_row *row = &call_rows[below(z, call_row_count)];

        if (row->shy == 0 || one_in(z, row->shy))
            return row;
    }
}

static void record_call(struct fuzzer *z, uint16_t number, const uint64_t *a)
{
    z->record->number = number;
    memcpy(z->record->arguments, a, sizeof(z->record->arguments));
    z->record->count++;
}

static void record_result(uint16_t number, long result)
{
    __atomic_add_fetch(&shared->made[number], 1, __ATOMIC_RELAXED);
    if ((unsigned long)result < -4095ul)
        __atomic_add_fetch(&shared->succeeded[number], 1, __ATOMIC_RELAXED);
}

static bool gives_birth(uint16_t number)
{
    return number == SYS_fork || number == SYS_vfork || number == SYS_clone || number == SYS_clone3;
}

void call_make(struct fuzzer *z)
{
    const struct call_row *row = row_draw(z);
    uint64_t a[ARGUMENTS];
    long result;

    for (z->argument = 0; z->argument < ARGUMENTS; z->argument++)
        a[z->argument] = value_make(z, row->kinds[z->argument]);
    spare_watcher(row->number, a);
    spare_memory(row->number, a);
    record_call(z, row->number, a);
    /* Those that do not come back are counted before. */
    if (row->number == SYS_exit || row->number == SYS_exit_group || row->number == SYS_rt_sigreturn)
        record_result(row->number, 0);
    if (row->number == SYS_rt_sigreturn)
        frame_return(z);
    else if (gives_birth(row->number))
        result = birth_make(z, row->number, a);
    else
        result = call6(row->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    record_result(row->number, result);
}

void descriptor_renew(struct fuzzer *z)
{
    static const char *const files[] = {
        "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", ".", "/proc/self/maps", "/proc/self/fd",
        "/proc/self/stat", "/sys/kernel/malv/counters", "/bin/true", "/proc/meminfo", "/dev/ptmx",
    };
    int pair[2] = {-1, -1};
    uint64_t where = below(z, 24);

    switch (below(z, 10)) {
    case 0:
        CALL(SYS_pipe2, pair, one_in(z, 2) ? O_NONBLOCK : 0);
        break;
    case 1:
        CALL(SYS_socketpair, AF_UNIX, PICK(z, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET), 0, pair);
        break;
    case 2:
        pair[0] = (int)CALL(SYS_socket, AF_UNIX, PICK(z, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET), 0);
        break;
    case 3:
        pair[0] = (int)CALL(SYS_eventfd2, below(z, 3), one_in(z, 2) ? O_NONBLOCK : 0);
        pair[1] = (int)CALL(SYS_timerfd_create, below(z, 2), one_in(z, 2) ? O_NONBLOCK : 0);
        break;
    case 4:
        pair[0] = (int)CALL(SYS_epoll_create1, 0);
        break;
    case 5:
        pair[0] = (int)CALL(SYS_memfd_create, "memory", 0);
        CALL(SYS_ftruncate, pair[0], below(z, 5 * PAGE));
        break;
    case 6:
        pair[0] = (int)CALL(SYS_open, files[below(z, 12)], O_RDONLY | O_NONBLOCK);
        break;
    case 7:
        pair[0] = (int)CALL(SYS_open, value_path_text(z), O_PATH);
        break;
    default:
        pair[0] = (int)CALL(SYS_open, value_path_text(z), O_RDWR | O_CREAT | O_NONBLOCK, 0600);
    }
    for (unsigned i = 0; i < 2 && pair[i] >= 0; i++) {
        CALL(SYS_dup2, pair[i], (where + i) % 24);
        if ((uint64_t)pair[i] >= 24)
            CALL(SYS_close, pair[i]);
    }
}
