/*
 * sample.h: a folder of all kinds of files, images of it by mkfs.erofs, and an image in memory as a
 * source for lib/erofs. Trouble ends the test.
 */
#pragma once

#include "lib/erofs/erofs.h"

#define SAMPLE_MANY  500u    /* files in the folder "many" */
#define SAMPLE_LARGE 300001u /* bytes of the file "large" */

struct sample {
    struct erofs_source source;
    uint8_t *bytes; /* exactly source.size, so that the sanitizers see what reads beyond it */
};

/* Makes the folder, once a program; its path. sample_end() removes it. */
const char *sample_tree(void);
void sample_end(void);

/* The image that mkfs.erofs makes of it with these options, "" for none. */
void sample_make(const char *options, struct sample *out);

/* A copy of bytes; sample_free() gives it back. */
void sample_copy(const void *bytes, size_t size, struct sample *out);
void sample_free(struct sample *s);

/* Writes the superblock's checksum anew. */
void sample_seal(struct sample *s);
