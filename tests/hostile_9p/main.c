/*
 * main.c: the channel, and the damage to replies. The option hostile=N seeds it; with
 * hostile.holds reads of what is made up are never answered, and nothing is damaged; with hostile.dies=N
 * nothing is damaged either, and after N such reads the server is gone, with some that it has not answered.
 */
#include <microlake/boot.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "hostile.h"
#include "modules/drivers/virtio_9p/include/virtio_9p.h"
#include "uapi/kmod.h"

#define HEADER   7u
#define HELD_MAX 16u
#define LAST_WISH_NS (500 * NS_PER_MS) /* that a dying server waits for more to leave unanswered */

enum { FLUSH = 108, READ = 116 };

static uint64_t state = 1;
static bool holding; /* no damage, but no answers to reads of what is made up */
static int64_t lives = -1; /* reads until it dies; less than 0: it does not; atomic */
static bool dead;          /* atomic */

uint64_t hostile_random(void)
{
    uint64_t x = __atomic_add_fetch(&state, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull; /* splitmix64 (Steele, Lea, Flood, 2014) */
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint64_t request_get(struct request *r, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && r->at < r->size; i++)
        value |= (uint64_t)r->bytes[r->at++] << 8 * i;
    return value;
}

static uint64_t odd_number(void)
{
    static const uint64_t numbers[] = {
        0,      1,          2,          7,          8,       0xff,          0x1000,        0xffff,
        61440,  65535,      65536,      0x7fffffff, 1 << 30, 0xffffffff,    1ull << 40,    1ull << 62,
        INT64_MAX, 1ull << 63, UINT64_MAX,
    };

    return numbers[hostile_random() % ARRAY_SIZE(numbers)] + hostile_random() % 3 - 1;
}

/* A number of 1 to 8 bytes somewhere, mostly near the start, where the counts are. */
static void bytes_damage(struct reply *reply)
{
    uint64_t value = odd_number();
    unsigned width = 1u << hostile_random() % 4;
    uint32_t reach = hostile_random() % 2 ? MIN(reply->size, 40u) : reply->size;
    uint32_t at = (uint32_t)(hostile_random() % reach);

    memcpy(reply->bytes + at, &value, MIN(width, reply->size - at));
}

static void error_make(struct reply *reply)
{
    uint32_t size = HEADER + 4, error = (uint32_t)(hostile_random() % 2 ? 1 + hostile_random() % 130 : odd_number());

    memcpy(reply->bytes, &size, 4);
    reply->bytes[4] = 7;
    memcpy(reply->bytes + HEADER, &error, 4);
    reply->size = size;
}

/* Three of four answers are not what they should be. Returns how many bytes "came". */
static uint32_t reply_damage(struct reply *reply)
{
    uint32_t longer = reply->size + (uint32_t)(hostile_random() % 5000);

    switch (hostile_random() % 8) {
    case 0:
    case 1:
        break;
    case 2:
        error_make(reply);
        break;
    case 3:
        return (uint32_t)(hostile_random() % (reply->size + 1));
    case 4:
        return MIN(longer, reply->room);
    default:
        for (uint64_t n = 1 + hostile_random() % 4; n > 0; n--)
            bytes_damage(reply);
    }
    return reply->size;
}

int virtio_9p_find(const char *tag, struct virtio_9p **out)
{
    static uint8_t channel;

    *out = (struct virtio_9p *)&channel;
    return strcmp(tag, "hostile") == 0 ? OK : ERR_NOT_FOUND;
}

/* Requests that are never answered, but forgotten when the client asks for it. */
static struct virtio_9p_request *held[HELD_MAX]; /* guarded by held_lock */
static struct spinlock held_lock = SPINLOCK_INIT;

static uint16_t tag_of(const struct virtio_9p_request *request)
{
    const uint8_t *bytes = request->out;

    return (uint16_t)(bytes[5] | bytes[6] << 8);
}

static void answered(struct virtio_9p_request *request, uint32_t size)
{
    request->received = size;
    __atomic_store_n(&request->done, true, __ATOMIC_RELEASE);
}

static void hold(struct virtio_9p_request *request)
{
    spin_lock(&held_lock);
    for (unsigned i = 0; i < HELD_MAX; i++) {
        if (!held[i]) {
            held[i] = request;
            break;
        }
    }
    spin_unlock(&held_lock);
}

/* The request with this tag, which is held no more if it is to be forgotten. */
static struct virtio_9p_request *find_held(uint16_t tag, bool forget)
{
    struct virtio_9p_request *found = NULL;

    spin_lock(&held_lock);
    for (unsigned i = 0; i < HELD_MAX && !found; i++) {
        if (held[i] && tag_of(held[i]) == tag) {
            found = held[i];
            held[i] = forget ? NULL : found;
        }
    }
    spin_unlock(&held_lock);
    return found;
}

static void forget(struct request *asked)
{
    uint16_t tag = (uint16_t)request_get(asked, 2);
    struct virtio_9p_request *request = find_held(tag, true);

    if (request)
        answered(request, 0);
    else
        log_error("hostile: tag %u is to be forgotten, and is nobody's", tag);
}

/* The last two reads before its end are not answered. */
static bool dies_at(void)
{
    int64_t left = __atomic_sub_fetch(&lives, 1, __ATOMIC_RELAXED);

    if (left <= 0)
        __atomic_store_n(&dead, true, __ATOMIC_RELEASE);
    return left < 2;
}

int virtio_9p_send(struct virtio_9p *channel, struct virtio_9p_request *request)
{
    struct request asked = {request->out, request->out_size, 4, 0, 0};
    struct reply reply = {request->in, 0, request->in_size};
    bool made_up;

    (void)channel;
    if (__atomic_load_n(&dead, __ATOMIC_ACQUIRE))
        return ERR_LOST;
    request->done = false;
    asked.type = (uint8_t)request_get(&asked, 1);
    asked.tag = (uint16_t)request_get(&asked, 2);
    if (find_held(asked.tag, false))
        log_error("hostile: tag %u is still in use", asked.tag);
    if (asked.type == FLUSH)
        forget(&(struct request){request->out, request->out_size, HEADER, 0, 0});
    made_up = reply_make(&asked, &reply);
    if (hostile_constant && made_up && asked.type == READ && dies_at())
        return OK;
    if (holding && made_up && asked.type == READ)
        hold(request);
    else
        answered(request, made_up && !holding && !hostile_constant ? reply_damage(&reply) : reply.size);
    return OK;
}

int virtio_9p_wait(struct virtio_9p *channel, struct virtio_9p_request *request,
                   bool (*give_up)(void))
{
    uint64_t due = time_now() + LAST_WISH_NS;

    (void)channel;
    while (!virtio_9p_done(request)) {
        if (hostile_constant && time_now() >= due)
            __atomic_store_n(&dead, true, __ATOMIC_RELEASE);
        if (__atomic_load_n(&dead, __ATOMIC_ACQUIRE))
            return ERR_LOST;
        if (give_up && give_up())
            return ERR_INTERRUPTED;
        thread_sleep(time_now() + 10 * NS_PER_MS, 0);
    }
    return OK;
}

static uint64_t number_of(const char *text)
{
    uint64_t n = 0;

    for (; text && *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

static int hostile_init(void)
{
    state += number_of(boot_option("hostile", 0));
    holding = boot_option("hostile.holds", 0) != NULL;
    hostile_constant = boot_option("hostile.dies", 0) != NULL;
    lives = (int64_t)number_of(boot_option("hostile.dies", 0));
    return OK;
}

/* Under the driver's own name: what needs that takes this. */
KMOD_MANIFEST(.name = "virtio_9p", .version = "1.0.0", .needs = "", .init = hostile_init, .exit = NULL);
