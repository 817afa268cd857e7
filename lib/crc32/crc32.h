/*
 * crc32.h: the checksum of the project's file formats, CRC-32 of IEEE 802.3 (reflected,
 * 0xedb88320). It finds damage; it does not keep out who means harm. Any context.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The CRC-32 of `size` bytes; the four bytes at `field`, where the file keeps it, are taken as
 * zero. */
uint32_t crc32_without_field(const void *bytes, size_t size, size_t field);
