/*
 * tensorfile_test.c: the tensor file reader on good, cut, damaged and hostile files.
 *
 * Every file under test lies in an allocation of exactly its size, so that the address sanitizer
 * sees one byte read too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/tensorfile/tensorfile.h"

#define SEED          20u
#define DAMAGED_FILES 20000u

struct image {
    uint8_t *bytes;
    size_t size;
};

/* CRC-32 bit by bit, written for the test: the reader's own is not asked to judge itself. */
static uint32_t crc32_reference(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size * 8; i++) {
        uint32_t bit = (crc ^ (bytes[i / 8] >> (i % 8))) & 1;
        crc = (crc >> 1) ^ (bit ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void image_seal(struct image *image)
{
    struct tensorfile_header *header = (struct tensorfile_header *)image->bytes;
    header->crc32 = 0;
    header->crc32 = crc32_reference(image->bytes, image->size);
}

static struct tensorfile_entry *image_entry(struct image *image, uint32_t index)
{
    return (struct tensorfile_entry *)(image->bytes + sizeof(struct tensorfile_header)) + index;
}

/* A file with a float32 tensor "weights" [2][3] and a uint8 tensor "labels" [5]. */
static struct image image_make(void)
{
    const uint64_t first = sizeof(struct tensorfile_header) + 2 * sizeof(struct tensorfile_entry);
    struct image image = {.size = first + 64 + 5};
    image.bytes = calloc(1, image.size);
    assert_non_null(image.bytes);
    *(struct tensorfile_header *)image.bytes = (struct tensorfile_header){
        .magic = TENSORFILE_MAGIC,
        .version = TENSORFILE_VERSION,
        .file_bytes = image.size,
        .tensor_count = 2,
    };
    *image_entry(&image, 0) = (struct tensorfile_entry){.name = "weights",
                                                        .type = TENSORFILE_FLOAT32,
                                                        .rank = 2,
                                                        .shape = {2, 3, 1, 1},
                                                        .offset = first,
                                                        .bytes = 24};
    *image_entry(&image, 1) = (struct tensorfile_entry){.name = "labels",
                                                        .type = TENSORFILE_UINT8,
                                                        .rank = 1,
                                                        .shape = {5, 1, 1, 1},
                                                        .offset = first + 64,
                                                        .bytes = 5};
    for (uint32_t i = 0; i < 6; i++) {
        ((float *)(image.bytes + first))[i] = (float)i / 2;
    }
    memcpy(image.bytes + first + 64, "\1\2\3\4\5", 5);
    image_seal(&image);
    return image;
}

static struct image image_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    struct image image = {.size = (size_t)ftell(file)};
    rewind(file);
    image.bytes = malloc(image.size);
    assert_non_null(image.bytes);
    assert_int_equal(fread(image.bytes, 1, image.size, file), image.size);
    fclose(file);
    return image;
}

/* The first `size` bytes of an image in memory of just that size. */
static struct image image_copy(const struct image *image, size_t size)
{
    struct image copy = {.bytes = malloc(size > 0 ? size : 1), .size = size};
    assert_non_null(copy.bytes);
    memcpy(copy.bytes, image->bytes, size);
    return copy;
}

/* Reads every byte of every tensor. */
static uint32_t tensors_touch(const struct tensorfile *file)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < file->tensor_count; i++) {
        const struct tensorfile_entry *entry = tensorfile_find(file, file->entries[i].name);
        assert_ptr_equal(entry, &file->entries[i]);
        const uint8_t *data = tensorfile_data(file, entry);
        for (uint64_t at = 0; at < entry->bytes; at++) {
            sum += data[at];
        }
    }
    return sum;
}

static void test_good_file_is_read(void **state)
{
    (void)state;
    struct image image = image_make();
    struct tensorfile file;
    const void *data;
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_OK);
    assert_int_equal(file.tensor_count, 2);

    const uint32_t any_rows[] = {0, 3};
    assert_int_equal(tensorfile_expect(&file, "weights", TENSORFILE_FLOAT32, 2, any_rows, &data),
                     TENSORFILE_OK);
    assert_true(((const float *)data)[5] == 2.5f);
    const uint32_t five[] = {5};
    assert_int_equal(tensorfile_expect(&file, "labels", TENSORFILE_UINT8, 1, five, &data),
                     TENSORFILE_OK);
    assert_memory_equal(data, "\1\2\3\4\5", 5);
    free(image.bytes);
}

static void test_wrong_tensor_is_refused(void **state)
{
    (void)state;
    struct image image = image_make();
    struct tensorfile file;
    const void *data;
    const uint32_t shape[] = {3, 2};
    const uint32_t five[] = {5};
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_OK);
    assert_int_equal(tensorfile_expect(&file, "weights", TENSORFILE_FLOAT32, 2, shape, &data),
                     TENSORFILE_SHAPE);
    assert_int_equal(tensorfile_expect(&file, "weights", TENSORFILE_FLOAT32, 1, five, &data),
                     TENSORFILE_SHAPE);
    assert_int_equal(tensorfile_expect(&file, "labels", TENSORFILE_FLOAT32, 1, five, &data),
                     TENSORFILE_SHAPE);
    assert_int_equal(tensorfile_expect(&file, "weight", TENSORFILE_FLOAT32, 2, shape, &data),
                     TENSORFILE_MISSING);
    assert_int_equal(tensorfile_expect(&file, "weights2", TENSORFILE_FLOAT32, 2, shape, &data),
                     TENSORFILE_MISSING);
    free(image.bytes);
}

