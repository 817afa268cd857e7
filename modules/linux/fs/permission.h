/*
 * permission.h: what the calling process may do with nodes: the one place that decides it. Threads
 * of the kernel may do everything. Thread context; locks of nodes may be held.
 */
#pragma once

#include "modules/linux/fs/node.h"
#include "modules/linux/process/process.h"

enum permission { PERMIT_EXECUTE = 1, PERMIT_WRITE = 2, PERMIT_READ = 4 };

/* The rest of permission_check(), for those who may not do everything. */
int permission_check_slowly(const struct node *n, unsigned wanted);

/* May the caller use the node like this (enum permission; of folders, EXECUTE is to look names up)?
 * ERR_ACCESS. */
static inline int permission_check(const struct node *n, unsigned wanted)
{
    const struct task *t = task_current();

    if (!t || ((t->process->credentials.effective & CAP_BIT(CAP_DAC_OVERRIDE)) &&
               (!(wanted & PERMIT_EXECUTE) || (n->mode & 0111) || node_is_folder(n))))
        return OK;
    return permission_check_slowly(n, wanted);
}

/* As access() asks: for whom the process really acts. */
int permission_check_real(const struct node *n, unsigned wanted);

/* The caller owns the node, or may act as if. */
bool permission_owns(const struct node *n);

/* May a name of the folder go, or be replaced? Its sticky bit protects others' files. */
int permission_remove(const struct node *folder, const struct node *child);

/* May the caller give the node this mode? Takes bits away that it may not set. EPERM. */
int permission_set_mode(const struct node *n, uint32_t *mode);

/* May the caller give the node to this user and group (NODE_KEEP_ID: stays)? EPERM. */
int permission_set_owner(const struct node *n, uint32_t uid, uint32_t gid);

/* A node was made in the folder: it belongs to the caller. */
void permission_own(const struct node *folder, struct node *made);
