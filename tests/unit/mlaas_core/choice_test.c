/*
 * choice_test.c: what is written to the file `choices`: all forms, and texts that are none, cut anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "choice_test.h"
#include "modules/mlaas/core/choice_text.h"

static void is(const char *text, const char *class_name, const char *policy, int pid, const char *program)
{
    struct choice c;

    assert_int_equal(choice_parse(text, &c), OK);
    assert_string_equal(c.class_name, class_name);
    assert_string_equal(c.policy, policy);
    assert_string_equal(c.program, program);
    assert_int_equal(c.pid, pid);
}

static void test_forms(void **state)
{
    (void)state;
    is("sched=fair pid=12", "sched", "fair", 12, "");
    is("  sched=fair   pid=self \n", "sched", "fair", 0, "");
    is("sched= pid=2147483647", "sched", "", 2147483647, "");
    is("sched=machine name=server", "sched", "", 0, "server");
    is("sched=x name=a_name_that_is_cut_here", "sched", "x", 0, "a_name_that_is_");
    is("sched=x name=a=b", "sched", "x", 0, "a=b");
    is("a123456789012345678901234567890=b123456789012345678901234567890 pid=1", "a123456789012345678901234567890",
       "b123456789012345678901234567890", 1, "");
}

static void test_none(void **state)
{
    static const char *const bad[] = {
        "", "=", "a", "a=b", "a=b ", "a=bpid=1", "=b pid=1", "a=b=c pid=1", "a b pid=1", "a=b pid", "a=b pid=",
        "a=b pid=0", "a=b pid=-1", "a=b pid=1x", "a=b pid=2147483648", "a=b pid=selfs", "a=b name=", "a=b name=x y",
        "a=b pid=1 pid=2", "a1234567890123456789012345678901=b pid=1", "a=b1234567890123456789012345678901 pid=1",
    };
    struct choice c;

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (choice_parse(bad[i], &c) != ERR_INVALID)
            fail_msg("\"%s\" is taken", bad[i]);
}

/* In a piece of memory of exactly its size. */
static void test_cut(void **state)
{
    static const char whole[] = " sched=sched_burst name=an_inference_server\n";
    struct choice c;

    (void)state;
    for (size_t size = 0; size < sizeof(whole); size++) {
        char *cut = calloc(1, size + 1);

        memcpy(cut, whole, size);
        assert_int_equal(choice_parse(cut, &c), size > strlen(" sched=sched_burst name=") ? OK : ERR_INVALID);
        free(cut);
    }
}

int choice_run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests_name("mlaas choices", tests, NULL, NULL);
}
