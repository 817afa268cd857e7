/*
 * mlctl_test.c: mlctl's verbs on the folder that tree.c makes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tree.h"
#include "user/mlctl/classes.h"
#include "user/mlctl/figures.h"
#include "user/mlctl/files.h"
#include "user/mlctl/verb.h"

static char output[2][16384]; /* what mlctl printed: standard output, standard error */

static int setup(void **state)
{
    (void)state;
    tree_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tree_remove();
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
    text[fread(text, 1, sizeof(output[0]) - 1, from)] = '\0';
    fclose(from);
}

/* Runs mlctl with these words, up to a NULL, with what it prints going to output[]; its status. */
static int run(const char *first, ...)
{
    char words[16][256];
    char *pointers[17] = {strcpy(words[0], "mlctl")};
    int count = 1;
    va_list arguments;
    va_start(arguments, first);
    for (const char *word = first; word != NULL; word = va_arg(arguments, const char *)) {
        pointers[count] = strcpy(words[count], word);
        count++;
    }
    va_end(arguments);
    FILE *out = tmpfile(), *err = tmpfile();
    int saved_out = stream_divert(stdout, out), saved_err = stream_divert(stderr, err);
    int status = mlctl(count, pointers);
    stream_restore(stdout, saved_out, out, output[0]);
    stream_restore(stderr, saved_err, err, output[1]);
    return status;
}
#define RUN(...) run(__VA_ARGS__, NULL)

#define assert_says(which, text) assert_non_null(strstr(output[which], text))

static void test_help(void **state)
{
    static const char *const verbs[] = {"list",  "load",  "unload",  "set",   "shadow", "guard",
                                        "pilot", "stats", "profile", "watch", "run"};
    (void)state;
    assert_int_equal(RUN("--help"), STATUS_OK);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        assert_says(0, verbs[i]);
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        char start[64];
        assert_int_equal(RUN(verbs[i], "--help"), STATUS_OK);
        snprintf(start, sizeof(start), "usage: mlctl %s", verbs[i]);
        assert_memory_equal(output[0], start, strlen(start));
        assert_string_equal(output[1], "");
    }
    assert_int_equal(RUN("help", "set"), STATUS_OK);
    assert_memory_equal(output[0], "usage: mlctl set", 16);
    assert_int_equal(RUN("set", "sched=sched_fair", "--help"), STATUS_OK);
    assert_memory_equal(output[0], "usage: mlctl set", 16);
    assert_int_equal(RUN("fly"), STATUS_USAGE);
    assert_says(1, "see 'mlctl --help'");
}

static void test_wrong_words(void **state)
{
    (void)state;
    assert_int_equal(RUN("list", "x"), STATUS_USAGE);
    assert_int_equal(RUN("set", "sched"), STATUS_USAGE);
    assert_int_equal(RUN("set", "=x"), STATUS_USAGE);
    assert_int_equal(RUN("set", "sched=sched_fair", "--for", ""), STATUS_USAGE);
    assert_int_equal(RUN("set", "sched=sched_fair", "--for", "a b"), STATUS_USAGE);
    assert_int_equal(RUN("shadow"), STATUS_USAGE);
    assert_int_equal(RUN("guard"), STATUS_USAGE);
    assert_int_equal(RUN("load"), STATUS_USAGE);
    assert_int_equal(RUN("unload", ""), STATUS_USAGE);
    assert_int_equal(RUN("stats", "sched", "memory"), STATUS_USAGE);
    assert_int_equal(RUN("watch", "--count", "0"), STATUS_USAGE);
    assert_int_equal(RUN("watch", "--count", "-1"), STATUS_USAGE);
    assert_int_equal(RUN("watch", "--interval", "fast"), STATUS_USAGE);
    assert_int_equal(RUN("watch", "--interval", "1e9"), STATUS_USAGE);
    assert_int_equal(RUN("watch", "--interval"), STATUS_USAGE);
    assert_int_equal(RUN("profile", "no_such"), STATUS_USAGE);
    assert_int_equal(RUN("watch", "--width", "0"), STATUS_USAGE);
    assert_int_equal(RUN("profile", "set"), STATUS_USAGE);
    assert_int_equal(RUN("run", "--", "true"), STATUS_USAGE);
    assert_int_equal(RUN("run", "--profile", "x", "--"), STATUS_USAGE);
}

