/*
 * options_test.c: the command line: options, numbers, the command behind " -- ", and its limits.
 */
#include "stand_ins.h"

#include <microlake/boot.h>

#include "kernel/boot/options.c"

static void parse(const char *line)
{
    memset(text, 0, sizeof(text));
    option_count = 0;
    command = "";
    boot_info.command_line = line;
    boot_options_init();
}

static void parse_at(uint64_t line, uint64_t unused)
{
    (void)unused;
    parse((const char *)line);
}

static void test_options(void **state)
{
    (void)state;
    parse("log=debug  quiet modules=a,b=c   empty=");
    assert_string_equal(boot_option("log", 0), "debug");
    assert_string_equal(boot_option("quiet", 0), "");
    assert_string_equal(boot_option("modules", 0), "a,b=c");
    assert_string_equal(boot_option("empty", 0), "");
    assert_null(boot_option("lo", 0));
    assert_null(boot_option("logs", 0));
    assert_null(boot_option("debug", 0));
    assert_null(boot_option("log", 1));
    assert_string_equal(boot_command(), "");
}

static void test_repeated(void **state)
{
    (void)state;
    parse(" disk=1 x=0 disk disk=3 disks=4 ");
    assert_string_equal(boot_option("disk", 0), "1");
    assert_string_equal(boot_option("disk", 1), "");
    assert_string_equal(boot_option("disk", 2), "3");
    assert_null(boot_option("disk", 3));
    assert_null(boot_option("disk", UINT32_MAX));
}

static void test_command(void **state)
{
    static const struct {
        const char *line, *command, *a;
    } cases[] = {
        {"a=1 -- prog x=2 -- y", "prog x=2 -- y", "1"},
        {"-- prog", "prog", NULL},
        {"  -- prog a=1", "prog a=1", NULL},
        {"a=1 --", "", "1"},
        {"a=1 -- ", "", "1"},
        {"a=1 --  two blanks", " two blanks", "1"},
        {"a=1 --flag", "", "1"},
        {"a=-- b", "", "--"},
        {"a=1--", "", "1--"},
        {"--- a=2", "", "2"},
        {"", "", NULL},
        {"   ", "", NULL},
        {"-", "", NULL},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        char *exact = strdup(cases[i].line); /* so that reads beyond its end are found */

        parse(exact);
        free(exact); /* the options are a copy */
        assert_string_equal(boot_command(), cases[i].command);
        if (cases[i].a)
            assert_string_equal(boot_option("a", 0), cases[i].a);
        else
            assert_null(boot_option("a", 0));
        assert_null(boot_option("x", 0)); /* of the command */
    }
    parse(NULL);
    assert_string_equal(boot_command(), "");
    assert_null(boot_option("a", 0));
}

static void test_numbers(void **state)
{
    static const struct {
        const char *line;
        uint64_t value;
    } cases[] = {
        {"n=0", 0},
        {"n=007", 7},
        {"n=18446744073709551615", UINT64_MAX},
        {"n=0xffffffffffffffff", UINT64_MAX},
        {"n=0x0000000000000000000aBcD", 0xabcd},
        {"n=5 n=6", 5},
        /* what is no number */
        {"m=1", 42},
        {"n", 42},
        {"n=", 42},
        {"n=0x", 42},
        {"n=x1", 42},
        {"n=12a", 42},
        {"n=0xg", 42},
        {"n=-1", 42},
        {"n=+1", 42},
        {"n=1.5", 42},
        {"n=0X10", 42},
        {"n=18446744073709551616", 42},
        {"n=99999999999999999999", 42},
        {"n=0x10000000000000000", 42},
        {"n=1\xff", 42},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        parse(cases[i].line);
        if (boot_option_number("n", 42) != cases[i].value)
            fail_msg("%s is %lu", cases[i].line, boot_option_number("n", 42));
    }
}

static void test_limits(void **state)
{
    char line[COMMAND_LINE_MAX + 1];

    (void)state;
    memset(line, 'x', sizeof(line));
    line[COMMAND_LINE_MAX - 1] = '\0';
    line[1] = '=';
    parse(line);
    assert_int_equal(strlen(boot_option("x", 0)), COMMAND_LINE_MAX - 3);
    line[COMMAND_LINE_MAX - 1] = 'x';
    line[COMMAND_LINE_MAX] = '\0';
    assert_panics("longer than 4095 bytes", parse_at, (uint64_t)line, 0);

    for (unsigned i = 0; i < OPTIONS_MAX; i++)
        memcpy(line + 4 * i, "n=1 ", 4);
    strcpy(line + 4 * OPTIONS_MAX, "-- n=1 n=1");
    parse(line);
    assert_non_null(boot_option("n", OPTIONS_MAX - 1));
    assert_null(boot_option("n", OPTIONS_MAX));
    strcpy(line + 4 * OPTIONS_MAX, "n=1");
    assert_panics("more than 64 options", parse_at, (uint64_t)line, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options), cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_command), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests_name("boot_options", tests, NULL, NULL);
}
