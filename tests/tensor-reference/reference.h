/*
 * reference.h: docs/virtio-gpgpu.md, section 9, as the tests of built-in operations have it: where an element
 * of a tensor lies, and what a step of a chain makes of it, in plain C and double precision.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "uapi/virtio_gpgpu.h"

unsigned element_bytes(unsigned type);
/* Bytes from its buffer's start on. */
uint64_t element_place(const struct vgpgpu_tensor *tensor, const uint64_t *index);
/* The next index in order; false after the last. */
bool index_step(const struct vgpgpu_tensor *tensor, uint64_t *index);

/* y: the operand of a step that has one. */
double step_value(const struct vgpgpu_step *step, double x, double y);
