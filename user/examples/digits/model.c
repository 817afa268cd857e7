/*
 * model.c: reads the two tensor files and checks that they are what the net expects.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/tensorfile/tensorfile.h"
#include "message.h"

#define MAX_FILE_BYTES (64u << 20)
#define MAX_IMAGES     1000000u

static const struct {
    const char *name;
    uint32_t rank;
    uint32_t shape[TENSORFILE_MAX_RANK];
} digits_tensors[DIGITS_TENSOR_COUNT] = {
    [DIGITS_CONV1_WEIGHT] = {"conv1.weight", 4, {DIGITS_CHANNELS1, 1, 3, 3}},
    [DIGITS_CONV1_BIAS] = {"conv1.bias", 1, {DIGITS_CHANNELS1}},
    [DIGITS_CONV2_WEIGHT] = {"conv2.weight", 4, {DIGITS_CHANNELS2, DIGITS_CHANNELS1, 3, 3}},
    [DIGITS_CONV2_BIAS] = {"conv2.bias", 1, {DIGITS_CHANNELS2}},
    [DIGITS_DENSE_WEIGHT] = {"dense.weight", 2, {DIGITS_CLASSES, DIGITS_FEATURES}},
    [DIGITS_DENSE_BIAS] = {"dense.bias", 1, {DIGITS_CLASSES}},
};

/* Reads until the end of the file or until the room is full; bytes read, or -1 with errno. */
static ssize_t read_all(int fd, uint8_t *room, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = read(fd, room + done, bytes - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* The file's bytes in memory that the caller frees, or NULL with a message. */
static void *descriptor_load(int fd, const char *path, size_t *bytes)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        message_error("%s is not a file: name one that tools/train/digits.py wrote", path);
        return NULL;
    }
    if (status.st_size > (off_t)MAX_FILE_BYTES) {
        message_error("%s is too large for a file of tools/train/digits.py", path);
        return NULL;
    }
    void *memory = malloc((size_t)status.st_size + 1);
    if (memory == NULL) {
        message_error("no memory to load %s: give the machine more", path);
        return NULL;
    }
    ssize_t got = read_all(fd, memory, (size_t)status.st_size);
    if (got < 0) {
        message_error("can't read %s: %s", path, strerror(errno));
        free(memory);
        return NULL;
    }
    *bytes = (size_t)got;
    return memory;
}

/* Loads a tensor file; its memory, or NULL with a message. */
static void *file_load(struct tensorfile *file, const char *path, const char *option)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        message_error("can't open %s: %s; name the file with %s", path, strerror(errno), option);
        return NULL;
    }
    size_t bytes = 0;
    void *memory = descriptor_load(fd, path, &bytes);
    close(fd);
    if (memory == NULL) {
        return NULL;
    }
    int status = tensorfile_open(file, memory, bytes);
    if (status != TENSORFILE_OK) {
        message_error("%s: %s; write it again with tools/train/digits.py", path,
                      tensorfile_error_text(status));
        free(memory);
        return NULL;
    }
    return memory;
}

static int tensor_complain(const char *path, const char *name, int status)
{
    return message_error("%s: %s: %s; the file is not for this net, write it again with "
                         "tools/train/digits.py",
                         path, name, tensorfile_error_text(status));
}

static int model_take(struct digits_model *model, const struct tensorfile *file, const char *path)
{
    for (uint32_t i = 0; i < DIGITS_TENSOR_COUNT; i++) {
        const char *name = digits_tensors[i].name;
        const void *data;
        int status = tensorfile_expect(file, name, TENSORFILE_FLOAT32, digits_tensors[i].rank,
                                       digits_tensors[i].shape, &data);
        if (status != TENSORFILE_OK) {
            return tensor_complain(path, name, status);
        }
        model->tensors[i] = data;
        model->bytes[i] = tensorfile_find(file, name)->bytes;
    }
    return 0;
}

int model_load(struct digits_model *model, const char *path)
{
    struct tensorfile file;
    memset(model, 0, sizeof(*model));
    model->file = file_load(&file, path, "--model");
    if (model->file == NULL) {
        return -1;
    }
    int result = model_take(model, &file, path);
    if (result != 0) {
        model_free(model);
    }
    return result;
}

static int bytes_check(const uint8_t *bytes, uint64_t count, uint8_t limit, const char *path,
                       const char *name)
{
    for (uint64_t i = 0; i < count; i++) {
        if (bytes[i] > limit) {
            return message_error("%s: %s: a value over %u; write the file again with "
                                 "tools/train/digits.py",
                                 path, name, limit);
        }
    }
    return 0;
}

static int set_take(struct digits_set *set, const struct tensorfile *file, const char *path)
{
    const void *images;
    const void *labels;
    const uint32_t images_shape[] = {0, DIGITS_SIZE, DIGITS_SIZE};
    int status = tensorfile_expect(file, "images", TENSORFILE_UINT8, 3, images_shape, &images);
    if (status != TENSORFILE_OK) {
        return tensor_complain(path, "images", status);
    }
    set->count = tensorfile_find(file, "images")->shape[0];
    status = tensorfile_expect(file, "labels", TENSORFILE_UINT8, 1, &set->count, &labels);
    if (status != TENSORFILE_OK) {
        return tensor_complain(path, "labels", status);
    }
    if (set->count > MAX_IMAGES) {
        return message_error("%s: more than %u images; name a smaller file with --data", path,
                             MAX_IMAGES);
    }
    set->images = images;
    set->labels = labels;
    uint64_t pixels = (uint64_t)set->count * DIGITS_PIXELS;
    if (bytes_check(set->images, pixels, DIGITS_MAX_PIXEL, path, "images") != 0) {
        return -1;
    }
    return bytes_check(set->labels, set->count, DIGITS_CLASSES - 1, path, "labels");
}

int set_load(struct digits_set *set, const char *path)
{
    struct tensorfile file;
    memset(set, 0, sizeof(*set));
    set->file = file_load(&file, path, "--data");
    if (set->file == NULL) {
        return -1;
    }
    int result = set_take(set, &file, path);
    if (result != 0) {
        set_free(set);
    }
    return result;
}

void model_free(struct digits_model *model)
{
    free(model->file);
    memset(model, 0, sizeof(*model));
}

void set_free(struct digits_set *set)
{
    free(set->file);
    memset(set, 0, sizeof(*set));
}
