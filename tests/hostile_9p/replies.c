/*
 * replies.c: what an honest server would answer, about one true program and a tree that never ends.
 */
#include <microlake/boot.h>
#include <microlake/memory.h>

#include "hostile.h"

#define FIDS    65536u
#define FOLDER  0040755u
#define FILE    0100755u
#define LINK    0120777u
#define PROGRAM "bin/fuzz_walk"
#define CONSTANT_SIZE (128ull << 20)
#define CONSTANT_MARK 0x9e3779b97f4a7c15ull

bool hostile_constant;

/* Requests; each reply's type is one more. */
enum { STATFS = 8, LOPEN = 12, LCREATE = 14, SYMLINK = 16, MKNOD = 18, READLINK = 22, GETATTR = 24,
       XATTRWALK = 30, READDIR = 40, MKDIR = 72, VERSION = 100, ATTACH = 104, WALK = 110, READ = 116, WRITE = 118 };

static uint8_t things[FIDS]; /* what each fid stands for */

static void put(struct reply *r, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes && r->size < r->room; i++)
        r->bytes[r->size++] = (uint8_t)(value >> 8 * i);
}

static void put_text(struct reply *r, const char *text)
{
    put(r, strlen(text), 2);
    for (; *text; text++)
        put(r, (uint8_t)*text, 1);
}

static bool is_folder(enum thing t)
{
    return t == THING_ROOT || t == THING_BIN || t == THING_FOLDER;
}

static void put_qid(struct reply *r, enum thing t)
{
    put(r, is_folder(t) ? 0x80 : t == THING_LINK ? 2 : 0, 1);
    put(r, t < THING_FILE || hostile_constant ? 1 : hostile_random(), 4);
    put(r, t < THING_FILE || hostile_constant ? (uint64_t)t + 1 : hostile_random(), 8);
}

static uint8_t *thing_of(uint64_t fid)
{
    return &things[fid % FIDS];
}

/* What a name below something stands for. */
static enum thing thing_below(enum thing from, const char *name)
{
    if (from == THING_ROOT && strcmp(name, "bin") == 0)
        return THING_BIN;
    if (from == THING_BIN && strcmp(name, "fuzz_walk") == 0)
        return THING_PROGRAM;
    return THING_FILE + (uint8_t)name[0] % 3;
}

static enum thing walk(struct request *q, struct reply *r)
{
    enum thing from = *thing_of(request_get(q, 4)), to = from;
    uint64_t fid = request_get(q, 4), count = request_get(q, 2);
    char name[256] = "";

    if (count > 0) {
        uint64_t length = request_get(q, 2);

        for (uint64_t i = 0; i < length && i < sizeof(name) - 1; i++)
            name[i] = (char)request_get(q, 1);
        to = thing_below(from, name);
    }
    *thing_of(fid) = (uint8_t)to;
    put(r, count, 2);
    if (count > 0)
        put_qid(r, to);
    return to;
}

static uint64_t size_of(enum thing t)
{
    struct boot_file file;

    if (t == THING_PROGRAM && boot_file_find(PROGRAM, &file) == OK)
        return file.size;
    if (t == THING_FILE && hostile_constant)
        return CONSTANT_SIZE;
    return t == THING_FILE ? hostile_random() % 100000 : 4096;
}

static void attr(enum thing t, struct reply *r)
{
    put(r, 0x7ff, 8);
    put_qid(r, t);
    put(r, is_folder(t) ? FOLDER : t == THING_LINK ? LINK : FILE, 4);
    put(r, 0, 8);
    put(r, 1, 8);
    put(r, 0, 8);
    put(r, size_of(t), 8);
    for (unsigned i = 0; i < 12; i++) /* block size, blocks, four times, generation, version */
        put(r, i < 1 ? 4096 : 1, 8);
}

/* Bytes of the file that is the same each time; they fit. */
static void put_constant(struct reply *r, uint64_t at, uint64_t count)
{
    while (count > 0) {
        uint64_t page = at / 4096, in = at % 4096, n = MIN(count, in < 8 ? 8 - in : 4096 - in);

        memset(r->bytes + r->size, (int)(page % 251), n);
        for (uint64_t i = 0; in < 8 && i < n; i++)
            r->bytes[r->size + i] = (uint8_t)(((page + 1) * CONSTANT_MARK) >> 8 * (in + i));
        r->size += (uint32_t)n;
        at += n;
        count -= n;
    }
}

static void read(enum thing t, struct request *q, struct reply *r)
{
    uint64_t offset = request_get(q, 8), count = request_get(q, 4);
    struct boot_file file = {0};

    if (t == THING_PROGRAM)
        boot_file_find(PROGRAM, &file);
    if (file.data)
        count = offset < file.size ? MIN(count, file.size - offset) : 0;
    count = MIN(count, r->room - r->size - 4);
    if (hostile_constant && !file.data)
        count = offset < CONSTANT_SIZE ? MIN(count, CONSTANT_SIZE - offset) : 0;
    put(r, count, 4);
    if (hostile_constant && !file.data) {
        put_constant(r, offset, count);
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        put(r, file.data ? file.data[offset + i] : 'x', 1);
}

static void list(struct request *q, struct reply *r)
{
    static const char *const names[] = {"file", "hold", "gate", "f", "a/b", "..", ""};
    uint64_t at = request_get(q, 8), count_at = r->size;
    uint32_t count;

    put(r, 0, 4);
    for (unsigned i = 0; i < 3 && at < 1000; i++) {
        put_qid(r, THING_FILE);
        put(r, hostile_random() % 8 ? ++at : at, 8); /* some lists go on for ever */
        put(r, 8, 1);
        put_text(r, names[hostile_random() % ARRAY_SIZE(names)]);
    }
    count = r->size - (uint32_t)count_at - 4;
    memcpy(r->bytes + count_at, &count, 4);
}

static void body_make(enum thing t, struct request *q, struct reply *r)
{
    switch (q->type) {
    case VERSION:
        put(r, request_get(q, 4), 4);
        put_text(r, "9P2000.L");
        break;
    case LOPEN:
    case LCREATE:
        put_qid(r, t);
        put(r, 0, 4);
        break;
    case ATTACH:
    case SYMLINK:
    case MKNOD:
    case MKDIR:
        put_qid(r, t);
        break;
    case GETATTR:
        attr(t, r);
        break;
    case READ:
        read(t, q, r);
        break;
    case READDIR:
        list(q, r);
        break;
    case READLINK:
        put_text(r, hostile_random() % 2 ? "gate/../gate" : "/");
        break;
    case XATTRWALK:
        *thing_of(request_get(q, 4)) = THING_FILE;
        put(r, hostile_random() % 300, 8);
        break;
    case WRITE:
        request_get(q, 8);
        put(r, request_get(q, 4), 4);
        break;
    case STATFS:
        for (unsigned i = 0; i < 15; i++)
            put(r, 1000, 4);
        break;
    }
}

bool reply_make(struct request *q, struct reply *r)
{
    enum thing t = THING_ROOT;

    put(r, 0, 4);
    put(r, q->type + 1u, 1);
    put(r, q->tag, 2);
    if (q->type == ATTACH)
        *thing_of(request_get(q, 4)) = THING_ROOT;
    else if (q->type == WALK)
        t = walk(q, r);
    else if (q->type != VERSION)
        t = *thing_of(request_get(q, 4));
    body_make(t, q, r);
    memcpy(r->bytes, &r->size, 4);
    return t >= THING_FILE;
}
