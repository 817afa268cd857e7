/*
 * remote_call.c: what the front asks of the device process and waits for. The control thread's. The
 * time limit holds for each question (watch.c): a build may never end, and a guest's kernel may have
 * taken the device process over.
 */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "log.h"
#include "machine.h"
#include "remote.h"
#include "watch.h"

static bool is_up(struct remote *remote, uint32_t epoch, uint64_t *posted)
{
    pthread_mutex_lock(&remote->lock);
    bool up = remote->state == REMOTE_UP && atomic_load(&remote->epoch) == epoch;
    *posted = remote->posted;
    pthread_mutex_unlock(&remote->lock);
    return up;
}

/* Sleeps until there is an answer to read. False: there will be none. */
static bool answer_wait(struct remote *remote, uint32_t epoch)
{
    while (atomic_load(&remote->epoch) == epoch) {
        struct pollfd events[2] = {{.fd = remote->socket, .events = POLLIN},
                                   {.fd = remote->machine->ends.keeper, .events = POLLIN}};
        poll(events, 2, -1);
        if (events[0].revents)
            return (events[0].revents & POLLIN) != 0;
        remotes_pump(remote->machine);
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

static bool question_put(struct remote *remote, uint32_t epoch, struct link_request *request,
                         const struct iovec *parts, unsigned count, const int *fds,
                         unsigned fd_count)
{
    struct iovec all[4] = {{request, sizeof(*request)}};
    request->payload_bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        all[i + 1] = parts[i];
        request->payload_bytes += parts[i].iov_len;
    }
    return is_up(remote, epoch, &request->position) &&
           link_send(remote->socket, all, count + 1, fds, fd_count) == 0;
}

static uint32_t call(struct remote *remote, uint32_t epoch, struct link_request *request,
                     const struct iovec *parts, unsigned count, const int *fds, unsigned fd_count,
                     struct link_answer *answer, char **payload)
{
    char *unwanted = NULL, **place = payload ? payload : &unwanted;
    *place = NULL;
    watch_call_begin(remote);
    bool answered = question_put(remote, epoch, request, parts, count, fds, fd_count) &&
                    answer_wait(remote, epoch) &&
                    link_receive(remote->socket, answer, sizeof(*answer)) == 0 &&
                    payload_receive(remote, answer, place);
    watch_call_end(remote);
    free(unwanted);
    if (answered && answer->status <= VGPGPU_ERR_TIMEOUT)
        return answer->status;
    remote_kill(remote, NULL, false);
    pthread_mutex_lock(&remote->lock);
    bool late = remote->late_call;
    pthread_mutex_unlock(&remote->lock);
    return late ? VGPGPU_ERR_TIMEOUT : VGPGPU_ERR_LOST;
}

uint32_t remote_call(struct remote *remote, uint32_t epoch, struct link_request *request,
                     const struct iovec *parts, unsigned count, struct link_answer *answer,
                     char **payload)
{
    return call(remote, epoch, request, parts, count, NULL, 0, answer, payload);
}

uint32_t remote_call_memory(struct remote *remote, uint32_t epoch, struct guest_memory *memory)
{
    struct guest_region_layout regions[GUEST_MEMORY_REGIONS];
    int fds[GUEST_MEMORY_REGIONS];
    struct link_answer answer;
    if (remote->memory_serial == guest_memory_serial(memory))
        return VGPGPU_OK;
    unsigned count = guest_memory_describe(memory, regions, fds);
    struct link_request request = {.kind = LINK_MEMORY, .count = count};
    struct iovec part = {regions, count * sizeof(regions[0])};
    uint32_t status =
        call(remote, epoch, &request, &part, 1, fds, count, &answer, NULL);
    if (!status)
        remote->memory_serial = guest_memory_serial(memory);
    return status;
}
