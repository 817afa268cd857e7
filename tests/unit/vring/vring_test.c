/*
 * vring_test.c: the ring against an honest device, and against one that writes nonsense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/vring/vring.h"

#define BASE 0x40000000ull /* where the device sees the ring's memory */

struct bench {
    struct vring v;
    struct vring_layout layout;
    struct vring_slot slots[VRING_SIZE_MAX];
    uint8_t *memory;
    uint16_t device_seen; /* the device's place in the avail ring */
};

static void bench_open(struct bench *b, uint16_t size, bool event_idx, bool indirect)
{
    memset(b, 0, sizeof(*b));
    vring_layout(size, &b->layout);
    b->memory = aligned_alloc(4096, b->layout.total);
    memset(b->memory, 0, b->layout.total);
    assert_int_equal(vring_init(&b->v, size, event_idx, indirect, b->memory, BASE, b->slots), 0);
}

static void bench_close(struct bench *b)
{
    free(b->memory);
}

static uint16_t *avail_words(struct bench *b)
{
    return (uint16_t *)(b->memory + b->layout.avail);
}

static uint16_t *used_words(struct bench *b)
{
    return (uint16_t *)(b->memory + b->layout.used);
}

static struct vring_used_element *used_elements(struct bench *b)
{
    return (struct vring_used_element *)(b->memory + b->layout.used + 4);
}

/* The device's next request, or -1. */
static int device_next(struct bench *b)
{
    uint16_t *avail = avail_words(b);

    if (b->device_seen == avail[1])
        return -1;
    return avail[2 + b->device_seen++ % b->v.size];
}

static void device_give_back(struct bench *b, uint32_t id, uint32_t length)
{
    uint16_t *used = used_words(b);

    used_elements(b)[used[1] % b->v.size] = (struct vring_used_element){id, length};
    used[1]++;
}

static int add_one(struct bench *b, void *token)
{
    struct vring_buffer buffer = {0x1000, 64, true};

    return vring_add(&b->v, &buffer, 1, token);
}

static void sizes_are_powers_of_two(void **state)
{
    struct vring v;

    (void)state;
    assert_true(vring_size_valid(2));
    assert_true(vring_size_valid(VRING_SIZE_MAX));
    assert_false(vring_size_valid(0));
    assert_false(vring_size_valid(1));
    assert_false(vring_size_valid(48));
    assert_false(vring_size_valid(VRING_SIZE_MAX * 2));
    assert_int_equal(vring_init(&v, 3, false, false, NULL, 0, NULL), VRING_INVALID);
}

static void parts_do_not_overlap(void **state)
{
    struct vring_layout l;

    (void)state;
    for (uint16_t size = 2; size <= VRING_SIZE_MAX; size *= 2) {
        vring_layout(size, &l);
        assert_true(l.avail >= l.desc + 16u * size);
        assert_true(l.used >= l.avail + 6u + 2u * size);
        assert_true(l.tables >= l.used + 6u + 8u * size);
        assert_true(l.total >= l.tables + 16u * VRING_CHAIN_MAX * size);
        assert_int_equal(l.used % 4, 0);
        assert_int_equal(l.total % 4096, 0);
    }
}

static void request_goes_round(void **state)
{
    struct vring_buffer buffers[2] = {{0x1000, 24, false}, {0x2000, 16, true}};
    uint32_t written = 0;
    struct bench b;
    void *token = NULL;
    int head;

    (void)state;
    bench_open(&b, 8, false, false);
    assert_int_equal(vring_take(&b.v, &token, &written), VRING_EMPTY);
    for (int round = 0; round < 70000; round++) { /* past the wrap of the 16-bit indexes */
        assert_int_equal(vring_add(&b.v, buffers, 2, &b), VRING_OK);
        head = device_next(&b);
        assert_true(head >= 0);
        assert_int_equal(b.v.desc[head].address, 0x1000);
        assert_int_equal(b.v.desc[head].flags, VRING_DESC_NEXT);
        assert_int_equal(b.v.desc[b.v.desc[head].next].address, 0x2000);
        assert_int_equal(b.v.desc[b.v.desc[head].next].flags, VRING_DESC_WRITE);
        device_give_back(&b, (uint32_t)head, 16);
        assert_true(vring_pending(&b.v));
        assert_int_equal(vring_take(&b.v, &token, &written), VRING_OK);
        assert_ptr_equal(token, &b);
        assert_int_equal(written, 16);
    }
    assert_int_equal(b.v.free_count, 8);
    bench_close(&b);
}

