/*
 * exports.c: looks up exported symbols of the nucleus.
 */
#include "kernel/module/exports.h"

#include <microlake/memory.h>

const void *export_find(const char *name, unsigned *cursor)
{
    for (; *cursor < export_count; ++*cursor) {
        int order = strcmp(name, export_table[*cursor].name);

        if (order <= 0)
            return order == 0 ? export_table[*cursor].address : NULL;
    }
    return NULL;
}
