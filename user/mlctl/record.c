/*
 * record.c: mlctl record: all rows of a feature set as they come, into a tensor file
 * (docs/tensorfile.md) that tools/train reads:
 *
 *     values  float32 [rows][fields]   time   float32 [rows]   ms since the first row
 *     low     uint8 [rows][fields][4]  exact int32, little-endian; key, cpu, number uint8 [rows][4]
 * likewise fields  uint8 [n]                the fields' names, with blanks between them
 *
 * Rows are in the order of time. float32 holds whole numbers up to 2^24 exactly: `low` holds all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/crc32/crc32.h"
#include "lib/tensorfile/tensorfile.h"
#include "store_device.h"
#include "uapi/mlaas.h"
#include "verb.h"

#define FOLDER      "/sys/kernel/mlaas/features"
#define CHUNK_BYTES 32768
#define PAUSE_US    2000
#define FIELDS_MAX  64u
#define ROWS_MAX    (8u << 20)
#define TEXT_BYTES  65536

struct row {
    struct mlaas_feature_row head;
    int32_t values[FIELDS_MAX];
};

struct recording {
    const char *name, *path;
    double seconds;
    size_t rows_wanted;
    char fields[1024];
    uint32_t field_count;
    uint8_t *rows; /* rows of row_bytes */
    size_t row_bytes, count, room;
    unsigned long lost;
    uint32_t last[256]; /* the last number of each CPU */
};

static const struct mlaas_feature_row *row_at(const struct recording *r, size_t nth)
{
    return (const void *)(r->rows + nth * r->row_bytes);
}

/* ---- Reading ---- */

/* The set's fields, from its file's line "fields a b c". */
static bool schema_read(struct recording *r)
{
    char path[256], line[1024];
    snprintf(path, sizeof(path), FOLDER "/%s", r->name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        complain("there is no feature set %s; see " FOLDER, r->name);
        return false;
    }
    while (r->field_count == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "fields ", 7) == 0) {
            line[strcspn(line, "\n")] = '\0';
            strcpy(r->fields, line + 7);
            for (const char *at = line + 6; at != NULL; at = strchr(at + 1, ' ')) {
                r->field_count++;
            }
        }
    }
    fclose(file);
    r->row_bytes = (sizeof(struct mlaas_feature_row) + r->field_count * 4u + 7u) / 8u * 8u;
    return r->field_count > 0 && r->field_count <= FIELDS_MAX;
}

static bool room_make(struct recording *r)
{
    if (r->count < r->room) {
        return true;
    }
    size_t room = r->room > 0 ? r->room * 2 : 4096;
    uint8_t *rows = realloc(r->rows, room * r->row_bytes);
    if (rows == NULL) {
        return false;
    }
    r->rows = rows;
    r->room = room;
    return true;
}

static bool rows_take(struct recording *r, const uint8_t *chunk, size_t bytes)
{
    for (size_t at = 0; at + r->row_bytes <= bytes && r->count < r->rows_wanted;
         at += r->row_bytes) {
        const struct mlaas_feature_row *row = (const void *)(chunk + at);
        if (!room_make(r)) {
            return false;
        }
        if (row->cpu < 256) {
            r->lost += row->number - r->last[row->cpu] - 1;
            r->last[row->cpu] = row->number;
        }
        memcpy(r->rows + r->count++ * r->row_bytes, row, r->row_bytes);
    }
    return true;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Until the time is up, there are rows enough, or the set is gone. 0 or -errno. */
static int rows_read(struct recording *r, int fd)
{
    static uint8_t chunk[CHUNK_BYTES] __attribute__((aligned(8)));
    double end = seconds_now() + r->seconds;
    while (r->count < r->rows_wanted && seconds_now() < end) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got == 0) {
            return 0;
        }
        if (got > 0 && !rows_take(r, chunk, (size_t)got)) {
            return -ENOMEM;
        }
        if (got < 0 && errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
        if (got < 0) {
            usleep(PAUSE_US);
        }
    }
    return 0;
}

/* ---- Writing ---- */

