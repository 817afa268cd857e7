/*
 * p9_test.c: 9P messages: what is written, and good, cut and damaged replies.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/p9/p9.h"

#define TAG 5

struct reply {
    uint8_t bytes[512];
    size_t size;
};

/* A server writes replies as a client writes requests. */
static void reply_begin(struct p9_writer *w, struct reply *r, enum p9_type type)
{
    p9_begin(w, r->bytes, sizeof(r->bytes), (enum p9_type)(type + 1), TAG);
}

static void put8(struct p9_writer *w, uint8_t value)
{
    p9_put_bytes(w, &value, 1);
}

static void put_qid(struct p9_writer *w, uint64_t path)
{
    put8(w, 0x80);
    p9_put32(w, 7);
    p9_put64(w, path);
}

static void make_attr(struct reply *r)
{
    struct p9_writer w;

    reply_begin(&w, r, P9_TGETATTR);
    p9_put64(&w, P9_ATTR_BASIC);
    put_qid(&w, 99);
    p9_put32(&w, 0100644);
    p9_put32(&w, 1);
    p9_put32(&w, 2);
    p9_put64(&w, 3);
    p9_put64(&w, 4);
    p9_put64(&w, 12345);
    for (unsigned i = 0; i < 4; i++)
        p9_put64(&w, 0);
    p9_put64(&w, 1700000000);
    p9_put64(&w, 42);
    for (unsigned i = 0; i < 6; i++)
        p9_put64(&w, 0);
    r->size = p9_end(&w);
}

static void put_entry(struct p9_writer *w, uint64_t next, const char *name)
{
    put_qid(w, 1000 + next);
    p9_put64(w, next);
    put8(w, 8);
    p9_put_text(w, name);
}

static void make_entries(struct reply *r)
{
    uint8_t data[200];
    struct p9_writer w, d = {.bytes = data, .size = sizeof(data)};

    put_entry(&d, 1, "first");
    put_entry(&d, 2, "b");
    reply_begin(&w, r, P9_TREADDIR);
    p9_put32(&w, (uint32_t)d.used);
    p9_put_bytes(&w, data, d.used);
    r->size = p9_end(&w);
}

/* A client's view of both kinds. Returns what it made of the reply; memory is of the exact size, so
 * that the sanitizer sees a read past the end. */
static enum p9_result read_attr(const struct reply *r, size_t size, struct p9_attr *out)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct p9_reader reader;
    uint32_t error = 0;
    enum p9_result result;

    memcpy(copy, r->bytes, size);
    result = p9_open_reply(&reader, copy, size, P9_TGETATTR, TAG, &error);
    if (result == P9_OK)
        result = p9_get_attr(&reader, out);
    free(copy);
    return result;
}

static enum p9_result read_entries(const struct reply *r, size_t size, unsigned *count)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct p9_reader reader, data = {0};
    struct p9_entry entry;
    uint32_t error = 0;
    enum p9_result result;

    *count = 0;
    memcpy(copy, r->bytes, size);
    result = p9_open_reply(&reader, copy, size, P9_TREADDIR, TAG, &error);
    if (result == P9_OK) {
        data.left = p9_get32(&reader);
        data.at = p9_get_bytes(&reader, data.left);
        result = p9_close_reply(&reader);
    }
    while (result == P9_OK && p9_get_entry(&data, &entry)) {
        assert_true(strlen(entry.name) > 0 && !strchr(entry.name, '/'));
        ++*count;
    }
    free(copy);
    return data.bad ? P9_MALFORMED : result;
}

static void test_request_bytes(void **state)
{
    static const uint8_t expected[] = {23, 0, 0, 0, 110, 5, 0, 1,   0,   0,   0,  2,
                                       0,  0, 0, 1, 0,   4, 0, 'n', 'a', 'm', 'e'};
    uint8_t buffer[64];
    struct p9_writer w;

    (void)state;
    p9_begin(&w, buffer, sizeof(buffer), P9_TWALK, TAG);
    p9_put32(&w, 1);
    p9_put32(&w, 2);
    p9_put16(&w, 1);
    p9_put_text(&w, "name");
    assert_int_equal(p9_end(&w), sizeof(expected));
    assert_memory_equal(buffer, expected, sizeof(expected));
}

static void test_request_without_room(void **state)
{
    (void)state;
    for (size_t size = 0; size < 23; size++) {
        uint8_t *buffer = malloc(size ? size : 1);
        struct p9_writer w;

        p9_begin(&w, buffer, size, P9_TWALK, TAG);
        p9_put64(&w, 1);
        p9_put16(&w, 1);
        p9_put_text(&w, "name");
        assert_int_equal(p9_end(&w), 0);
        free(buffer);
    }
}

