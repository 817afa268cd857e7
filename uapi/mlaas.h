/*
 * mlaas.h: what programs ask the MLaaS modules for: /dev/mlmodels (module `models`) and
 * /dev/mlfeatures (module `features`). Both are root's. Nothing here depends on the kernel being
 * Micro-LAKE.
 */
#pragma once

#include <stdint.h>

/* ---- /dev/mlmodels: ioctls with this structure
 * --------------------------------------------------- */

#define MLAAS_MODELS_PATH "/dev/mlmodels"
#define MLAAS_NAME_BYTES  32u
#define MLAAS_WHY_BYTES   128u

struct mlaas_model {
    uint64_t data;               /* in: address of the model file's bytes; 0 for UNLOAD */
    uint64_t bytes;              /* in: how many, at most 64 MiB; 0 for UNLOAD */
    char name[MLAAS_NAME_BYTES]; /* in: NUL-terminated */
    char why[MLAAS_WHY_BYTES];   /* out, when the call failed: the reason in words */
};
_Static_assert(sizeof(struct mlaas_model) == 176, "layout");

#define MLAAS_IOC(nr)                                                                              \
    ((3u << 30) | ((uint32_t)sizeof(struct mlaas_model) << 16) | ((uint32_t)'L' << 8) | (nr))

/* EEXIST, ENOENT, EBUSY: as the name says; ENOEXEC: not a model, or damaged; EINVAL: it does not
 * fit; EFBIG: too large; ENOMEM; ENOSPC: the store has no place left. */
enum mlaas_model_call {
    MLAAS_MODEL_LOAD = MLAAS_IOC(1),    /* under a name that is not there yet */
    MLAAS_MODEL_REPLACE = MLAAS_IOC(2), /* in the place of the one that is there */
    MLAAS_MODEL_UNLOAD = MLAAS_IOC(3),
};

/* ---- /dev/mlfeatures: rows of a set, as they come
 * ------------------------------------------------- */

/*
 * write() of a set's name, once for each open file, begins: from then on the set keeps more rows
 * for each CPU, until the file is closed. Each read() gives whole rows, oldest first of each CPU;
 * EAGAIN when there are none now, 0 when the set is gone. A row that came too fast to be read is
 * missing: `number` has a gap.
 */
#define MLAAS_FEATURES_PATH "/dev/mlfeatures"

struct mlaas_feature_row {
    uint64_t time; /* ns, the clock of CLOCK_MONOTONIC */
    uint32_t cpu;
    uint32_t number; /* counts the rows of the CPU since the set has kept more, from 1 */
    uint32_t key;
    uint32_t
        fields; /* int32 values that follow; a row takes 24 + 4 * fields bytes, rounded up to 8 */
};
_Static_assert(sizeof(struct mlaas_feature_row) == 24, "layout");
