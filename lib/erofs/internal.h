/*
 * internal.h: what the parts of lib/erofs share.
 */
#pragma once

#include "lib/erofs/erofs.h"

/* Copies bytes of the image; EROFS_CORRUPT where they do not all lie inside it. */
int erofs_get(const struct erofs *fs, uint64_t offset, void *to, size_t size);

static inline uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t get32(const uint8_t *at)
{
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static inline uint64_t get64(const uint8_t *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}
