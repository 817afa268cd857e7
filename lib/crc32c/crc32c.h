/*
 * crc32c.h: the checksum of iSCSI, ext4 and NVMe (Castagnoli's polynomial, reflected, both
 * inversions), and the arithmetic that puts checksums of parts together. Pure code; any context.
 *
 * A checksum's "register" is its value without the two inversions: what is between the steps. It is
 * linear: the register of a message is the exclusive or of those of its parts, each moved past what
 * follows it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u /* bit 31 is x^0 */
#define CRC32C_SLICES     8u          /* bytes that one step takes */
#define CRC32C_POWERS     64u

struct crc32c_tables {
    uint32_t slices[CRC32C_SLICES][256]; /* a byte's register, moved past 0, 1, ... 7 more bytes */
    uint32_t powers[CRC32C_POWERS];      /* x^(8 * 2^n): what moves a register past 2^n bytes */
};

void crc32c_tables_fill(struct crc32c_tables *tables);

/* The register after `bytes` more of data, eight bytes a step. */
uint32_t crc32c_register(const struct crc32c_tables *tables, uint32_t reg, const void *data,
                         size_t bytes);

/* A register, or a checksum, moved past `bytes` zero bytes. */
uint32_t crc32c_move(const struct crc32c_tables *tables, uint32_t value, uint64_t bytes);

/* The checksum of two messages one after the other, from theirs. */
static inline uint32_t crc32c_combine(const struct crc32c_tables *tables, uint32_t first,
                                      uint32_t second, uint64_t second_bytes)
{
    return crc32c_move(tables, first, second_bytes) ^ second;
}

/* The checksum of what `crc` is that of (0: of nothing), followed by `bytes` of data. */
static inline uint32_t crc32c(const struct crc32c_tables *tables, uint32_t crc, const void *data,
                              size_t bytes)
{
    return ~crc32c_register(tables, ~crc, data, bytes);
}
