/*
 * fuzz_elf.c: damaged programs for the ELF checks: fuzz_elf [SEED [ITERATIONS]]. The sample is the
 * head of this program. What passes the checks must keep the promises of elf.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/elf/elf.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT      0x7ffffffff000ull
#define SAMPLE_MAX 2048

static struct fuzz_plan plan;

static void check_segments(const struct elf_image *image, uint64_t file_size)
{
    uint64_t end = 0;

    assert_true(image->segment_count >= 1 && image->segment_count <= ELF_SEGMENTS_MAX);
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];

        assert_true(s->memory_size > 0 && s->file_size <= s->memory_size);
        assert_true(s->address >= end && s->address < LIMIT);
        assert_true(s->memory_size <= LIMIT - s->address);
        assert_true(s->offset <= file_size && s->file_size <= file_size - s->offset);
        assert_true(s->address % ELF_PAGE == s->offset % ELF_PAGE);
        assert_true(s->address >= image->start && s->address + s->memory_size <= image->end);
        end = s->address + s->memory_size;
    }
    assert_true(image->start % ELF_PAGE == 0 && image->end % ELF_PAGE == 0);
    assert_true(image->end <= LIMIT);
    assert_true(image->header.entry >= image->start && image->header.entry < image->end);
    assert_true(image->interpreter_size <= ELF_INTERPRETER_MAX);
    assert_true(image->interpreter_offset + image->interpreter_size <= file_size);
}

static void file_use(const uint8_t *file, size_t size, uint64_t file_size)
{
    struct elf_header header;
    struct elf_image image;

    if (elf_decode_header(file, size, file_size, &header) != ELF_OK)
        return;
    assert_true(header.table_offset <= file_size);
    assert_true(header.table_bytes <= file_size - header.table_offset);
    if (header.table_offset > size || header.table_bytes > size - header.table_offset)
        return;
    if (elf_decode_segments(&header, file + header.table_offset, file_size, LIMIT, &image) ==
        ELF_OK)
        check_segments(&image, file_size);
}

static void test_damaged_programs(void **state)
{
    static uint8_t sample[SAMPLE_MAX];
    FILE *self = fopen("/proc/self/exe", "rb");
    uint64_t file_size;

    (void)state;
    assert_non_null(self);
    assert_int_equal(fread(sample, 1, sizeof(sample), self), sizeof(sample));
    fseek(self, 0, SEEK_END);
    file_size = (uint64_t)ftell(self);
    fclose(self);
    for (uint64_t i = 0; i < plan.iterations; i++) {
        size_t size = sizeof(sample);

        fuzz_seed(plan.seed, i);
        uint8_t *file = fuzz_mutate(sample, &size);
        file_use(file, size, file_size);
        free(file);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_programs)};

    plan = fuzz_plan_read(argc, argv, 1000000);
    return cmocka_run_group_tests_name("fuzz_elf", tests, NULL, NULL);
}
