/*
 * seat.c: see seat.h.
 *
 * Seats are found in one list, which holds no reference: there are as many as somebody uses.
 */
#include "modules/linux/fs/seat.h"

#include "modules/linux/fs/mount.h"

static struct mutex seats_lock = MUTEX_INIT(seats_lock); /* inside a folder's lock */
static struct list seats = LIST_INIT(seats);             /* by sibling; guarded by seats_lock */

static void seat_release(struct node *seat)
{
    mutex_lock(&seats_lock);
    list_remove(&seat->sibling);
    mutex_unlock(&seats_lock);
}

static const struct node_ops seat_ops = {.release = seat_release};

/* A reference to the seat that is there, or NULL. */
static struct node *find_locked(const struct node *above, const struct node *shown)
{
    list_for_each (it, &seats) {
        struct node *seat = list_entry(it, struct node, sibling);

        if (seat->parent == above && seat->same == shown && node_ref_live(seat))
            return seat;
    }
    return NULL;
}

int seat_of(struct node *above, struct node *shown, struct node **out)
{
    struct node *fresh;
    int r = node_create(above, "", shown->mode, shown->fs, &seat_ops, NULL, &fresh);

    if (r != OK)
        return r;
    node_ref(shown);
    fresh->same = shown;
    fresh->bound = above->bound ? above->bound : above;
    mutex_lock(&seats_lock);
    *out = find_locked(above, shown);
    if (!*out) {
        list_push_back(&seats, &fresh->sibling);
        *out = fresh;
        fresh = NULL;
    }
    mutex_unlock(&seats_lock);
    node_unref(fresh);
    return OK;
}

/* What is mounted in the list of an entry or seat itself, a reference; or NULL. */
static struct node *mounted_here(struct node *above, const char *name)
{
    struct node *entry;

    mutex_lock(&above->lock);
    entry = node_child_locked(above, name);
    if (entry)
        node_ref(entry);
    mutex_unlock(&above->lock);
    return entry;
}

/* One of the seats on the way to `above`, or the bind mount, shows this too: a tree that shows itself ends here. */
static bool is_shown_above(const struct node *above, const struct node *body)
{
    for (const struct node *n = above;; n = n->parent)
        if (n->same == body || !n->bound)
            return n->same == body;
}

int seat_lookup(struct node *above, const char *name, struct node **out)
{
    struct node *bound = above->bound ? above->bound : above, *shown;
    int r;

    *out = mounted_here(above, name);
    if (*out)
        return OK;
    r = node_lookup_place(above->same, name, &shown);
    if (r != OK)
        return r;
    /* Mounts at the other place belong to that, unless they were to come along. */
    if (shown->mounted && (!bound->bound_deep || is_shown_above(above, node_body(shown))))
        shown = mount_look_below(shown);
    shown = node_take_body(node_settle(shown));
    if (!node_is_folder(shown)) {
        *out = shown;
        return OK;
    }
    r = seat_of(above, shown, out);
    node_unref(shown);
    return r;
}