static void test_attr(void **state)
{
    struct p9_attr attr;
    struct reply r;

    (void)state;
    make_attr(&r);
    assert_int_equal(read_attr(&r, r.size, &attr), P9_OK);
    assert_int_equal(attr.qid.path, 99);
    assert_int_equal(attr.mode, 0100644);
    assert_int_equal(attr.size, 12345);
    assert_int_equal(attr.changed_s, 1700000000);
    assert_int_equal(attr.changed_ns, 42);
}

static void test_entries(void **state)
{
    struct reply r;
    unsigned count;

    (void)state;
    make_entries(&r);
    assert_int_equal(read_entries(&r, r.size, &count), P9_OK);
    assert_int_equal(count, 2);
}

static void test_cut_replies(void **state)
{
    struct p9_attr attr;
    struct reply r;
    unsigned count;

    (void)state;
    make_attr(&r);
    for (size_t size = 0; size < r.size; size++)
        assert_int_equal(read_attr(&r, size, &attr), P9_MALFORMED);
    make_entries(&r);
    for (size_t size = 0; size < r.size; size++)
        assert_int_equal(read_entries(&r, size, &count), P9_MALFORMED);
}

/* Also where the message says itself that it is shorter. */
static void test_shortened_messages(void **state)
{
    struct p9_attr attr;
    struct reply r;
    unsigned count;

    (void)state;
    make_attr(&r);
    for (size_t size = 0; size < r.size; size++) {
        r.bytes[0] = (uint8_t)size;
        assert_int_equal(read_attr(&r, r.size, &attr), P9_MALFORMED);
    }
    make_entries(&r);
    for (size_t size = 0; size < r.size; size++) {
        r.bytes[0] = (uint8_t)size;
        assert_int_equal(read_entries(&r, r.size, &count), P9_MALFORMED);
    }
}

static void test_flipped_bits(void **state)
{
    struct p9_attr attr;
    struct reply r;
    unsigned count;

    (void)state;
    make_entries(&r);
    for (size_t bit = 0; bit < 8 * r.size; bit++) {
        r.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        read_entries(&r, r.size, &count);
        assert_true(count <= 2);
        r.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    make_attr(&r);
    for (size_t bit = 0; bit < 8 * P9_HEADER_SIZE; bit++) {
        r.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(read_attr(&r, r.size, &attr), P9_MALFORMED);
        r.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_errors(void **state)
{
    static const struct {
        uint32_t error;
        enum p9_result expected;
    } cases[] = {{2, P9_REFUSED},
                 {4095, P9_REFUSED},
                 {0, P9_MALFORMED},
                 {4096, P9_MALFORMED},
                 {~0u, P9_MALFORMED}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct p9_reader reader;
        struct p9_writer w;
        struct reply r;
        uint32_t error = 0;

        reply_begin(&w, &r, P9_TLERROR);
        p9_put32(&w, cases[i].error);
        r.size = p9_end(&w);
        assert_int_equal(p9_open_reply(&reader, r.bytes, r.size, P9_TWALK, TAG, &error),
                         cases[i].expected);
        if (cases[i].expected == P9_REFUSED)
            assert_int_equal(error, cases[i].error);
    }
}

static void test_names(void **state)
{
    static const char *const bad[] = {"", "a/b", "/"};
    char out[4];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t data[64];
        struct p9_writer d = {.bytes = data, .size = sizeof(data)};
        struct p9_reader r = {.at = data};
        struct p9_entry entry;

        put_entry(&d, 1, bad[i]);
        r.left = d.used;
        assert_false(p9_get_entry(&r, &entry));
        assert_true(r.bad);
    }
    for (unsigned i = 0; i < 2; i++) { /* too long, and with a NUL inside */
        static const uint8_t texts[][8] = {{4, 0, 'l', 'o', 'n', 'g'}, {3, 0, 'a', 0, 'b'}};
        struct p9_reader r = {.at = texts[i], .left = 8};

        assert_int_equal(p9_get_text(&r, out, sizeof(out)), 0);
        assert_true(r.bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_bytes), cmocka_unit_test(test_request_without_room),
        cmocka_unit_test(test_attr),          cmocka_unit_test(test_entries),
        cmocka_unit_test(test_cut_replies),   cmocka_unit_test(test_shortened_messages),
        cmocka_unit_test(test_flipped_bits),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
