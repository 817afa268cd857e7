/*
 * fuzz_kmodfile.c: damaged module files for the decoder: fuzz_kmodfile [SEED [ITERATIONS]]. Starts
 * from the modules of the build.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kmodfile/pretend.h"

#define SAMPLE "build/modules/sched_fair.kmod"

static struct fuzz_plan plan;

/* Header and tables matter most and are a small part of a file: half of the changes go there. */
static void aim(uint8_t *file, size_t size)
{
    const struct kmodfile_header *h = (const struct kmodfile_header *)file;
    size_t tables = sizeof(*h);

    if (size < sizeof(*h) || fuzz_below(2))
        return;
    tables += h->import_count * sizeof(struct kmodfile_import);
    tables += h->place_count * sizeof(kmodfile_place);
    fuzz_mutate_once(file, tables < size ? tables : size);
    if (fuzz_below(8) == 0)
        fuzz_mutate_once(file, sizeof(*h));
    if (size > 1024 && fuzz_below(4) == 0) /* symbols and names */
        fuzz_mutate_once(file + size - 1024, 1024);
}

static void test_damaged_modules(void **state)
{
    size_t sample_size;
    uint8_t *sample = file_read(SAMPLE, &sample_size);
    uint64_t accepted = 0;

    (void)state;
    assert_non_null(sample);
    sample_size -= sizeof(struct kmod_signature);
    assert_int_equal(kmodfile_pretend_load(sample, sample_size, NULL), 0);
    for (uint64_t i = 0; i < plan.iterations; i++) {
        size_t size = sample_size;

        fuzz_seed(plan.seed, i);
        uint8_t *file = fuzz_mutate(sample, &size);
        aim(file, size);
        accepted += kmodfile_pretend_load(file, size, NULL) == 0;
        free(file);
    }
    free(sample);
    /* Both ways must be reached, or the run says little. */
    assert_true(plan.iterations < 1000 || (accepted > 0 && accepted < plan.iterations));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_modules)};

    plan = fuzz_plan_read(argc, argv, 300000);
    return cmocka_run_group_tests_name("fuzz_kmodfile", tests, NULL, NULL);
}
