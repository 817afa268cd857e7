/*
 * text.c: see core.h.
 */
#include <microlake/log.h>

#include "core.h"

void text_add(struct text *t, const char *format, ...)
{
    size_t room = t->used < t->size ? t->size - t->used : 0;
    char none;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(room ? t->out + t->used : &none, room, format, args);
    va_end(args);
    t->used += length > 0 ? (size_t)length : 0;
}