static void test_list_is_a_table(void **state)
{
    (void)state;
    file_make("classes/memory/shadow", "clock\n");
    file_make("classes/sched/pilot", "auto\n");
    assert_int_equal(RUN("list"), STATUS_OK);
    assert_string_equal(output[0], "CLASS   POLICY              STATE\n"
                                   "memory  clock               shadow\n"
                                   "memory  a_long_policy_name  active\n"
                                   "sched   round_robin         active, set by the pilot\n"
                                   "sched   sched_fair          -\n");
}

static void test_set_writes_the_name(void **state)
{
    (void)state;
    assert_int_equal(RUN("set", "sched=sched_fair"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/policy"), "round_robin [sched_fair]");
    assert_string_equal(output[0], "sched: sched_fair (was round_robin)\n");
    assert_int_equal(RUN("set", "sched", "round_robin"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/policy"), "[round_robin] sched_fair");
}

static void test_set_explains_refusals(void **state)
{
    (void)state;
    assert_int_equal(RUN("set", "sched=best"), STATUS_FAILED);
    assert_string_equal(output[1], "mlctl: class sched has no policy 'best'; its policies are: "
                                   "round_robin sched_fair; 'mlctl load best' adds one\n");
    tree_refused = "policy";
    tree_error = EBUSY;
    assert_int_equal(RUN("set", "sched=sched_fair"), STATUS_FAILED);
    assert_string_equal(output[1],
                        "mlctl: can't switch class sched to sched_fair: Device or resource busy\n");
    tree_error = EACCES;
    assert_int_equal(RUN("set", "sched=sched_fair"), STATUS_FAILED);
    assert_says(1, geteuid() != 0 ? "root's rights" : "is retired");
    assert_string_equal(output[0], "");
}

static void test_choices(void **state)
{
    (void)state;
    assert_int_equal(RUN("set", "sched=sched_fair", "--for", "17"), STATUS_OK);
    assert_string_equal(tree_choice, "sched=sched_fair pid=17");
    assert_int_equal(RUN("set", "sched=sched_fair", "--for=server"), STATUS_OK);
    assert_string_equal(tree_choice, "sched=sched_fair name=server");
    assert_int_equal(RUN("set", "sched=machine", "--for", "17"), STATUS_OK);
    assert_string_equal(tree_choice, "sched=machine pid=17");
    assert_int_equal(RUN("set", "sched=best", "--for", "17"), STATUS_FAILED);
    assert_int_equal(RUN("set", "sched=sched_fair", "--for", "4711"), STATUS_FAILED);
    assert_says(1, "there is no process 4711");
}

static void test_shadow_pilot_guard(void **state)
{
    (void)state;
    assert_int_equal(RUN("shadow", "sched=sched_fair"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/shadow"), "sched_fair");
    assert_int_equal(RUN("shadow", "sched=none"), STATUS_OK);
    assert_int_equal(RUN("shadow", "sched=best"), STATUS_FAILED);
    assert_says(1, "its policies are: round_robin sched_fair");
    assert_int_equal(RUN("guard", "sched", "ratio=150", "windows=3", "window_ms=100"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/guard"), "ratio=150 windows=3 window_ms=100");
    assert_int_equal(RUN("guard", "sched"), STATUS_OK);
    assert_string_equal(output[0], "sched: guard ratio=150 windows=3 window_ms=100\n");
    assert_int_equal(RUN("guard", "sched", "sometimes"), STATUS_USAGE);
    assert_int_equal(RUN("pilot", "sched=auto"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/pilot"), "auto");
    tree_refused = "pilot";
    tree_error = ENOENT;
    assert_int_equal(RUN("pilot", "sched=other"), STATUS_FAILED);
    assert_says(1, "'mlctl load other'");
}

static void test_unknown_class_names_the_known(void **state)
{
    (void)state;
    const char *const names[] = {"disk", "..", "sched/../sched"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(RUN("set", names[i], "x"), STATUS_FAILED);
        assert_says(1, "; the classes are: memory sched\n");
        assert_int_equal(RUN("stats", names[i]), STATUS_FAILED);
        assert_says(1, "; the classes are: memory sched\n");
        assert_int_equal(RUN("shadow", names[i], "x"), STATUS_FAILED);
        assert_int_equal(RUN("guard", names[i]), STATUS_FAILED);
        assert_int_equal(RUN("watch", names[i], "--count=1"), STATUS_FAILED);
    }
}

#define STATS(calls, cost)                                                                         \
    "switches 3\nfallbacks 1\nreason sched_burst: over its budget\n"                               \
    "objective ns from wake-up to CPU\njudgement wake-ups decided as hindsight says\n"             \
    "active sched_fair\nshadow sched_burst\n"                                                      \
    "round_robin.calls 7\nround_robin.extends \n"                                                  \
    "sched_fair.calls " calls "\nsched_fair.timed 10\nsched_fair.ns 1500\nsched_fair.right 3\n"    \
    "sched_fair.judged 4\nsched_fair.cost " cost "\nsched_fair.work 100\nsched_fair.new 1\n"       \
    "sched_burst.calls 50\nsched_burst.right 9\nsched_burst.judged 10\nsched_burst.overran 1\n"    \
    "sched_burst.retired 1\nsched_burst.extends sched_fair\nnonsense\n.x 1\n"                    \
    "pilot.why a beats b by 5%%\npilot.arm a: 1.5\nguard.bad 2\n"

static void test_figures(void **state)
{
    static struct class_figures f;
    char text[] = STATS("1000", "123450");
    (void)state;
    figures_parse(text, &f);
    assert_int_equal(f.switches, 3);
    assert_int_equal(f.fallbacks, 1);
    assert_string_equal(f.reason, "sched_burst: over its budget");
    assert_string_equal(f.active, "sched_fair");
    assert_int_equal(f.count, 3);
    const struct policy_figures *burst = figures_of(&f, "sched_burst");
    assert_non_null(burst);
    assert_true(burst->retired);
    assert_string_equal(burst->extends, "sched_fair");
    assert_string_equal(figures_of(&f, "round_robin")->extends, "");
    assert_null(figures_of(&f, "other"));
}

static void test_stats(void **state)
{
    (void)state;
    file_make("classes/sched/stats", STATS("1000", "123450"));
    file_make("classes/memory/stats", "switches 0\nfallbacks 0\n");
    file_make("log", "[0.1] policy: sched_burst is slow: sched_fair takes over sched\n"
                     "[0.2] policy: x is slow: y takes over memory\n");
    assert_int_equal(RUN("stats", "sched"), STATUS_OK);
    assert_says(0, "sched: 3 switches, 1 fallbacks\n  last fallback: sched_burst: over its budget\n"
                   "  in the log: [0.1] policy: sched_burst is slow: sched_fair takes over sched\n"
                   "  OBJECTIVE: ns from wake-up to CPU; less is better\n");
    assert_says(0, "  sched_fair           active           1000      150    75.0       1234.5 ");
    assert_says(0, "  sched_burst          retired            50        -    90.0            - ");
    assert_int_equal(RUN("stats"), STATUS_OK);
    assert_says(0, "memory: 0 switches, 0 fallbacks\n");
    assert_null(strstr(output[0], "[0.2]"));
    assert_says(0, "\n  pilot: why a beats b by 5%%\n  pilot: arm a: 1.5\n  guard: bad 2\n");
    assert_null(strstr(output[0], "batches"));
    file_make("batch", "net.fallbacks 1\nnet.reason the device was lost\nnet.rows_1 7 9\n");
    assert_int_equal(RUN("stats"), STATUS_OK);
    assert_says(0, "batches on the GPU:\n  net.fallbacks 1\n  net.reason the device was lost\n");
    assert_null(strstr(output[0], "rows_1"));
}

static void test_watch_shows_differences(void **state)
{
    (void)state;
    file_make("classes/sched/stats", STATS("1000", "123450"));
    file_make("classes/memory/stats", "switches 0\nfallbacks 0\nactive clock\n");
    assert_int_equal(RUN("watch", "--count", "2", "--interval", "0.01"), STATUS_OK);
    assert_says(0, "CLASS        POLICY           DECISIONS/S");
    assert_says(0, "\nmemory       clock                      0        -       - -");
    assert_says(0, "\nsched        sched_fair                 0        -       - sched_burst -");
    assert_null(strstr(output[0], "\033"));
    assert_int_equal(RUN("watch", "sched", "--count=1", "--interval=0.01"), STATUS_OK);
    assert_null(strstr(output[0], "memory"));
    assert_int_equal(RUN("watch", "sched", "--count=1", "--interval=0.01", "--width=80"), STATUS_OK);
    assert_says(0, "\nsched       sched_fair              0       -      -            -     1\n"
                   "            in the shadow: sched_burst -\n");
    assert_int_equal(RUN("watch", "--count=1", "--interval=0.01", "--width", "20"), STATUS_OK);
    for (const char *line = output[0]; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") <= 20);
    }
}

static void test_load_and_unload(void **state)
{
    (void)state;
    assert_int_equal(RUN("load", "sched_burst"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/policy"), "[round_robin] sched_fair sched_burst");
    assert_int_equal(RUN("unload", "sched_burst"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/policy"), "[round_robin] sched_fair");
    assert_int_equal(RUN("unload", "sched_burst"), STATUS_FAILED);
    assert_says(1, "no module 'sched_burst' is loaded\nmlctl: loaded are: linux sched_fair\n");
    assert_int_equal(RUN("load", "no_such"), STATUS_FAILED);
    assert_says(1, "there is no module 'no_such'");
    assert_int_equal(RUN("load", "broken.kmod"), STATUS_FAILED);
    assert_says(1, "is not a module file");
    assert_int_equal(RUN("load", "/no/such.kmod"), STATUS_FAILED);
}

#define SCHED_KNOWS "3 server round_robin 65536 100 256\n3 server sched_fair -7 100 256\n"

static void test_pilots_knowledge(void **state)
{
    char file[128], profile[512];
    (void)state;
    snprintf(file, sizeof(file), "%s", file_path("saved"));
    assert_int_equal(RUN("pilot", "save", file), STATUS_FAILED);
    assert_says(1, "no pilot of this machine has learned anything yet");
    assert_int_not_equal(access(file, F_OK), 0);
    file_make("classes/sched/knowledge", SCHED_KNOWS);
    assert_int_equal(RUN("pilot", "save", "/no/such/file"), STATUS_FAILED);
    assert_int_equal(RUN("pilot", "save", "-"), STATUS_OK);
    assert_says(0, "class sched\n" SCHED_KNOWS);
    assert_int_equal(RUN("pilot", "save", file), STATUS_OK);
    file_make("classes/sched/knowledge", "");
    assert_int_equal(RUN("pilot", "load", file), STATUS_FAILED);
    assert_says(1, "class sched has no pilot that could learn");
    assert_int_equal(RUN("pilot", "sched=auto"), STATUS_OK);
    assert_int_equal(RUN("pilot", "load", file), STATUS_OK);
    assert_string_equal(output[0], "sched: learned 2 lines\n");
    assert_string_equal(file_text("classes/sched/knowledge"), SCHED_KNOWS);
    file_make("saved", "class sched\n3 server sched_burst 1 1 1\n4 - round_robin 1 1 1\n");
    assert_int_equal(RUN("pilot", "load", file), STATUS_OK);
    assert_string_equal(output[0],
                        "sched: learned 1 line, and left out 1 of policies that are not loaded\n");
    file_make("saved", "class sched\nnonsense\n");
    assert_int_equal(RUN("pilot", "load", file), STATUS_FAILED);
    assert_says(1, "line 2: that is nothing that a pilot has saved");
    file_make("saved", "3 server round_robin 1 1 1\n");
    assert_int_equal(RUN("pilot", "load", file), STATUS_FAILED);
    file_make("saved", "class disk\n3 server round_robin 1 1 1\n");
    assert_int_equal(RUN("pilot", "load", file), STATUS_FAILED);
    assert_says(1, "the classes are: memory sched\n");
    assert_int_equal(RUN("pilot", "load", "/no/such/file"), STATUS_FAILED);
    snprintf(profile, sizeof(profile), "sched=sched_fair\npilot sched=auto\nknowledge /no/such/file\n");
    file_make("own/taught", profile);
    assert_int_equal(RUN("profile", "set", "taught"), STATUS_FAILED);
    assert_says(1, "/no/such/file: No such file or directory; nothing was changed");
}

static const char learned[] = "# two classes\n"
                              "description All that is learned\n"
                              "load auto\n"
                              "  sched=sched_burst \n"
                              "shadow sched=sched_fair\n"
                              "guard sched ratio=150 windows=3 window_ms=1000\n"
                              "memory=lru_plus\n"
                              "pilot memory=auto\n";

static void test_profile_is_set(void **state)
{
    (void)state;
    file_make("profiles/learned", learned);
    assert_int_equal(RUN("profile", "set", "learned"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/policy"), "round_robin sched_fair [sched_burst]");
    assert_string_equal(line_of("classes/sched/shadow"), "sched_fair");
    assert_string_equal(line_of("classes/sched/guard"), "ratio=150 windows=3 window_ms=1000");
    assert_string_equal(line_of("classes/memory/pilot"), "auto");
    assert_string_equal(line_of("profile"), "learned");
    assert_int_equal(RUN("profile", "active"), STATUS_OK);
    assert_string_equal(output[0], "learned\n");
    assert_int_equal(RUN("profile", "verify"), STATUS_OK);
    assert_int_equal(RUN("set", "sched=sched_fair"), STATUS_OK);
    assert_int_equal(RUN("profile", "verify"), STATUS_FAILED);
    assert_says(0, "sched: policy is sched_fair, the profile wants sched_burst\n");
    file_make("profiles/balanced", "sched=sched_fair\nmemory=clock\n");
    assert_int_equal(RUN("profile", "off"), STATUS_OK);
    assert_string_equal(line_of("classes/sched/policy"), "round_robin [sched_fair] sched_burst");
    assert_string_equal(line_of("classes/sched/shadow"), "none");
    assert_string_equal(line_of("classes/memory/pilot"), "none");
    assert_string_equal(line_of("profile"), "none");
    assert_int_equal(RUN("profile", "verify"), STATUS_FAILED);
}

static void assert_untouched(void)
{
    assert_string_equal(line_of("classes/sched/policy"), "[round_robin] sched_fair");
    assert_string_equal(line_of("classes/sched/shadow"), "none");
    assert_string_equal(line_of("classes/sched/guard"), "off");
    assert_string_equal(line_of("classes/memory/policy"), "clock [a_long_policy_name]");
    assert_string_equal(line_of("classes/memory/pilot"), "none");
    assert_string_equal(line_of("profile"), "none");
}

static void test_profile_is_all_or_nothing(void **state)
{
    (void)state;
    file_make("profiles/learned", learned);
    const char *const refused[] = {"pilot", "guard", "shadow"};
    for (size_t i = 0; i < 3; i++) {
        tree_refused = refused[i];
        tree_error = EOPNOTSUPP;
        assert_int_equal(RUN("profile", "set", "learned"), STATUS_FAILED);
        assert_says(1, "everything is as it was");
        assert_untouched();
    }
    tree_refused = NULL;
    file_make("profiles/missing", "sched=sched_burst\nmemory=perfect\n");
    assert_int_equal(RUN("profile", "set", "missing"), STATUS_FAILED);
    assert_says(1, "policy perfect of class memory is neither loaded nor a module in");
    assert_untouched();
    file_make("profiles/elsewhere", "sched=sched_burst\ndisk=fast\n");
    assert_int_equal(RUN("profile", "set", "elsewhere"), STATUS_FAILED);
    assert_says(1, "this machine has no class disk; nothing was changed");
    assert_untouched();
    file_make("profiles/damaged", "sched=sched_burst\nmemory=broken\n");
    assert_int_equal(RUN("profile", "set", "damaged"), STATUS_FAILED);
    assert_says(1, "broken.kmod is not a module file");
    assert_untouched();
}

static void test_profile_files(void **state)
{
    static const struct {
        const char *text, *complaint;
    } wrong[] = {
        {"", "names no class"},
        {"sched\n", "line 1: it is none of"},
        {"sched=a\nsched=b\n", "line 2: the class has a line already"},
        {"\n\nshadow sched=a\n", "line 3: a line CLASS=POLICY for its class must stand before it"},
        {"sched=a\nshadow sched\n", "line 2: it wants CLASS=NAME"},
        {"sched=a\nguard sched\n", "line 2: it wants a class and what to guard"},
        {"sched=../x\n", "line 1: it wants CLASS=POLICY"},
        {"load a/b\n", "line 1: it wants a module's name"},
        {"description\n", "line 1: it is too long"},
        {"sched=a\nknowledge here\n", "line 2: it wants a file's path, from the root on"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        file_make("own/wrong", wrong[i].text);
        assert_int_equal(RUN("profile", "show", "wrong"), STATUS_FAILED);
        assert_says(1, wrong[i].complaint);
    }
    assert_int_equal(RUN("profile", "show", "../wrong"), STATUS_FAILED);
    assert_says(1, "there is no profile '../wrong'; there are: wrong\n");
}

static void test_own_profiles_come_first(void **state)
{
    (void)state;
    file_make("profiles/one", "description The archive's\nsched=sched_fair\n");
    file_make("profiles/two", "description Another\nsched=sched_fair\n");
    file_make("own/one", "description The owner's\nsched=perfect\n");
    file_make("profile", "two\n");
    assert_int_equal(RUN("profile", "list"), STATUS_OK);
    assert_string_equal(output[0], "  one          The owner's\n* two          Another\n");
    assert_int_equal(RUN("profile"), STATUS_OK);
    assert_string_equal(output[0], "  one          The owner's\n* two          Another\n");
    assert_int_equal(RUN("profile", "two"), STATUS_OK);
    assert_string_equal(output[0], "profile: two\n");
    assert_int_equal(RUN("profile", "show", "one"), STATUS_OK);
    assert_says(0, "one: The owner's\n  sched=perfect\n  it can't be set here: policy perfect");
    assert_int_equal(RUN("profile", "show"), STATUS_OK);
    assert_says(0, "two: Another\n");
}

static void test_recommend_says_why(void **state)
{
    (void)state;
    file_make("profiles/balanced", "sched=sched_fair\n");
    file_make("profiles/inference", "sched=sched_burst\n");
    file_make("profiles/training", "sched=sched_burst\n");
    file_make("profiles/auto", "sched=perfect\n");
    assert_int_equal(RUN("profile", "recommend"), STATUS_OK);
    assert_memory_equal(output[0], "balanced\n", 9);
    assert_says(0, "no GPU");
    assert_says(0, "auto can't be set: policy perfect of class sched");
    file_make("gpu", "devices 1\n");
    assert_int_equal(RUN("profile", "recommend"), STATUS_OK);
    assert_says(0, "a GPU");
    assert_null(strstr(output[0], "can't be set"));
}

static void test_run_chooses_and_executes(void **state)
{
    (void)state;
    file_make("profiles/learned", learned);
    assert_int_equal(RUN("run", "--profile", "learned", "--", "server", "--port"), 127);
    assert_string_equal(tree_program, "server --port");
    assert_string_equal(tree_choice, "memory=lru_plus pid=self");
    assert_says(1, "can't run server");
    assert_string_equal(line_of("classes/sched/policy"), "[round_robin] sched_fair sched_burst");
    assert_string_equal(line_of("profile"), "none");
    assert_int_equal(RUN("run", "--profile=nothing", "server"), STATUS_FAILED);
    assert_says(1, "there is no profile 'nothing'");
}

static void test_another_system_is_told(void **state)
{
    (void)state;
    places.mlaas = "/no/such/folder";
    assert_int_equal(RUN("list"), STATUS_FAILED);
    assert_says(1, "inside a MaLV-OS machine");
    assert_int_equal(RUN("set", "sched", "x"), STATUS_FAILED);
    assert_says(1, "inside a MaLV-OS machine");
    assert_int_equal(RUN("profile", "set", "x"), STATUS_FAILED);
    assert_says(1, "inside a MaLV-OS machine");
}

static void test_odd_files(void **state)
{
    struct policy_list policies;
    char *many = malloc(CLASS_TEXT_BYTES + 1);
    (void)state;
    file_make("classes/sched/policy", "one two\n");
    assert_int_equal(class_policies("sched", &policies), 0);
    assert_int_equal(policies.count, 2);
    assert_null(policies.active);
    file_make("classes/sched/policy", "");
    assert_int_equal(class_policies("sched", &policies), -EPROTO);
    memset(many, 'x', CLASS_TEXT_BYTES);
    many[CLASS_TEXT_BYTES] = '\0';
    file_make("classes/sched/policy", many);
    assert_int_equal(class_policies("sched", &policies), -EFBIG);
    for (size_t i = 1; i < 200; i += 2) {
        many[i] = ' ';
    }
    many[200] = '\0';
    file_make("classes/sched/policy", many);
    assert_int_equal(class_policies("sched", &policies), -EPROTO);
    free(many);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_help),
        CASE(test_wrong_words),
        CASE(test_list_is_a_table),
        CASE(test_set_writes_the_name),
        CASE(test_set_explains_refusals),
        CASE(test_choices),
        CASE(test_shadow_pilot_guard),
        CASE(test_unknown_class_names_the_known),
        CASE(test_figures),
        CASE(test_stats),
        CASE(test_watch_shows_differences),
        CASE(test_load_and_unload),
        CASE(test_pilots_knowledge),
        CASE(test_profile_is_set),
        CASE(test_profile_is_all_or_nothing),
        CASE(test_profile_files),
        CASE(test_own_profiles_come_first),
        CASE(test_recommend_says_why),
        CASE(test_run_chooses_and_executes),
        CASE(test_another_system_is_told),
        CASE(test_odd_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
