/*
 * exports.c: looks up exported symbols of the nucleus.
 */
#include "kernel/module/exports.h"

#include <microlake/memory.h>

const void *export_find(const char *name)
{
    unsigned low = 0, high = export_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(name, export_table[middle].name);

        if (order == 0)
            return export_table[middle].address;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
