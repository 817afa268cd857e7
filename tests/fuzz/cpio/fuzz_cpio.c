/*
 * fuzz_cpio.c: damaged archives for the cpio reader: fuzz_cpio [SEED [ITERATIONS]].
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/cpio/cpio.h"
#include "tests/fuzz/fuzz.h"

static struct fuzz_plan plan;

static size_t sample_add(uint8_t *to, size_t at, const char *path, const char *data)
{
    at += (size_t)sprintf((char *)to + at,
                          "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1,
                          0100644, 0, 0, 1, 0, strlen(data), 0, 0, 0, 0, strlen(path) + 1, 0);
    memcpy(to + at, path, strlen(path) + 1);
    at = (at + strlen(path) + 1 + 3) & ~(size_t)3;
    memcpy(to + at, data, strlen(data));
    return (at + strlen(data) + 3) & ~(size_t)3;
}

static uint8_t sum;

/* Reads every byte that the reader hands out. */
static void archive_use(const uint8_t *archive, size_t size)
{
    struct cpio_entry e;
    size_t cursor = 0;

    while (cpio_next(archive, size, &cursor, &e) == CPIO_OK) {
        for (size_t i = 0; i < e.size; i++)
            sum ^= e.data[i];
        assert_true(strlen(e.path) < size);
    }
    cpio_find(archive, size, "bin/init", &e);
}

static void test_damaged_archives(void **state)
{
    static uint8_t sample[2048];
    size_t sample_size = sample_add(sample, 0, "bin/init", "some bytes");

    (void)state;
    sample_size = sample_add(sample, sample_size, "./etc/modules", "sched_fair\n");
    sample_size = sample_add(sample, sample_size, "empty", "");
    sample_size = sample_add(sample, sample_size, "TRAILER!!!", "");
    for (uint64_t i = 0; i < plan.iterations; i++) {
        size_t size = sample_size;

        fuzz_seed(plan.seed, i);
        uint8_t *archive = fuzz_mutate(sample, &size);
        archive_use(archive, size);
        free(archive);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_archives)};

    plan = fuzz_plan_read(argc, argv, 1000000);
    return cmocka_run_group_tests_name("fuzz_cpio", tests, NULL, NULL);
}
