/*
 * onnx.h: reads ONNX models into chains. A file may be hostile: everything is checked, and what is
 * not understood is refused with its name.
 */
#pragma once

#include <stddef.h>

#include "host/malv-model/chain.h"

/* What a conversion leaves out; 0: nothing. */
enum onnx_note {
    ONNX_NOTE_MISSING_VALUES = 1, /* rules of trees for missing values */
};

/*
 * Reads the bytes of an ONNX file. The chain's numbers lie in the arena; its name and version are
 * the caller's business. `notes` becomes a set of enum onnx_note. False: why.
 */
bool onnx_read(struct arena *arena, const void *bytes, size_t size, struct chain *chain,
               unsigned *notes, struct why *why);
