/*
 * pipe.h: what other calls want of pipes. Thread context.
 */
#pragma once

#include "modules/linux/fs/file.h"

#define PIPE_ATOMIC 4096u /* PIPE_BUF: writes up to this are not mixed with others */

struct pipe;

/* The pipe that a file is an end of; NULL: it is none. */
struct pipe *pipe_of_file(const struct file *f);

/* Opens a node that is the name of a pipe: waits for the other end unless flags say not to. */
int pipe_open_name(struct node *node, struct file *f);

/* F_GETPIPE_SZ; F_SETPIPE_SZ: the size given, or ERR_BUSY, EPERM, ERR_INVALID. */
long pipe_size(const struct pipe *p);
long pipe_set_size(struct pipe *p, uint64_t size);

/*
 * Copies up to size bytes from the front, waited for like read(). `claim`: until pipe_consume(),
 * which must follow when bytes came, nobody else reads.
 */
long pipe_peek(struct file *f, void *to, size_t size, bool nonblock, bool claim);
void pipe_consume(struct file *f, size_t size);

/* Bytes that fit now; 0 waits for some, unless nonblock: ERR_AGAIN. EPIPE: nobody reads. */
long pipe_wait_room(struct file *f, bool nonblock);
