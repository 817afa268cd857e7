/*
 * change.c: changing the server's files and folders.
 */
#include "change.h"

#include <microlake/memory.h>

#define TYPE_MASK   0170000u
#define TYPE_FOLDER 0040000u
#define TYPE_FILE   0100000u
#define TYPE_LINK   0120000u

#define AT_REMOVEDIR 0x200u

enum setattr_valid {
    SETATTR_MODE = 1u << 0,
    SETATTR_UID = 1u << 1,
    SETATTR_GID = 1u << 2,
    SETATTR_SIZE = 1u << 3,
    SETATTR_ATIME = 1u << 4,
    SETATTR_MTIME = 1u << 5,
    SETATTR_ATIME_SET = 1u << 7,
    SETATTR_MTIME_SET = 1u << 8,
};

#define NS_PER_S 1000000000ull

long change_write(void *fs, void *object, uint64_t offset, const void *from, size_t size)
{
    struct object *o = object;
    int r = object_open(fs, o, LINUX_FS_WRITE);

    return r == OK ? client_write(fs, o->write_fid, offset, from, size) : r;
}

/* Sends a request whose reply has no body that matters: it may have a qid. */
static int run_simple(struct client_call *call, bool with_qid)
{
    struct p9_qid qid;
    int r = call_run(call);

    if (r == OK && with_qid)
        p9_get_qid(&call->in, &qid);
    if (r == OK)
        r = call_finish(call);
    call_end(call);
    return r;
}

int change_sync(void *fs, void *object)
{
    struct object *o = object;
    struct client_call call;
    int r;

    if (o->write_fid == P9_NO_FID)
        return OK;
    r = call_begin(&call, fs, P9_TFSYNC);
    if (r != OK)
        return r;
    p9_put32(&call.out, o->write_fid);
    p9_put32(&call.out, 0);
    return run_simple(&call, false);
}

/* The fid of a new file is open for reading and writing, whatever its mode allows later. */
static int make_file(struct client *client, struct object *folder, const char *name, uint32_t mode,
                     uint32_t *out)
{
    struct client_call call;
    struct p9_qid qid;
    int r = client_walk(client, folder->fid, NULL, out);

    if (r != OK)
        return r;
    r = call_begin(&call, client, P9_TLCREATE);
    if (r == OK) {
        p9_put32(&call.out, *out);
        p9_put_text(&call.out, name);
        p9_put32(&call.out, P9_O_RDWR | P9_O_CREAT | P9_O_EXCL);
        p9_put32(&call.out, mode & 07777);
        p9_put32(&call.out, 0);
        r = call_run(&call);
        if (r == OK) {
            p9_get_qid(&call.in, &qid);
            p9_get32(&call.in);
            r = call_finish(&call);
        }
        call_end(&call);
    }
    if (r != OK)
        client_clunk(client, *out);
    return r;
}

static int make_folder(struct client *client, struct object *folder, const char *name,
                       uint32_t mode)
{
    struct client_call call;
    int r = call_begin(&call, client, P9_TMKDIR);

    if (r != OK)
        return r;
    p9_put32(&call.out, folder->fid);
    p9_put_text(&call.out, name);
    p9_put32(&call.out, mode & 07777);
    p9_put32(&call.out, 0);
    return run_simple(&call, true);
}

static int make_link(struct client *client, struct object *folder, const char *name,
                     const char *text)
{
    struct client_call call;
    int r = call_begin(&call, client, P9_TSYMLINK);

    if (r != OK)
        return r;
    p9_put32(&call.out, folder->fid);
    p9_put_text(&call.out, name);
    p9_put_text(&call.out, text);
    p9_put32(&call.out, 0);
    return run_simple(&call, true);
}

static int make_special(struct client *client, struct object *folder, const char *name,
                        uint32_t mode, uint32_t device)
{
    struct client_call call;
    int r = call_begin(&call, client, P9_TMKNOD);

    if (r != OK)
        return r;
    p9_put32(&call.out, folder->fid);
    p9_put_text(&call.out, name);
    p9_put32(&call.out, mode);
    p9_put32(&call.out, device >> 8 & 0xfff);
    p9_put32(&call.out, (device & 0xff) | (device >> 12 & 0xfff00));
    p9_put32(&call.out, 0);
    return run_simple(&call, true);
}

