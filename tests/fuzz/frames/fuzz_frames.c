/*
 * fuzz_frames.c: damaged streams of the control channel, for both of its ends: fuzz_frames [SEED
 * [ITERATIONS]]. In whatever pieces a stream comes, it means the same, and nothing outside is
 * touched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host/malv/frames.h"
#include "modules/drivers/hostctl/parse.h"
#include "tests/fuzz/fuzz.h"

#define RING 64u

static const uint8_t sample[] =
    "o\2hie\377\20\0\0\0long and more...i\3abcc\0p\1\1x\1\7i\377\5\0\0\0hello"
    "?\24unknown and long....i\0w\4\1\2\3\4";

static struct fuzz_plan plan;
static uint64_t digest; /* of what an end saw, in order */

static void note(const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    while (size--)
        digest = (digest ^ *from++) * 0x100000001b3u;
}

/* A long frame may come in pieces: its bytes count, not how they were cut. */
static void host_sees(void *context, uint8_t type, const uint8_t *payload, size_t length)
{
    const struct frame_reader *reader = context;

    if (reader->header[1] != HOSTCTL_LONG)
        note(&length, sizeof(length));
    note(&type, reader->header[1] != HOSTCTL_LONG);
    note(payload, length);
}

static uint64_t host_reads(const uint8_t *bytes, size_t size, size_t piece)
{
    struct frame_reader *reader = calloc(1, sizeof(*reader));

    digest = 1;
    for (size_t at = 0; at < size; at += piece)
        frame_reader_feed(reader, bytes + at, size - at < piece ? size - at : piece, host_sees,
                          reader);
    free(reader);
    return digest;
}

static void guest_sees(uint8_t type, const uint8_t *payload, size_t size)
{
    note(&type, 1);
    note(payload, size);
}

static void guest_drains(struct byte_ring *ring)
{
    uint8_t byte;

    while (byte_ring_count(ring)) {
        byte_ring_take(ring, &byte, 1);
        note(&byte, 1);
    }
}

/* Input and small frames have one order only where nothing waits in the ring when a frame comes. */
static void guest_takes(struct parser *parser, struct byte_ring *ring, const uint8_t *bytes,
                        size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t count = parser->state == PARSE_PAYLOAD ? size - at : 1;

        if (count > parser->left && parser->state == PARSE_PAYLOAD)
            count = parser->left;
        at += parse_bytes(parser, ring, bytes + at, count, guest_sees);
        guest_drains(ring);
    }
}

static uint64_t guest_reads(const uint8_t *bytes, size_t size, size_t piece)
{
    uint8_t *memory = malloc(RING);
    struct byte_ring ring = {memory, RING, UINT32_MAX - 9, UINT32_MAX - 9};
    struct parser parser = {0};

    digest = 1;
    for (size_t at = 0; at < size; at += piece)
        guest_takes(&parser, &ring, bytes + at, size - at < piece ? size - at : piece);
    free(memory);
    return digest;
}

static void damaged_streams(void **state)
{
    uint64_t plain_host = host_reads(sample, sizeof(sample) - 1, sizeof(sample)), changed = 0;

    (void)state;
    for (uint64_t i = 0; i < plan.iterations; i++) {
        size_t size = sizeof(sample) - 1;
        uint8_t *bytes;
        uint64_t whole;

        fuzz_seed(plan.seed, i);
        bytes = fuzz_mutate(sample, &size);
        whole = host_reads(bytes, size, size + 1);
        assert_int_equal(host_reads(bytes, size, 1 + fuzz_below(9)), whole);
        assert_int_equal(host_reads(bytes, size, 1), whole);
        changed += whole != plain_host;
        assert_int_equal(guest_reads(bytes, size, 1 + fuzz_below(9)),
                         guest_reads(bytes, size, size + 1));
        free(bytes);
    }
    assert_in_range(changed, 1, plan.iterations);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_streams)};

    plan = fuzz_plan_read(argc, argv, 50000);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
