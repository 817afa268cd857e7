/*
 * pack.h: from a linked module to a module file (uapi/kmodfile.h).
 */
#pragma once

#include "host/kmodpack/object.h"

#define PACK_WHY_MAX 256

/*
 * Packs a decoded module. *out is the file's content, *size bytes, and the caller's to free. false:
 * why says what is wrong with the module, to follow "FILE: it ", or that there is no memory.
 */
bool pack_module(const struct object *object, uint8_t **out, size_t *size, char why[PACK_WHY_MAX]);
