/*
 * fuzz_rings.c: see fuzz.h. Chains that no driver makes, rings with impossible indices, and requests,
 * submissions, descriptors and indices that change while the device reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include "fuzz.h"

static const unsigned queues[] = {VGPGPU_QUEUE_CONTROL, VGPGPU_QUEUE_SUBMIT};

/* ---- Chains */

static void descriptor_make(struct front_descriptor *descriptor, bool indirect)
{
    *descriptor = (struct front_descriptor){
        .address = random_address(),
        .length = (uint32_t)random_or_edge(VGPGPU_PAGE),
        .flags = (uint16_t)(random_below(8)),
        .next = one_in(8)  ? (uint16_t)random_next()
                : indirect ? (uint16_t)random_below(9)
                           : (uint16_t)(FUZZ_OWN_FIRST + random_below(FUZZ_OWN_COUNT)),
    };
    if (descriptor->length > VGPGPU_PAGE) /* long enough to reach the rings: not writable */
        descriptor->flags &= (uint16_t)~FRONT_WRITE;
    if ((descriptor->flags & FRONT_INDIRECT) && one_in(2)) {
        descriptor->address = fuzz.scratch;
        descriptor->length = 16 * (1 + random_below(8));
        descriptor->flags &= (uint16_t)~(FRONT_NEXT | FRONT_WRITE);
    }
}

/* All chains that the device has are given back first: these descriptors may be part of one. */
void ring_settle(unsigned index)
{
    struct front *front = fuzz.rig.front;
    struct front_queue *queue = &front->queues[index];
    uint16_t head;
    uint32_t written;
    while (queue->used_seen != queue->available->index)
        assert_true(fuzz_take(index, &head, &written));
}

/* The status of a reply to a chain that was carried out; 0, too, when it isn't known where that is. */
static uint32_t chain_status(const struct front_descriptor *table, uint16_t at)
{
    struct front *front = fuzz.rig.front;
    for (unsigned steps = 0; steps < 2 * FRONT_QUEUE_SIZE; steps++) {
        struct front_descriptor descriptor = table[at];
        uint32_t status = 0;
        if (descriptor.flags & FRONT_INDIRECT) {
            table = front_at(front, descriptor.address);
            at = 0;
            continue;
        }
        if ((descriptor.flags & FRONT_WRITE) && descriptor.length) {
            if (descriptor.length >= sizeof(struct vgpgpu_reply))
                memcpy(&status, front_at(front, descriptor.address), sizeof(status));
            return status;
        }
        at = descriptor.next;
    }
    return 0;
}

void descriptors_make(unsigned index)
{
    struct front *front = fuzz.rig.front;
    struct front_descriptor *table = front_at(front, fuzz.scratch);
    for (unsigned i = 0; i < FUZZ_OWN_COUNT; i++) {
        descriptor_make(&front->queues[index].descriptors[FUZZ_OWN_FIRST + i], false);
        descriptor_make(&table[i], true);
    }
}

static void chain_step(unsigned index)
{
    struct front *front = fuzz.rig.front;
    struct front_queue *queue = &front->queues[index];
    uint16_t head;
    uint32_t written;
    ring_settle(index);
    descriptors_make(index);
    uint16_t first = (uint16_t)(FUZZ_OWN_FIRST + random_below(FUZZ_OWN_COUNT));
    front_post_head(front, index, first);
    assert_true(fuzz_take(index, &head, &written));
    if (index == VGPGPU_QUEUE_CONTROL && written && !chain_status(queue->descriptors, first))
        machine_start_over(); /* something was carried out: nobody knows what */
}

/* The ring stops until the device is reset, and the error descriptor says so. */
static void broken_step(unsigned index)
{
    struct front *front = fuzz.rig.front;
    struct front_queue *queue = &front->queues[index];
    struct pollfd event = {.fd = queue->error, .events = POLLIN};
    uint64_t one = 1, count;
    ring_settle(index);
    uint16_t at = queue->available->index;
    if (one_in(2)) {
        queue->available->ring[at % FRONT_QUEUE_SIZE] =
            (uint16_t)(FRONT_QUEUE_SIZE + random_or_edge(UINT16_MAX - FRONT_QUEUE_SIZE));
        if (queue->available->ring[at % FRONT_QUEUE_SIZE] < FRONT_QUEUE_SIZE)
            queue->available->ring[at % FRONT_QUEUE_SIZE] = FRONT_QUEUE_SIZE;
        at++;
    } else {
        at = (uint16_t)(at + FRONT_QUEUE_SIZE + 1 + random_below(UINT16_MAX - FRONT_QUEUE_SIZE - 1));
    }
    __atomic_store_n(&queue->available->index, at, __ATOMIC_RELEASE);
    assert_int_equal(write(queue->kick, &one, sizeof(one)), sizeof(one));
    assert_int_equal(poll(&event, 1, 60000), 1);
    assert_int_equal(read(queue->error, &count, sizeof(count)), sizeof(count));
    assert_int_equal(queue->used->index, queue->used_seen);
    machine_start_over();
}