static void indirect_takes_one_descriptor(void **state)
{
    struct vring_buffer buffers[3] = {{0x1000, 8, false}, {0x2000, 8, false}, {0x3000, 8, true}};
    struct vring_desc *table;
    struct bench b;
    int head;

    (void)state;
    bench_open(&b, 4, false, true);
    for (int i = 0; i < 4; i++)
        assert_int_equal(vring_add(&b.v, buffers, 3, &b), VRING_OK);
    assert_int_equal(vring_add(&b.v, buffers, 3, &b), VRING_FULL);
    head = device_next(&b);
    assert_int_equal(b.v.desc[head].flags, VRING_DESC_INDIRECT);
    assert_int_equal(b.v.desc[head].length, 48);
    table = (struct vring_desc *)(b.memory + (b.v.desc[head].address - BASE));
    assert_int_equal(table[0].next, 1);
    assert_int_equal(table[1].flags, VRING_DESC_NEXT);
    assert_int_equal(table[2].flags, VRING_DESC_WRITE);
    bench_close(&b);
}

static void out_of_order_completion_reuses_all(void **state)
{
    uint32_t written;
    struct bench b;
    void *token;
    int heads[16];

    (void)state;
    bench_open(&b, 16, false, false);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 16; i++)
            assert_int_equal(add_one(&b, &heads[i]), VRING_OK);
        assert_int_equal(add_one(&b, &b), VRING_FULL);
        for (int i = 0; i < 16; i++)
            heads[i] = device_next(&b);
        for (int i = 15; i >= 0; i--)
            device_give_back(&b, (uint32_t)heads[(i * 7) % 16], 0);
        for (int i = 0; i < 16; i++)
            assert_int_equal(vring_take(&b.v, &token, &written), VRING_OK);
    }
    bench_close(&b);
}

static void callers_mistakes_are_refused(void **state)
{
    struct vring_buffer order[2] = {{0x1000, 8, true}, {0x2000, 8, false}};
    struct vring_buffer empty = {0x1000, 0, true};
    struct vring_buffer good = {0x1000, 8, true};
    struct vring_buffer huge[2] = {{0x1000, UINT32_MAX, true}, {0x2000, 8, true}};
    struct bench b;

    (void)state;
    bench_open(&b, 4, false, true);
    assert_int_equal(vring_add(&b.v, order, 2, &b), VRING_INVALID);
    assert_int_equal(vring_add(&b.v, &empty, 1, &b), VRING_INVALID);
    assert_int_equal(vring_add(&b.v, huge, 2, &b), VRING_INVALID);
    assert_int_equal(vring_add(&b.v, &good, 1, NULL), VRING_INVALID);
    assert_int_equal(vring_add(&b.v, &good, 0, &b), VRING_INVALID);
    assert_int_equal(vring_add(&b.v, &good, VRING_CHAIN_MAX + 1, &b), VRING_INVALID);
    assert_int_equal(b.v.free_count, 4);
    bench_close(&b);
}

static void notifications_follow_the_device(void **state)
{
    struct bench b;

    (void)state;
    bench_open(&b, 8, false, false);
    assert_false(vring_notify_needed(&b.v));
    add_one(&b, &b);
    assert_true(vring_notify_needed(&b.v));
    assert_false(vring_notify_needed(&b.v));
    used_words(&b)[0] = VRING_USED_NO_NOTIFY;
    add_one(&b, &b);
    assert_false(vring_notify_needed(&b.v));
    bench_close(&b);

    bench_open(&b, 8, true, false);
    uint16_t *event = &used_words(&b)[2 + 8 * 4];
    *event = 0; /* notify me when entry 0 has been added */
    add_one(&b, &b);
    assert_true(vring_notify_needed(&b.v));
    add_one(&b, &b);
    assert_false(vring_notify_needed(&b.v));
    *event = 2;
    add_one(&b, &b);
    assert_true(vring_notify_needed(&b.v));
    bench_close(&b);
}

static void interrupts_are_asked_for(void **state)
{
    uint32_t written;
    struct bench b;
    void *token;

    (void)state;
    bench_open(&b, 8, false, false);
    assert_int_equal(avail_words(&b)[0], VRING_AVAIL_NO_INTERRUPT);
    add_one(&b, &b);
    assert_false(vring_interrupts_enable(&b.v));
    assert_int_equal(avail_words(&b)[0], 0);
    device_give_back(&b, (uint32_t)device_next(&b), 0);
    assert_true(vring_interrupts_enable(&b.v));
    bench_close(&b);

    bench_open(&b, 8, true, false);
    vring_interrupts_enable(&b.v);
    for (int i = 0; i < 3; i++) {
        add_one(&b, &b);
        device_give_back(&b, (uint32_t)device_next(&b), 0);
        assert_int_equal(vring_take(&b.v, &token, &written), VRING_OK);
        assert_int_equal(avail_words(&b)[2 + 8], i + 1);
    }
    bench_close(&b);
}

static void reset_gives_all_tokens_back(void **state)
{
    char tokens[5];
    unsigned seen = 0;
    struct bench b;
    char *token;

    (void)state;
    bench_open(&b, 8, false, false);
    for (int i = 0; i < 5; i++)
        add_one(&b, &tokens[i]);
    while ((token = vring_reclaim(&b.v)))
        seen |= 1u << (token - tokens);
    assert_int_equal(seen, 31);
    assert_int_equal(b.v.free_count, 8);
    bench_close(&b);
}

