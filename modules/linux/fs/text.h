/*
 * text.h: writes formatted text into a buffer of fixed size and counts what did not fit, as show()
 * of a pseudo file wants it.
 */
#pragma once

#include <microlake/types.h>

struct text {
    char *out;
    size_t room;
    size_t used; /* may be more than room */
};

void text_add(struct text *t, const char *format, ...) __printf(2, 3);
