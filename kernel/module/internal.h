/*
 * internal.h: what a loaded module is, shared by the files of this folder.
 *
 * Two locks: loading and unloading as a whole go one at a time (module.c); the table's spinlock
 * (table.c) guards what others look at in the meantime.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/module.h>

#include "lib/kmodfile/kmodfile.h"

#define MODULE_NEEDS_MAX 16

enum module_state {
    MODULE_STARTING, /* init runs; references may be taken */
    MODULE_LIVE,
    MODULE_STOPPING, /* exit runs, or has run: no new references */
};

struct module {
    struct list link;        /* in load order; guarded by the table's lock */
    enum module_state state; /* guarded by the table's lock */
    unsigned refs;           /* guarded by the table's lock */
    unsigned users;          /* modules that need this one; guarded by the table's lock */

    /* constant once the module is in the table */
    char name[KMOD_NAME_MAX];
    char version[KMOD_VERSION_MAX];
    uint8_t *base; /* the image: pages of all areas, in the order of enum kmodfile_area */
    size_t pages;
    size_t area_pages[KMODFILE_AREAS];
    int (*init)(void);
    void (*exit)(void);
    struct module *needs[MODULE_NEEDS_MAX];
    unsigned need_count;
    const struct kmodfile_symbol *symbols; /* in the image, which nobody can write there */
    unsigned symbol_count;
    unsigned export_count; /* the first of the symbols */
    const char *names;     /* in the image */
};

/* Logs an error, and keeps it for who asks what was wrong (module_complaints). Caller loads or unloads. */
void module_complain(const char *format, ...) __printf(1, 2);

/*
 * image.c: makes a module's image from a decoded file: memory, links, protection. m
 * has its needs. Nothing of the module runs. On an error, logged, module_image_free() cleans up.
 */
int module_image_build(struct module *m, const struct kmodfile *file);
void module_image_free(struct module *m);

/* The address of an exported symbol of m, or NULL. */
const void *module_export_find(const struct module *m, const char *name);

/* table.c: the modules there are. Any context. */
void module_table_add(struct module *m);    /* state MODULE_STARTING; counts a user of each need */
void module_table_remove(struct module *m); /* state MODULE_STOPPING; gives the needs back */
void module_table_live(struct module *m);
void module_table_fail(struct module *m); /* its init failed: no more references */

/* Begins the end. ERR_BUSY: there are users or references, or it starts or stops just now. */
int module_table_stop(struct module *m);

/* Calls see() for the module that contains address, under the table's lock, without waiting for it:
 * false when there is none or the lock is taken. */
bool module_table_try(uint64_t address, void (*see)(const struct module *m, void *ctx), void *ctx);

/*
 * signature.c: what the option `module.unsigned` asks of a file. trusted: it comes from the boot
 * archive, that is from where the kernel comes from.
 *   absent  a trusted file needs no signature, others do
 *   deny    all need one
 *   allow   none does
 * A signature that is looked at must be good. ERR_ACCESS, logged.
 */
int module_signature_check(const char *name, const void *data, size_t size, bool trusted);

/* The size of a file without its signature, if it has one. */
size_t module_content_size(const void *data, size_t size);

/* The public key whose signatures count: made by the build. */
extern const uint8_t module_public_key[32];
