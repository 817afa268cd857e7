/*
 * main.c: readers of one file, each a process with a pattern of its own, all at once.
 *
 *     bench_readahead FILE MIB PATTERN...     MIB: what each reads; see patterns.h
 *     bench_readahead --make FILE MIB         makes the file: each page begins with its number
 *
 * Each reader prints "reader PATTERN BYTES NANOSECONDS", and the whole "all BYTES NANOSECONDS". A page that
 * is not the one that was asked for ends it with status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "patterns.h"

#define PAGE        4096u
#define MARK        0x9e3779b97f4a7c15ull
#define READ_MOST   (1u << 20)
#define READERS_MAX 16

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int fail(const char *what)
{
    fprintf(stderr, "bench_readahead: %s: %s\n", what, strerror(errno));
    return 1;
}

static int make_file(const char *path, uint64_t size)
{
    static uint64_t page[PAGE / sizeof(uint64_t)];
    FILE *file = fopen(path, "w");

    if (!file)
        return fail(path);
    for (uint64_t n = 0; n < size / PAGE; n++) {
        for (unsigned i = 0; i < PAGE / sizeof(page[0]); i++)
            page[i] = (n + 1) * MARK + i * i;
        if (fwrite(page, sizeof(page), 1, file) != 1)
            return fail(path);
    }
    return fclose(file) ? fail(path) : 0;
}

/* Every page in the bytes that were read is the one that lies there. */
static bool right(const uint8_t *bytes, uint64_t offset, size_t size)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += PAGE) {
        uint64_t first;

        memcpy(&first, bytes + at, sizeof(first));
        if (first != ((offset + at) / PAGE + 1) * MARK)
            return false;
    }
    return true;
}

static int read_record(int fd, const struct reader *r, uint64_t offset, uint8_t *bytes)
{
    for (uint64_t done = 0; done < r->record; done += r->read) {
        for (size_t got = 0; got < r->read;) {
            ssize_t n = pread(fd, bytes + got, r->read - got, (off_t)(offset + done + got));

            if (n <= 0)
                return fail("read");
            got += (size_t)n;
        }
        if (!right(bytes, offset + done, r->read)) {
            fprintf(stderr, "bench_readahead: wrong bytes at %llu\n", (unsigned long long)(offset + done));
            return 1;
        }
    }
    return 0;
}

static int reader_run(const char *path, const char *text, struct reader *r, uint64_t bytes)
{
    uint8_t *buffer = malloc(READ_MOST);
    uint64_t done = 0, start = now_ns();
    int fd = open(path, O_RDONLY);

    if (fd < 0 || !buffer)
        return fail(path);
    for (; done < bytes; done += r->record)
        if (read_record(fd, r, reader_next(r), buffer))
            return 1;
    printf("reader %s %llu %llu\n", text, (unsigned long long)done, (unsigned long long)(now_ns() - start));
    return 0;
}

static int run_all(const char *path, uint64_t bytes, int count, char **patterns)
{
    uint64_t start = now_ns();
    struct stat s;
    int bad = 0;

    if (stat(path, &s))
        return fail(path);
    for (int i = 0; i < count; i++) {
        struct reader r;

        if (!reader_parse(patterns[i], (uint64_t)s.st_size, (uint64_t)i + 1, &r) || r.read > READ_MOST ||
            r.record % r.read || r.read % PAGE) {
            fprintf(stderr, "bench_readahead: %s: no pattern for this file\n", patterns[i]);
            return 2;
        }
        if (fork() == 0)
            exit(reader_run(path, patterns[i], &r, bytes));
    }
    for (int i = 0, status; i < count; i++)
        bad |= wait(&status) < 0 || status != 0;
    printf("all %llu %llu\n", (unsigned long long)bytes * (unsigned)count, (unsigned long long)(now_ns() - start));
    return bad;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--make"))
        return make_file(argv[2], strtoull(argv[3], NULL, 10) << 20);
    if (argc < 4 || argc > 3 + READERS_MAX) {
        fprintf(stderr, "usage: bench_readahead FILE MIB PATTERN...\n       bench_readahead --make FILE MIB\n");
        return 2;
    }
    return run_all(argv[1], strtoull(argv[2], NULL, 10) << 20, argc - 3, argv + 3);
}
