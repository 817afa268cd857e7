/*
 * p9.c: see p9.h. All numbers are little-endian.
 */
#include "lib/p9/p9.h"

#include <string.h>

#define ERROR_MAX 4095u

/* ---- Writing
 * ------------------------------------------------------------------------------------- */

static void put(struct p9_writer *w, uint64_t value, size_t size)
{
    if (w->full || size > w->size - w->used) {
        w->full = true;
        return;
    }
    for (size_t i = 0; i < size; i++)
        w->bytes[w->used++] = (uint8_t)(value >> (8 * i));
}

void p9_begin(struct p9_writer *w, void *buf, size_t size, enum p9_type type, uint16_t tag)
{
    *w = (struct p9_writer){.bytes = buf, .size = size};
    put(w, 0, 4);
    put(w, type, 1);
    put(w, tag, 2);
}

void p9_put16(struct p9_writer *w, uint16_t value)
{
    put(w, value, 2);
}

void p9_put32(struct p9_writer *w, uint32_t value)
{
    put(w, value, 4);
}

void p9_put64(struct p9_writer *w, uint64_t value)
{
    put(w, value, 8);
}

void p9_put_bytes(struct p9_writer *w, const void *bytes, size_t count)
{
    if (w->full || count > w->size - w->used) {
        w->full = true;
        return;
    }
    memcpy(w->bytes + w->used, bytes, count);
    w->used += count;
}

void p9_put_text(struct p9_writer *w, const char *text)
{
    size_t length = strlen(text);

    if (length > UINT16_MAX)
        w->full = true;
    put(w, length, 2);
    p9_put_bytes(w, text, length);
}

size_t p9_end(struct p9_writer *w)
{
    size_t end = w->used;

    if (w->full || end > UINT32_MAX)
        return 0;
    w->used = 0;
    put(w, end, 4);
    w->used = end;
    return end;
}

/* ---- Reading
 * ------------------------------------------------------------------------------------- */

static uint64_t get(struct p9_reader *r, size_t size)
{
    uint64_t value = 0;

    if (r->bad || size > r->left) {
        r->bad = true;
        return 0;
    }
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)r->at[i] << (8 * i);
    r->at += size;
    r->left -= size;
    return value;
}

enum p9_result p9_open_reply(struct p9_reader *r, const void *bytes, size_t received,
                             enum p9_type type, uint16_t tag, uint32_t *error)
{
    uint32_t size;
    uint8_t answer;

    *r = (struct p9_reader){.at = bytes, .left = received};
    size = p9_get32(r);
    answer = p9_get8(r);
    if (p9_get16(r) != tag || r->bad || size < P9_HEADER_SIZE || size > received)
        return P9_MALFORMED;
    r->left = size - P9_HEADER_SIZE;
    if (answer == type + 1)
        return P9_OK;
    if (answer != P9_TLERROR + 1)
        return P9_MALFORMED;
    *error = p9_get32(r);
    return p9_close_reply(r) == P9_OK && *error > 0 && *error <= ERROR_MAX ? P9_REFUSED
                                                                           : P9_MALFORMED;
}

uint8_t p9_get8(struct p9_reader *r)
{
    return (uint8_t)get(r, 1);
}

uint16_t p9_get16(struct p9_reader *r)
{
    return (uint16_t)get(r, 2);
}

uint32_t p9_get32(struct p9_reader *r)
{
    return (uint32_t)get(r, 4);
}

uint64_t p9_get64(struct p9_reader *r)
{
    return get(r, 8);
}

const void *p9_get_bytes(struct p9_reader *r, size_t count)
{
    const uint8_t *at = r->at;

    if (r->bad || count > r->left) {
        r->bad = true;
        return NULL;
    }
    r->at += count;
    r->left -= count;
    return at;
}

size_t p9_get_text(struct p9_reader *r, char *out, size_t size)
{
    size_t length = p9_get16(r);
    const char *text = p9_get_bytes(r, length);

    out[0] = '\0';
    if (!text || length >= size || strnlen(text, length) != length) {
        r->bad = true;
        return 0;
    }
    memcpy(out, text, length);
    out[length] = '\0';
    return length;
}

enum p9_result p9_close_reply(const struct p9_reader *r)
{
    return !r->bad && r->left == 0 ? P9_OK : P9_MALFORMED;
}

void p9_get_qid(struct p9_reader *r, struct p9_qid *out)
{
    out->type = p9_get8(r);
    out->version = p9_get32(r);
    out->path = p9_get64(r);
}

/* Of a second. */
static bool is_part(uint64_t ns)
{
    return ns < 1000000000u;
}

enum p9_result p9_get_attr(struct p9_reader *r, struct p9_attr *out)
{
    uint64_t valid = p9_get64(r);

    p9_get_qid(r, &out->qid);
    out->mode = p9_get32(r);
    out->uid = p9_get32(r);
    out->gid = p9_get32(r);
    out->links = p9_get64(r);
    out->device = p9_get64(r);
    out->size = p9_get64(r);
    p9_get_bytes(r, 8 + 8); /* block size, blocks */
    out->accessed_s = p9_get64(r);
    out->accessed_ns = p9_get64(r);
    out->changed_s = p9_get64(r);
    out->changed_ns = p9_get64(r);
    out->status_s = p9_get64(r);
    out->status_ns = p9_get64(r);
    p9_get_bytes(r, 8 + 8 + 8 + 8); /* time of birth, generation, version */
    if (p9_close_reply(r) != P9_OK || (valid & P9_ATTR_BASIC) != P9_ATTR_BASIC)
        return P9_MALFORMED;
    return is_part(out->accessed_ns) && is_part(out->changed_ns) && is_part(out->status_ns)
               ? P9_OK
               : P9_MALFORMED;
}

enum p9_result p9_get_space(struct p9_reader *r, struct p9_space *out)
{
    p9_get32(r); /* type */
    out->block_size = p9_get32(r);
    out->blocks = p9_get64(r);
    out->blocks_free = p9_get64(r);
    out->blocks_available = p9_get64(r);
    out->files = p9_get64(r);
    out->files_free = p9_get64(r);
    p9_get_bytes(r, 8 + 4); /* number, length of names */
    return p9_close_reply(r);
}

bool p9_get_entry(struct p9_reader *r, struct p9_entry *out)
{
    if (r->bad || r->left == 0)
        return false;
    p9_get_qid(r, &out->qid);
    out->next = p9_get64(r);
    out->type = p9_get8(r);
    if (p9_get_text(r, out->name, sizeof(out->name)) == 0 || strchr(out->name, '/'))
        r->bad = true;
    return !r->bad;
}
