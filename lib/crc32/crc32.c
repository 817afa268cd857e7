/*
 * crc32.c: see crc32.h.
 */
#include "lib/crc32/crc32.h"

/* Four bits at a time: a table of 64 bytes. */
static uint32_t crc32_step(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    crc ^= byte;
    crc = table[crc & 15] ^ (crc >> 4);
    return table[crc & 15] ^ (crc >> 4);
}

uint32_t crc32_without_field(const void *bytes, size_t size, size_t field)
{
    const uint8_t *from = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc = crc32_step(crc, i - field < sizeof(uint32_t) ? 0 : from[i]);
    }
    return ~crc;
}
