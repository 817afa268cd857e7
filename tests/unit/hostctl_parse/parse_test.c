/*
 * parse_test.c: how the machine takes the host's frames apart, in all pieces and with a full ring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "modules/drivers/hostctl/parse.h"

#define RING 8u

static struct {
    unsigned count;
    char types[16];
    size_t sizes[16];
    uint8_t last[PARSE_SMALL];
} seen;

static void see(uint8_t type, const uint8_t *payload, size_t size)
{
    assert_true(seen.count < sizeof(seen.types) && size <= PARSE_SMALL);
    memcpy(seen.last, payload, size);
    seen.sizes[seen.count] = size;
    seen.types[seen.count++] = (char)type;
}

/* Feeds pieces of `piece` bytes, reads whatever the ring holds when it is full; returns what was
 * read. */
static size_t feed(const uint8_t *bytes, size_t size, size_t piece, char *out)
{
    uint8_t *memory = malloc(RING);
    struct byte_ring ring = {memory, RING, 5, 5}; /* its bytes go round the end */
    struct parser parser = {0};
    size_t at = 0, read = 0;

    memset(&seen, 0, sizeof(seen));
    while (at < size) {
        size_t part = size - at < piece ? size - at : piece;
        size_t taken = parse_bytes(&parser, &ring, bytes + at, part, see);

        assert_true(taken <= part);
        at += taken;
        if (taken == part)
            continue;
        assert_int_equal(byte_ring_room(&ring), 0);
        byte_ring_take(&ring, out + read, RING);
        read += RING;
    }
    at = byte_ring_count(&ring);
    byte_ring_take(&ring, out + read, (uint32_t)at);
    free(memory);
    return read + at;
}

static void frames_in_any_pieces(void **state)
{
    static const uint8_t stream[] =
        "i\3abcw\4\1\2\3\4c\0?\24unknown and long....i\14defghijklmnop\1\2i\0";
    const size_t size = sizeof(stream) - 1;

    (void)state;
    for (size_t piece = 1; piece <= size; piece++) {
        char text[64] = {0};

        assert_int_equal(feed(stream, size, piece, text), 15);
        assert_memory_equal(text, "abcdefghijklmno", 15);
        assert_int_equal(seen.count, 5);
        assert_memory_equal(seen.types, "wc?pi", 5);
        assert_int_equal(seen.sizes[0], 4);
        assert_int_equal(seen.sizes[1], 0);
        assert_int_equal(seen.sizes[2], PARSE_SMALL);
        assert_int_equal(seen.sizes[3], 1);
        assert_int_equal(seen.sizes[4], 0);
    }
}

static void long_frames(void **state)
{
    enum { SIZE = 1000 };
    uint8_t stream[6 + SIZE + 6] = {'i', 255, SIZE & 255, SIZE >> 8, 0, 0};
    char *text = malloc(SIZE);

    (void)state;
    for (unsigned i = 0; i < SIZE; i++)
        stream[6 + i] = (uint8_t)(i * 7);
    memcpy(stream + 6 + SIZE, "i\377\0\0\0\0", 6);
    for (size_t piece = 1; piece <= sizeof(stream); piece += piece < 16 ? 1 : 97) {
        assert_int_equal(feed(stream, sizeof(stream), piece, text), SIZE);
        assert_memory_equal(text, stream + 6, SIZE);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.types[0], 'i');
    }
    free(text);
}

static void a_full_ring_takes_no_more(void **state)
{
    uint8_t memory[RING];
    struct byte_ring ring = {memory, RING, 0, 0};
    struct parser parser = {0};

    (void)state;
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(parse_bytes(&parser, &ring, (const uint8_t *)"i\12abcdefghij", 12, see), 10);
    assert_int_equal(parse_bytes(&parser, &ring, (const uint8_t *)"ij", 2, see), 0);
    byte_ring_take(&ring, (char[1]){0}, 1);
    assert_int_equal(parse_bytes(&parser, &ring, (const uint8_t *)"ij", 2, see), 1);
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_in_any_pieces),
        cmocka_unit_test(long_frames),
        cmocka_unit_test(a_full_ring_takes_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