static void test_header_errors_are_told_apart(void **state)
{
    (void)state;
    struct image image = image_make();
    struct tensorfile_header *header = (struct tensorfile_header *)image.bytes;
    struct tensorfile file;
    header->magic ^= 1;
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_NOT_ONE);
    header->magic ^= 1;
    header->version++;
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_VERSION_NEW);
    header->version--;
    image.bytes[image.size - 1] ^= 1;
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_CHECKSUM);
    image.bytes[image.size - 1] ^= 1;
    assert_int_equal(tensorfile_open(&file, image.bytes + 4, image.size - 4), TENSORFILE_ALIGNMENT);
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_OK);
    free(image.bytes);
}

static void test_every_truncation_is_refused(void **state)
{
    struct image whole = image_read(*state);
    for (size_t size = 0; size < whole.size; size++) {
        struct image cut = image_copy(&whole, size);
        struct tensorfile file;
        int status = tensorfile_open(&file, cut.bytes, cut.size);
        assert_int_equal(status, size < 4 ? TENSORFILE_NOT_ONE : TENSORFILE_TRUNCATED);
        free(cut.bytes);
    }
    free(whole.bytes);
}

static void test_damage_is_refused(void **state)
{
    struct image image = image_read(*state);
    struct tensorfile file;
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_OK);
    srandom(SEED);
    for (uint32_t round = 0; round < 500; round++) {
        size_t at = (size_t)random() % image.size;
        uint8_t bit = (uint8_t)(1u << (random() % 8));
        image.bytes[at] ^= bit;
        assert_int_not_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_OK);
        image.bytes[at] ^= bit;
    }
    free(image.bytes);
}

/* Whoever makes a hostile file gives it the right checksum. */
static void test_hostile_files_stay_inside(void **state)
{
    (void)state;
    struct image good = image_make();
    uint32_t accepted = 0;
    srandom(SEED);
    for (uint32_t round = 0; round < DAMAGED_FILES; round++) {
        struct image image = image_copy(&good, good.size);
        uint32_t flips = 1 + (uint32_t)random() % 4;
        for (uint32_t i = 0; i < flips; i++) {
            image.bytes[(size_t)random() % image.size] ^= (uint8_t)(1u << (random() % 8));
        }
        image_seal(&image);
        struct tensorfile file;
        if (tensorfile_open(&file, image.bytes, image.size) == TENSORFILE_OK) {
            tensors_touch(&file);
            accepted++;
        }
        free(image.bytes);
    }
    assert_in_range(accepted, 1, DAMAGED_FILES / 2); /* values and names may change freely */
    free(good.bytes);
}

static void expect_layout_error(void (*spoil)(struct image *image))
{
    struct image image = image_make();
    struct tensorfile file;
    spoil(&image);
    image_seal(&image);
    assert_int_equal(tensorfile_open(&file, image.bytes, image.size), TENSORFILE_LAYOUT);
    free(image.bytes);
}

static void spoil_offset_beyond(struct image *image)
{
    image_entry(image, 1)->offset = UINT64_MAX - 63;
}

static void spoil_overlap(struct image *image)
{
    image_entry(image, 1)->offset = image_entry(image, 0)->offset;
}

static void spoil_data_in_table(struct image *image)
{
    image_entry(image, 0)->offset = 64;
}

static void spoil_shape_overflow(struct image *image)
{
    struct tensorfile_entry *entry = image_entry(image, 0);
    entry->rank = 4;
    for (uint32_t i = 0; i < 4; i++) {
        entry->shape[i] = 0x80000000u;
    }
}

static void spoil_empty_dimension(struct image *image)
{
    image_entry(image, 0)->shape[0] = 0;
}

static void spoil_rank(struct image *image)
{
    image_entry(image, 0)->rank = 5;
}

static void spoil_type(struct image *image)
{
    image_entry(image, 0)->type = 3;
}

static void spoil_name_end(struct image *image)
{
    memset(image_entry(image, 0)->name, 'x', TENSORFILE_NAME_BYTES);
}

static void spoil_same_name(struct image *image)
{
    memcpy(image_entry(image, 1)->name, image_entry(image, 0)->name, TENSORFILE_NAME_BYTES);
}

static void spoil_count(struct image *image)
{
    ((struct tensorfile_header *)image->bytes)->tensor_count = UINT32_MAX;
}

static void spoil_bytes_behind(struct image *image)
{
    ((struct tensorfile_header *)image->bytes)->tensor_count = 1;
}

static void test_layout_errors_are_found(void **state)
{
    (void)state;
    expect_layout_error(spoil_offset_beyond);
    expect_layout_error(spoil_overlap);
    expect_layout_error(spoil_data_in_table);
    expect_layout_error(spoil_shape_overflow);
    expect_layout_error(spoil_empty_dimension);
    expect_layout_error(spoil_rank);
    expect_layout_error(spoil_type);
    expect_layout_error(spoil_name_end);
    expect_layout_error(spoil_same_name);
    expect_layout_error(spoil_count);
    expect_layout_error(spoil_bytes_behind);
}

int main(void)
{
    static char weights[] = "user/examples/digits/weights.mtf";
    static char heldout[] = "user/examples/digits/heldout.mtf";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file_is_read),
        cmocka_unit_test(test_wrong_tensor_is_refused),
        cmocka_unit_test(test_header_errors_are_told_apart),
        cmocka_unit_test_prestate(test_every_truncation_is_refused, weights),
        cmocka_unit_test_prestate(test_damage_is_refused, weights),
        cmocka_unit_test_prestate(test_damage_is_refused, heldout),
        cmocka_unit_test(test_hostile_files_stay_inside),
        cmocka_unit_test(test_layout_errors_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
