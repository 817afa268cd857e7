/*
 * tensorfile.h: a reader for tensor files (.mtf), named arrays in one checked file.
 *
 * docs/tensorfile.md is the layout; tools/train/tensorfile.py writes it. The file is foreign bytes:
 * tensorfile_open checks all of it before anything is used, and afterwards nothing it hands out
 * leaves the file. No memory is allocated and no operating system is needed: kernel, modules, user
 * and host use the same code. The functions may be called in any context.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TENSORFILE_MAGIC      0x3146544du /* "MTF1" */
#define TENSORFILE_VERSION    1u
#define TENSORFILE_ALIGN      64u /* tensors begin at multiples of this, bytes from the file's start */
#define TENSORFILE_MAX_RANK   4u
#define TENSORFILE_NAME_BYTES 40u
#define TENSORFILE_MAX_BYTES  (1ull << 40)

enum tensorfile_type {
    TENSORFILE_FLOAT32 = 1,
    TENSORFILE_UINT8 = 2,
};

/* The file starts with this. All numbers are little-endian. */
struct tensorfile_header {
    uint32_t magic;   /* TENSORFILE_MAGIC */
    uint32_t version; /* TENSORFILE_VERSION */
    uint64_t file_bytes;
    uint32_t tensor_count;
    uint32_t crc32; /* CRC-32 (IEEE 802.3) of the file, this field taken as zero */
    uint8_t reserved[40];
};
_Static_assert(sizeof(struct tensorfile_header) == 64, "header layout");

/* Follows the header, tensor_count times. */
struct tensorfile_entry {
    char name[TENSORFILE_NAME_BYTES];    /* NUL-terminated, NUL-padded, unique in the file */
    uint32_t type;                       /* enum tensorfile_type */
    uint32_t rank;                       /* 1..TENSORFILE_MAX_RANK */
    uint32_t shape[TENSORFILE_MAX_RANK]; /* not 0; 1 beyond the rank */
    uint64_t offset;                     /* of the data, bytes from the file's start */
    uint64_t bytes;                      /* of the data: elements times their size */
    uint8_t reserved[48];
};
_Static_assert(sizeof(struct tensorfile_entry) == 128, "entry layout");

enum tensorfile_status {
    TENSORFILE_OK = 0,
    TENSORFILE_NOT_ONE = -1, /* the magic is another file's */
    TENSORFILE_VERSION_NEW = -2,
    TENSORFILE_TRUNCATED = -3, /* shorter or longer than the header says */
    TENSORFILE_CHECKSUM = -4,  /* the bytes are not those that were written */
    TENSORFILE_LAYOUT = -5,    /* a field contradicts the layout */
    TENSORFILE_MISSING = -6,   /* no tensor of that name */
    TENSORFILE_SHAPE = -7,     /* the tensor has another type or shape */
    TENSORFILE_ALIGNMENT = -8, /* the caller's memory is not aligned to 8 bytes */
};

/* An open file: a view of the caller's memory, valid as long as that memory stays unchanged. */
struct tensorfile {
    const uint8_t *bytes;
    const struct tensorfile_entry *entries;
    uint32_t tensor_count;
};

/*
 * Checks the `size` bytes at `memory` (8-aligned, kept by the caller) and makes `file` a view of
 * them. On an error (one of enum tensorfile_status) `file` is left alone.
 */
int tensorfile_open(struct tensorfile *file, const void *memory, size_t size);

/* The tensor of that name, or NULL. */
const struct tensorfile_entry *tensorfile_find(const struct tensorfile *file, const char *name);

/* The data of a tensor that tensorfile_find gave: entry->bytes of them, 64-aligned in the file. */
const void *tensorfile_data(const struct tensorfile *file, const struct tensorfile_entry *entry);

/*
 * Finds a tensor that must have this type and shape (`rank` numbers; 0 stands for any length) and
 * points `data` at it. TENSORFILE_MISSING or TENSORFILE_SHAPE when it is not so.
 */
int tensorfile_expect(const struct tensorfile *file, const char *name, uint32_t type, uint32_t rank,
                      const uint32_t *shape, const void **data);

/* What a status of enum tensorfile_status means: a phrase without a full stop. Never NULL. */
const char *tensorfile_error_text(int status);
