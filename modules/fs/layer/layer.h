/*
 * layer.h: a layer in memory over a file system: reads see what lies below, changes stay here and
 * end with the machine.
 *
 * A node is a file or folder as programs see it. It has an object of the file system below, or was
 * made here. All names of one file lead to one node: nodes with an object below are found by its
 * number, which stays the node's own. A node that was changed stays for as long as it has a name.
 *
 * A folder has entries for the names that differ from what lies below: an entry leads to a node, or
 * hides a name. Because nodes hold their objects and no paths, moving one moves all below it.
 *
 * Locks, in this order: a node's data_lock, the layer's lock.
 */
#pragma once

#include <microlake/list.h>
#include <microlake/wait.h>

#include "modules/linux/include/linux_fs.h"

#define LAYER_NODE_LISTS 256u
#define LAYER_NAME_LISTS 1024u

struct memobj;
struct layer;

struct layer_node {
    struct layer *layer;
    uint32_t refs;             /* guarded by the layer's lock */
    void *below;               /* the object below; NULL: made here */
    struct linux_fs_attr attr; /* guarded by the layer's lock */
    bool changed;              /* it holds a reference to itself; guarded by the layer's lock */
    uint64_t parent;           /* number of the folder that a folder made here lies in; likewise */
    struct list entries;       /* of a folder, in the order they came; likewise */
    uint64_t next_place;       /* likewise */
    char *text;                /* of a link made here */
    struct mutex data_lock;
    struct memobj *content; /* of a file whose content is the layer's; set once under data_lock */
    uint64_t content_below; /* bytes of it that still come from below; guarded by data_lock */
    struct list link;       /* in the layer's nodes, with an object below */
};

struct layer_entry {
    struct layer_node *folder; /* it lies in its list */
    struct layer_node *node;   /* a reference; NULL: the name below is hidden */
    bool covers;               /* there is such a name below */
    uint64_t place;            /* in the order of entries */
    struct list in_folder, in_names;
    char name[]; /* with NUL */
};

struct layer {
    const struct linux_fs_ops *below;
    void *below_fs;
    struct mutex lock;
    uint64_t last_number;                /* of nodes made here; guarded by lock */
    struct list nodes[LAYER_NODE_LISTS]; /* by number; guarded by lock */
    struct list names[LAYER_NAME_LISTS]; /* entries by folder and name; guarded by lock */
};

/* The current time, ns since 1970. */
uint64_t layer_time(void);

/* ---- node.c: the layer's lock is held. */

/* A node for an object below, which is given away; *out is a reference. */
int layer_node_below(struct layer *l, void *object, const struct linux_fs_attr *attr,
                     struct layer_node **out);

/* A new node of this layer's. NULL: no memory. */
struct layer_node *layer_node_make(struct layer *l, uint32_t mode);
void layer_node_unref(struct layer *l, struct layer_node *n);

/* The node differs from what lies below now. */
void layer_node_changed(struct layer_node *n);

/* One of its names went, or another came. */
void layer_node_lost_name(struct layer *l, struct layer_node *n);

struct layer_entry *layer_entry_find(struct layer *l, struct layer_node *folder, const char *name);

/* An entry in no list. NULL: no memory. */
struct layer_entry *layer_entry_make(const char *name);
void layer_entry_insert(struct layer *l, struct layer_node *folder, struct layer_entry *e);
void layer_entry_remove(struct layer *l, struct layer_entry *e);

/* What a name in a folder is. */
struct layer_name {
    struct layer_entry *entry; /* NULL: there is none */
    struct layer_node *node;   /* a reference; NULL: there is nothing of that name */
    bool covers;               /* there is such a name below */
};

/* ERR_NOT_FOUND is none of its results: then node is NULL. */
int layer_name_find(struct layer *l, struct layer_node *folder, const char *name,
                    struct layer_name *out);

/* ---- look.c */

int layer_walk(void *fs, void *folder, const char *name, void **out, struct linux_fs_attr *attr);
int layer_attr(void *fs, void *object, struct linux_fs_attr *out);
int layer_open(void *fs, void *object, unsigned access);
long layer_text(void *fs, void *object, char *out, size_t size);
int layer_list(void *fs, void *folder, uint64_t at, struct linux_fs_sink *sink);
int layer_space(void *fs, void *object, struct linux_fs_space *out);
void layer_release(void *fs, void *object);

/* OK: no name is left in the folder. The layer's lock is held. ENOTEMPTY. */
int layer_folder_empty(struct layer *l, struct layer_node *folder);

/* ---- change.c */

int layer_make(void *fs, void *folder, const char *name, uint32_t mode, const char *text,
               uint32_t device, void **out, struct linux_fs_attr *attr);
int layer_link(void *fs, void *folder, const char *name, void *object);
int layer_remove(void *fs, void *folder, const char *name, bool is_folder);
int layer_rename(void *fs, void *from, const char *from_name, void *to, const char *to_name);
int layer_set_mode(void *fs, void *object, uint32_t mode);
int layer_set_owner(void *fs, void *object, uint32_t uid, uint32_t gid);
int layer_set_times(void *fs, void *object, const uint64_t *accessed, const uint64_t *changed);

/* ---- content.c */

long layer_read(void *fs, void *object, uint64_t offset, void *to, size_t size);
long layer_write(void *fs, void *object, uint64_t offset, const void *from, size_t size);
int layer_resize(void *fs, void *object, uint64_t size);