static int row_compare(const void *a, const void *b)
{
    const struct mlaas_feature_row *x = a, *y = b;
    return x->time != y->time ? (x->time > y->time) - (x->time < y->time)
                              : (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

struct tensor {
    const char *name;
    uint32_t type, rank, shape[4];
    void (*fill)(const struct recording *r, uint8_t *to);
};

static void fill_values(const struct recording *r, uint8_t *to)
{
    float *out = (float *)to;
    for (size_t i = 0; i < r->count; i++) {
        const int32_t *values = (const int32_t *)(row_at(r, i) + 1);
        for (uint32_t f = 0; f < r->field_count; f++) {
            *out++ = (float)values[f];
        }
    }
}

static void fill_low(const struct recording *r, uint8_t *to)
{
    for (size_t i = 0; i < r->count; i++, to += r->field_count * 4) {
        memcpy(to, row_at(r, i) + 1, r->field_count * 4);
    }
}

static void fill_time(const struct recording *r, uint8_t *to)
{
    for (size_t i = 0; i < r->count; i++) {
        ((float *)to)[i] = (float)((double)(row_at(r, i)->time - row_at(r, 0)->time) / 1e6);
    }
}

static void fill_key(const struct recording *r, uint8_t *to)
{
    for (size_t i = 0; i < r->count; i++) {
        memcpy(to + i * 4, &row_at(r, i)->key, 4);
    }
}

static void fill_cpu(const struct recording *r, uint8_t *to)
{
    for (size_t i = 0; i < r->count; i++) {
        memcpy(to + i * 4, &row_at(r, i)->cpu, 4);
    }
}

static void fill_number(const struct recording *r, uint8_t *to)
{
    for (size_t i = 0; i < r->count; i++) {
        memcpy(to + i * 4, &row_at(r, i)->number, 4);
    }
}

static void fill_fields(const struct recording *r, uint8_t *to)
{
    memcpy(to, r->fields, strlen(r->fields));
}

static size_t tensor_bytes(const struct tensor *t)
{
    size_t count = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        count *= t->shape[i];
    }
    return count * (t->type == TENSORFILE_FLOAT32 ? 4 : 1);
}

static size_t aligned(size_t offset)
{
    return (offset + TENSORFILE_ALIGN - 1) / TENSORFILE_ALIGN * TENSORFILE_ALIGN;
}

static void entry_fill(struct tensorfile_entry *entry, const struct tensor *t, size_t offset)
{
    strcpy(entry->name, t->name);
    entry->type = t->type;
    entry->rank = t->rank;
    for (uint32_t i = 0; i < TENSORFILE_MAX_RANK; i++) {
        entry->shape[i] = i < t->rank ? t->shape[i] : 1;
    }
    entry->offset = offset;
    entry->bytes = tensor_bytes(t);
}

/* The whole file in memory. NULL: there is none. */
static uint8_t *file_make(const struct recording *r, const struct tensor *tensors, uint32_t count,
                          size_t *size)
{
    size_t start = sizeof(struct tensorfile_header) + count * sizeof(struct tensorfile_entry);
    size_t end = start;
    for (uint32_t i = 0; i < count; i++) {
        end = aligned(end) + tensor_bytes(&tensors[i]);
    }
    uint8_t *file = calloc(1, end);
    if (file == NULL) {
        return NULL;
    }
    struct tensorfile_header *header = (void *)file;
    struct tensorfile_entry *entries = (void *)(header + 1);
    *header = (struct tensorfile_header){.magic = TENSORFILE_MAGIC,
                                         .version = TENSORFILE_VERSION,
                                         .file_bytes = end,
                                         .tensor_count = count};
    size_t at = start;
    for (uint32_t i = 0; i < count; i++) {
        at = aligned(at);
        entry_fill(&entries[i], &tensors[i], at);
        tensors[i].fill(r, file + at);
        at += tensor_bytes(&tensors[i]);
    }
    header->crc32 = crc32_without_field(file, end, offsetof(struct tensorfile_header, crc32));
    *size = end;
    return file;
}

static int bytes_write(const char *path, const uint8_t *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return -errno;
    }
    int error = 0;
    for (size_t done = 0; done < size && error == 0;) {
        ssize_t n = write(fd, bytes + done, size - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            error = n == 0 ? -EIO : -errno;
        }
    }
    if (close(fd) != 0 && error == 0) {
        error = -errno;
    }
    return error;
}

