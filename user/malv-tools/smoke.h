/*
 * smoke.h: what the checks of malv-smoke share.
 *
 * A check works on the device that smoke_main() opened. It returns when it is done; the first
 * EXPECT or SUCCEED that does not hold ends it and becomes the reason in its line.
 */
#pragma once

#include "tools.h"

#define SMOKE_WAIT_NS                                                                              \
    (60ull * 1000000000ull) /* for work that takes a moment: longer is a failure */

struct smoke {
    struct malv_device *device;
    const char *skipped; /* why the check does not apply to this device; NULL: it does */
    char why[200];       /* why it failed, or empty */
};

void smoke_fail(struct smoke *s, const char *what, int error);

#define EXPECT(condition, what)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            smoke_fail(s, what, 0);                                                                \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* A call that must return 0. */
#define SUCCEED(call, what)                                                                        \
    do {                                                                                           \
        int error_ = (call);                                                                       \
        if (error_ != 0) {                                                                         \
            smoke_fail(s, what, error_);                                                           \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* A GUEST buffer that is mapped. */
int smoke_buffer(struct smoke *s, uint64_t size, struct malv_buffer *buffer);

/* Submits a batch to a queue, frees it and waits for its end. */
int smoke_run(struct smoke *s, uint32_t queue, struct malv_batch *batch);

/* smoke_memory.c */
void check_in_place(struct smoke *s);
void check_by_copy(struct smoke *s);
void check_transfer(struct smoke *s);
void check_fill(struct smoke *s);
void check_memory_errors(struct smoke *s);

/* smoke_work.c */
void check_build(struct smoke *s);
void check_build_error(struct smoke *s);
void check_launch(struct smoke *s);
void check_batch(struct smoke *s);
void check_fences(struct smoke *s);
void check_queues(struct smoke *s);
void check_gemm(struct smoke *s);
void check_work_errors(struct smoke *s);
