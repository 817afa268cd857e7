/*
 * malv_test.c: the parts of the launcher that need no machine: its options, the guest's command
 * line, the control channel's frames, the figures, and its look at the boot files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/malv/bootline.h"
#include "host/malv/frames.h"
#include "host/malv/image.h"
#include "host/malv/options.h"
#include "host/malv/report.h"

static void options_have_defaults(void **state)
{
    (void)state;
    char *words[] = {"digits", "--cpus", NULL};
    struct run_options options;
    assert_int_equal(options_parse(words, &options), OPTIONS_RUN);
    assert_int_equal(options.cpus, 1);
    assert_int_equal(options.memory, 512u << 20);
    assert_string_equal(options.gpu, "auto");
    /* What follows the command is the command's. */
    assert_ptr_equal(options.command, words);
}

static void options_take_both_spellings(void **state)
{
    (void)state;
    char *words[] = {"--cpus", "2",       "--memory=1G", "--stats=x.json", "--gpu",
                     "off",    "--stats", "--",          "--odd",          NULL};
    struct run_options options;
    assert_int_equal(options_parse(words, &options), OPTIONS_RUN);
    assert_int_equal(options.cpus, 2);
    assert_int_equal(options.memory, 1u << 30);
    assert_string_equal(options.stats_path, "x.json");
    assert_string_equal(options.gpu, "off");
    assert_true(options.stats);
    assert_string_equal(options.command[0], "--odd");
}

static void options_of_kernel_tests(void **state)
{
    (void)state;
    char *words[] = {"--kernel-test", "soak", "--machine=q35", "--accel=tcg", NULL};
    struct run_options options;
    assert_int_equal(options_parse(words, &options), OPTIONS_RUN);
    assert_string_equal(options.kernel_test, "soak");
    assert_string_equal(options.machine, "q35");
    assert_string_equal(options.accel, "tcg");
    assert_string_equal(options.gpu, "auto");
    assert_string_equal(options.command[0], "kernel-test");
}

static void options_refuse_nonsense(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"--cpus=0", "x"},     {"--cpus=65", "x"},
        {"--cpus=-1", "x"},    {"--cpus=2x", "x"},
        {"--memory=15M", "x"}, {"--memory=1T", "x"},
        {"--memory=", "x"},    {"--memory=99999999G", "x"},
        {"--timeout=0", "x"},  {"--machine=pc", "x"},
        {"--cpus", NULL},      {"--nothing", "x"},
        {"--stats=", "x"},     {"--", NULL},
        {"--gdb=0", "x"},      {"--gdb=99999", "x"},
        {"--gdb=name", "x"},   {"--gdb=/tmp/a,b", "x"},
        {NULL, NULL},          {"--memory=18446744073709551615G", "x"},
        {"--accel=xen", "x"},  {"--kernel-test=a b", NULL},
        {"--kernel-test", ""}, {"--kernel-test=all", "x"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *words[] = {(char *)(uintptr_t)bad[i][0], (char *)(uintptr_t)bad[i][1], NULL};
        struct run_options options;
        assert_int_equal(options_parse(words, &options), OPTIONS_BAD);
    }
}

static void bootline_escapes_words(void **state)
{
    (void)state;
    char out[BOOTLINE_MAX];
    char *command[] = {"run", "a b", "", "50%", "\"\\\n", "--", "\xc3\xa9", NULL};
    assert_true(bootline_write(out, sizeof(out), "quiet", command));
    assert_string_equal(out, "quiet -- run a%20b %00 50%25 %22%5C%0A -- \xc3\xa9");
}

static void bootline_knows_its_end(void **state)
{
    (void)state;
    char *command[] = {"abc", NULL};
    char out[9];
    assert_true(bootline_write(out, 9, "", (char *[]){"abcd", NULL}));
    assert_string_equal(out, " -- abcd");
    assert_false(bootline_write(out, 7, "", command));
    assert_true(bootline_write(out, 8, "", command));
}

struct seen {
    unsigned count;
    uint8_t types[8];
    size_t lengths[8];
    char text[512];
};

static void see(void *context, uint8_t type, const uint8_t *payload, size_t length)
{
    struct seen *seen = context;
    seen->types[seen->count] = type;
    seen->lengths[seen->count++] = length;
    strncat(seen->text, (const char *)payload, length);
}

static void frames_come_in_any_pieces(void **state)
{
    (void)state;
    static const uint8_t stream[] = "o\2hi?\3abcx\1\7e\0o\1!";
    const size_t length = sizeof(stream) - 1;
    for (size_t piece = 1; piece <= length; piece++) {
        struct frame_reader reader = {0};
        struct seen seen = {0};
        for (size_t at = 0; at < length; at += piece)
            frame_reader_feed(&reader, stream + at, length - at < piece ? length - at : piece, see,
                              &seen);
        assert_int_equal(seen.count, 5);
        assert_memory_equal(seen.types, "o?xeo", 5);
        assert_int_equal(seen.lengths[3], 0);
        assert_string_equal(seen.text, "hiabc\7!");
    }
}

static void frames_take_the_longest(void **state)
{
    (void)state;
    uint8_t stream[2 + 254] = {'o', 254};
    struct frame_reader reader = {0};
    struct seen seen = {0};
    memset(stream + 2, 'y', 254);
    frame_reader_feed(&reader, stream, sizeof(stream), see, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.lengths[0], 254);
}

