/*
 * mlctl_test.c: mlctl's commands on a folder of plain files. A write to a policy file goes through
 * the linker to the function here, which refuses unknown policies as the kernel does.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/mlctl/classes.h"
#include "user/mlctl/commands.h"

static char root[] = "build/mlctl-test-XXXXXX";
static char path[256];
static int write_error; /* of the next write by mlctl, 0: it succeeds */
static char written[64];
static char output[2][4096]; /* what a command printed: standard output, standard error */

ssize_t __wrap_write(int fd, const void *bytes, size_t length);

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    (void)fd;
    if (write_error != 0) {
        errno = write_error;
        return -1;
    }
    assert_in_range(length, 1, sizeof(written) - 1);
    memcpy(written, bytes, length);
    written[length] = '\0';
    return (ssize_t)length;
}

static const char *path_of(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static void file_make(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(mkdir(path_of("sched"), 0700), 0);
    assert_int_equal(mkdir(path_of("memory"), 0700), 0);
    file_make("sched/policy", "[round_robin] sched_fair\n");
    file_make("sched/stats", "switches 12\npolicy_faults 0\n");
    file_make("memory/policy", "clock [a_long_policy_name]\n");
    file_make("memory/stats", "evictions 3\n");
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {
        "sched/policy", "sched/stats", "memory/policy", "memory/stats", "sched", "memory", ""};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        remove(path_of(names[i]));
    }
    return 0;
}

/* Sends a stream to a file; what stands for it afterwards brings it back. */
static int stream_divert(FILE *stream, FILE *to)
{
    fflush(stream);
    int saved = dup(fileno(stream));
    dup2(fileno(to), fileno(stream));
    return saved;
}

static void stream_restore(FILE *stream, int saved, FILE *from, char *text)
{
    fflush(stream);
    dup2(saved, fileno(stream));
    close(saved);
    rewind(from);
    text[fread(text, 1, 4095, from)] = '\0';
    fclose(from);
}

/* Runs COMMAND with what it prints going to output[]; its status. */
#define CAPTURED(command)                                                                          \
    ({                                                                                             \
        FILE *out = tmpfile();                                                                     \
        FILE *err = tmpfile();                                                                     \
        int saved_out = stream_divert(stdout, out);                                                \
        int saved_err = stream_divert(stderr, err);                                                \
        int status = command;                                                                      \
        stream_restore(stdout, saved_out, out, output[0]);                                         \
        stream_restore(stderr, saved_err, err, output[1]);                                         \
        status;                                                                                    \
    })

static void test_list_is_a_table(void **state)
{
    (void)state;
    assert_int_equal(CAPTURED(command_list(root)), 0);
    assert_string_equal(output[0], "CLASS   POLICY              ACTIVE\n"
                                   "memory  clock               no\n"
                                   "memory  a_long_policy_name  yes\n"
                                   "sched   round_robin         yes\n"
                                   "sched   sched_fair          no\n");
    assert_string_equal(output[1], "");
}

static void test_set_writes_the_name(void **state)
{
    (void)state;
    write_error = 0;
    assert_int_equal(CAPTURED(command_set(root, "sched", "sched_fair")), 0);
    assert_string_equal(written, "sched_fair");
    assert_string_equal(output[0], "sched: sched_fair (was round_robin)\n");
}

static void test_set_explains_refusals(void **state)
{
    (void)state;
    write_error = ENOENT;
    assert_int_equal(CAPTURED(command_set(root, "sched", "best")), 1);
    assert_string_equal(output[1], "mlctl: class sched has no policy 'best'; its policies are: "
                                   "round_robin sched_fair\n");
    write_error = EBUSY;
    assert_int_equal(CAPTURED(command_set(root, "sched", "sched_fair")), 1);
    assert_string_equal(output[1],
                        "mlctl: can't switch class sched to sched_fair: Device or resource busy\n");
    write_error = 0;
    assert_string_equal(output[0], "");
}

static void test_unknown_class_names_the_known(void **state)
{
    (void)state;
    const char *const names[] = {"disk", "..", "sched/../sched", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(CAPTURED(command_set(root, names[i], "x")), 1);
        assert_non_null(strstr(output[1], "; the classes are: memory sched\n"));
        assert_int_equal(CAPTURED(command_stats(root, names[i])), 1);
        assert_non_null(strstr(output[1], "; the classes are: memory sched\n"));
    }
}

static void test_stats(void **state)
{
    (void)state;
    assert_int_equal(CAPTURED(command_stats(root, "sched")), 0);
    assert_string_equal(output[0], "sched  switches                  12\n"
                                   "sched  policy_faults             0\n");
    assert_int_equal(CAPTURED(command_stats(root, NULL)), 0);
    assert_non_null(strstr(output[0], "memory  evictions"));
    assert_non_null(strstr(output[0], "sched  switches"));
}

static void test_another_system_is_told(void **state)
{
    (void)state;
    assert_int_equal(CAPTURED(command_list("/no/such/folder")), 1);
    assert_non_null(strstr(output[1], "inside a MaLV-OS machine"));
    assert_int_equal(CAPTURED(command_set("/no/such/folder", "sched", "x")), 1);
    assert_non_null(strstr(output[1], "inside a MaLV-OS machine"));
}

static void test_odd_files(void **state)
{
    (void)state;
    struct policy_list policies;
    char *many = malloc(CLASS_TEXT_BYTES + 1);
    file_make("sched/policy", "one two\n");
    assert_int_equal(class_policies(root, "sched", &policies), 0);
    assert_int_equal(policies.count, 2);
    assert_null(policies.active);
    file_make("sched/policy", "");
    assert_int_equal(class_policies(root, "sched", &policies), -EPROTO);
    memset(many, 'x', CLASS_TEXT_BYTES);
    many[CLASS_TEXT_BYTES] = '\0';
    file_make("sched/policy", many);
    assert_int_equal(class_policies(root, "sched", &policies), -EFBIG);
    for (size_t i = 1; i < 200; i += 2) {
        many[i] = ' ';
    }
    many[200] = '\0';
    file_make("sched/policy", many);
    assert_int_equal(class_policies(root, "sched", &policies), -EPROTO);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_is_a_table),
        cmocka_unit_test(test_set_writes_the_name),
        cmocka_unit_test(test_set_explains_refusals),
        cmocka_unit_test(test_unknown_class_names_the_known),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_another_system_is_told),
        cmocka_unit_test(test_odd_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
