/*
 * liar.c: linked into build/tests/gpud-lying, a gpud whose device process says what it likes, as one does that a
 * guest's kernel has taken over: it scribbles into the memory that it shares with its front and answers with
 * nonsense, while the file "lies" is in gpud's folder for temporary files. The number in that file is the seed.
 * Everything else of gpud is as it is.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "host/gpud/engine.h"

static bool lies;   /* in a device process only */
static bool subtly; /* nothing that cannot be */
static uint64_t state;

_Noreturn void __real_engine_main(const struct engine_settings *settings);
_Noreturn void __wrap_engine_main(const struct engine_settings *settings);
int __real_link_send(int socket, const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count);
int __wrap_link_send(int socket, const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count);

/* Not the same from run to run: threads share it, and take their turns as they come. */
static uint64_t number_next(void)
{
    uint64_t number = __atomic_add_fetch(&state, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ull;
    number = (number ^ number >> 27) * 0x94d049bb133111ebull;
    return number ^ number >> 31;
}

static uint64_t number_odd(void)
{
    uint64_t number = number_next();
    return number % 4 ? number >> (number >> 58) : number % 64;
}

/* One of the ends that the front takes next, or just has: its token, its status, its times. */
static void end_spoil(struct link_shared *shared)
{
    uint64_t at = atomic_load(&shared->ended) + number_next() % 4 - 2;
    struct link_end *end = &shared->ends[at & (LINK_ENDS - 1)];
    switch (number_next() % (subtly ? 3 : 5)) {
    case 0:
        end->status = (uint32_t)number_odd();
        break;
    case 1:
        end->start_ns = number_odd();
        break;
    case 2:
        end->end_ns = number_odd();
        break;
    case 3:
        end->token ^= 1ull << number_next() % 40;
        break;
    default:
        end->note ^= 1;
        break;
    }
}

static void progress_spoil(struct link_shared *shared)
{
    struct link_progress *progress = &shared->progress[number_next() % 8];
    atomic_store(&progress->before, number_odd());
    atomic_store(&progress->start_ns, number_odd());
    atomic_store(&progress->end_ns, number_odd());
    atomic_store(&progress->noted, (unsigned)number_next() & 1);
}

static void counter_spoil(struct link_shared *shared)
{
    uint64_t more = number_next() % 2 ? number_next() % 64 : number_odd();
    switch (number_next() % 6) {
    case 0:
        atomic_fetch_add(&shared->ended, number_next() % 3);
        break;
    case 1:
        atomic_fetch_add(&shared->ended, more);
        break;
    case 2:
        atomic_fetch_add(&shared->consumed, 8 * more);
        break;
    case 3:
        atomic_fetch_add(&shared->posted, 8 * more);
        break;
    case 4:
        atomic_store(&shared->device_sleeps, (unsigned)number_next() % 4);
        break;
    default:
        atomic_store(&shared->front_sleeps, (unsigned)number_next() % 2);
        break;
    }
}

static void message_spoil(struct link_shared *shared)
{
    shared->messages[number_next() % (number_next() % 2 ? 4096 : LINK_MESSAGE_ROOM)] ^= (uint8_t)number_next();
}

static void *scribbler_run(void *argument)
{
    const struct engine_settings *settings = argument;
    uint64_t wake = 1;
    struct link_shared *shared = mmap(NULL, sizeof(struct link_shared), PROT_READ | PROT_WRITE, MAP_SHARED,
                                      settings->shared, 0);
    if (shared == MAP_FAILED)
        _exit(1);
    for (;;) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(number_next() % 2000000)}, NULL);
        unsigned what = number_next() % (subtly ? 20 : 32);
        if (what < 14)
            end_spoil(shared);
        else if (what < 20)
            progress_spoil(shared);
        else if (what < 26)
            message_spoil(shared);
        else
            counter_spoil(shared);
        if (number_next() % 4 == 0)
            (void)!write(settings->ended, &wake, sizeof(wake));
    }
    return NULL;
}

static bool lies_wanted(const char *folder)
{
    char path[300], text[32] = "";
    snprintf(path, sizeof(path), "%s/lies", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    state = strtoull(text, NULL, 0) + (uint64_t)getpid() * 0x9e37;
    subtly = number_next() % 2;
    return got > 0;
}

_Noreturn void __wrap_engine_main(const struct engine_settings *settings)
{
    pthread_t scribbler;
    lies = lies_wanted(settings->folder);
    if (lies && pthread_create(&scribbler, NULL, scribbler_run, (void *)(uintptr_t)settings))
        _exit(1);
    __real_engine_main(settings);
}

/* An answer: another status, another value, more payload than follows or less, or none of it at all. */
int __wrap_link_send(int socket, const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count)
{
    struct link_answer answer;
    struct iovec own[4];
    if (!lies || number_next() % (subtly ? 64 : 8) || parts[0].iov_len != sizeof(answer) || count > 4)
        return __real_link_send(socket, parts, count, fds, fd_count);
    memcpy(&answer, parts[0].iov_base, sizeof(answer));
    memcpy(own, parts, count * sizeof(*parts));
    own[0].iov_base = &answer;
    switch (number_next() % 24) { /* the first four have the front wait for what never comes: not often */
    case 0:
        answer.payload_bytes = number_odd();
        break;
    case 1:
        own[0].iov_len = number_next() % sizeof(answer);
        break;
    case 2:
        return 0;
    case 3:
        if (count > 1 && own[1].iov_len)
            own[1].iov_len = number_next() % own[1].iov_len;
        break;
    default:
        if (number_next() % 2)
            answer.status = (uint32_t)number_odd();
        else
            answer.value = (uint32_t)number_odd();
        break;
    }
    return __real_link_send(socket, own, count, fds, fd_count);
}
