/*
 * module.h: loadable kernel modules. Thread context.
 */
#pragma once

#include <microlake/types.h>
#include "uapi/kmod.h"

struct module;

/* Loads NAME.kmod from the boot archive, with what it needs. OK when it is loaded already. Errors are
 * logged with their reason. */
int module_load(const char *name);

/* Loads from bytes (a file a program gave). The bytes are not kept. */
int module_load_bytes(const void *data, size_t size);

/* ERR_BUSY while other modules need it or references are held. */
int module_unload(const char *name);

/* What the last load or unload complained about, as lines; empty: nothing. Bytes there are; at most size are
 * copied. Not from a module's init or exit. */
size_t module_complaints(char *out, size_t size);

/* Loads the modules that the boot archive's etc/modules names, in order. *late: it names some for later,
 * which module_load_late() loads. Both return the first error, and go on after it. */
int module_load_boot(bool *late);
int module_load_late(void);

struct module *module_find(const char *name);
struct module *module_of_address(const void *address); /* any context; NULL: not in a module */
bool module_ref(struct module *m);                     /* any context; false: it is being unloaded */
void module_unref(struct module *m);                   /* any context */

/*
 * Names a code address: "function+0x12", with " of MODULE" behind it when it lies in one; "0x..." when
 * it is in no known code. Any context, a panic or a fault included: it never waits.
 */
void symbol_text(uint64_t address, char *out, size_t size);

struct module_info {
    char name[KMOD_NAME_MAX];
    char version[KMOD_VERSION_MAX];
    size_t size;     /* bytes of memory it takes */
    unsigned refs;
};

/* The nth loaded module, in load order. ERR_NOT_FOUND at the end. */
int module_info(unsigned nth, struct module_info *out);

/*
 * Who counts what policies take is asked about each symbol that a module is linked with which registers
 * policies and no class, and says what it is linked with instead: mostly `address` itself. What is given
 * instead must stay. For modules that are loaded from then on. One; NULL: nobody.
 */
typedef const void *policy_link_fn(const struct module *m, const char *module_name, const char *symbol,
                                   const void *address);
void policy_link_watch(policy_link_fn *fn);
