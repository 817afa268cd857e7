/*
 * readahead_test.c: pages of files that come and go (cache_test.c), requests for them (fill_test.c), and the
 * policies' answers (policy_test.c).
 */
#include "rig.h"

#include <string.h>

#define TESTS_MAX 64

int main(void)
{
    static struct CMUnitTest tests[TESTS_MAX];
    size_t n = 0;

    memcpy(tests + n, cache_tests, cache_test_count * sizeof(tests[0]));
    n += cache_test_count;
    memcpy(tests + n, fill_tests, fill_test_count * sizeof(tests[0]));
    n += fill_test_count;
    memcpy(tests + n, policy_tests, policy_test_count * sizeof(tests[0]));
    n += policy_test_count;
    return _cmocka_run_group_tests("readahead", tests, n, NULL, NULL);
}
