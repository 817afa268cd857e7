/*
 * directory.c: folders. Their bytes are blocks, each with records of fixed size first and the names
 * behind them; the records of all blocks together are sorted by name, in the order of unsigned
 * bytes. The first record's place of its name tells how many records a block has.
 *
 * Blocks are not copied: what a step needs is read on its own, a record or a name.
 */
#include "lib/erofs/internal.h"

#include <string.h>

#define RECORD_SIZE   12u
#define TYPE_OF_MODE  0170000u
#define MODE_FOLDER   0040000u
#define POSITION_BITS 16u /* of the record in its block; the block stands above */

/* The types that EROFS has, as d_type. */
static const uint8_t entry_types[] = {0, 8, 4, 2, 6, 1, 12, 10};

struct dir_block {
    uint64_t offset; /* in the folder */
    uint32_t size;   /* bytes, less than a block at the folder's end */
    uint32_t count;  /* records, > 0 */
};

/* One that is larger than the image would take long to list. */
static bool is_folder(const struct erofs *fs, const struct erofs_inode *inode)
{
    return (inode->mode & TYPE_OF_MODE) == MODE_FOLDER && inode->size <= fs->size;
}

static uint64_t blocks_of(const struct erofs *fs, const struct erofs_inode *folder)
{
    return (folder->size >> fs->block_bits) + ((folder->size & (fs->block_size - 1)) != 0);
}

static int block_open(const struct erofs *fs, const struct erofs_inode *folder, uint64_t index,
                      struct dir_block *out)
{
    uint8_t record[RECORD_SIZE];
    uint32_t names;
    int r;

    out->offset = index << fs->block_bits;
    out->size = fs->block_size;
    if (folder->size - out->offset < out->size)
        out->size = (uint32_t)(folder->size - out->offset);
    if (out->size < RECORD_SIZE)
        return EROFS_CORRUPT;
    r = erofs_read(fs, folder, out->offset, record, RECORD_SIZE);
    if (r != EROFS_OK)
        return r;
    names = get16(record + 8);
    if (names < RECORD_SIZE || names % RECORD_SIZE != 0 || names >= out->size)
        return EROFS_CORRUPT;
    out->count = names / RECORD_SIZE;
    return EROFS_OK;
}

/* A name that reaches to the end of its block ends there, or at a NUL before. */
static int name_take(struct erofs_entry *entry, size_t room, bool last)
{
    size_t length = 0;

    while (length < room && entry->name[length] != '\0' && entry->name[length] != '/')
        length++;
    if (length == 0 || length > EROFS_NAME_MAX ||
        (length < room && (!last || entry->name[length] == '/')))
        return EROFS_CORRUPT;
    entry->name[length] = '\0';
    entry->length = length;
    return EROFS_OK;
}

static int entry_read(const struct erofs *fs, const struct erofs_inode *folder,
                      const struct dir_block *block, uint32_t index, struct erofs_entry *out)
{
    bool last = index + 1 == block->count;
    uint8_t records[2 * RECORD_SIZE];
    uint32_t start, end = block->size, room;
    int r = erofs_read(fs, folder, block->offset + (uint64_t)index * RECORD_SIZE, records,
                       last ? RECORD_SIZE : sizeof(records));

    if (r != EROFS_OK)
        return r;
    start = get16(records + 8);
    if (!last)
        end = get16(records + RECORD_SIZE + 8);
    if (start < block->count * RECORD_SIZE || start >= end || end > block->size)
        return EROFS_CORRUPT;
    room = end - start;
    if (room > sizeof(out->name)) {
        if (!last)
            return EROFS_CORRUPT;
        room = sizeof(out->name);
    }
    r = erofs_read(fs, folder, block->offset + start, out->name, room);
    if (r != EROFS_OK)
        return r;
    out->number = get64(records);
    out->type = records[10] < sizeof(entry_types) ? entry_types[records[10]] : 0;
    return name_take(out, room, last);
}

static int compare(const char *name, size_t length, const struct erofs_entry *entry)
{
    size_t both = length < entry->length ? length : entry->length;
    int order = memcmp(name, entry->name, both);

    if (order != 0)
        return order;
    return length == entry->length ? 0 : length < entry->length ? -1 : 1;
}

/* The last block whose first name is not behind the one wanted. */
static int block_find(const struct erofs *fs, const struct erofs_inode *folder, const char *name,
                      size_t length, struct dir_block *out)
{
    uint64_t low = 0, high = blocks_of(fs, folder);
    struct erofs_entry entry;
    struct dir_block block;
    bool found = false;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int r = block_open(fs, folder, middle, &block);

        if (r == EROFS_OK)
            r = entry_read(fs, folder, &block, 0, &entry);
        if (r != EROFS_OK)
            return r;
        if (compare(name, length, &entry) < 0) {
            high = middle;
        } else {
            *out = block;
            found = true;
            low = middle + 1;
        }
    }
    return found ? EROFS_OK : EROFS_NOT_FOUND;
}

int erofs_lookup(const struct erofs *fs, const struct erofs_inode *folder, const char *name,
                 uint64_t *number)
{
    size_t length = strlen(name);
    uint32_t low = 0, high;
    struct erofs_entry entry;
    struct dir_block block;
    int r;

    if (!is_folder(fs, folder))
        return EROFS_CORRUPT;
    r = block_find(fs, folder, name, length, &block);
    if (r != EROFS_OK)
        return r;
    high = block.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order;

        r = entry_read(fs, folder, &block, middle, &entry);
        if (r != EROFS_OK)
            return r;
        order = compare(name, length, &entry);
        if (order == 0) {
            *number = entry.number;
            return EROFS_OK;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return EROFS_NOT_FOUND;
}

int erofs_list(const struct erofs *fs, const struct erofs_inode *folder, uint64_t *position,
               struct erofs_entry *out)
{
    uint64_t index = *position >> POSITION_BITS;
    uint32_t record = *position & ((1u << POSITION_BITS) - 1);
    struct dir_block block;
    int r;

    if (!is_folder(fs, folder))
        return EROFS_CORRUPT;
    if (index >= blocks_of(fs, folder))
        return EROFS_NOT_FOUND;
    r = block_open(fs, folder, index, &block);
    if (r != EROFS_OK)
        return r;
    if (record >= block.count)
        return EROFS_NOT_FOUND;
    r = entry_read(fs, folder, &block, record, out);
    if (r != EROFS_OK)
        return r;
    *position = record + 1 < block.count ? *position + 1 : (index + 1) << POSITION_BITS;
    return EROFS_OK;
}
