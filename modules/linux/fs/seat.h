/*
 * seat.h: what lies below a bind mount.
 *
 * A bind mount is an entry whose `same` leads to the node that it shows. Folders below it, and files that
 * something is mounted over, have nodes of their own as long as somebody is there: seats, one for each bind
 * mount and node below it. `same` leads to the node that a seat shows. So a path goes up the way that it
 * came down, and what is mounted below a bind mount stands in the list of a seat, where nobody sees it who
 * comes to the same folder another way.
 *
 * Paths end at nodes, not at seats, but for those who ask with PATH_SEAT. Thread context.
 */
#pragma once

#include "modules/linux/fs/node.h"

/* The seat of a node below a bind mount: `above` is the mount's entry or a seat; *out is a reference.
 * ERR_NO_MEMORY. */
int seat_of(struct node *above, struct node *shown, struct node **out);

/* A child of a bind mount's entry or of a seat; a folder as a seat. As node_lookup(). */
int seat_lookup(struct node *above, const char *name, struct node **out);
