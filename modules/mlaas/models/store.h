/*
 * store.h: what the files of module models share.
 *
 *     fit.c      does a model fit a slot, and why not
 *     file.c     a model's bytes, counted
 *     slot.c     opening and closing; views
 *     run.c      what hooks and threads call
 *     replace.c  load, replace, unload
 *     list.c     /sys/kernel/mlaas/models
 *     device.c   /dev/mlmodels
 *
 * An entry is a name. It has a file, and slots that each have a view of that very file: a view is a
 * file opened on the slot's path. All of an entry's views change together. Views are read with
 * preemption off and without a lock; a new one is published, then cpus_pass(), then the old one
 * loses the slot's reference.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/wait.h>

#include "include/models.h"

enum file_source { FILE_EMBEDDED, FILE_BOOT, FILE_PROGRAM };

/* A model's bytes. */
struct models_file {
    uint32_t refs; /* atomic */
    uint8_t *bytes;
    size_t size;
    bool mapped; /* made of frames that kmap_frames() put side by side; else kmalloc()'s */
    enum file_source source;
};

struct models_entry {
    char name[MODELS_NAME_MAX]; /* empty: free */
    struct models_file *file;   /* a reference */
    uint32_t version;           /* of the file; grows with each that the name has had */
    uint64_t runs;              /* of views that are gone */
    struct list slots;          /* struct models_slot */
};

/* Guards all entries and their slots against change. */
extern struct mutex store_lock;
extern struct models_entry store_entries[MODELS_MAX];

struct models_entry *entry_find_locked(const char *name); /* NULL: none */
/* A new one, without a file. NULL: there is no place. */
struct models_entry *entry_make_locked(const char *name);
void entry_free_locked(struct models_entry *entry);

/* ---- fit.c: pure ---- */

/* A name that a model can have. */
bool name_is_valid(const char *name);

/* OK, or ERR_INVALID with the reason in words. `model` has been opened from `size` bytes. */
int model_fit(const struct models_want *want, const struct mlrt_model *model, size_t size,
              char *why);

/* ---- file.c ---- */

/* Room for `size` bytes. NULL: there is no memory. */
struct models_file *file_create(size_t size, enum file_source source);
struct models_file *file_copy(const void *bytes, size_t size, enum file_source source);
void file_ref(struct models_file *file);
void file_unref(struct models_file *file);

/* The slot's default, or its boot archive's; see struct models_want. */
int file_default(const struct models_want *want, struct models_file **out);

/* Is it a model at all? ERR_BAD_FORMAT, with the reason in words. */
int file_check(const struct models_file *file, char *why);

/* ---- slot.c ---- */

/* A view of a file for a slot; errors as models_load(). */
int view_create(const struct models_want *want, struct models_file *file, uint32_t version,
                struct models_view **out, char *why);

/* ---- replace.c ---- */

/* Takes over the caller's reference of the file, also on failure. */
int store_load(const char *name, struct models_file *file, char *why);
int store_replace(const char *name, struct models_file *file, char *why);

/* Puts `file` into all slots of an entry. */
int entry_change_locked(struct models_entry *entry, struct models_file *file, char *why);

/* ---- list.c, device.c ---- */

int list_start(void);
void list_stop(void);
int device_start(void);
void device_stop(void);
