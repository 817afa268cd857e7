/*
 * crc32c.c: see crc32c.h. Eight bytes a step with eight tables ("slicing", Kounavis and Berry
 * 2005); registers are moved by multiplication modulo the polynomial.
 */
#include "crc32c.h"

static uint32_t times_x(uint32_t value)
{
    return value >> 1 ^ (value & 1 ? CRC32C_POLYNOMIAL : 0);
}

/* The product of two polynomials modulo the checksum's; bit 31 is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (; a; a <<= 1) {
        if (a >> 31)
            product ^= b;
        b = times_x(b);
    }
    return product;
}

void crc32c_tables_fill(struct crc32c_tables *tables)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;

        for (unsigned slice = 0; slice < CRC32C_SLICES; slice++) {
            for (unsigned bit = 0; bit < 8; bit++)
                value = times_x(value);
            tables->slices[slice][byte] = value;
        }
    }
    tables->powers[0] = 1u << 23; /* x^8 */
    for (unsigned n = 1; n < CRC32C_POWERS; n++)
        tables->powers[n] = multiply(tables->powers[n - 1], tables->powers[n - 1]);
}

static uint32_t step_byte(const struct crc32c_tables *tables, uint32_t reg, uint8_t byte)
{
    return reg >> 8 ^ tables->slices[0][(reg ^ byte) & 255];
}

static uint32_t step_word(const struct crc32c_tables *tables, uint32_t reg, uint64_t word)
{
    const uint32_t(*s)[256] = tables->slices;

    word ^= reg;
    return s[7][word & 255] ^ s[6][word >> 8 & 255] ^ s[5][word >> 16 & 255] ^
           s[4][word >> 24 & 255] ^ s[3][word >> 32 & 255] ^ s[2][word >> 40 & 255] ^
           s[1][word >> 48 & 255] ^ s[0][word >> 56];
}

uint32_t crc32c_register(const struct crc32c_tables *tables, uint32_t reg, const void *data,
                         size_t bytes)
{
    const uint8_t *at = data;

    for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;

        __builtin_memcpy(&word, at, sizeof(word));
        reg = step_word(tables, reg, word);
    }
    while (bytes--)
        reg = step_byte(tables, reg, *at++);
    return reg;
}

uint32_t crc32c_move(const struct crc32c_tables *tables, uint32_t value, uint64_t bytes)
{
    for (unsigned n = 0; bytes; n++, bytes >>= 1)
        if (bytes & 1)
            value = multiply(value, tables->powers[n]);
    return value;
}