static int recording_write(struct recording *r)
{
    uint32_t rows = (uint32_t)r->count, fields = r->field_count;
    const struct tensor tensors[] = {
        {"values", TENSORFILE_FLOAT32, 2, {rows, fields}, fill_values},
        {"time", TENSORFILE_FLOAT32, 1, {rows}, fill_time},
        {"low", TENSORFILE_UINT8, 3, {rows, fields, 4}, fill_low},
        {"key", TENSORFILE_UINT8, 2, {rows, 4}, fill_key},
        {"cpu", TENSORFILE_UINT8, 2, {rows, 4}, fill_cpu},
        {"number", TENSORFILE_UINT8, 2, {rows, 4}, fill_number},
        {"fields", TENSORFILE_UINT8, 1, {(uint32_t)strlen(r->fields)}, fill_fields},
    };
    size_t size = 0;
    qsort(r->rows, r->count, r->row_bytes, row_compare);
    uint8_t *file = file_make(r, tensors, sizeof(tensors) / sizeof(tensors[0]), &size);
    int error = file == NULL ? -ENOMEM : bytes_write(r->path, file, size);
    free(file);
    if (error != 0) {
        return complain("can't write %s: %s", r->path, strerror(-error));
    }
    printf("%s: %zu rows of %u fields in %s, %lu lost\n", r->name, r->count, fields, r->path,
           r->lost);
    return 0;
}

/* ---- The command ---- */

static int record(struct recording *r)
{
    int fd = device_open(MLAAS_FEATURES_PATH, O_RDWR);
    if (fd < 0) {
        return complain("can't record: %s",
                        fd == -ENOENT
                            ? "this machine has no feature store: 'mlctl load features' brings it"
                            : strerror(-fd));
    }
    int error = 0;
    if (!schema_read(r)) {
        close(fd);
        return 1;
    }
    if (write(fd, r->name, strlen(r->name)) < 0) {
        error = -errno;
    }
    error = error == 0 ? rows_read(r, fd) : error;
    close(fd);
    if (error != 0) {
        return complain("can't record %s: %s", r->name, strerror(-error));
    }
    if (r->count == 0) {
        return complain("%s had no rows in that time; nothing was written", r->name);
    }
    return recording_write(r);
}

static bool number_read(const char *text, double most, double *out)
{
    char *end = NULL;
    *out = text != NULL ? strtod(text, &end) : 0;
    return text != NULL && end != text && *end == '\0' && *out > 0 && *out <= most;
}

static bool words_read(int count, char **words, struct recording *r)
{
    for (int i = 0; i < count; i++) {
        double number = 0;
        if (strcmp(words[i], "--seconds") == 0) {
            if (++i == count || !number_read(words[i], 86400, &r->seconds)) {
                return false;
            }
        } else if (strcmp(words[i], "--rows") == 0) {
            if (++i == count || !number_read(words[i], ROWS_MAX, &number) || number < 1) {
                return false;
            }
            r->rows_wanted = (size_t)number;
        } else if (words[i][0] == '-') {
            return false;
        } else if (r->name == NULL) {
            r->name = words[i];
        } else if (r->path == NULL) {
            r->path = words[i];
        } else {
            return false;
        }
    }
    return r->name != NULL && r->path != NULL && strchr(r->name, '/') == NULL &&
           r->name[0] != '.' && strlen(r->name) < MLAAS_NAME_BYTES;
}

static int record_run(int count, char **words)
{
    static struct recording r = {.seconds = 10, .rows_wanted = ROWS_MAX};
    if (!words_read(count, words, &r)) {
        return complain_usage(&verb_record, "record wants a feature set and a file");
    }
    int status = record(&r);
    free(r.rows);
    return status;
}

const struct verb verb_record = {
    .name = "record",
    .usage = "record NAME [--seconds S] [--rows N] FILE",
    .summary = "records the rows of a feature set, for training",
    .help =
        "All rows of the set NAME (in " FOLDER ") as they come, for S seconds\n"
        "(10) or until there are N, go into FILE, a tensor file: values, time, key, cpu and more.\n"
        "It takes root's rights.\n",
    .run = record_run,
};