/* ---- A device that lies
 * -------------------------------------------------------------------------- */

static void assert_broken_for_good(struct bench *b)
{
    uint32_t written;
    void *token;

    assert_int_equal(vring_take(&b->v, &token, &written), VRING_BROKEN);
    assert_true(b->v.broken);
    assert_int_equal(vring_take(&b->v, &token, &written), VRING_BROKEN);
    assert_int_equal(add_one(b, b), VRING_BROKEN);
    assert_false(vring_notify_needed(&b->v));
    assert_false(vring_pending(&b->v));
    assert_ptr_equal(vring_reclaim(&b->v), b);
    bench_close(b);
}

static void lies_break_the_ring(void **state)
{
    static const struct {
        uint32_t id, length;
        uint16_t index;
    } lies[] = {
        {8, 0, 1},          /* no such descriptor */
        {0xffffffff, 0, 1}, /* no such descriptor */
        {3, 0, 1},          /* nobody queued it */
        {0, 65, 1},         /* more bytes than it may write */
        {0, 0, 2},          /* more than is queued */
        {0, 0, 0xffff},     /* the index ran backwards */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct bench b;

        bench_open(&b, 8, false, false);
        add_one(&b, &b);
        used_elements(&b)[0] = (struct vring_used_element){lies[i].id, lies[i].length};
        used_words(&b)[1] = lies[i].index;
        assert_broken_for_good(&b);
    }
}

static void giving_back_twice_breaks_the_ring(void **state)
{
    uint32_t written;
    struct bench b;
    void *token;

    (void)state;
    bench_open(&b, 8, false, false);
    add_one(&b, &b);
    add_one(&b, &b);
    device_give_back(&b, 0, 0);
    device_give_back(&b, 0, 0);
    assert_int_equal(vring_take(&b.v, &token, &written), VRING_OK);
    assert_broken_for_good(&b);
}

static void overwritten_descriptors_do_no_harm(void **state)
{
    struct vring_buffer buffers[2] = {{0x1000, 24, false}, {0x2000, 16, true}};
    uint32_t written;
    struct bench b;
    void *token;

    (void)state;
    bench_open(&b, 8, false, false);
    for (int i = 0; i < 4; i++)
        vring_add(&b.v, buffers, 2, &b);
    memset(b.memory, 0xff, b.layout.avail);
    for (int i = 0; i < 4; i++) {
        device_give_back(&b, (uint32_t)device_next(&b), 16);
        assert_int_equal(vring_take(&b.v, &token, &written), VRING_OK);
    }
    assert_int_equal(b.v.free_count, 8);
    bench_close(&b);
}

/* Random bytes over everything that the device can write, between ordinary calls: no crash, no
 * endless loop, and never a token that was not queued. */
static void noise_is_bounded(void **state)
{
    (void)state;
    srand(1);
    for (int run = 0; run < 3000; run++) {
        struct vring_buffer buffers[3] = {{1, 8, false}, {2, 8, false}, {3, 8, true}};
        uint32_t written;
        struct bench b;
        void *token;

        bench_open(&b, 8, run & 1, run & 2);
        for (int step = 0; step < 40; step++) {
            vring_add(&b.v, buffers, 1u + (unsigned)rand() % 3, &b);
            vring_notify_needed(&b.v);
            for (int i = 0; i < 3; i++)
                b.memory[(size_t)rand() % b.layout.total] = (uint8_t)(rand() % 12);
            vring_interrupts_enable(&b.v);
            if (vring_take(&b.v, &token, &written) == VRING_OK)
                assert_ptr_equal(token, &b);
            assert_true(b.v.free_count <= 8);
        }
        for (int i = 0; vring_reclaim(&b.v); i++)
            assert_true(i < 8);
        assert_int_equal(b.v.free_count, 8);
        bench_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_two),
        cmocka_unit_test(parts_do_not_overlap),
        cmocka_unit_test(request_goes_round),
        cmocka_unit_test(indirect_takes_one_descriptor),
        cmocka_unit_test(out_of_order_completion_reuses_all),
        cmocka_unit_test(callers_mistakes_are_refused),
        cmocka_unit_test(notifications_follow_the_device),
        cmocka_unit_test(interrupts_are_asked_for),
        cmocka_unit_test(reset_gives_all_tokens_back),
        cmocka_unit_test(lies_break_the_ring),
        cmocka_unit_test(giving_back_twice_breaks_the_ring),
        cmocka_unit_test(overwritten_descriptors_do_no_harm),
        cmocka_unit_test(noise_is_bounded),
    };

    return cmocka_run_group_tests_name("vring", tests, NULL, NULL);
}
