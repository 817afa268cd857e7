/*
 * structs.c: arguments that are structures: half valid, in the thread's scratch memory.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

static uint64_t vector_make(struct fuzzer *z)
{
    struct iovec parts[12];
    unsigned count = 1 + below(z, 12);

    for (unsigned i = 0; i < count; i++) {
        uint64_t length = one_in(z, 12) ? value_number(z) : below(z, 300);

        parts[i] = (struct iovec){(void *)value_pointer(z), length};
    }
    return scratch_put(z, parts, count * sizeof(*parts));
}

static size_t address_fill(struct fuzzer *z, struct sockaddr_un *out)
{
    static const char *const names[] = {"socket", "socket2", "dir/s", "\0abstract", "\0other", "a", ""};
    const char *name = names[below(z, 7)];
    size_t length = name[0] ? strlen(name) + !one_in(z, 4) : 1 + strlen(name + 1);

    memset(out, 0, sizeof(*out));
    out->sun_family = one_in(z, 10) ? (uint16_t)value_number(z) : AF_UNIX;
    memcpy(out->sun_path, name, length);
    if (one_in(z, 10)) {
        memset(out->sun_path, 'x', sizeof(out->sun_path));
        length = sizeof(out->sun_path);
    }
    return offsetof(struct sockaddr_un, sun_path) + length;
}

static uint64_t address_make(struct fuzzer *z)
{
    struct sockaddr_un address;

    address_fill(z, &address);
    return scratch_put(z, &address, sizeof(address));
}

/* Control messages that hand descriptors over, well-formed or not. */
static size_t control_fill(struct fuzzer *z, uint64_t *out, size_t room)
{
    size_t used = 0;
    unsigned count = below(z, 3);

    while (count-- > 0 && used + 12 <= room) {
        unsigned fds = below(z, 6);
        int *fd = (int *)&out[used + 2];

        out[used] = one_in(z, 6) ? value_number(z) : 16 + 4 * fds;
        out[used + 1] = one_in(z, 6) ? value_number(z) : SOL_SOCKET | (1 + (uint64_t)below(z, 2)) << 32;
        for (unsigned i = 0; i < 6; i++)
            fd[i] = (int)value_fd(z);
        used += 2 + (fds + 1) / 2;
    }
    return used * sizeof(*out);
}

static void message_fill(struct fuzzer *z, struct msghdr *m)
{
    struct sockaddr_un address;
    uint64_t control[64];
    unsigned argument = z->argument;
    size_t size = address_fill(z, &address), control_size = control_fill(z, control, 64);

    memset(m, 0, sizeof(*m));
    z->argument = (argument + 1) % ARGUMENTS;
    if (one_in(z, 3)) {
        m->msg_name = (void *)scratch_put(z, &address, sizeof(address));
        m->msg_namelen = one_in(z, 6) ? (unsigned)value_number(z) : (unsigned)size;
    }
    z->argument = (argument + 2) % ARGUMENTS;
    m->msg_iov = (void *)vector_make(z);
    m->msg_iovlen = one_in(z, 10) ? value_number(z) : below(z, 4);
    z->argument = (argument + 3) % ARGUMENTS;
    if (one_in(z, 2)) {
        m->msg_control = (void *)scratch_put(z, control, control_size + 8);
        m->msg_controllen = one_in(z, 6) ? value_number(z) : control_size;
    }
    m->msg_flags = (int)value_number(z);
    z->argument = argument;
}

static uint64_t message_make(struct fuzzer *z)
{
    struct msghdr m;

    message_fill(z, &m);
    return scratch_put(z, &m, sizeof(m));
}

static uint64_t messages_make(struct fuzzer *z)
{
    struct mmsghdr list[3];

    memset(list, 0, sizeof(list));
    for (unsigned i = 0; i < 3; i++)
        message_fill(z, &list[i].msg_hdr);
    return scratch_put(z, list, sizeof(list));
}

/* Two struct timespec, or timeval: mostly short times. */
static uint64_t times_make(struct fuzzer *z)
{
    uint64_t words[4];

    if (one_in(z, 8))
        return 0;
    for (unsigned i = 0; i < 4; i++)
        words[i] = one_in(z, 10) ? value_number(z) : i % 2 ? below(z, 3000000) : 0;
    if (one_in(z, 8))
        words[1 + 2 * below(z, 2)] = (1ull << 30) - 1 - below(z, 3); /* UTIME_NOW, UTIME_OMIT */
    return scratch_put(z, words, sizeof(words));
}

static uint64_t set_make(struct fuzzer *z)
{
    uint64_t set[16];

    for (unsigned i = 0; i < 16; i++)
        set[i] = one_in(z, 2) ? 0 : one_in(z, 4) ? ~0ull : random_next(z) & random_next(z);
    return scratch_put(z, set, sizeof(set));
}

static uint64_t action_make(struct fuzzer *z)
{
    uint64_t action[4] = {
        PICK(z, 0, 1, 0, 1, 8, 0xffff800000000000, 0x800000000000),
        one_in(z, 3) ? value_number(z) : 0x04000000 | PICK(z, 0, 4, SA_RESTART, SA_ONSTACK, 0x40000000, 2, 1),
        (uint64_t)(uintptr_t)(one_in(z, 8) ? value_bad_pointer(z) : (uint64_t)(uintptr_t)signal_restorer),
        one_in(z, 2) ? 0 : random_next(z),
    };

    if (one_in(z, 2))
        action[0] = (uint64_t)(uintptr_t)thread_end;
    return scratch_put(z, action, sizeof(action));
}

