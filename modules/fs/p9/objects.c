/*
 * objects.c: looking at the server's files and folders: walk, facts, reading, listing.
 *
 * An object has one fid that stands for its path, and up to two more that are open, made when a
 * program first reads or writes it: an open fid serves no walks.
 */
#include "objects.h"

#include <microlake/log.h>
#include <microlake/memory.h>

#include "change.h"

#define MAGIC      0x01021997 /* v9fs */
#define NS_PER_S   1000000000ull
#define TIME_MAX_S (1ull << 33)

/* A host's times before 1970 come as large numbers. */
static uint64_t time_of(uint64_t seconds, uint64_t ns)
{
    return (seconds > INT64_MAX ? 0 : MIN(seconds, TIME_MAX_S)) * NS_PER_S + ns;
}

static int facts_of_attr(const struct p9_attr *a, struct linux_fs_attr *out)
{
    if (a->size > INT64_MAX)
        return ERR_IO;
    *out = (struct linux_fs_attr){
        .number = a->qid.path,
        .size = a->size,
        .accessed = time_of(a->accessed_s, a->accessed_ns),
        .changed = time_of(a->changed_s, a->changed_ns),
        .status_changed = time_of(a->status_s, a->status_ns),
        .version = a->qid.version,
        .mode = a->mode & 0177777,
        .uid = a->uid,
        .gid = a->gid,
        .links = (uint32_t)MIN(a->links, UINT32_MAX),
        .device = (uint32_t)a->device,
    };
    return OK;
}

static int fid_attr(struct client *client, uint32_t fid, struct linux_fs_attr *out)
{
    struct client_call call;
    struct p9_attr attr;
    int r = call_begin(&call, client, P9_TGETATTR);

    if (r != OK)
        return r;
    p9_put32(&call.out, fid);
    p9_put64(&call.out, P9_ATTR_BASIC);
    r = call_run(&call);
    if (r == OK)
        r = p9_get_attr(&call.in, &attr) == P9_OK ? facts_of_attr(&attr, out) : ERR_IO;
    call_end(&call);
    return r;
}

int object_create(struct client *client, uint32_t fid, struct object **out)
{
    struct object *o = kzalloc(sizeof(*o));

    if (!o) {
        client_clunk(client, fid);
        return ERR_NO_MEMORY;
    }
    o->fid = fid;
    o->read_fid = o->write_fid = P9_NO_FID;
    mutex_init(&o->lock);
    *out = o;
    return OK;
}

int object_walk(void *fs, void *folder, const char *name, void **out, struct linux_fs_attr *attr)
{
    struct object *parent = folder, *o;
    uint32_t fid;
    int r = client_walk(fs, parent->fid, name, &fid);

    if (r != OK)
        return r;
    r = fid_attr(fs, fid, attr);
    if (r != OK) {
        client_clunk(fs, fid);
        return r;
    }
    r = object_create(fs, fid, &o);
    if (r == OK)
        *out = o;
    return r;
}

static int object_attr(void *fs, void *object, struct linux_fs_attr *out)
{
    return fid_attr(fs, object_fid(object), out);
}

/* The fid to ask about a file: an open one, which goes on when its name is removed. */
uint32_t object_fid(const struct object *o)
{
    uint32_t write_fid = __atomic_load_n(&o->write_fid, __ATOMIC_RELAXED);
    uint32_t read_fid = __atomic_load_n(&o->read_fid, __ATOMIC_RELAXED);

    return write_fid != P9_NO_FID ? write_fid : read_fid != P9_NO_FID ? read_fid : o->fid;
}

int object_space(void *fs, void *object, struct linux_fs_space *out)
{
    struct object *o = object;
    struct client_call call;
    struct p9_space space;
    int r = call_begin(&call, fs, P9_TSTATFS);

    if (r != OK)
        return r;
    p9_put32(&call.out, o->fid);
    r = call_run(&call);
    if (r == OK)
        r = p9_get_space(&call.in, &space) == P9_OK ? OK : ERR_IO;
    call_end(&call);
    if (r == OK)
        *out = (struct linux_fs_space){space.block_size,       space.blocks, space.blocks_free,
                                       space.blocks_available, space.files,  space.files_free};
    return r;
}

static int fid_open(struct client *client, uint32_t from, uint32_t flags, uint32_t *out)
{
    struct client_call call;
    struct p9_qid qid;
    uint32_t fid;
    int r = client_walk(client, from, NULL, &fid);

    if (r != OK)
        return r;
    r = call_begin(&call, client, P9_TLOPEN);
    if (r == OK) {
        p9_put32(&call.out, fid);
        p9_put32(&call.out, flags);
        r = call_run(&call);
        if (r == OK) {
            p9_get_qid(&call.in, &qid);
            p9_get32(&call.in);
            r = call_finish(&call);
        }
        call_end(&call);
    }
    if (r == OK)
        *out = fid;
    else
        client_clunk(client, fid);
    return r;
}

