/*
 * crc32c.c: the checksum of superblocks: the Castagnoli polynomial, reflected, four bits a step. It
 * is computed once a mount over some 3 KiB, so a small table serves better than a fast one.
 */
#include "lib/erofs/erofs.h"

#define POLYNOMIAL 0x82f63b78u

static void table_make(uint32_t table[16])
{
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t crc = i;

        for (unsigned bit = 0; bit < 4; bit++)
            crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        table[i] = crc;
    }
}

uint32_t erofs_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint32_t table[16];

    table_make(table);
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}
