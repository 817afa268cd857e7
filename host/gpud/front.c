/* front.c: see front.h. */
#include "front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "log.h"
#include "lost.h"
#include "machine.h"
#include "sandbox.h"
#include "user.h"

static void counts_write(char *text, size_t room, const struct link_counts *counts)
{
    snprintf(text, room, "%u contexts, %u queues, %u buffers, %u programs, %u kernels",
             counts->contexts, counts->queues, counts->buffers, counts->programs, counts->kernels);
    if (counts->sub_buffers)
        snprintf(text + strlen(text), room - strlen(text), ", %u sub-buffers", counts->sub_buffers);
}

static bool remote_count(struct remote *remote, struct link_counts *counts)
{
    uint32_t epoch = atomic_load(&remote->epoch);
    struct link_request request = {.kind = LINK_COUNT};
    struct link_answer answer;
    char *payload = NULL;
    if (!remote_is_up(remote, epoch) || remote->socket < 0)
        return false;
    bool good = remote_call(remote, epoch, &request, NULL, 0, &answer, &payload) == 0 && payload &&
                answer.payload_bytes == sizeof(*counts);
    if (good)
        memcpy(counts, payload, sizeof(*counts));
    free(payload);
    return good;
}

/* A remote that has had a device process: it is about to end, or another follows it. */
static bool remote_is_used(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    bool used = remote->state != REMOTE_NONE || atomic_load(&remote->epoch) != 1;
    pthread_mutex_unlock(&remote->lock);
    return used;
}

/* What the device processes have together. *first: they are the first of their remotes and all could be
 * asked, so that no context is lost. False: there is none. */
static bool devices_count(struct machine *machine, struct link_counts *all, bool *first)
{
    bool any = false;
    *all = (struct link_counts){0};
    *first = !machine->resumed;
    for (unsigned i = 0; i < KEEPER_DEVICES; i++) {
        struct link_counts counts;
        *first &= atomic_load(&machine->remotes[i].epoch) == 1;
        if (!remote_count(&machine->remotes[i], &counts)) {
            *first &= !remote_is_used(&machine->remotes[i]);
            continue;
        }
        any = true;
        all->contexts += counts.contexts;
        all->queues += counts.queues;
        all->buffers += counts.buffers;
        all->programs += counts.programs;
        all->kernels += counts.kernels;
        all->batches += counts.batches;
        all->mappings += counts.mappings;
    }
    return any;
}

/* What is there beyond what the guest owned? The machine has gone: its rings stand still. */
static void leftovers_tell(struct machine *machine, bool always)
{
    struct link_counts owned, held, there;
    char guests[128], fronts[128], devices[128] = "none";
    bool first;
    machine_quiet(machine);
    machine_count(machine, &owned, &held);
    bool same = !memcmp(&owned, &held, sizeof(owned));
    if (devices_count(machine, &there, &first)) {
        counts_write(devices, sizeof(devices), &there);
        /* Contexts of a former device process are the guest's still. */
        if (first)
            same &= there.contexts == owned.contexts && there.queues == owned.queues &&
                    there.buffers == owned.buffers && there.programs == owned.programs &&
                    there.kernels == owned.kernels;
        same &= !there.batches && (there.buffers || !there.mappings);
    }
    counts_write(guests, sizeof(guests), &owned);
    counts_write(fronts, sizeof(fronts), &held);
    if (!same || always)
        log_line("at its end %s; the guest owned %s; the front held %s; the device process %s",
                 same ? "nothing was left over" : "SOMETHING WAS LEFT OVER", guests, fronts,
                 devices);
}

_Noreturn void front_main(int socket, const struct remote_ends *ends,
                          const struct keeper_settings *settings, bool last)
{
    static struct machine machine;
    prctl(PR_SET_NAME, "gpud-front");
    if (last)
        lost_watch(&machine); /* which the sandbox does not allow any more */
    if (sandbox_enter_front(user_of_front(getppid())) || machine_start(&machine, socket, ends, &settings->info,
                                               settings->time_limit * 1000000000ull))
        _exit(1);
    sandbox_settle_front();
    int step;
    while ((step = vhost_session_step(&machine.session)) > 0)
        ;
    if (step < 0)
        machine_lose(&machine);
    else
        leftovers_tell(&machine, settings->counts);
    /* The kernel takes back everything at once. */
    _exit(step < 0);
}
