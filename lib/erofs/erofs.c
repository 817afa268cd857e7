/*
 * erofs.c: the superblock, inodes, and where the bytes of files lie. See erofs.h. All numbers are
 * little-endian.
 */
#include "lib/erofs/internal.h"

#include <string.h>

#define NS_PER_S 1000000000u

#define SUPER_SIZE        128u
#define SUPER_SLOT_SIZE   16u /* bytes of each further slot */
#define SUPER_SIZE_MAX    3072u
#define SUPER_CHECKSUM_AT 4u
#define BLOCK_BITS_MIN    9u
#define BLOCK_BITS_MAX    12u
#define COMPAT_CHECKSUM   1u
#define INCOMPAT_KNOWN    (1u << 2 | 1u << 6)

#define INODE_UNIT       32u /* inode numbers count these */
#define INODE_COMPACT    32u /* bytes */
#define INODE_EXTENDED   64u
#define XATTR_HEADER     12u
#define XATTR_UNIT       4u
#define CHUNK_BITS_MASK  0x1fu
#define CHUNK_INDEXES    0x20u
#define CHUNK_KNOWN      0x3fu
#define CHUNK_INDEX_SIZE 8u
#define CHUNK_BLOCK_SIZE 4u
#define NO_BLOCK         0xffffffffu

#define MODE_TYPE   0170000u
#define MODE_CHAR   0020000u
#define MODE_BLOCK  0060000u
#define MODE_FIFO   0010000u
#define MODE_SOCKET 0140000u

enum disk_layout { DISK_PLAIN = 0, DISK_INLINE = 2, DISK_CHUNKS = 4 };

/* What an image uses, by the bits without which it can't be read. NULL: known here. The names of
 * extended attributes (bit 6) are not read. */
static const char *const incompatible[] = {
    "it uses compression (made by mkfs.erofs -z)",
    "it uses compression (made by mkfs.erofs -z)",
    NULL,
    "it uses a second compression, or further devices (made by mkfs.erofs --blobdev)",
    "it uses packed tails (made by mkfs.erofs -Eztailpacking)",
    "it uses fragments or deduplication (made by mkfs.erofs -Efragments or -Ededupe)",
    NULL,
};

int erofs_get(const struct erofs *fs, uint64_t offset, void *to, size_t size)
{
    if (offset > fs->size || size > fs->size - offset)
        return EROFS_CORRUPT;
    return fs->source->read(fs->source, offset, to, size) ? EROFS_OK : EROFS_SOURCE_FAILED;
}

/* ---- The superblock
 * ------------------------------------------------------------------------------ */

/* It covers the rest of the superblock's block, with its own field as zero. */
static bool checksum_holds(const struct erofs *fs, uint32_t expected)
{
    uint32_t size = fs->block_size;
    uint32_t crc = ~0u;
    uint8_t bytes[256];

    if (size > EROFS_MAGIC_AT)
        size -= EROFS_MAGIC_AT;
    for (uint32_t done = 0; done < size; done += sizeof(bytes)) {
        if (erofs_get(fs, EROFS_MAGIC_AT + done, bytes, sizeof(bytes)) != EROFS_OK)
            return false;
        if (done == 0)
            memset(bytes + SUPER_CHECKSUM_AT, 0, 4);
        crc = erofs_crc32c(crc, bytes, sizeof(bytes));
    }
    return crc == expected;
}

static const char *unknown_feature(const uint8_t *super)
{
    uint32_t features = get32(super + 80);

    for (unsigned bit = 0; bit < 7; bit++)
        if ((features & 1u << bit) && incompatible[bit])
            return incompatible[bit];
    if (features & ~INCOMPAT_KNOWN)
        return "it uses features of a newer EROFS";
    if (super[12] > BLOCK_BITS_MAX)
        return "its blocks are larger than 4096 bytes (made by mkfs.erofs -b)";
    if (super[90] != 0)
        return "its folders have blocks of their own size";
    return NULL;
}

/* Fills in what the superblock says. NULL, or what is wrong with it. */
static const char *super_take(struct erofs *fs, const uint8_t *super)
{
    uint64_t inodes_offset;

    fs->block_bits = super[12];
    if (fs->block_bits < BLOCK_BITS_MIN)
        return "its superblock is damaged";
    fs->block_size = 1u << fs->block_bits;
    fs->size = (uint64_t)get32(super + 36) << fs->block_bits;
    if (fs->size > fs->source->size)
        return "it is cut short";
    if ((get32(super + 8) & COMPAT_CHECKSUM) && !checksum_holds(fs, get32(super + 4)))
        return "its superblock is damaged: the checksum is another one";
    inodes_offset = (uint64_t)get32(super + 40) << fs->block_bits;
    fs->inodes_offset = inodes_offset;
    fs->root = get16(super + 14);
    fs->inodes = get64(super + 16);
    fs->build_time = get64(super + 24);
    fs->build_time_ns = get32(super + 32);
    if (inodes_offset >= fs->size || fs->build_time_ns >= NS_PER_S ||
        SUPER_SIZE + super[13] * SUPER_SLOT_SIZE > SUPER_SIZE_MAX)
        return "its superblock is damaged";
    return NULL;
}

