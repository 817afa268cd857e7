/*
 * models.h: the model store: models by name, with versions, replaced while they are in use.
 *
 * A policy opens a slot: it says what shape of model it can run and brings a default. From then on
 * the slot has a model at any time; `mlctl model replace` puts another one of the same shape into
 * it, and whoever runs the old one ends first. Models of another shape are refused.
 *
 *     static const struct models_want want = {
 *         .name = "sched_burst", .inputs = 6, .outputs = 1, .numbers = MODELS_INTEGER,
 *         .path = MLRT_SCALAR, .bytes_max = 16384, .workspace_bytes = 512,
 *         .embedded = burst_model, .embedded_bytes = sizeof(burst_model)};
 *     static struct models_slot slot;
 *
 *     init:  models_open(&slot, &want);
 *     hook:  models_run_integer(&slot, in, out);
 *     exit:  models_close(&slot);      after the policy is unregistered
 *
 * Name modules/mlaas/models in NEEDS and models in the manifest's needs; and mlrt there, if the
 * module calls mlrt itself.
 */
#pragma once

#include <microlake/cpu.h>
#include <microlake/list.h>
#include <microlake/spinlock.h>
#include <microlake/types.h>

#include "modules/mlaas/mlrt/include/mlrt_kernel.h"

#define MODELS_NAME_MAX 32u
#define MODELS_WHY_MAX  128u
#define MODELS_MAX      32u /* names */

enum models_numbers { MODELS_EITHER, MODELS_FLOAT, MODELS_INTEGER };

/* What a slot takes. Stays as it is, with all it points to, until the slot is closed. */
struct models_want {
    const char *name; /* [a-z0-9_.-], less than MODELS_NAME_MAX */
    uint32_t inputs, outputs;
    enum models_numbers numbers;
    uint32_t input_fraction;  /* of integer models: exactly this */
    uint32_t kinds;           /* layers that are allowed, as 1u << MLRT_FOREST and so on; 0: all */
    uint32_t bytes_max;       /* of the file; it bounds how long a run takes. 0: MLRT_FILE_MAX */
    uint32_t workspace_bytes; /* for a run of one row */
    uint32_t state_bytes;     /* of a row; 0: models with states are refused */
    enum mlrt_path path;
    /* The default, copied. NULL: lib/models/NAME.mlm of the boot archive. */
    const void *embedded;
    size_t embedded_bytes;
};

/* A model as a slot has it. */
struct models_view {
    struct mlrt_model model;
    uint32_t
        version;   /* of the store, from 1 on: with it, what was kept of an older one is invalid */
    uint64_t runs; /* counted without locks: approximate across CPUs */

    /* the store's */
    uint32_t refs; /* atomic */
    struct models_file *file;
};

/* In the policy's memory. The fields are the store's. */
struct models_slot {
    const struct models_want *want;
    struct models_view *view; /* replaced while it is read; read with preemption off */
    uint8_t *workspaces;      /* one a CPU, of `block` */
    void *block;
    uint32_t workspace_stride;
    struct models_entry *entry;
    struct list link; /* of the entry's slots; guarded by the store's lock */
};

/*
 * Opens a slot, with what a program has loaded under this name before if that fits, else with the
 * default. Thread context. ERR_NOT_FOUND: there is no default; ERR_BAD_FORMAT: it is not a model;
 * ERR_INVALID: it does not fit, or the name is none; ERR_LIMIT, ERR_NO_MEMORY. The log says more.
 */
int models_open(struct models_slot *slot, const struct models_want *want);

/* No hook and no thread may use the slot any more; a model that somebody got with models_get()
 * stays until it is put. Thread context. */
void models_close(struct models_slot *slot);

/* ---- In hooks: with preemption off ------------------------------------------------------------
 */

/* The model now, valid until preemption is on again. Preemption is off. Never NULL while it is
 * open. */
static inline struct models_view *models_now(const struct models_slot *slot)
{
    return __atomic_load_n(&slot->view, __ATOMIC_ACQUIRE);
}

/* The same for others; models_leave() ends it. Any context. */
static inline struct models_view *models_enter(const struct models_slot *slot)
{
    preempt_disable();
    return models_now(slot);
}

static inline void models_leave(void)
{
    preempt_enable();
}

/* This CPU's workspace of want->workspace_bytes, while preemption is off. Not for interrupt
 * handlers that may come while a thread uses it. */
static inline void *models_workspace(const struct models_slot *slot)
{
    return slot->workspaces + (size_t)cpu_id() * slot->workspace_stride;
}

/* One row through an integer model on MLRT_SCALAR (general registers only) with this CPU's
 * workspace. Thread context or a hook. Counted as a run. */
void models_run_integer(struct models_slot *slot, const int32_t *in, int32_t *out);

/* ---- In threads: with a reference ---------------------------------------------------------------
 */

/* The model now, kept until models_put(), the slot's end notwithstanding. Any context. */
struct models_view *models_get(const struct models_slot *slot);
void models_put(struct models_view *view);

/* Rows through a model of either kind, with vector registers where its path has them. The workspace
 * is the caller's: mlrt_workspace_bytes() is at most want->workspace_bytes for one row. Thread
 * context. */
void models_run(struct models_slot *slot, const float *in, uint32_t rows, float *out,
                void *workspace);

/* ---- What programs ask for, by way of /dev/mlmodels
 * ---------------------------------------------- */

/*
 * Puts a model (copied) into the store: under a name that is not there yet, or in the place of the
 * one that is. why: the refusal in words, MODELS_WHY_MAX bytes. Thread context. ERR_EXISTS,
 * ERR_NOT_FOUND, ERR_BAD_FORMAT, ERR_INVALID (of the wrong shape for a slot), ERR_LIMIT,
 * ERR_NO_MEMORY.
 */
int models_load(const char *name, const void *bytes, size_t size, char *why);
int models_replace(const char *name, const void *bytes, size_t size, char *why);

/* Takes it out; open slots go back to their defaults. ERR_NOT_FOUND; ERR_BUSY: it is a default
 * itself. */
int models_unload(const char *name, char *why);
