/*
 * linux_text.h: writes formatted text into a buffer of fixed size and counts what did not fit, as
 * show() of a pseudo file wants it:
 *
 *     struct text t = {out, size, 0};
 *     text_add(&t, "total %lu\n", total);
 *     return text_length(&t);
 *
 * Any context.
 */
#pragma once

#include <microlake/types.h>

struct text {
    char *out;
    size_t room;
    size_t used; /* may be more than room */
};

void text_add(struct text *t, const char *format, ...) __printf(2, 3);

/* The room that the whole text needs. vsnprintf() keeps a byte for its NUL, so a text that would just
 * fit asks for one byte more. */
static inline long text_length(const struct text *t)
{
    return (long)(t->used < t->room ? t->used : t->used + 1);
}
