/*
 * parcel.h: handles on their way from one table to another, for the files of this folder.
 *
 * The sender packs a parcel: its handles stay in its table, marked, so that nobody uses them and no
 * number is lost if nothing comes of it. The parcel's items are copied to the receiver, who opens
 * them; then the sender finishes: sent, its handles are closed, else they are as before. A copy of
 * the items that was handed to a receiver is the receiver's; finishing looks at the object only to
 * drop the sender's own part. Thread context, no locks held.
 */
#pragma once

#include <microlake/port.h>

struct parcel_item {
    struct object *object; /* a reference and a grant of `rights` */
    uint32_t rights;
};

struct parcel {
    unsigned count;
    struct parcel_item items[MESSAGE_HANDLES];
};

/* All or nothing. Errors as of handle_get(); a handle named twice is busy. */
int parcel_pack(struct parcel *p, struct handle_table *from, const struct message_gift *gifts,
                unsigned count);
void parcel_finish(struct parcel *p, struct handle_table *from, const struct message_gift *gifts,
                   bool sent);

/* Puts the items into a table; one without a place (or all, without a table) is dropped. */
void parcel_open(struct parcel *p, struct handle_table *to, handle_t *handles);

/* A reference with one more grant of rights, and the end of one. */
void object_grant(struct object *o, uint32_t rights);
void object_drop(struct object *o, uint32_t rights);
