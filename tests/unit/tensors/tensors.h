/*
 * tensors.h: what the parts of the fuzz of built-in operations share: a trial, which is one operation on
 * tensors in a few buffers, and the memory it lies in.
 *
 * A buffer lies between pages that nobody may touch, at the one end or the other. What is beside it and in
 * its gaps has a pattern that must be there afterwards; most of these patterns are no numbers, which
 * results of what was read outside would be, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tests/tensor-reference/reference.h"
#include "uapi/virtio_gpgpu.h"

#define BUFFERS    3u
#define ROOM_BYTES (2u << 20)   /* of memory around and in a buffer */
#define USUAL_ROOM (192u << 10) /* of it in most trials */
#define PARAMETERS 512u         /* bytes */

struct device_buffer { /* what decoding finds */
    uint8_t *memory;
    uint64_t size;
};

struct trial {
    uint16_t operation, count;
    uint32_t parameter_bytes;
    struct vgpgpu_tensor tensors[VGPGPU_MAX_TENSORS];
    _Alignas(8) uint8_t parameters[PARAMETERS];
};

extern struct device_buffer buffers[BUFFERS + 1]; /* by identifier */

/* ---- Random numbers: the same trials from the same seed. */
extern uint64_t trial_seed;
uint64_t random_next(void);
uint32_t random_below(uint32_t limit);
bool one_in(uint32_t n);
/* A number near some limit. */
uint64_t random_edge(void);

/* ---- Memory (memory.c) */
void memory_open(void);
/* The same without guards, in BUFFERS * ROOM_BYTES of somebody's, which begin with a page: so do all buffers. */
void memory_open_at(uint8_t *place);
/* Buffers of other sizes in other places, full of patterns. */
void memory_renew(bool large);
/* Keeps all bytes as they are now: those that elements had before an operation. */
void memory_keep(void);
/* Whether all bytes are as they were kept. Elements that were expected were put back. */
bool memory_is_kept(void);

/* An element as it was when all was kept. */
double element_before(const struct vgpgpu_tensor *tensor, const uint64_t *index);
double element_now(const struct vgpgpu_tensor *tensor, const uint64_t *index);
void element_set(const struct vgpgpu_tensor *tensor, const uint64_t *index, double value);
/* Puts it back. */
void element_restore(const struct vgpgpu_tensor *tensor, const uint64_t *index);

/* ---- Trials (make.c): shapes that fit each other, then perhaps something that does not. */
extern uint16_t trial_operation; /* of nearly all trials; 0: of none in particular */
void trial_make(struct trial *trial);
/* Numbers for every element of a trial that is right. */
void trial_fill(const struct trial *trial);
void trial_print(const struct trial *trial);

/* ---- Whether a trial is right (rules.c), by the specification alone: its words, once more in C. */
bool trial_is_right(const struct trial *trial);

/* ---- What must come of it (expect.c). NULL, or what is wrong. */
const char *trial_expect(const struct trial *trial);

/* ---- What came of it (outcomes.c): counts it. NULL, or what is wrong; memory was kept before. */
const char *outcome_judge(const struct trial *trial, bool right, uint32_t status);
/* How often an operation was done. */
unsigned long outcomes_done(uint16_t operation);
void outcomes_print(void);
