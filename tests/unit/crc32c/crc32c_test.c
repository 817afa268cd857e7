/* crc32c_test.c: lib/crc32c against known values and against the definition, bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "lib/crc32c/crc32c.h"

static struct crc32c_tables tables;
static uint8_t data[5000];

static uint32_t by_definition(const uint8_t *bytes, size_t count)
{
    uint32_t reg = ~0u;
    for (size_t i = 0; i < count; i++) {
        reg ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            reg = reg & 1 ? reg >> 1 ^ CRC32C_POLYNOMIAL : reg >> 1;
    }
    return ~reg;
}

static int prepare(void **state)
{
    (void)state;
    crc32c_tables_fill(&tables);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 197 + i / 256);
    return 0;
}

/* RFC 3720, appendix B.4, and the check value of the catalogues. */
static void test_known_values(void **state)
{
    uint8_t block[32];
    (void)state;
    assert_int_equal(crc32c(&tables, 0, "123456789", 9), 0xe3069283u);
    memset(block, 0, sizeof(block));
    assert_int_equal(crc32c(&tables, 0, block, 32), 0x8a9136aau);
    memset(block, 0xff, sizeof(block));
    assert_int_equal(crc32c(&tables, 0, block, 32), 0x62a8ab43u);
    for (uint8_t i = 0; i < 32; i++)
        block[i] = i;
    assert_int_equal(crc32c(&tables, 0, block, 32), 0x46dd794eu);
    assert_int_equal(crc32c(&tables, 0, block, 0), 0);
}

static void test_all_lengths_and_places(void **state)
{
    (void)state;
    for (size_t from = 0; from < 9; from++)
        for (size_t count = 0; count < 200; count++)
            assert_int_equal(crc32c(&tables, 0, data + from, count),
                             by_definition(data + from, count));
    assert_int_equal(crc32c(&tables, 0, data, sizeof(data)), by_definition(data, sizeof(data)));
}

static void test_parts_are_put_together(void **state)
{
    uint32_t whole = by_definition(data, sizeof(data));
    (void)state;
    for (size_t cut = 0; cut <= sizeof(data); cut += 61) {
        uint32_t first = crc32c(&tables, 0, data, cut),
                 second = crc32c(&tables, 0, data + cut, sizeof(data) - cut);
        assert_int_equal(crc32c(&tables, first, data + cut, sizeof(data) - cut), whole);
        assert_int_equal(crc32c_combine(&tables, first, second, sizeof(data) - cut), whole);
    }
}

static void test_moving_is_zero_bytes(void **state)
{
    static const uint8_t zeros[3000];
    (void)state;
    for (size_t count = 0; count <= sizeof(zeros); count += 7)
        assert_int_equal(crc32c_move(&tables, 0x12345678, count),
                         crc32c_register(&tables, 0x12345678, zeros, count));
    /* Far moves are many near ones. */
    assert_int_equal(crc32c_move(&tables, 77, 5ull << 40),
                     crc32c_move(&tables, crc32c_move(&tables, 77, 1ull << 40), 4ull << 40));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_all_lengths_and_places),
        cmocka_unit_test(test_parts_are_put_together),
        cmocka_unit_test(test_moving_is_zero_bytes),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
