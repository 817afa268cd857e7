/*
 * foreign.h: the file system of another module (include/linux_fs.h): what its two halves share.
 *
 * foreign.c has the nodes, foreign_file.c the content of files. A node remembers what its server
 * said; it is asked again after FOREIGN_FRESH_NS. What is written goes to the server at once.
 */
#pragma once

#include "modules/linux/fs/ahead.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/include/linux_fs.h"

#define FOREIGN_FRESH_NS (1 * NS_PER_SEC)

/* One mounted file system of a module. Nodes stay as long as it, which is until the machine ends. */
struct foreign_mount {
    const struct linux_fs_ops *ops;
    void *fs; /* the module's */
    struct file_system file_system;
};

/* The data of a node. It outlives the node while its pages are mapped. */
struct foreign {
    uint32_t refs;
    const struct foreign_mount *mount;
    uint64_t serial;      /* no other has had it */
    void *object;         /* the module's */
    uint64_t size;        /* bytes; guarded by the node's lock */
    uint64_t version;     /* as of linux_fs_attr; guarded by the node's lock */
    uint64_t changed;     /* guarded by the node's lock */
    uint64_t checked;     /* time_now() of the last facts, 0: they are old; guarded by the node's lock */
    bool own_change;      /* we wrote since; guarded by the node's lock */
    struct memobj *pages; /* a reference, made when first wanted; guarded by the node's lock */
    struct ahead_file *ahead; /* made with them; goes after them */
    char *text;           /* of a link, once read; guarded by the node's lock */
    bool lost;            /* its name went, the file has others; guarded by the folder's lock */
    struct node *node;    /* guarded by foreign.c's lock */
    struct list link;     /* guarded by foreign.c's lock */
    uint64_t told;        /* when another name last changed it; guarded by foreign.c's lock */
};

void foreign_put(struct foreign *d);

/* The content of a file with several names was changed through one: pages that others keep are old
 * now. No lock is held. */
void foreign_changed(struct node *node);

/* Hands all files of a file system (NULL: of all) to their server, as foreign_sync() does for one. The
 * last error. No lock is held. */
int foreign_sync_all(const struct file_system *fs);

/* Memory is scarce: remember less. */
bool foreign_memory_low(void);

/* ---- foreign_file.c: node_ops of files; the node's lock is held for the _locked ones
 * ---------------- */

int foreign_open(struct node *node, struct file *f);
int foreign_object(struct node *node, struct memobj **out);
int foreign_resize(struct node *node, uint64_t size);
int foreign_sync(struct node *node); /* folders too */

/* The content is another one now, of this size. */
void foreign_replaced_locked(struct foreign *d, uint64_t size);
int foreign_advise(struct node *node, struct file *f, uint64_t offset, uint64_t length, int advice);

/* ---- foreign_xattr.c
 * ---------------- */

extern const struct xattr_ops foreign_xattrs;
