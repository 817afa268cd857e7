/*
 * mlrt_test.c: all tests of lib/mlrt on the build machine.
 */
#include "tests/unit/mlrt/samples.h"

int main(void)
{
    int failed = 0;
    failed |=
        _cmocka_run_group_tests("functions", functions_tests, functions_test_count, NULL, NULL);
    failed |= _cmocka_run_group_tests("layers", layers_tests, layers_test_count, NULL, NULL);
    failed |= _cmocka_run_group_tests("integer", integer_tests, integer_test_count, NULL, NULL);
    failed |= _cmocka_run_group_tests("open", open_tests, open_test_count, NULL, NULL);
    failed |= _cmocka_run_group_tests("train", train_tests, train_test_count, NULL, NULL);
    return failed != 0;
}