static int super_read(struct erofs *fs, uint8_t *super, const char **why)
{
    fs->size = fs->source->size;
    if (fs->size < EROFS_MAGIC_AT + SUPER_SIZE) {
        *why = "it is no EROFS image: it is too short";
        return EROFS_NOT_EROFS;
    }
    if (erofs_get(fs, EROFS_MAGIC_AT, super, SUPER_SIZE) != EROFS_OK) {
        *why = "it can't be read";
        return EROFS_SOURCE_FAILED;
    }
    if (get32(super) != EROFS_MAGIC) {
        *why = "it is no EROFS image";
        return EROFS_NOT_EROFS;
    }
    return EROFS_OK;
}

int erofs_open(struct erofs *fs, struct erofs_source *source, const char **why)
{
    uint8_t super[SUPER_SIZE];
    int r;

    *fs = (struct erofs){.source = source};
    r = super_read(fs, super, why);
    if (r != EROFS_OK)
        return r;
    *why = unknown_feature(super);
    if (*why)
        return EROFS_UNSUPPORTED;
    *why = super_take(fs, super);
    return *why ? EROFS_CORRUPT : EROFS_OK;
}

/* ---- Inodes
 * -------------------------------------------------------------------------------------- */

/* A compact inode has no time of its own. */
static void compact_take(const struct erofs *fs, const uint8_t *bytes, struct erofs_inode *out)
{
    out->links = get16(bytes + 6);
    out->size = get32(bytes + 8);
    out->owner = get16(bytes + 24);
    out->group = get16(bytes + 26);
    out->time = fs->build_time;
    out->time_ns = fs->build_time_ns;
}

static void extended_take(const uint8_t *bytes, struct erofs_inode *out)
{
    out->size = get64(bytes + 8);
    out->owner = get32(bytes + 24);
    out->group = get32(bytes + 28);
    out->time = get64(bytes + 32);
    out->time_ns = get32(bytes + 40);
    out->links = get32(bytes + 44);
}

static bool range_inside(const struct erofs *fs, uint64_t offset, uint64_t size)
{
    return offset <= fs->size && size <= fs->size - offset;
}

/* Blocks, and behind the inode what does not fill one, which lies in one block. */
static int flat_take(const struct erofs *fs, uint32_t block, struct erofs_inode *out)
{
    uint64_t tail = 0;

    if (out->layout == EROFS_INLINE && out->size > 0) {
        tail = out->size & (fs->block_size - 1);
        if (tail == 0)
            tail = fs->block_size;
    }
    out->tail_start = out->size - tail;
    out->start = (uint64_t)block << fs->block_bits;
    if (out->tail_start > 0 && !range_inside(fs, out->start, out->tail_start))
        return EROFS_CORRUPT;
    if (tail > 0 && ((out->tail_offset & (fs->block_size - 1)) + tail > fs->block_size ||
                     !range_inside(fs, out->tail_offset, tail)))
        return EROFS_CORRUPT;
    return EROFS_OK;
}

static int chunks_take(const struct erofs *fs, uint32_t format, struct erofs_inode *out)
{
    uint64_t count;

    if (format & ~CHUNK_KNOWN)
        return EROFS_UNSUPPORTED;
    out->chunk_bits = fs->block_bits + (format & CHUNK_BITS_MASK);
    out->chunk_record = format & CHUNK_INDEXES ? CHUNK_INDEX_SIZE : CHUNK_BLOCK_SIZE;
    out->start = (out->tail_offset + out->chunk_record - 1) & ~(uint64_t)(out->chunk_record - 1);
    out->tail_start = out->size;
    if (out->size == 0)
        return EROFS_OK;
    count = ((out->size - 1) >> out->chunk_bits) + 1;
    if (count > fs->size / out->chunk_record ||
        !range_inside(fs, out->start, count * out->chunk_record))
        return EROFS_CORRUPT;
    return EROFS_OK;
}

