/*
 * p9.h: messages of 9P2000.L, pure encoding and decoding.
 *
 * Writers never go past their buffer and readers never past theirs: both note trouble and say so at
 * the end, so that a message is made or read in a row of calls with one check. Nothing that a
 * server sends is believed: sizes, types, tags, counts and texts are checked here, whether values
 * make sense for the caller is the caller's to see. Any context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define P9_NO_FID      0xffffffffu
#define P9_NO_TAG      0xffffu
#define P9_HEADER_SIZE 7u
#define P9_FLUSH_SIZE  9u  /* of a request to forget one */
#define P9_IO_OVERHEAD 24u /* of a read or write message, without the bytes */
#define P9_NAME_MAX    255u

enum p9_type {
    P9_TLERROR = 6,
    P9_TSTATFS = 8,
    P9_TLOPEN = 12,
    P9_TLCREATE = 14,
    P9_TSYMLINK = 16,
    P9_TMKNOD = 18,
    P9_TREADLINK = 22,
    P9_TGETATTR = 24,
    P9_TSETATTR = 26,
    P9_TXATTRWALK = 30,
    P9_TXATTRCREATE = 32,
    P9_TREADDIR = 40,
    P9_TFSYNC = 50,
    P9_TLINK = 70,
    P9_TMKDIR = 72,
    P9_TRENAMEAT = 74,
    P9_TUNLINKAT = 76,
    P9_TVERSION = 100,
    P9_TATTACH = 104,
    P9_TFLUSH = 108,
    P9_TWALK = 110,
    P9_TREAD = 116,
    P9_TWRITE = 118,
    P9_TCLUNK = 120,
};

enum p9_result {
    P9_OK = 0,
    P9_REFUSED = -1,   /* the server answered with an error number */
    P9_MALFORMED = -2, /* the answer is no answer to what was asked */
};

struct p9_writer {
    uint8_t *bytes;
    size_t size, used;
    bool full;
};

/* A message of `type` in buf. */
void p9_begin(struct p9_writer *w, void *buf, size_t size, enum p9_type type, uint16_t tag);
void p9_put16(struct p9_writer *w, uint16_t value);
void p9_put32(struct p9_writer *w, uint32_t value);
void p9_put64(struct p9_writer *w, uint64_t value);
void p9_put_text(struct p9_writer *w, const char *text);

void p9_put_bytes(struct p9_writer *w, const void *bytes, size_t count);

/* Ends the message. Its size; 0: there was no room for all of it. */
size_t p9_end(struct p9_writer *w);

struct p9_reader {
    const uint8_t *at;
    size_t left;
    bool bad; /* something was missing or wrong; what was read since is zero */
};

/*
 * Opens the reply to a request of `type` with `tag`; `received` bytes came. P9_REFUSED: *error is
 * an errno, 1 to 4095.
 */
enum p9_result p9_open_reply(struct p9_reader *r, const void *bytes, size_t received,
                             enum p9_type type, uint16_t tag, uint32_t *error);
uint8_t p9_get8(struct p9_reader *r);
uint16_t p9_get16(struct p9_reader *r);
uint32_t p9_get32(struct p9_reader *r);
uint64_t p9_get64(struct p9_reader *r);

/* A text of at most size - 1 bytes without a NUL in it, into out with a NUL behind it. Its length.
 */
size_t p9_get_text(struct p9_reader *r, char *out, size_t size);

/* The next `count` bytes, or NULL. */
const void *p9_get_bytes(struct p9_reader *r, size_t count);

/* P9_OK: nothing was bad and nothing is left. */
enum p9_result p9_close_reply(const struct p9_reader *r);

struct p9_qid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
};
void p9_get_qid(struct p9_reader *r, struct p9_qid *out);

#define P9_ATTR_BASIC 0x7ffull

struct p9_attr {
    struct p9_qid qid;
    uint32_t mode, uid, gid;
    uint64_t links, device, size;
    /* Since 1970: of access, content and status. */
    uint64_t accessed_s, accessed_ns, changed_s, changed_ns, status_s, status_ns;
};

/* The whole body of a reply to P9_TGETATTR. */
enum p9_result p9_get_attr(struct p9_reader *r, struct p9_attr *out);

struct p9_space {
    uint32_t block_size;
    uint64_t blocks, blocks_free, blocks_available, files, files_free;
};

/* The whole body of a reply to P9_TSTATFS. */
enum p9_result p9_get_space(struct p9_reader *r, struct p9_space *out);

struct p9_entry {
    struct p9_qid qid;
    uint64_t next; /* where to go on behind this entry */
    uint8_t type;  /* DT_ value */
    char name[P9_NAME_MAX + 1];
};

/* The next entry of the data of a reply to P9_TREADDIR. False: the end, or r->bad. Names with a
 * slash and empty ones are bad. */
bool p9_get_entry(struct p9_reader *r, struct p9_entry *out);