static uint64_t polls_make(struct fuzzer *z)
{
    struct pollfd list[20];

    for (unsigned i = 0; i < 20; i++)
        list[i] = (struct pollfd){(int)value_fd(z), (short)random_next(z), 0};
    return scratch_put(z, list, sizeof(list));
}

static uint64_t event_make(struct fuzzer *z)
{
    struct epoll_event event = {.events = (uint32_t)random_next(z) & (one_in(z, 2) ? 0xffffffffu : 0x1fu)};

    event.data.u64 = random_next(z);
    return scratch_put(z, &event, sizeof(event));
}

/* Arguments of a program: some bad pointers, some lists without an end, some huge. */
static uint64_t strings_make(struct fuzzer *z)
{
    uint64_t list[64];
    unsigned count = below(z, 64), argument = z->argument;

    if (one_in(z, 3))
        return 0;
    z->argument = (argument + 1) % ARGUMENTS;
    for (unsigned i = 0; i < 64; i++) {
        if (one_in(z, 40))
            list[i] = value_pointer(z);
        else if (one_in(z, 40))
            list[i] = LARGE; /* long: as far as there are no zeroes */
        else
            list[i] = i == 0 ? value_make(z, PATH) : list[0];
    }
    z->argument = argument;
    list[count] = 0;
    return scratch_put(z, list, one_in(z, 12) ? sizeof(list) : (count + 1) * sizeof(*list));
}

static uint64_t clone_make(struct fuzzer *z)
{
    struct clone_args args = {0};
    size_t size = 64 + 8 * below(z, 8);

    args.flags = value_make(z, CLONES) & ~(one_in(z, 8) ? 0ull : 0xffull);
    args.exit_signal = one_in(z, 6) ? value_number(z) : 17;
    args.child_tid = value_make(z, WORD);
    args.parent_tid = value_make(z, WORD);
    args.pidfd = value_make(z, WORD);
    if (one_in(z, 2)) {
        args.stack = STACKS + z->thread * STACK_SIZE;
        args.stack_size = one_in(z, 4) ? value_number(z) : STACK_SIZE / 2;
    }
    args.tls = one_in(z, 2) ? 0 : value_pointer(z);
    if (one_in(z, 10))
        ((uint64_t *)&args)[below(z, sizeof(args) / 8)] = value_number(z);
    return scratch_put(z, &args, size < sizeof(args) ? size : sizeof(args));
}

static uint64_t lock_make(struct fuzzer *z)
{
    struct flock lock = {.l_type = (short)(one_in(z, 8) ? value_number(z) : below(z, 3)),
                         .l_whence = (short)(one_in(z, 8) ? value_number(z) : below(z, 3)),
                         .l_start = (off_t)(one_in(z, 3) ? value_number(z) : below(z, 100)),
                         .l_len = (off_t)(one_in(z, 3) ? value_number(z) : below(z, 100))};

    return scratch_put(z, &lock, sizeof(lock));
}

static uint64_t info_make(struct fuzzer *z)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = (int)below(z, 66);
    info.si_code = (int)(one_in(z, 3) ? value_number(z) : (uint64_t)SI_QUEUE);
    return scratch_put(z, &info, sizeof(info));
}

static uint64_t stack_make(struct fuzzer *z)
{
    stack_t stack = {.ss_sp = (void *)value_pointer(z),
                     .ss_flags = (int)(one_in(z, 3) ? value_number(z) : below(z, 3)),
                     .ss_size = one_in(z, 3) ? value_number(z) : 16384};

    return scratch_put(z, &stack, sizeof(stack));
}

/* Words of all kinds: limits, offsets, lists that lead in circles. */
static uint64_t words_make(struct fuzzer *z, unsigned count)
{
    uint64_t words[16];

    for (unsigned i = 0; i < count; i++)
        words[i] = one_in(z, 4) ? scratch_of(z) + 8 * below(z, 64) : one_in(z, 2) ? below(z, 100) : value_number(z);
    return scratch_put(z, words, count * sizeof(*words));
}

static uint64_t length_make(struct fuzzer *z)
{
    uint32_t length = (uint32_t)(one_in(z, 4) ? value_number(z) : below(z, 128));

    return scratch_put(z, &length, sizeof(length));
}

uint64_t struct_make(struct fuzzer *z, enum kind kind)
{
    if (one_in(z, 16))
        return value_bad_pointer(z);
    switch (kind) {
    case VEC:
        return vector_make(z);
    case MSG:
        return message_make(z);
    case MMSG:
        return messages_make(z);
    case TIME:
    case TIMES:
        return times_make(z);
    case SET:
    case FDS:
        return one_in(z, 4) ? 0 : set_make(z);
    case ACT:
        return action_make(z);
    case SOCK:
        return address_make(z);
    case LENP:
        return length_make(z);
    case POLLS:
        return polls_make(z);
    case EVENT:
        return event_make(z);
    case STRS:
        return strings_make(z);
    case CARGS:
        return clone_make(z);
    case LOCK:
        return one_in(z, 2) ? below(z, 64) : lock_make(z);
    case INFO:
        return info_make(z);
    case STACK:
        return stack_make(z);
    case PAIR:
        return words_make(z, 2);
    case NUM:
        return one_in(z, 3) ? value_number(z) : words_make(z, 6);
    default:
        return value_pointer(z);
    }
}