/* Where the bytes of a file, folder or link lie, or what device it is. `field` says either. */
static int content_take(const struct erofs *fs, unsigned layout, uint32_t field,
                        struct erofs_inode *out)
{
    switch (out->mode & MODE_TYPE) {
    case MODE_CHAR:
    case MODE_BLOCK:
        out->device = field;
        out->size = 0;
        return EROFS_OK;
    case MODE_FIFO:
    case MODE_SOCKET:
        out->size = 0;
        return EROFS_OK;
    default:
        break;
    }
    switch (layout) {
    case DISK_PLAIN:
        out->layout = EROFS_FLAT;
        return flat_take(fs, field, out);
    case DISK_INLINE:
        out->layout = EROFS_INLINE;
        return flat_take(fs, field, out);
    case DISK_CHUNKS:
        out->layout = EROFS_CHUNKS;
        return chunks_take(fs, field & 0xffff, out);
    default:
        return EROFS_UNSUPPORTED;
    }
}

/* Bytes of the extended attributes that follow an inode. */
static uint64_t xattr_size(uint16_t count)
{
    return count == 0 ? 0 : XATTR_HEADER + (uint64_t)(count - 1) * XATTR_UNIT;
}

int erofs_inode_read(const struct erofs *fs, uint64_t number, struct erofs_inode *out)
{
    uint8_t bytes[INODE_EXTENDED] = {0};
    uint64_t offset, size = INODE_COMPACT;
    uint16_t format;
    int r;

    if (number > (fs->size - fs->inodes_offset) / INODE_UNIT)
        return EROFS_CORRUPT;
    offset = fs->inodes_offset + number * INODE_UNIT;
    r = erofs_get(fs, offset, bytes, INODE_COMPACT);
    if (r != EROFS_OK)
        return r;
    format = get16(bytes);
    if (format & 1) {
        size = INODE_EXTENDED;
        r = erofs_get(fs, offset, bytes, INODE_EXTENDED);
        if (r != EROFS_OK)
            return r;
    }
    *out = (struct erofs_inode){.number = number, .mode = get16(bytes + 4)};
    if (format & 1)
        extended_take(bytes, out);
    else
        compact_take(fs, bytes, out);
    if (out->size > INT64_MAX || out->time_ns >= NS_PER_S)
        return EROFS_CORRUPT;
    out->tail_offset = offset + size + xattr_size(get16(bytes + 2));
    return content_take(fs, format >> 1 & 7, get32(bytes + 16), out);
}

/* ---- Content
 * ------------------------------------------------------------------------------------- */

static int chunk_at(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset,
                    struct erofs_extent *out)
{
    uint64_t chunk = offset >> inode->chunk_bits, end = (chunk + 1) << inode->chunk_bits;
    uint64_t skipped = offset - (chunk << inode->chunk_bits);
    uint8_t record[CHUNK_INDEX_SIZE];
    uint32_t block;
    int r = erofs_get(fs, inode->start + chunk * inode->chunk_record, record, inode->chunk_record);

    if (r != EROFS_OK)
        return r;
    out->length = (end < inode->size ? end : inode->size) - offset;
    block = get32(record + inode->chunk_record - CHUNK_BLOCK_SIZE);
    out->hole = block == NO_BLOCK;
    if (out->hole)
        return EROFS_OK;
    out->offset = ((uint64_t)block << fs->block_bits) + skipped;
    return range_inside(fs, out->offset, out->length) ? EROFS_OK : EROFS_CORRUPT;
}

int erofs_extent_at(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset,
                    struct erofs_extent *out)
{
    *out = (struct erofs_extent){0};
    if (offset >= inode->size)
        return EROFS_CORRUPT;
    if (inode->layout == EROFS_CHUNKS)
        return chunk_at(fs, inode, offset, out);
    if (offset < inode->tail_start) {
        out->offset = inode->start + offset;
        out->length = inode->tail_start - offset;
    } else {
        out->offset = inode->tail_offset + (offset - inode->tail_start);
        out->length = inode->size - offset;
    }
    return EROFS_OK;
}

int erofs_read(const struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, void *to,
               size_t size)
{
    uint8_t *bytes = to;
    struct erofs_extent extent;

    if (offset > inode->size || size > inode->size - offset)
        return EROFS_CORRUPT;
    while (size > 0) {
        int r = erofs_extent_at(fs, inode, offset, &extent);
        size_t n = extent.length < size ? (size_t)extent.length : size;

        if (r == EROFS_OK && extent.hole)
            memset(bytes, 0, n);
        else if (r == EROFS_OK)
            r = erofs_get(fs, extent.offset, bytes, n);
        if (r != EROFS_OK)
            return r;
        bytes += n;
        offset += n;
        size -= n;
    }
    return EROFS_OK;
}
