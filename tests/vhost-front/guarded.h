/*
 * guarded.h: buffers of guest memory with a page on either side of each of their stretches that nobody may touch,
 * for tests of what lies at a buffer's end. The functions assert; they are for cmocka tests.
 */
#pragma once

#include "rig.h"

enum guarded_kind {
    GUARDED_WHOLE, /* pages that follow each other */
    GUARDED_LIST,  /* single pages, backwards, a guard between them */
    GUARDED_PART,  /* a sub-buffer: the guards are the buffer's that it is a part of */
    GUARDED_KINDS
};

struct guarded {
    uint32_t id;
    uint64_t bytes;
    unsigned guard_count;
    uint8_t **pages, **guards; /* as this side sees them */
};

/* The buffer `id` of context 1; a GUARDED_PART is a part of buffer 1000 + `id`. */
void guarded_make(struct guarded *buffer, struct rig *rig, enum guarded_kind kind, uint32_t id, unsigned pages);
void guarded_free(struct guarded *buffer);

void guarded_put(struct guarded *buffer, const uint8_t *bytes);
void guarded_get(const struct guarded *buffer, uint8_t *bytes);
/* Nobody wrote beside it. */
void guarded_check(const struct guarded *buffer);
