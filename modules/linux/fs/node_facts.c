/*
 * node_facts.c: what is known of a node beside its place: times, permissions, owners. See node.h.
 */
#include <microlake/time.h>

#include "modules/linux/fs/node.h"
#include "modules/linux/time/clock.h"

#define DAY_NS (24 * 3600 * NS_PER_SEC)

void node_touch(struct node *n)
{
    n->modified = n->changed = clock_stamp();
}

void node_touch_status(struct node *n)
{
    n->changed = clock_stamp();
}

static bool is_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

/* As Linux's relatime: once after each change, and once a day. */
void node_touch_access(struct node *n)
{
    uint64_t now;

    if (n->fs->read_only)
        return;
    now = clock_stamp();
    if (is_before(n->modified, n->accessed) && is_before(n->changed, n->accessed) &&
        is_before(now, n->accessed + DAY_NS))
        return;
    n->accessed = now;
}

int node_set_mode(struct node *n, uint32_t mode)
{
    int r = OK;

    mode &= 07777;
    if (n->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if (n->ops->set_mode)
        r = n->ops->set_mode(n, mode);
    if (r != OK)
        return r;
    n->mode = (n->mode & LINUX_S_IFMT) | mode;
    node_touch_status(n);
    return OK;
}

/* A program that changes hands runs with nobody's rights but its user's. */
static void drop_set_id_bits(struct node *n)
{
    if (!node_is_file(n))
        return;
    n->mode &= ~04000u;
    if (n->mode & 0010)
        n->mode &= ~02000u;
}

int node_set_owner(struct node *n, uint32_t uid, uint32_t gid)
{
    int r = OK;

    if (n->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if (n->ops->set_owner)
        r = n->ops->set_owner(n, uid, gid);
    if (r != OK)
        return r;
    if (uid != NODE_KEEP_ID)
        n->uid = uid;
    if (gid != NODE_KEEP_ID)
        n->gid = gid;
    if (uid != NODE_KEEP_ID || gid != NODE_KEEP_ID)
        drop_set_id_bits(n);
    node_touch_status(n);
    return OK;
}

int node_set_times(struct node *n, const struct node_times *times)
{
    int r = OK;

    if (n->fs->read_only)
        return LINUX_ERRNO(EROFS);
    if (n->ops->set_times)
        r = n->ops->set_times(n, times);
    if (r != OK)
        return r;
    if (times->accessed)
        n->accessed = *times->accessed;
    if (times->modified)
        n->modified = *times->modified;
    if (times->accessed || times->modified)
        node_touch_status(n);
    return OK;
}
