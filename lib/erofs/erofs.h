/*
 * erofs.h: reading an EROFS image (Enhanced Read-Only File System, version 1): the superblock,
 * inodes, where the bytes of files lie, folders. It allocates nothing and keeps no state but
 * struct erofs, which does not change after erofs_open(): any number of threads may use one.
 *
 * The image's bytes come from a source of the caller's and are foreign: any content is safe. What a
 * call hands out lies inside the image and keeps the promises made here; an image that contradicts
 * itself gives EROFS_CORRUPT, and no call takes longer than its arguments and the longest name
 * explain. Context: the source's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EROFS_NAME_MAX 255u
#define EROFS_MAGIC    0xe0f5e1e2u
#define EROFS_MAGIC_AT 1024u /* bytes from the start of the image, little-endian */

enum erofs_result {
    EROFS_OK = 0,
    EROFS_SOURCE_FAILED = -1, /* the source could not read */
    EROFS_CORRUPT = -2,
    EROFS_NOT_FOUND = -3,   /* no such name */
    EROFS_NOT_EROFS = -4,   /* another format, or none */
    EROFS_UNSUPPORTED = -5, /* a feature that this code does not know */
};

struct erofs_source {
    uint64_t size; /* bytes of the image */
    /* Copies bytes that lie inside it. False: they can't be read. */
    bool (*read)(struct erofs_source *source, uint64_t offset, void *to, size_t size);
};

struct erofs {
    struct erofs_source *source;
    uint64_t size; /* bytes that the image says it has, at most the source's */
    uint64_t inodes_offset;
    uint64_t root;   /* number of the root folder's inode */
    uint64_t inodes; /* how many there are, as the image says */
    uint64_t build_time;
    uint32_t build_time_ns;
    uint32_t block_size; /* 512 to 4096 */
    unsigned block_bits;
};

/*
 * Checks the superblock, its checksum and its features. *why: one phrase for a person where the
 * result is not EROFS_OK, as in "it uses compression (made by mkfs.erofs -z)".
 */
int erofs_open(struct erofs *fs, struct erofs_source *source, const char **why);

enum erofs_layout { EROFS_FLAT, EROFS_INLINE, EROFS_CHUNKS };

struct erofs_inode {
    uint64_t number; /* of the inode in the image */
    uint64_t size;   /* bytes, at most INT64_MAX */
    uint64_t time;   /* of the last change, seconds since 1970 */
    uint32_t time_ns;
    uint32_t mode; /* type and permissions, Linux's numbers */
    uint32_t owner, group;
    uint32_t links;
    uint32_t device; /* of a device node, as Linux encodes st_rdev */

    /* Where its bytes lie; for this library. */
    enum erofs_layout layout;
    uint64_t start;        /* image offset: of the blocks, or of the table of chunks */
    uint64_t tail_offset;  /* image offset of what lies behind the inode itself */
    uint64_t tail_start;   /* file offset of that; the size where there is none */
    unsigned chunk_bits;   /* bytes of a chunk, as a power of two */
    unsigned chunk_record; /* bytes of an entry in the table of chunks */
};

/* Reads and checks an inode by its number. */
int erofs_inode_read(const struct erofs *fs, uint64_t number, struct erofs_inode *out);

struct erofs_extent {
    uint64_t offset; /* in the image */
    uint64_t length; /* bytes, > 0, not beyond the end of the file */
    bool hole;       /* they are zero, and lie nowhere */
};

/* Where the file's bytes from `offset` (< inode->size) on lie. */
int erofs_extent_at(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset,
                    struct erofs_extent *out);

/* Copies bytes of the file that lie inside it. */
int erofs_read(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, void *to,
               size_t size);

struct erofs_entry {
    uint64_t number; /* of its inode; not checked yet */
    uint8_t type;    /* as d_type: 4 a folder, 8 a file, 10 a link; 0: not said */
    char name[EROFS_NAME_MAX + 1];
    size_t length; /* of the name, > 0; it holds no '/' and no NUL */
};

/* The inode's number for a name in a folder. */
int erofs_lookup(const struct erofs *fs, const struct erofs_inode *folder, const char *name,
                 uint64_t *number);

/*
 * The entry at *position (0: the first, as a rule "."), and moves *position behind it; any position
 * is safe. EROFS_NOT_FOUND: there is none any more.
 */
int erofs_list(const struct erofs *fs, const struct erofs_inode *folder, uint64_t *position,
               struct erofs_entry *out);

/* For erofs_open() and tests: CRC-32C (Castagnoli), without the final inversion. */
uint32_t erofs_crc32c(uint32_t crc, const void *bytes, size_t size);
