/*
 * exports.h: the table of the nucleus's symbols that modules may use, made from kernel/exports.
 */
#pragma once

struct export_entry {
    const char *name;
    const void *address;
};

extern const struct export_entry export_table[]; /* sorted by name, byte by byte */
extern const unsigned export_count;

/*
 * The address of an exported symbol; NULL: there is none. *cursor starts at 0; whoever looks up one
 * name after the other goes through them in order, so that all together take one walk over the
 * table. Any context.
 */
const void *export_find(const char *name, unsigned *cursor);
