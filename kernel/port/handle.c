/*
 * handle.c: objects and handle tables.
 *
 * A handle owns a reference to its object and one grant of its rights. References and grants are
 * dropped only after the table's lock is free, because that may destroy the object.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/spinlock.h>
#include "parcel.h"
#include "slots.h"

#define IN_TRANSIT (1u << 31) /* in a slot's note, beside the rights: a parcel holds the handle */

struct handle_table {
    struct spinlock lock;
    struct slots slots; /* guarded by lock; notes are rights */
};

void object_init(struct object *o, const struct object_type *type)
{
    o->type = type;
    o->refs = 1;
}

void object_ref(struct object *o)
{
    __atomic_fetch_add(&o->refs, 1, __ATOMIC_RELAXED);
}

void object_unref(struct object *o)
{
    uint32_t left = __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL);

    ASSERT(left != UINT32_MAX);
    if (!left)
        o->type->destroy(o);
}

void object_grant(struct object *o, uint32_t rights)
{
    object_ref(o);
    if (o->type->granted)
        o->type->granted(o, rights);
}

void object_drop(struct object *o, uint32_t rights)
{
    if (o->type->dropped)
        o->type->dropped(o, rights);
    object_unref(o);
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct handle_table *handle_table_create(void)
{
    struct handle_table *t = kzalloc(sizeof(*t));

    if (t)
        t->slots.limit = HANDLES_AT_MOST;
    return t;
}

void handle_table_destroy(struct handle_table *t)
{
    for (uint32_t i = 0; i < t->slots.size; i++) {
        struct slot *slot = &t->slots.slot[i];

        if (slot->item)
            object_drop(slot->item, slot->note);
    }
    slots_discard(&t->slots);
    kfree(t);
}

unsigned handle_table_count(struct handle_table *t)
{
    return __atomic_load_n(&t->slots.used, __ATOMIC_RELAXED);
}

/* The handle's slot, if it has the needed rights. */
static int slot_get(struct handle_table *t, handle_t h, uint32_t needed, struct slot **out)
{
    struct slot *slot = slots_find(&t->slots, h);

    if (!slot)
        return ERR_NOT_FOUND;
    if (slot->note & IN_TRANSIT)
        return ERR_BUSY;
    if (needed & ~slot->note)
        return ERR_ACCESS;
    *out = slot;
    return OK;
}

/* Puts an object, whose grant and reference the caller has, under a new number. */
static int table_add(struct handle_table *t, struct object *o, uint32_t rights, handle_t *out)
{
    int r;

    spin_lock(&t->lock);
    r = slots_take(&t->slots, o, rights, out);
    spin_unlock(&t->lock);
    return r;
}

int handle_install(struct handle_table *t, struct object *o, uint32_t rights, handle_t *out)
{
    int r;

    if (rights & ~RIGHTS_ALL)
        return ERR_INVALID;
    object_grant(o, rights);
    r = table_add(t, o, rights, out);
    if (r != OK)
        object_drop(o, rights);
    return r;
}

int handle_get(struct handle_table *t, handle_t h, const struct object_type *type, uint32_t needed,
               struct object **out)
{
    struct slot *slot;
    int r;

    spin_lock(&t->lock);
    r = slot_get(t, h, needed, &slot);
    if (r == OK) {
        struct object *o = slot->item;

        if (type && o->type != type)
            r = ERR_INVALID;
        else
            object_ref(*out = o);
    }
    spin_unlock(&t->lock);
    return r;
}

int handle_rights(struct handle_table *t, handle_t h, uint32_t *out)
{
    struct slot *slot;
    int r;

    spin_lock(&t->lock);
    r = slot_get(t, h, 0, &slot);
    if (r == OK)
        *out = slot->note;
    spin_unlock(&t->lock);
    return r;
}

/* Grants `rights`, which must be a part of the handle's, once more. */
static int slot_grant(struct handle_table *t, handle_t h, uint32_t needed, uint32_t rights,
                      struct object **out)
{
    struct slot *slot;
    int r = slot_get(t, h, needed | rights, &slot);

    if (r == OK)
        object_grant(*out = slot->item, rights);
    return r;
}

static int handle_derive(struct handle_table *t, handle_t h, uint32_t needed, uint32_t rights,
                         handle_t *out)
{
    struct object *o;
    int r, added = OK;

    spin_lock(&t->lock);
    r = slot_grant(t, h, needed, rights, &o);
    if (r == OK)
        added = slots_take(&t->slots, o, rights, out);
    spin_unlock(&t->lock);
    if (added != OK)
        object_drop(o, rights);
    return r != OK ? r : added;
}

int handle_duplicate(struct handle_table *t, handle_t h, uint32_t rights, handle_t *out)
{
    return handle_derive(t, h, RIGHT_DUPLICATE, rights, out);
}

int handle_replace(struct handle_table *t, handle_t h, uint32_t rights, handle_t *out)
{
    handle_t fresh;
    int r = handle_derive(t, h, 0, rights, &fresh);

    if (r != OK)
        return r;
    r = handle_close(t, h);
    if (r != OK) /* another thread was faster */
        handle_close(t, fresh);
    else
        *out = fresh;
    return r;
}

int handle_close(struct handle_table *t, handle_t h)
{
    struct object *o = NULL;
    struct slot *slot;
    uint32_t rights = 0;
    int r;

    spin_lock(&t->lock);
    r = slot_get(t, h, 0, &slot);
    if (r == OK) {
        o = slot->item;
        rights = slot->note;
        slots_release(&t->slots, slot);
    }
    spin_unlock(&t->lock);
    if (o)
        object_drop(o, rights);
    return r;
}

int handle_move(struct handle_table *from, handle_t h, uint32_t rights, struct handle_table *to,
                handle_t *out)
{
    struct message_gift gift = {h, rights};
    struct parcel parcel;
    int r = parcel_pack(&parcel, from, &gift, 1);

    if (r != OK)
        return r;
    r = table_add(to, parcel.items[0].object, rights, out);
    parcel_finish(&parcel, from, &gift, r == OK);
    return r;
}

/* ---- handles on their way (parcel.h) -----------------------------------------------------------
 */

static int parcel_add(struct parcel *p, struct handle_table *from, const struct message_gift *gift)
{
    struct parcel_item *item = &p->items[p->count];
    int r;

    spin_lock(&from->lock);
    r = slot_grant(from, gift->handle, RIGHT_TRANSFER, gift->rights, &item->object);
    if (r == OK)
        slots_find(&from->slots, gift->handle)->note |= IN_TRANSIT;
    spin_unlock(&from->lock);
    item->rights = gift->rights;
    if (r == OK)
        p->count++;
    return r;
}

int parcel_pack(struct parcel *p, struct handle_table *from, const struct message_gift *gifts,
                unsigned count)
{
    p->count = 0;
    if (!from)
        return ERR_INVALID;
    for (unsigned i = 0; i < count; i++) {
        int r = parcel_add(p, from, &gifts[i]);

        if (r != OK) {
            parcel_finish(p, from, gifts, false);
            return r;
        }
    }
    return OK;
}

/* Ends the transit of one handle; what to drop is what the table or the parcel does not hold now.
 */
static void transit_end(struct handle_table *from, handle_t h, const struct parcel_item *item,
                        bool sent)
{
    uint32_t rights = item->rights;
    struct slot *slot;

    spin_lock(&from->lock);
    slot = slots_find(&from->slots, h);
    if (sent) {
        rights = slot->note & ~IN_TRANSIT;
        slots_release(&from->slots, slot);
    } else {
        slot->note &= ~IN_TRANSIT;
    }
    spin_unlock(&from->lock);
    object_drop(item->object, rights);
}

void parcel_finish(struct parcel *p, struct handle_table *from, const struct message_gift *gifts,
                   bool sent)
{
    for (unsigned i = 0; i < p->count; i++)
        transit_end(from, gifts[i].handle, &p->items[i], sent);
    p->count = 0;
}

void parcel_open(struct parcel *p, struct handle_table *to, handle_t *handles)
{
    for (unsigned i = 0; i < p->count; i++) {
        struct parcel_item *item = &p->items[i];

        if (!to || table_add(to, item->object, item->rights, &handles[i]) != OK) {
            handles[i] = HANDLE_NONE;
            object_drop(item->object, item->rights);
        }
    }
    p->count = 0;
}
