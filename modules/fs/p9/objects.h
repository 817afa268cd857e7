/*
 * objects.h: files and folders of the server's, as the Linux personality uses them.
 */
#pragma once

#include "client.h"
#include "modules/linux/include/linux_fs.h"

extern const struct linux_fs_ops p9_fs_ops; /* fs: a struct client */

/* Attaches to the server's tree; *out is its root, an object. */
int p9_attach(struct client *client, void **out);
