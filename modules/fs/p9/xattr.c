/*
 * xattr.c: extended attributes of the server's files. An attribute that is read, or the list of all, is
 * a fid with bytes; one that is written is a fid that takes its value, and the attribute changes when
 * the fid is given back. 9P has no other way to remove one than to give it an empty value.
 */
#include "change.h"

#include <microlake/memory.h>

#define VALUE_MAX 65536u

enum xattr_flags { XATTR_REPLACE = 2 };

/* The fid of an attribute; name "": of the list. *size: how many bytes it has. */
static int walk(struct client *client, const struct object *o, const char *name, uint32_t *fid,
                uint64_t *size)
{
    struct client_call call;
    int r = call_begin(&call, client, P9_TXATTRWALK);

    if (r != OK)
        return r;
    *fid = client_new_fid(client);
    p9_put32(&call.out, o->fid);
    p9_put32(&call.out, *fid);
    p9_put_text(&call.out, name);
    r = call_run(&call);
    if (r == OK) {
        *size = p9_get64(&call.in);
        r = call_finish(&call);
    }
    call_end(&call);
    return r;
}

static int read_bytes(struct client *client, uint32_t fid, uint8_t *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        long n = client_read(client, fid, done, to + done, size - done);

        if (n <= 0)
            return n < 0 ? (int)n : ERR_IO;
        done += (size_t)n;
    }
    return OK;
}

long xattr_read(void *fs, void *object, const char *name, void *out, size_t room)
{
    uint64_t size;
    uint32_t fid;
    int r = walk(fs, object, name, &fid, &size);

    if (r != OK)
        return r;
    if (size > VALUE_MAX)
        r = ERR_IO;
    else if (room > 0)
        r = size > room ? ERR_RANGE : read_bytes(fs, fid, out, size);
    client_clunk(fs, fid);
    return r == OK ? (long)size : r;
}

long xattr_names(void *fs, void *object, void *out, size_t room)
{
    return xattr_read(fs, object, "", out, room);
}

/* Turns a fid of the file into one that takes the attribute's value. */
static int create(struct client *client, uint32_t fid, const char *name, size_t size,
                  unsigned flags)
{
    struct client_call call;
    int r = call_begin(&call, client, P9_TXATTRCREATE);

    if (r != OK)
        return r;
    p9_put32(&call.out, fid);
    p9_put_text(&call.out, name);
    p9_put64(&call.out, size);
    p9_put32(&call.out, flags);
    r = call_run(&call);
    if (r == OK)
        r = call_finish(&call);
    call_end(&call);
    return r;
}

int xattr_write(void *fs, void *object, const char *name, const void *value, size_t size,
                unsigned flags)
{
    const struct object *o = object;
    uint32_t fid;
    size_t done = 0;
    int r = client_walk(fs, o->fid, NULL, &fid), ended;

    if (r != OK)
        return r;
    r = create(fs, fid, name, size, flags);
    while (r == OK && done < size) {
        long n = client_write(fs, fid, done, (const uint8_t *)value + done, size - done);

        if (n <= 0)
            r = n < 0 ? (int)n : ERR_IO;
        done += n > 0 ? (size_t)n : 0;
    }
    ended = client_close(fs, fid);
    return r == OK ? ended : r;
}

int xattr_drop(void *fs, void *object, const char *name)
{
    return xattr_write(fs, object, name, NULL, 0, XATTR_REPLACE);
}