static void long_frames_come_in_pieces(void **state)
{
    (void)state;
    uint8_t stream[sizeof(struct hostctl_long_header) + 300 + 3];
    assert_int_equal(frame_header_write(stream, 'o', 300), sizeof(struct hostctl_long_header));
    memset(stream + 6, 'y', 300);
    memcpy(stream + 306, "x\1!", 3);
    for (size_t piece = 64; piece <= sizeof(stream); piece++) {
        struct frame_reader reader = {0};
        struct seen seen = {0};
        for (size_t at = 0; at < sizeof(stream); at += piece)
            frame_reader_feed(&reader, stream + at,
                              sizeof(stream) - at < piece ? sizeof(stream) - at : piece, see, &seen);
        assert_int_equal(strlen(seen.text), 301);
        assert_int_equal(strspn(seen.text, "y"), 300);
        assert_int_equal(seen.types[seen.count - 1], 'x');
    }
}

static void headers_say_how_long_a_frame_is(void **state)
{
    (void)state;
    uint8_t header[sizeof(struct hostctl_long_header)];
    assert_int_equal(frame_header_write(header, 'i', 0), 2);
    assert_memory_equal(header, "i\0", 2);
    assert_int_equal(frame_header_write(header, 'i', 240), 2);
    assert_memory_equal(header, "i\360", 2);
    assert_int_equal(frame_header_write(header, 'i', 32768), 6);
    assert_memory_equal(header, "i\377\0\200\0\0", 6);
}

static void report_keeps_first_mark_and_last_stat(void **state)
{
    (void)state;
    static struct report report;
    report_mark(&report, "first-user", 10);
    uint64_t first = report.marks[0].after_ns;
    report_mark(&report, "first-user", 10);
    assert_int_equal(report.mark_count, 1);
    assert_int_equal(report.marks[0].after_ns, first);
    report_stat(&report, "memory=1", 8);
    report_stat(&report, "memory=2 MiB\x1b", 13);
    report_stat(&report, "=3", 2);
    report_stat(&report, "none", 4);
    assert_int_equal(report.stat_count, 1);
    assert_string_equal(report.stats[0].name, "memory");
    assert_string_equal(report.stats[0].value, "2 MiB?");
}

static void report_is_bounded(void **state)
{
    (void)state;
    static struct report report;
    char text[300];
    memset(text, 'n', sizeof(text));
    for (unsigned i = 0; i < 2 * REPORT_ENTRIES; i++) {
        int length = snprintf(text, sizeof(text), "s%u=1", i);
        report_stat(&report, text, (size_t)length);
        report_mark(&report, text, (size_t)length);
    }
    assert_int_equal(report.stat_count, REPORT_ENTRIES);
    assert_int_equal(report.mark_count, REPORT_ENTRIES);
}

/* Writes bytes to a fresh file and checks it as a boot archive or as a kernel. */
static bool check_bytes(const char *bytes, size_t count, bool (*check)(const char *path))
{
    char path[256];
    snprintf(path, sizeof(path), "%s/image-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
    bool good = check(path);
    unlink(path);
    return good;
}

/* One record: name "a", data "hello". Then the trailer. */
#define ZERO "00000000"
#define RECORD(size, name_size)                                                                    \
    "070701" ZERO "000081A4" ZERO ZERO "00000001" ZERO size ZERO ZERO ZERO ZERO name_size ZERO
static const char archive[] =
    RECORD("00000005", "00000002") "a\0hello\0\0\0" RECORD(ZERO, "0000000B") "TRAILER!!!\0\0\0";

static void archive_is_accepted(void **state)
{
    (void)state;
    assert_true(check_bytes(archive, sizeof(archive) - 1, image_check_initrd));
}

static void archive_cut_or_changed_is_refused(void **state)
{
    (void)state;
    char copy[sizeof(archive)];
    for (size_t length = 1; length < 110 + 2 + 8 + 110; length++)
        assert_false(check_bytes(archive, length, image_check_initrd));
    memcpy(copy, archive, sizeof(copy));
    memcpy(copy + 54, "FFFFFFFF", 8);
    assert_false(check_bytes(copy, sizeof(copy) - 1, image_check_initrd));
    memcpy(copy, archive, sizeof(copy));
    memcpy(copy + 94, "FFFFFFFF", 8);
    assert_false(check_bytes(copy, sizeof(copy) - 1, image_check_initrd));
    memcpy(copy, archive, sizeof(copy));
    copy[60] = 'g';
    assert_false(check_bytes(copy, sizeof(copy) - 1, image_check_initrd));
}

static void kernel_that_is_none_is_refused(void **state)
{
    (void)state;
    char bytes[256] = "\177ELF\2\1\1";
    assert_false(image_check_kernel("there/is/no/such/file"));
    assert_false(image_check_kernel("."));
    assert_false(check_bytes("MZ", 2, image_check_kernel));
    for (size_t length = 4; length < sizeof(bytes); length += 9)
        assert_false(check_bytes(bytes, length, image_check_kernel));
    bytes[18] = 62; /* x86-64 */
    bytes[32] = -1; /* program headers */
    bytes[39] = -1;
    bytes[54] = 56;
    bytes[56] = 1;
    assert_false(check_bytes(bytes, sizeof(bytes), image_check_kernel));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_defaults),
        cmocka_unit_test(options_take_both_spellings),
        cmocka_unit_test(options_of_kernel_tests),
        cmocka_unit_test(options_refuse_nonsense),
        cmocka_unit_test(bootline_escapes_words),
        cmocka_unit_test(bootline_knows_its_end),
        cmocka_unit_test(frames_come_in_any_pieces),
        cmocka_unit_test(frames_take_the_longest),
        cmocka_unit_test(long_frames_come_in_pieces),
        cmocka_unit_test(headers_say_how_long_a_frame_is),
        cmocka_unit_test(report_keeps_first_mark_and_last_stat),
        cmocka_unit_test(report_is_bounded),
        cmocka_unit_test(archive_is_accepted),
        cmocka_unit_test(archive_cut_or_changed_is_refused),
        cmocka_unit_test(kernel_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
