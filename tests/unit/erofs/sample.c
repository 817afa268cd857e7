/*
 * sample.c: see sample.h.
 */
#include "tests/unit/erofs/sample.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LONG_NAME 254u /* as long as mkfs.erofs 1.5 takes */

static char tree[256];

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static void run(const char *format, const char *a, const char *b, const char *c)
{
    char command[1024];

    snprintf(command, sizeof(command), format, a, b, c);
    if (system(command) != 0)
        give_up(command);
}

/* Bytes that differ from page to page. */
static void make_file(const char *name, size_t size)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    char *bytes = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 4096 * 7 + 1);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        give_up(name);
    close(fd);
    free(bytes);
}

static void make_many(void)
{
    char name[64];

    if (mkdir("many", 0755))
        give_up("many");
    for (unsigned i = 0; i < SAMPLE_MANY; i++) {
        snprintf(name, sizeof(name), "many/a-file-with-a-longer-name-%u", i);
        make_file(name, i % 40);
    }
}

/* A file with a hole, which mkfs.erofs --chunksize knows as one. */
static void make_sparse(void)
{
    make_file("sparse", 3);
    if (truncate("sparse", 200000))
        give_up("sparse");
}

static void make_odd_ones(void)
{
    char name[EROFS_NAME_MAX + 1];

    memset(name, 'n', LONG_NAME);
    name[LONG_NAME] = '\0';
    make_file(name, 1);
    if (symlink("large", "link") || link("large", "second") || mkfifo("fifo", 0600) ||
        chmod("page", 04751) || mkdir("empty-folder", 0700))
        give_up("links");
    /* Where the host's file system has them; owners of others only for root. */
    if (setxattr("page", "user.test", "value", 5, 0) ||
        setxattr("small", "user.test", "value", 5, 0))
        printf("sample: without extended attributes\n");
    if (chown("small", 100000, 100001))
        printf("sample: without other owners\n");
}

const char *sample_tree(void)
{
    const char *temporary = getenv("TMPDIR");
    char before[256];

    if (*tree)
        return tree;
    snprintf(tree, sizeof(tree), "%s/erofs-sample-XXXXXX", temporary ? temporary : "/tmp");
    if (!getcwd(before, sizeof(before)) || !mkdtemp(tree) || chdir(tree) || mkdir("tree", 0755) ||
        chdir("tree"))
        give_up(tree);
    make_file("empty", 0);
    make_file("small", 10);
    make_file("page", 4096);
    make_file("two", 8192);
    make_file("tail", 4100);
    make_file("large", SAMPLE_LARGE);
    make_many();
    make_sparse();
    make_odd_ones();
    if (chdir(before))
        give_up(before);
    strcat(tree, "/tree");
    return tree;
}

void sample_end(void)
{
    if (!*tree)
        return;
    *strrchr(tree, '/') = '\0';
    run("rm -rf '%s'%s%s", tree, "", "");
    *tree = '\0';
}

static bool sample_read(struct erofs_source *source, uint64_t offset, void *to, size_t size)
{
    struct sample *s = (struct sample *)source;

    memcpy(to, s->bytes + offset, size);
    return true;
}

void sample_copy(const void *bytes, size_t size, struct sample *out)
{
    out->source = (struct erofs_source){.size = size, .read = sample_read};
    out->bytes = malloc(size ? size : 1);
    memcpy(out->bytes, bytes, size);
}

void sample_make(const char *options, struct sample *out)
{
    char path[300];
    struct stat status;
    uint8_t *bytes;
    int fd;

    snprintf(path, sizeof(path), "%s.img", sample_tree());
    run("mkfs.erofs --quiet %s '%s' '%s'", options, path, tree);
    fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status))
        give_up(path);
    bytes = malloc((size_t)status.st_size);
    if (read(fd, bytes, (size_t)status.st_size) != status.st_size)
        give_up(path);
    close(fd);
    unlink(path);
    sample_copy(bytes, (size_t)status.st_size, out);
    free(bytes);
}

void sample_free(struct sample *s)
{
    free(s->bytes);
}

void sample_seal(struct sample *s)
{
    uint8_t *super = s->bytes + EROFS_MAGIC_AT;
    uint32_t crc;

    memset(super + 4, 0, 4);
    crc = erofs_crc32c(~0u, super, 4096 - EROFS_MAGIC_AT);
    memcpy(super + 4, &crc, 4);
}
