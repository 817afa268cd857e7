/*
 * fuzz_options.c: random command lines, read by the nucleus and by a plain reading of the same
 * rules: fuzz_options [SEED [ITERATIONS]].
 */
#include "tests/unit/nucleus/stand_ins.h"

#include <errno.h>

#include <microlake/boot.h>

#include "kernel/boot/options.c"
#include "tests/fuzz/fuzz.h"

#define LINE_MAX 160

static struct fuzz_plan plan;

/* ---- the plain reading ------------------------------------------------------------------------
 */

static char copy[LINE_MAX + 1];
static const char *words[LINE_MAX], *words_command;
static unsigned word_count;

static void words_split(const char *line)
{
    char *p = strcpy(copy, line);

    word_count = 0;
    words_command = "";
    for (;;) {
        size_t length;

        p += strspn(p, " ");
        length = strcspn(p, " ");
        if (length == 0)
            return;
        if (length == 2 && !strncmp(p, "--", 2)) {
            words_command = p[2] ? p + 3 : "";
            return;
        }
        words[word_count++] = p;
        p += length;
        if (!*p)
            return;
        *p++ = '\0';
    }
}

static const char *words_find(const char *name, unsigned nth)
{
    size_t length = strlen(name);

    for (unsigned i = 0; i < word_count; i++)
        if (!strncmp(words[i], name, length) && strchr("=", words[i][length]) && nth-- == 0)
            return words[i][length] ? words[i] + length + 1 : "";
    return NULL;
}

static uint64_t words_number(const char *name, uint64_t fallback)
{
    const char *s = words_find(name, 0);
    bool hex = s && !strncmp(s, "0x", 2);
    const char *digits = hex ? "0123456789abcdefABCDEF" : "0123456789";
    uint64_t value;

    if (!s)
        return fallback;
    s += hex ? 2 : 0;
    if (!*s || s[strspn(s, digits)])
        return fallback;
    errno = 0;
    value = strtoull(s, NULL, hex ? 16 : 10);
    return errno ? fallback : value;
}

/* ---- comparing --------------------------------------------------------------------------------
 */

static char *line_random(void)
{
    static const char alphabet[] = "   --==aabbn0x19fF.\t\x80";
    static const char *const pieces[] = {"a=",       " -- ", " n=0x", " n=1844674407370955161",
                                         "ffffffff", "--"};
    size_t length = fuzz_below(LINE_MAX - 32), at = 0;
    char line[LINE_MAX + 1];

    while (at < length) {
        const char *piece = pieces[fuzz_below(ARRAY_SIZE(pieces))];

        if (fuzz_below(8))
            line[at++] = alphabet[fuzz_below(sizeof(alphabet) - 1)];
        else
            at += (size_t)sprintf(line + at, "%s", piece);
    }
    line[at] = '\0';
    return strdup(line);
}

static void same(const char *line, const char *ours, const char *theirs)
{
    if (!ours != !theirs || (ours && strcmp(ours, theirs)))
        fail_msg("\"%s\": \"%s\", not \"%s\"", line, ours ? ours : "(none)",
                 theirs ? theirs : "(none)");
}

static void line_compare(const char *line)
{
    static const char *const names[] = {"a", "b", "n", "ab", "-", "x", "a0"};

    words_split(line);
    if (word_count > OPTIONS_MAX)
        return;
    memset(text, 0, sizeof(text));
    option_count = 0;
    command = "";
    boot_info.command_line = line;
    boot_options_init();
    assert_int_equal(option_count, word_count);
    same(line, boot_command(), words_command);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        for (unsigned nth = 0; nth < 4; nth++)
            same(line, boot_option(names[i], nth), words_find(names[i], nth));
        if (boot_option_number(names[i], 42) != words_number(names[i], 42))
            fail_msg("\"%s\": %s is %lu", line, names[i], boot_option_number(names[i], 42));
    }
}

static void test_random_lines(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < plan.iterations; i++) {
        char *line;

        fuzz_seed(plan.seed, i);
        line = line_random();
        line_compare(line);
        free(line);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_lines)};

    plan = fuzz_plan_read(argc, argv, 200000);
    return cmocka_run_group_tests_name("fuzz_options", tests, NULL, NULL);
}