void ring_step(void)
{
    unsigned index = queues[random_below(2)];
    if (one_in(25))
        broken_step(index);
    else
        chain_step(index);
}

/* ---- Everything changes while it is read */

struct changer {
    atomic_bool ends;
    uint64_t seed;
};

/* Bytes of requests, of submissions and of the rings themselves; not of what kernels could run on, for
 * there are none. */
static void *changer_run(void *argument)
{
    struct changer *changer = argument;
    struct front *front = fuzz.rig.front;
    uint64_t number = changer->seed | 1;
    while (!atomic_load_explicit(&changer->ends, memory_order_relaxed)) {
        number = number * 6364136223846793005ull + 1442695040888963407ull;
        unsigned which = number >> 33 & 7, at = number >> 40 & 4095;
        volatile uint8_t *place;
        if (which == 0 && number % 2)
            place = (uint8_t *)front_at(front, fuzz.scratch) + at; /* the fence page */
        else if (which < 3)
            place = (uint8_t *)front_at(front, front->request_guest + FUZZ_REQUEST_OFFSET) + at % 96;
        else if (which < 5)
            place = (uint8_t *)front_at(front, front->submit_guest + (number >> 52 & 7) * front->submit_slot) +
                    at % 256;
        else if (which < 7)
            place = (uint8_t *)front->queues[number >> 52 & 1].descriptors + at % 256;
        else if (number >> 55 & 7) /* an index, but not often: it ends the round */
            continue;
        else
            place = (uint8_t *)front->queues[number >> 52 & 1].available + at % 8;
        *place ^= (uint8_t)(1u << (number >> 60 & 7));
    }
    return NULL;
}

/* Posts without a look at what has come back, which may be anything. */
static void blind_post(unsigned index, unsigned number)
{
    struct front *front = fuzz.rig.front;
    struct front_queue *queue = &front->queues[index];
    bool control = index == VGPGPU_QUEUE_CONTROL;
    uint16_t head = (uint16_t)(number % 8 * 2);
    queue->descriptors[head] = (struct front_descriptor){
        .address = control ? front->request_guest + FUZZ_REQUEST_OFFSET
                           : front->submit_guest + number % 8 * front->submit_slot,
        .length = control ? 96 : 256,
        .flags = control ? FRONT_NEXT : 0,
        .next = (uint16_t)(head + 1)};
    queue->descriptors[head + 1] = (struct front_descriptor){
        .address = front->request_guest, .length = 4096, .flags = FRONT_WRITE};
    front_post_head(front, index, head);
}

/* The rings, too: what the device writes for one request is what it reads for another. */
static uint64_t race_address(void)
{
    if (!one_in(8))
        return random_address();
    return fuzz.rig.front->queues[random_below(3)].guest + random_below(3) * VGPGPU_PAGE;
}

static void request_fill(void)
{
    struct front *front = fuzz.rig.front;
    struct vgpgpu_buffer_create *request = front_at(front, front->request_guest + FUZZ_REQUEST_OFFSET);
    struct vgpgpu_segment *segments = (void *)(request + 1);
    *request = (struct vgpgpu_buffer_create){
        .header = {.type = one_in(2) ? VGPGPU_BUFFER_CREATE : 1 + random_below(9),
                   .context = 1,
                   .object = 1 + random_below(4)},
        .flags = VGPGPU_BUFFER_GUEST,
        .segment_count = 1 + random_below(4),
        .size = VGPGPU_PAGE};
    for (unsigned i = 0; i < 4; i++)
        segments[i] = (struct vgpgpu_segment){race_address(), VGPGPU_PAGE};
    if (request->header.type == VGPGPU_CONTEXT_CREATE)
        ((struct vgpgpu_context_create *)(void *)request)->fence_page = race_address();
}