int change_link(void *fs, void *folder, const char *name, void *object)
{
    const struct object *in = folder, *o = object;
    struct client_call call;
    int r = call_begin(&call, fs, P9_TLINK);

    if (r != OK)
        return r;
    p9_put32(&call.out, in->fid);
    p9_put32(&call.out, o->fid);
    p9_put_text(&call.out, name);
    return run_simple(&call, false);
}

int change_make(void *fs, void *folder, const char *name, uint32_t mode, const char *text,
                uint32_t device, void **out, struct linux_fs_attr *attr)
{
    uint32_t open_fid = P9_NO_FID;
    struct object *o;
    int r;

    switch (mode & TYPE_MASK) {
    case TYPE_FILE:
        r = make_file(fs, folder, name, mode, &open_fid);
        break;
    case TYPE_FOLDER:
        r = make_folder(fs, folder, name, mode);
        break;
    case TYPE_LINK:
        r = make_link(fs, folder, name, text);
        break;
    default:
        r = make_special(fs, folder, name, mode, device);
    }
    if (r == OK)
        r = object_walk(fs, folder, name, out, attr);
    if (r != OK) {
        if (open_fid != P9_NO_FID)
            client_clunk(fs, open_fid);
        return r;
    }
    o = *out;
    o->read_fid = o->write_fid = open_fid;
    return OK;
}

int change_remove(void *fs, void *folder, const char *name, bool is_folder)
{
    struct object *o = folder;
    struct client_call call;
    int r = call_begin(&call, fs, P9_TUNLINKAT);

    if (r != OK)
        return r;
    p9_put32(&call.out, o->fid);
    p9_put_text(&call.out, name);
    p9_put32(&call.out, is_folder ? AT_REMOVEDIR : 0);
    return run_simple(&call, false);
}

int change_rename(void *fs, void *from, const char *from_name, void *to, const char *to_name)
{
    struct object *a = from, *b = to;
    struct client_call call;
    int r = call_begin(&call, fs, P9_TRENAMEAT);

    if (r != OK)
        return r;
    p9_put32(&call.out, a->fid);
    p9_put_text(&call.out, from_name);
    p9_put32(&call.out, b->fid);
    p9_put_text(&call.out, to_name);
    return run_simple(&call, false);
}

struct new_attr {
    uint32_t valid, mode, uid, gid;
    uint64_t size, accessed, changed; /* times: ns since 1970 */
};

static int set_attr(struct client *client, uint32_t fid, const struct new_attr *a)
{
    struct client_call call;
    int r = call_begin(&call, client, P9_TSETATTR);

    if (r != OK)
        return r;
    p9_put32(&call.out, fid);
    p9_put32(&call.out, a->valid);
    p9_put32(&call.out, a->mode);
    p9_put32(&call.out, a->uid);
    p9_put32(&call.out, a->gid);
    p9_put64(&call.out, a->size);
    p9_put64(&call.out, a->accessed / NS_PER_S);
    p9_put64(&call.out, a->accessed % NS_PER_S);
    p9_put64(&call.out, a->changed / NS_PER_S);
    p9_put64(&call.out, a->changed % NS_PER_S);
    return run_simple(&call, false);
}

int change_resize(void *fs, void *object, uint64_t size)
{
    struct object *o = object;
    /* A server that has it open for reading can't change its size there. */
    bool writes = object_open(fs, o, LINUX_FS_WRITE) == OK;

    return set_attr(fs, writes ? o->write_fid : o->fid,
                    &(struct new_attr){.valid = SETATTR_SIZE, .size = size});
}

int change_set_mode(void *fs, void *object, uint32_t mode)
{
    return set_attr(fs, object_fid(object), &(struct new_attr){.valid = SETATTR_MODE, .mode = mode & 07777});
}

int change_set_owner(void *fs, void *object, uint32_t uid, uint32_t gid)
{
    struct new_attr a = {.uid = uid, .gid = gid};

    a.valid = (uid != LINUX_FS_KEEP_ID ? SETATTR_UID : 0u) |
              (gid != LINUX_FS_KEEP_ID ? SETATTR_GID : 0u);
    return a.valid ? set_attr(fs, object_fid(object), &a) : OK;
}

int change_set_times(void *fs, void *object, const uint64_t *accessed, const uint64_t *changed)
{
    struct new_attr a = {.accessed = accessed ? *accessed : 0, .changed = changed ? *changed : 0};

    a.valid = (accessed ? SETATTR_ATIME | SETATTR_ATIME_SET : 0u) |
              (changed ? SETATTR_MTIME | SETATTR_MTIME_SET : 0u);
    return a.valid ? set_attr(fs, object_fid(object), &a) : OK;
}
