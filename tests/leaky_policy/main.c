/*
 * main.c: the policy `leaky` of the class readahead. It decides nothing wrong; but a thread of its module takes a
 * KiB and a page in turn, again and again, and gives nothing back, not even when it is unloaded.
 */
#include <microlake/memory.h>
#include <microlake/policy.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "modules/linux/include/linux_readahead.h"
#include "uapi/kmod.h"

static struct thread *taker;
static bool over; /* atomic */

static void take(void *context)
{
    (void)context;
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        uint64_t *piece = kmalloc(1024);

        if (piece)
            *piece = frame_alloc(0, 0);
        kfree(kzalloc(100)); /* what is given back does not count */
        thread_sleep(time_now() + NS_PER_MS, 0);
    }
}

static void leaky_access(const struct readahead_stream *stream, const struct readahead_access *now,
                         const struct readahead_memory *memory, uint64_t *data, struct readahead_answer *answer)
{
    (void)stream;
    (void)now;
    (void)memory;
    (void)data;
    (void)answer;
}

static const struct readahead_ops ops = {.struct_size = sizeof(ops), .access = leaky_access};
static struct policy policy = {.name = "leaky", .ops = &ops};

/* It makes itself the machine's, to be seen losing that. */
static int leaky_init(void)
{
    int r = policy_register(READAHEAD_CLASS, &policy);

    if (r == OK)
        r = policy_set(READAHEAD_CLASS, "leaky");
    return r == OK ? thread_create("leaky", take, NULL, &taker) : r;
}

static void leaky_exit(void)
{
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    thread_join(taker, TIME_NEVER);
    thread_unref(taker);
    policy_unregister(READAHEAD_CLASS, &policy);
}

KMOD_MANIFEST(.name = "leaky_policy", .version = "1.0.0", .needs = "linux", .init = leaky_init, .exit = leaky_exit);
