/*
 * vring_fuzz.c: the ring against a device that writes what it likes, beside a model of what the driver has queued.
 * Whatever the device does: a token comes back at most once, with no more bytes than its request has room for; the
 * driver writes to no byte that is the device's; a broken ring stays broken; and after a reset all comes back, once.
 * FUZZ_SEED=N repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/vring/vring.h"

#define BASE  0x40000000ull /* where the device sees the ring's memory */
#define RUNS  30000u
#define STEPS 250u

static uint64_t state;
static unsigned long taken, broken; /* of all runs: both must happen */

static uint64_t number(void)
{
    uint64_t x = state += 0x9e3779b97f4a7c15ull;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull; /* splitmix64 (Steele, Lea, Flood, 2014) */
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static bool one_in(unsigned n)
{
    return number() % n == 0;
}

/* A request as the driver has queued it: the token is its address. */
struct request {
    bool queued;
    uint32_t writable;
};

struct bench {
    struct vring v;
    struct vring_layout layout;
    struct vring_slot *slots; /* of exactly the ring's size, as the memory is */
    uint8_t *memory;
    struct request requests[2 * 64];
    uint16_t queued;
    uint16_t device_seen, device_used;
};

static void bench_open(struct bench *b)
{
    uint16_t size = (uint16_t)(2u << number() % 6);

    memset(b, 0, sizeof(*b));
    vring_layout(size, &b->layout);
    b->memory = aligned_alloc(4096, b->layout.total);
    memset(b->memory, 0, b->layout.total);
    b->slots = calloc(size, sizeof(*b->slots));
    assert_int_equal(vring_init(&b->v, size, one_in(2), one_in(2), b->memory, BASE, b->slots), VRING_OK);
}

/* ---- The driver -------------------------------------------------------------------------------- */

static struct request *request_free(struct bench *b)
{
    for (size_t i = 0; i < sizeof(b->requests) / sizeof(b->requests[0]); i++)
        if (!b->requests[i].queued)
            return &b->requests[i];
    return NULL;
}

static void add(struct bench *b)
{
    struct vring_buffer buffers[VRING_CHAIN_MAX];
    unsigned count = 1 + (unsigned)(number() % VRING_CHAIN_MAX), reads = (unsigned)(number() % (count + 1));
    struct request *r = request_free(b);
    uint16_t free_before = b->v.free_count;
    uint32_t writable = 0;
    int result;

    for (unsigned i = 0; i < count; i++) {
        buffers[i] = (struct vring_buffer){number(), 1 + (uint32_t)(number() % 4096), i >= reads};
        writable += i >= reads ? buffers[i].length : 0;
    }
    result = vring_add(&b->v, buffers, count, r);
    assert_true(result == VRING_OK || b->v.free_count == free_before);
    if (b->v.broken)
        assert_int_equal(result, VRING_BROKEN);
    if (result != VRING_OK)
        return;
    assert_int_equal(free_before - b->v.free_count, b->v.indirect && count > 1 ? 1 : count);
    *r = (struct request){true, writable};
    b->queued++;
}

static void request_back(struct bench *b, void *token)
{
    struct request *r = token;

    assert_true(r >= b->requests && r < b->requests + sizeof(b->requests) / sizeof(b->requests[0]));
    assert_true(r->queued);
    r->queued = false;
    b->queued--;
    assert_int_equal(b->v.requests, b->queued);
    assert_true(b->v.free_count <= b->v.size);
}

static void take(struct bench *b)
{
    bool was_broken = b->v.broken;
    uint32_t written = 0, writable;
    void *token = NULL;
    int result = vring_take(&b->v, &token, &written);

    assert_true(!was_broken || result == VRING_BROKEN);
    assert_true(result != VRING_BROKEN || b->v.broken);
    if (result != VRING_OK) {
        assert_true(result == VRING_BROKEN || result == VRING_EMPTY);
        assert_null(token);
        return;
    }
    writable = ((struct request *)token)->writable;
    request_back(b, token);
    assert_true(written <= writable);
    taken++;
}

/* ---- The device -------------------------------------------------------------------------------- */

static volatile uint16_t *used(struct bench *b)
{
    return (volatile uint16_t *)(b->memory + b->layout.used);
}

static void used_write(struct bench *b, uint32_t id, uint32_t length)
{
    volatile struct vring_used_element *ring = (volatile void *)(b->memory + b->layout.used + 4);

    ring[b->device_used % b->v.size] = (struct vring_used_element){id, length};
    used(b)[1] = ++b->device_used;
}

/* An honest answer to what comes next, or (one time of `lies`) something like it. */
static void answer(struct bench *b, unsigned lies)
{
    uint16_t *avail = (uint16_t *)(b->memory + b->layout.avail), head;
    uint32_t id, length = 0;

    if (b->device_seen == avail[1] && !one_in(8 * lies))
        return;
    head = avail[2 + b->device_seen++ % b->v.size];
    id = head;
    if (head < b->v.size && b->slots[head].token)
        length = (uint32_t)(number() % (((struct request *)b->slots[head].token)->writable + 1));
    if (one_in(lies))
        id = one_in(2) ? (uint32_t)number() : (uint32_t)(number() % (b->v.size + 2u));
    if (one_in(lies))
        length = one_in(2) ? (uint32_t)number() : (uint32_t)(number() % 16384);
    used_write(b, id, length);
    if (one_in(lies))
        used_write(b, id, length);
    if (one_in(4 * lies))
        used(b)[1] = (uint16_t)(b->device_used += (uint16_t)number());
}

/* Anywhere, in its own part or the driver's. */
static void scribble(struct bench *b)
{
    for (unsigned i = (unsigned)(number() % 8); i > 0; i--)
        b->memory[number() % b->layout.total] = (uint8_t)number();
}

/* ---- Runs -------------------------------------------------------------------------------------- */

/* What is the device's to write is the same after a driver's step. */
static void step(struct bench *b, void (*driver)(struct bench *b))
{
    size_t bytes = 6 + sizeof(struct vring_used_element) * b->v.size;
    uint8_t before[6 + sizeof(struct vring_used_element) * 64];

    memcpy(before, b->memory + b->layout.used, bytes);
    driver(b);
    assert_memory_equal(before, b->memory + b->layout.used, bytes);
}

static void flags_change(struct bench *b)
{
    if (one_in(2))
        vring_interrupts_enable(&b->v);
    else
        vring_interrupts_disable(&b->v);
    vring_notify_needed(&b->v);
    vring_pending(&b->v);
}

static void all_back(struct bench *b)
{
    void *token;

    while ((token = vring_reclaim(&b->v)))
        request_back(b, token);
    assert_int_equal(b->queued, 0);
    assert_int_equal(b->v.free_count, b->v.size);
    broken += b->v.broken;
}

static void run(unsigned lies, bool scribbles)
{
    struct bench b;

    bench_open(&b);
    for (unsigned i = 0; i < STEPS; i++) {
        switch (number() % 4) {
        case 0:
            step(&b, add);
            break;
        case 1:
            answer(&b, lies);
            break;
        case 2:
            step(&b, take);
            break;
        default:
            step(&b, flags_change);
            if (scribbles && one_in(4))
                scribble(&b);
        }
    }
    all_back(&b);
    free(b.slots);
    free(b.memory);
}

static void many_runs(void **unused)
{
    const char *seed = getenv("FUZZ_SEED");

    (void)unused;
    for (unsigned i = 0; i < RUNS; i++) {
        state = (seed ? strtoull(seed, NULL, 0) : 1) * RUNS + i;
        run(4u << i % 5 * 2, i % 3 == 0);
    }
    printf("%lu requests came back, %lu rings of %u broke\n", taken, broken, RUNS);
    assert_true(taken > RUNS && broken > RUNS / 10 && broken < RUNS);
}

/* All that the device can say in one element about one request, beside the one true answer. */
static void one_element_has_one_truth(void **unused)
{
    (void)unused;
    for (uint32_t id = 0; id < 10; id++)
        for (uint32_t length = 0; length < 70; length++)
            for (uint32_t index = 0; index < 4; index++) {
                struct vring_buffer buffer = {0x1000, 64, true};
                struct vring_slot slots[8];
                uint32_t written;
                void *token;
                struct vring_layout layout;
                struct vring v;
                uint8_t *memory;
                uint16_t head;

                vring_layout(8, &layout);
                memory = aligned_alloc(4096, layout.total);
                memset(memory, 0, layout.total);
                vring_init(&v, 8, false, false, memory, BASE, slots);
                assert_int_equal(vring_add(&v, &buffer, 1, &buffer), VRING_OK);
                head = ((uint16_t *)(memory + layout.avail))[2];
                *(struct vring_used_element *)(memory + layout.used + 4) = (struct vring_used_element){id, length};
                ((uint16_t *)(memory + layout.used))[1] = (uint16_t)(index == 3 ? 0xffff : index);
                if (index == 0)
                    assert_int_equal(vring_take(&v, &token, &written), VRING_EMPTY);
                else if (index == 1 && id == head && length <= 64)
                    assert_int_equal(vring_take(&v, &token, &written), VRING_OK);
                else
                    assert_int_equal(vring_take(&v, &token, &written), VRING_BROKEN);
                free(memory);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_element_has_one_truth),
        cmocka_unit_test(many_runs),
    };

    return cmocka_run_group_tests_name("vring_fuzz", tests, NULL, NULL);
}
