/*
 * hostrun_test.c: frames of the owner's line arrive as they were sent, in any pieces, and what can't be is
 * skipped without losing the frame behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hostrun/hostrun.h"

struct seen {
    unsigned count;
    uint8_t type[64], request[64];
    size_t length[64], bytes;
    uint8_t all[65536];
};

static void frame_seen(void *context, uint8_t type, uint8_t request, const uint8_t *payload,
                       size_t length)
{
    struct seen *s = context;
    assert_in_range(s->count, 0, 63);
    s->type[s->count] = type;
    s->request[s->count] = request;
    s->length[s->count++] = length;
    memcpy(s->all + s->bytes, payload, length);
    s->bytes += length;
}

/* Three frames: empty, of one byte, of the largest size. */
static size_t sample(uint8_t *out)
{
    uint8_t payload[HOSTRUN_MAX_PAYLOAD];
    size_t used = hostrun_frame(out, HOSTRUN_RUN, 0, NULL, 0);
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t)(i * 7);
    }
    used += hostrun_frame(out + used, HOSTRUN_EXIT, 7, payload + 3, 1);
    used += hostrun_frame(out + used, HOSTRUN_STDOUT, 3, payload, sizeof(payload));
    return used;
}

static void check_sample(const struct seen *s, unsigned from)
{
    assert_int_equal(s->count, from + 3);
    assert_int_equal(s->type[from], HOSTRUN_RUN);
    assert_int_equal(s->length[from], 0);
    assert_int_equal(s->type[from + 1], HOSTRUN_EXIT);
    assert_int_equal(s->request[from + 1], 7);
    assert_int_equal(s->all[s->bytes - HOSTRUN_MAX_PAYLOAD - 1], 21);
    assert_int_equal(s->length[from + 2], HOSTRUN_MAX_PAYLOAD);
    for (size_t i = 0; i < HOSTRUN_MAX_PAYLOAD; i++) {
        assert_int_equal(s->all[s->bytes - HOSTRUN_MAX_PAYLOAD + i], (uint8_t)(i * 7));
    }
}

static void test_any_pieces(void **state)
{
    static uint8_t bytes[4 * HOSTRUN_FRAME_MAX];
    static struct seen seen;
    size_t size = sample(bytes);
    (void)state;
    for (size_t piece = 1; piece <= size; piece += piece < 16 ? 1 : 97) {
        struct hostrun_reader reader = {0};
        memset(&seen, 0, sizeof(seen));
        for (size_t at = 0; at < size; at += piece) {
            hostrun_feed(&reader, bytes + at, size - at < piece ? size - at : piece, frame_seen,
                         &seen);
        }
        check_sample(&seen, 0);
    }
}

static void test_what_cannot_be_is_skipped(void **state)
{
    static const uint8_t wrong[] = {'o', HOSTRUN_REQUESTS, 0, 0, 'o', 255, 2, 0, 1, 2};
    static uint8_t bytes[70000 + 4 * HOSTRUN_FRAME_MAX];
    static struct seen seen;
    struct hostrun_reader reader = {0};
    size_t used = sizeof(wrong);
    (void)state;
    memcpy(bytes, wrong, sizeof(wrong)); /* numbers that no request has */
    bytes[used++] = 'o';                 /* a frame longer than is allowed */
    bytes[used++] = 1;
    bytes[used++] = 0xff;
    bytes[used++] = 0xff;
    memset(bytes + used, 'x', 0xffff);
    used += 0xffff;
    used += sample(bytes + used);
    hostrun_feed(&reader, bytes, used, frame_seen, &seen);
    check_sample(&seen, 0);
}

static void test_noise(void **state)
{
    static struct seen seen;
    struct hostrun_reader reader = {0};
    (void)state;
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t bytes[64];
        size_t count = (size_t)rand() % sizeof(bytes);
        for (size_t i = 0; i < count; i++) {
            bytes[i] = (uint8_t)rand();
        }
        memset(&seen, 0, offsetof(struct seen, all));
        hostrun_feed(&reader, bytes, count, frame_seen, &seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_pieces),
        cmocka_unit_test(test_what_cannot_be_is_skipped),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
