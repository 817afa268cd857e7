/*
 * remote_call.c: what the front asks of the device process and waits for. The control thread's. The
 * time limit holds for each question (watch.c): a build may never end, and a guest's kernel may have
 * taken the device process over.
 */
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "machine.h"
#include "remote.h"

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_up(struct remote *remote, uint32_t epoch, uint64_t *posted)
{
    pthread_mutex_lock(&remote->lock);
    bool up = remote->state == REMOTE_UP && atomic_load(&remote->epoch) == epoch;
    *posted = remote->posted;
    pthread_mutex_unlock(&remote->lock);
    return up;
}

/* Sleeps until there is an answer to read. False: there will be none. */
static bool answer_wait(struct machine *machine, uint32_t epoch)
{
    struct remote *remote = &machine->remote;
    while (atomic_load(&remote->epoch) == epoch) {
        struct pollfd events[2] = {{.fd = remote->socket, .events = POLLIN},
                                   {.fd = remote->ends.keeper, .events = POLLIN}};
        poll(events, 2, -1);
        if (events[0].revents)
            return (events[0].revents & POLLIN) != 0;
        remote_pump(machine);
    }
    return false;
}

static bool payload_receive(struct remote *remote, const struct link_answer *answer, char **payload)
{
    *payload = NULL;
    if (!answer->payload_bytes)
        return true;
    if (answer->payload_bytes > LINK_LOG_BYTES)
        return false;
    *payload = calloc(1, answer->payload_bytes + 1);
    if (*payload && link_receive(remote->socket, *payload, answer->payload_bytes) == 0)
        return true;
    free(*payload);
    *payload = NULL;
    return false;
}

static bool question_put(struct machine *machine, uint32_t epoch, struct link_request *request,
                         const struct iovec *parts, unsigned count, const int *fds,
                         unsigned fd_count)
{
    struct remote *remote = &machine->remote;
    struct iovec all[4] = {{request, sizeof(*request)}};
    request->payload_bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        all[i + 1] = parts[i];
        request->payload_bytes += parts[i].iov_len;
    }
    return is_up(remote, epoch, &request->position) &&
           link_send(remote->socket, all, count + 1, fds, fd_count) == 0;
}

static uint32_t call(struct machine *machine, uint32_t epoch, struct link_request *request,
                     const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count,
                     struct link_answer *answer, char **payload)
{
    struct remote *remote = &machine->remote;
    char *unwanted = NULL, **place = payload ? payload : &unwanted;
    *place = NULL;
    atomic_store(&machine->watch.call_since_ns, now_ns());
    bool answered = question_put(machine, epoch, request, parts, count, fds, fd_count) &&
                    answer_wait(machine, epoch) &&
                    link_receive(remote->socket, answer, sizeof(*answer)) == 0 &&
                    payload_receive(remote, answer, place);
    atomic_store(&machine->watch.call_since_ns, 0);
    free(unwanted);
    if (answered && answer->status <= VGPGPU_ERR_TIMEOUT)
        return answer->status;
    remote_kill(machine, NULL, false);
    pthread_mutex_lock(&remote->lock);
    bool late = remote->late_call;
    pthread_mutex_unlock(&remote->lock);
    return late ? VGPGPU_ERR_TIMEOUT : VGPGPU_ERR_LOST;
}

uint32_t remote_call(struct machine *machine, uint32_t epoch, struct link_request *request,
                     const struct iovec *parts, unsigned count, struct link_answer *answer,
                     char **payload)
{
    return call(machine, epoch, request, parts, count, NULL, 0, answer, payload);
}

uint32_t remote_call_memory(struct machine *machine, uint32_t epoch, struct guest_memory *memory)
{
    struct guest_region_layout regions[GUEST_MEMORY_REGIONS];
    int fds[GUEST_MEMORY_REGIONS];
    struct link_answer answer;
    if (machine->remote.memory_serial == guest_memory_serial(memory))
        return VGPGPU_OK;
    unsigned count = guest_memory_describe(memory, regions, fds);
    struct link_request request = {.kind = LINK_MEMORY, .count = count};
    struct iovec part = {regions, count * sizeof(regions[0])};
    uint32_t status =
        call(machine, epoch, &request, &part, 1, fds, count, &answer, NULL);
    if (!status)
        machine->remote.memory_serial = guest_memory_serial(memory);
    return status;
}
