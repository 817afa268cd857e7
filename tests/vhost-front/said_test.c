/*
 * said_test.c: what a guest's kernel, which is machine code in gpud's device process (PoCL), can do to gpud's
 * log: these write to every pipe that they find open. Its lines are bounded, plain, and marked as its machine's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rig.h"

#define LINES     20000l
#define MOST_KEPT 1000 /* of them: 200, and one for each second that this takes on a busy host */
#define TEXT_AT   1024u

/* c[0]: how many pipes there are; c[1]: writes that were whole. `stray`: to descriptors 0 to 2, whatever they are. */
static const char writer[] =
    "static long call(long n, long a, long b, long c) {"
    "  long r;"
    "  __asm__ volatile(\"syscall\" : \"=a\"(r) : \"a\"(n), \"D\"(a), \"S\"(b), \"d\"(c) : \"rcx\", \"r11\", \"memory\");"
    "  return r;"
    "}"
    "kernel void writer(global volatile long *c, long length, long times, long stray) {"
    "  for (long fd = stray ? 0 : 3; fd < (stray ? 3 : 64); fd++) {"
    "    if (call(5, fd, (long)(c + 8), 0) || (!stray && (((global volatile int *)(c + 8))[6] & 0xf000) != 0x1000))"
    "      continue;"
    "    c[0]++;"
    "    for (long i = 0; i < times; i++)"
    "      c[1] += call(1, fd, (long)c + 1024, length) == length;"
    "  }"
    "}";

static void writer_submit(struct rig *rig, volatile long *cells, const char *text, long times, long stray)
{
    long length = (long)strlen(text);
    memset((void *)(uintptr_t)cells, 0, VGPGPU_PAGE);
    strcpy((char *)(uintptr_t)cells + TEXT_AT, text);
    struct front_batch *batch = rig_batch(rig);
    batch_launch(batch, 1, 1, 1);
    batch_arg_buffer(batch, 1, 0);
    batch_arg_value(batch, &length, sizeof(length));
    batch_arg_value(batch, &times, sizeof(times));
    batch_arg_value(batch, &stray, sizeof(stray));
    rig_submit(rig, 0);
}

/* Every line is gpud's and of characters that a terminal shows; those with `text` are what the machine said. */
static void log_check(const char *text)
{
    static char log[1u << 20];
    strcpy(log, rig_log());
    for (char *line = log, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = 0;
        if (strncmp(line, "gpud: ", 6) != 0)
            fail_msg("a line is not gpud's: %s", line);
        for (const char *at = line; *at; at++)
            if (*at < ' ' || *at > '~')
                fail_msg("a character %d in the line: %s", *at, line);
        const char *said = strstr(line, text), *mark = strstr(line, ": device process: ");
        if (said && (!mark || mark > said))
            fail_msg("a line looks like gpud's own: %s", line);
    }
}

/* Lines that gpud says it has dropped since `from`, a place in its log. */
static unsigned long dropped_since(size_t from)
{
    static const char words[] = " lines of what its device process said, ";
    unsigned long all = 0;
    for (const char *log = rig_log(), *at = log + from; (at = strstr(at, words)) != NULL; at++) {
        const char *number = at;
        while (number > log && number[-1] >= '0' && number[-1] <= '9')
            number--;
        all += strtoul(number, NULL, 10);
    }
    return all;
}

/* A flood: what is kept and what is told as dropped is all there was. */
static void test_flood(void **state)
{
    struct rig rig;
    (void)state;
    volatile long *cells = rig_open_with(&rig, "writer", writer, 4);
    size_t from = strlen(rig_log());
    writer_submit(&rig, cells, "gpud: machine 99: forged\n", LINES, 0);
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(cells[0], 1); /* the pipe to its keeper */
    assert_int_equal(cells[1], LINES);
    assert_true(rig_log_has("its device process says more than 200 lines at once"));
    rig_close(&rig);
    rig_processes_end();
    unsigned kept = rig_log_count("machine 99: forged");
    assert_in_range(kept, 200, MOST_KEPT);
    assert_int_equal(kept + dropped_since(from), LINES);
    log_check("machine 99: forged");
}

/* What is no text, lines without an end and without end, and none at all. */
static void test_plain_text(void **state)
{
    static char longest[1200];
    struct rig rig;
    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    volatile long *cells = rig_open_with(&rig, "writer", writer, 4);
    writer_submit(&rig, cells, "\r\x1b[2Kcolours\x1b]0;title\a\x9b" "1m\xe2\x80\xae\tend\n\n\n", 1, 0);
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_true(rig_log_has(": device process: ??[2Kcolours?]0;title??1m????end\n"));
    writer_submit(&rig, cells, longest, 1, 0);
    assert_int_equal(rig_wait(&rig, 0), 0);
    writer_submit(&rig, cells, "gpud: unended", 1, 0);
    assert_int_equal(rig_wait(&rig, 0), 0);
    rig_close(&rig);
    rig_processes_end();
    assert_true(rig_log_has("pud: unended\n"));
    log_check("xxxx");
}

/* Standard input, output and error of gpud's are not a machine's. */
static void test_standard_descriptors(void **state)
{
    struct rig rig;
    (void)state;
    volatile long *cells = rig_open_with(&rig, "writer", writer, 4);
    writer_submit(&rig, cells, "gpud: stray\n", 1, 1);
    assert_int_equal(rig_wait(&rig, 0), 0);
    assert_int_equal(cells[0], 3);
    rig_close(&rig);
    rig_processes_end();
    assert_int_equal(rig_log_count("stray"), 0);
    assert_int_equal(lseek(STDIN_FILENO, 0, SEEK_END), 0);
}

/* One that never stops keeps neither its keeper from its work nor another machine from its own. */
static void test_endless_flood(void **state)
{
    struct rig rig, other;
    (void)state;
    rig_open(&other);
    volatile long *cells = rig_open_with(&rig, "writer", writer, 4);
    writer_submit(&rig, cells, "gpud: machine 98: forged\n", INT64_MAX, 0);
    assert_true(rig_log_has("machine 98: forged"));
    for (unsigned i = 0; i < 20; i++) {
        rig_batch(&other);
        assert_int_equal(rig_run(&other, 0), 0);
    }
    assert_true(rig_kill("gpud-device"));
    assert_int_equal(rig_wait(&rig, 0), VGPGPU_ERR_LOST);
    front_pause(rig.front);
    rig_close(&rig);
    rig_close(&other);
    rig_processes_end();
    assert_in_range(rig_log_count("machine 98: forged"), 1, MOST_KEPT);
    log_check("machine 98: forged");
}

/* gpud is started with a file to write to as its standard input, and without its libraries' output. */
static int start(void **state)
{
    char path[] = "/tmp/gpud-said-XXXXXX";
    int input = mkstemp(path);
    if (input < 0 || unlink(path) || dup2(input, STDIN_FILENO) < 0)
        return -1;
    close(input);
    setenv("GPUD_LIBRARY_OUTPUT", "", 1);
    return rig_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_standard_descriptors),
        cmocka_unit_test(test_endless_flood),
    };
    return cmocka_run_group_tests(tests, start, rig_stop);
}
