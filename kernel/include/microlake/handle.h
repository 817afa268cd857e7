/*
 * handle.h: kernel objects, and the handles through which they are reached (docs/ports.md).
 *
 * An object is reference counted. A handle is a number in a handle table that stands for an object
 * with some rights; a table belongs to whoever made it, for one space: a process, an isolated
 * server. Every function may be called from several threads at once; only handle_table_destroy()
 * must be the last call on a table. Thread context, also under spinlocks unless said otherwise.
 */
#pragma once

#include <microlake/types.h>

/* What a holder may do. What a right means beyond the handle itself is the object's matter. */
enum handle_rights {
    RIGHT_READ = 1u << 0,
    RIGHT_WRITE = 1u << 1,
    RIGHT_CALL = 1u << 2,      /* a port: call */
    RIGHT_NOTIFY = 1u << 3,    /* a port: send bits */
    RIGHT_RECEIVE = 1u << 4,   /* a port: receive and reply */
    RIGHT_MANAGE = 1u << 5,    /* change what is not content: limits, attributes */
    RIGHT_DUPLICATE = 1u << 6, /* more handles of it in the same table */
    RIGHT_TRANSFER = 1u << 7,  /* into another table */
    RIGHTS_ALL = (1u << 8) - 1,
};

struct object;

struct object_type {
    const char *name;
    /* One more handle has these rights. Called under a table's lock. May be NULL. */
    void (*granted)(struct object *o, uint32_t rights);
    /* One less. Called under no lock, the object still referenced. May be NULL. */
    void (*dropped)(struct object *o, uint32_t rights);
    void (*destroy)(struct object *o); /* the last reference is gone */
};

/* The first thing in everything that handles can name. */
struct object {
    const struct object_type *type;
    uint32_t refs; /* atomic */
};

/* One reference, the caller's. Any context. */
void object_init(struct object *o, const struct object_type *type);
void object_ref(struct object *o);
void object_unref(struct object *o); /* under no spinlock: it may destroy */

/* ---- Handles ------------------------------------------------------------------------------- */

typedef uint64_t handle_t; /* never 0, and never given out twice by the same table */

#define HANDLE_NONE     ((handle_t)0)
#define HANDLES_AT_MOST 65536u /* in one table */

struct handle_table;

/* NULL: no memory. */
struct handle_table *handle_table_create(void);

/* Closes every handle and frees the table. No call that names the table is under way any more. */
void handle_table_destroy(struct handle_table *t);

unsigned handle_table_count(struct handle_table *t); /* open handles */

/* A handle of o with these rights; it takes a reference of its own. ERR_NO_MEMORY, ERR_LIMIT. */
int handle_install(struct handle_table *t, struct object *o, uint32_t rights, handle_t *out);

/*
 * The object of a handle that has all the `needed` rights, with a reference for the caller. type:
 * the object must be of it (NULL: any). ERR_NOT_FOUND: there is no such handle, or not any more.
 * ERR_ACCESS: it has not those rights. ERR_INVALID: another type. ERR_BUSY: it is on its way in a
 * message. The functions below answer likewise.
 */
int handle_get(struct handle_table *t, handle_t h, const struct object_type *type, uint32_t needed,
               struct object **out);

/* Its rights. */
int handle_rights(struct handle_table *t, handle_t h, uint32_t *out);

/* Another handle of the same object, with equal or fewer rights. Needs RIGHT_DUPLICATE. */
int handle_duplicate(struct handle_table *t, handle_t h, uint32_t rights, handle_t *out);

/* The same with a new number and equal or fewer rights; the old number is closed. */
int handle_replace(struct handle_table *t, handle_t h, uint32_t rights, handle_t *out);

/* Moves a handle to another table, with equal or fewer rights. Needs RIGHT_TRANSFER. On an error it
 * stays where it is. */
int handle_move(struct handle_table *from, handle_t h, uint32_t rights, struct handle_table *to,
                handle_t *out);

int handle_close(struct handle_table *t, handle_t h);
