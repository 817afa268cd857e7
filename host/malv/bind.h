/*
 * bind.h: folders and files of the host that a machine has beside its root: --bind HOST:GUEST[:ro].
 */
#pragma once

#include <stdbool.h>

#define BIND_MAX 16u

struct bind {
    const char *host;  /* the folder: absolute, without links */
    const char *file;  /* the name in it that is meant; NULL: the folder itself */
    const char *guest; /* absolute; not the root */
    bool read_only;
};

/* Reads one option's value. Texts live as long as malv. False: a line on standard error said why.
 */
bool bind_parse(const char *text, struct bind *out);