static void submission_fill(unsigned number)
{
    struct front *front = fuzz.rig.front;
    struct vgpgpu_submit *header =
        front_at(front, front->submit_guest + number % 8 * front->submit_slot);
    struct front_batch *batch = rig_batch(&fuzz.rig);
    batch_copy(batch, 1, 0, 2, 128, 64);
    batch_fill(batch, 1, 0, 64, "x", 1);
    batch_fill_2d(batch, &(struct vgpgpu_cmd_fill_2d){
                             .target = 2, .pattern_bytes = 1, .pitch = 64, .width = 8, .rows = 9});
    *header = (struct vgpgpu_submit){.context = 1,
                                     .queue = random_below(4),
                                     .command_bytes = batch->bytes,
                                     .flags = random_below(2),
                                     .fence = ++fuzz.fence};
    memcpy(header + 1, batch->commands, batch->bytes);
}

void race_step(void)
{
    struct front *front = fuzz.rig.front;
    struct changer changer = {.seed = random_next()};
    struct pollfd call = {.fd = front->queues[VGPGPU_QUEUE_CONTROL].call, .events = POLLIN};
    pthread_t thread;
    uint64_t count;
    front_reset(front);
    model_clear();
    assert_int_equal(front_context_create(front, 1, fuzz.scratch), 0);
    assert_int_equal(front_buffer_device(front, 1, 1, VGPGPU_PAGE), 0);
    assert_int_equal(front_buffer_device(front, 1, 2, VGPGPU_PAGE), 0);
    assert_int_equal(pthread_create(&thread, NULL, changer_run, &changer), 0);
    for (unsigned i = 0; i < 100; i++) {
        if (one_in(4))
            request_fill();
        submission_fill(i);
        blind_post(queues[random_below(2)], i);
        if (poll(&call, 1, one_in(4) ? 1 : 0) == 1)
            (void)!read(call.fd, &count, sizeof(count));
    }
    atomic_store(&changer.ends, true);
    pthread_join(thread, NULL);
    machine_start_over();
}

/* ---- A ring that never becomes empty */

struct flooder {
    atomic_bool ends;
    struct front_queue *queue;
};

/* Chains that are malformed, or too short for what the device has to say, as fast as can be. */
static void *flooder_run(void *argument)
{
    struct flooder *flooder = argument;
    struct front_queue *queue = flooder->queue;
    queue->descriptors[FUZZ_OWN_FIRST] = (struct front_descriptor){
        .address = fuzz.scratch, .length = 1, .flags = FRONT_NEXT, .next = FRONT_QUEUE_SIZE};
    for (unsigned i = 0; i < FRONT_QUEUE_SIZE; i++)
        queue->available->ring[i] = FUZZ_OWN_FIRST;
    while (!atomic_load_explicit(&flooder->ends, memory_order_relaxed)) {
        uint16_t used = __atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE);
        __atomic_store_n(&queue->available->index, (uint16_t)(used + FRONT_QUEUE_SIZE), __ATOMIC_RELEASE);
    }
    return NULL;
}

/* The device is reset, or paused, all the same. */
void flood_step(void)
{
    struct front *front = fuzz.rig.front;
    unsigned index = random_below(3);
    struct flooder flooder = {.queue = &front->queues[index]};
    struct vgpgpu_fence_slot *slot = front_at(front, fuzz.home_page);
    pthread_t thread;
    uint64_t one = 1;
    ring_settle(VGPGPU_QUEUE_CONTROL);
    ring_settle(VGPGPU_QUEUE_SUBMIT);
    if (index == VGPGPU_QUEUE_EVENT) { /* something that is to be told */
        __atomic_store_n(&slot->wait, ++fuzz.home_fences[0], __ATOMIC_SEQ_CST);
        front_submit(front, FUZZ_HOME, 0, fuzz.home_fences[0], NULL, 0);
    }
    assert_int_equal(pthread_create(&thread, NULL, flooder_run, &flooder), 0);
    assert_int_equal(write(flooder.queue->kick, &one, sizeof(one)), sizeof(one));
    poll(NULL, 0, (int)random_below(20));
    if (one_in(2))
        front_pause(front);
    front_reset(front);
    atomic_store(&flooder.ends, true);
    pthread_join(thread, NULL);
    machine_start_over();
}