int object_open(void *fs, void *object, unsigned access)
{
    struct object *o = object;
    int r = OK;

    mutex_lock(&o->lock);
    if ((access & LINUX_FS_READ) && o->read_fid == P9_NO_FID)
        r = fid_open(fs, o->fid, P9_O_RDONLY, &o->read_fid);
    if (r == OK && (access & LINUX_FS_WRITE) && o->write_fid == P9_NO_FID)
        r = fid_open(fs, o->fid, P9_O_WRONLY, &o->write_fid);
    mutex_unlock(&o->lock);
    return r;
}

static long object_read(void *fs, void *object, uint64_t offset, void *to, size_t size)
{
    struct object *o = object;
    int r = object_open(fs, o, LINUX_FS_READ);

    return r == OK ? client_read(fs, o->read_fid, offset, to, size) : r;
}

static long object_text(void *fs, void *object, char *out, size_t size)
{
    struct object *o = object;
    struct client_call call;
    const char *text;
    size_t n = 0;
    long r = call_begin(&call, fs, P9_TREADLINK);

    if (r != OK)
        return r;
    p9_put32(&call.out, o->fid);
    r = call_run(&call);
    if (r == OK) {
        n = p9_get16(&call.in);
        text = p9_get_bytes(&call.in, n);
        r = call_finish(&call);
        if (r == OK && strnlen(text, n) != n)
            r = ERR_IO;
        n = MIN(n, size);
        if (r == OK)
            memcpy(out, text, n);
    }
    call_end(&call);
    return r == OK ? (long)n : r;
}

/* Hands on the entries of a reply. The sink takes no user memory, so the call may stay open. */
static int list_reply(struct client_call *call, struct linux_fs_sink *sink)
{
    struct p9_reader data = {0};
    struct p9_entry entry;

    data.left = p9_get32(&call->in);
    data.at = p9_get_bytes(&call->in, data.left);
    if (call_finish(call) != OK)
        return ERR_IO;
    while (p9_get_entry(&data, &entry))
        if (!sink->entry(sink, entry.name, entry.qid.path, (uint32_t)(entry.type & 15) << 12,
                         entry.next))
            return OK;
    return data.bad ? ERR_IO : OK;
}

static int object_list(void *fs, void *folder, uint64_t at, struct linux_fs_sink *sink)
{
    struct object *o = folder;
    struct client_call call;
    int r = object_open(fs, o, LINUX_FS_READ);

    if (r == OK)
        r = call_begin(&call, fs, P9_TREADDIR);
    if (r != OK)
        return r;
    p9_put32(&call.out, o->read_fid);
    p9_put64(&call.out, at);
    p9_put32(&call.out, LIST_BYTES);
    r = call_run(&call);
    if (r == OK)
        r = list_reply(&call, sink);
    call_end(&call);
    return r;
}

static void object_release(void *fs, void *object)
{
    struct object *o = object;

    if (o->write_fid != P9_NO_FID && o->write_fid != o->read_fid)
        client_clunk(fs, o->write_fid);
    if (o->read_fid != P9_NO_FID)
        client_clunk(fs, o->read_fid);
    client_clunk(fs, o->fid);
    kfree(o);
}

const struct linux_fs_ops p9_fs_ops = {
    .name = "9p",
    .magic = MAGIC,
    .read_most = CLIENT_PAYLOAD,
    .walk = object_walk,
    .attr = object_attr,
    .open = object_open,
    .read = object_read,
    .write = change_write,
    .sync = change_sync,
    .text = object_text,
    .list = object_list,
    .make = change_make,
    .link = change_link,
    .remove = change_remove,
    .rename = change_rename,
    .resize = change_resize,
    .set_mode = change_set_mode,
    .set_owner = change_set_owner,
    .set_times = change_set_times,
    .space = object_space,
    .get_xattr = xattr_read,
    .list_xattr = xattr_names,
    .set_xattr = xattr_write,
    .remove_xattr = xattr_drop,
    .release = object_release,
};

int p9_attach(struct client *client, void **out)
{
    struct client_call call;
    struct object *o;
    struct p9_qid qid;
    uint32_t fid = client_new_fid(client);
    int r = call_begin(&call, client, P9_TATTACH);

    if (r != OK)
        return r;
    p9_put32(&call.out, fid);
    p9_put32(&call.out, P9_NO_FID);
    p9_put_text(&call.out, "root");
    p9_put_text(&call.out, "");
    p9_put32(&call.out, 0);
    r = call_run(&call);
    if (r == OK) {
        p9_get_qid(&call.in, &qid);
        r = call_finish(&call);
    }
    call_end(&call);
    if (r == OK)
        r = object_create(client, fid, &o);
    if (r == OK)
        *out = o;
    return r;
}
