/*
 * t_mlaas.c: the files of module mlaas, with the class "lab" (tests/mlaas_lab), whose policies are known to
 * be good, bad or hostile.
 */
#include <sys/stat.h>
#include <time.h>

#include "lab.h"
#include "tests/vm/guest/check.h"

#define PATIENCE 60 /* s: the machine may be slow */

static unsigned mode_of(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 ? s.st_mode & 07777 : 0;
}

static void test_files(void)
{
    CHECK(mode_of(LAB "policy") == 0644 && mode_of(LAB "shadow") == 0644);
    CHECK(mode_of(LAB "pilot") == 0644 && mode_of(LAB "guard") == 0644);
    CHECK(mode_of(LAB "stats") == 0444 && mode_of(CHOICES) == 0666);
    CHECK(file_is(LAB "policy", "[plain] good bad fault loop nonsense\n"));
    CHECK(file_is(LAB "shadow", "none\n"));
    CHECK(file_is(LAB "pilot", "none\n"));
    CHECK(file_is(LAB "guard", "off\n"));
    CHECK(file_is(CHOICES, ""));
    CHECK(stat_is("objective", "points for each decision"));
    CHECK(stat_is("judgement", "even answers"));
    CHECK(stat_is("reason", "none"));
    CHECK(stat_is("bad.extends", "good"));
    CHECK(stat_is("good.extends", "none"));
}

static void test_policy(void)
{
    long switches = stat_of("switches");

    CHECK(file_put(LAB "policy", "good\n") == 0);
    CHECK(file_is(LAB "policy", "plain [good] bad fault loop nonsense\n"));
    CHECK(stat_is("active", "good"));
    CHECK(stat_of("switches") == switches + 1);
    CHECK(stat_of("fallbacks") == 0);
    CHECK(file_put(LAB "policy", "no_such") == ENOENT);
    CHECK(file_put(LAB "policy", "a_name_that_is_longer_than_any_policys") == ENOENT);
    CHECK(file_put(LAB "policy", "\n") == EINVAL);
    CHECK(file_put(LAB "policy", "plain good") == EINVAL);
    CHECK(stat_is("active", "good"));
    CHECK(file_put(LAB "policy", "plain") == 0);
}

static void test_figures(void)
{
    long calls = stat_of("plain.calls"), cost = stat_of("plain.cost");

    CHECK(file_put(ASK, "100") == 0);
    CHECK(stat_of("plain.calls") == calls + 100);
    CHECK(stat_of("plain.right") == stat_of("plain.judged"));
    CHECK(stat_of("plain.cost") == cost + 1000);
    CHECK(file_put(LAB "policy", "bad") == 0);
    CHECK(file_put(ASK, "160") == 0);
    CHECK(stat_of("bad.calls") == 160 && stat_of("bad.judged") == 160 && stat_of("bad.right") == 0);
    CHECK(stat_of("bad.cost") == 160 * 41 && stat_of("bad.work") == 160);
    CHECK(stat_of("bad.timed") == 10); /* one in 16 */
    CHECK(stat_of("plain.calls") == calls + 100);
    CHECK(file_put(LAB "policy", "plain") == 0);
}

/* Its answers are judged, and nobody uses them. */
static void test_shadow(void)
{
    long judged = stat_of("good.judged"), right = stat_of("good.right"), work = stat_of("good.work");

    CHECK(file_put(LAB "shadow", "good") == 0);
    CHECK(file_is(LAB "shadow", "good\n") && stat_is("shadow", "good"));
    CHECK(file_put(ASK, "50") == 0);
    CHECK(decided_by("plain"));
    CHECK(stat_of("good.judged") == judged + 51 && stat_of("good.right") == right + 51);
    CHECK(stat_of("good.work") == work);
    CHECK(file_put(LAB "shadow", "no_such") == ENOENT);
    CHECK(file_is(LAB "shadow", "good\n"));
    CHECK(file_put(LAB "shadow", "none") == 0);
    CHECK(file_put(ASK, "50") == 0);
    CHECK(stat_of("good.judged") == judged + 51);
}

static void test_pilot(void)
{
    CHECK(file_put(LAB "pilot", "no_such") == ENOENT);
    CHECK(file_put(LAB "pilot", "") == 0 || errno == EINVAL);
    CHECK(file_put(MLAAS "classes/sched/pilot", "lab_pilot") == EOPNOTSUPP);
    CHECK(file_is(MLAAS "classes/sched/pilot", "none\n"));
    CHECK(file_put(LAB "pilot", "lab_pilot") == 0);
    CHECK(file_is(LAB "pilot", "lab_pilot\n"));
    CHECK(stat_is("active", "good") && stat_is("pilot", "lab_pilot") && stat_is("pilot.flights", "1"));
    CHECK(file_put(LAB "policy", "no_such") == ENOENT);
    CHECK(file_is(LAB "pilot", "lab_pilot\n"));
    CHECK(file_put(LAB "policy", "plain") == 0); /* the owner's hand */
    CHECK(file_is(LAB "pilot", "none\n") && stat_of("pilot.flights") == -1);
    CHECK(file_put(LAB "pilot", "lab_pilot") == 0);
    CHECK(file_put(LAB "pilot", "none") == 0);
    CHECK(stat_is("active", "good")); /* it leaves things as they are */
    CHECK(file_put(LAB "policy", "plain") == 0);
}

static bool falls_back(const char *to)
{
    time_t due = time(NULL) + PATIENCE;

    while (time(NULL) < due) {
        if (file_put(ASK, "500") != 0)
            return false;
        usleep(5000);
        if (strncmp(file_text(LAB "stats"), "switches", 8) == 0 && file_has(LAB "stats", to))
            return true;
    }
    return false;
}

/* The policy works and does what its maker thinks is right; the machine is worse for it. */
static void test_guard_max(void)
{
    long fallbacks = stat_of("fallbacks");

    CHECK(file_put(LAB "policy", "bad") == 0);
    CHECK(file_put(LAB "guard", "max=20 windows=3 window_ms=20") == 0);
    CHECK(file_is(LAB "guard", "max=20 windows=3 window_ms=20\n"));
    CHECK(falls_back("active good\n"));
    CHECK(stat_is("reason", "bad: objective 41.000, over 20: 3 x 20 ms"));
    CHECK(stat_of("fallbacks") == fallbacks + 1);
    CHECK(stat_of("bad.retired") == 0);
    for (unsigned i = 0; i < 20; i++) { /* the one that took over is good enough */
        CHECK(file_put(ASK, "500") == 0);
        usleep(5000);
    }
    CHECK(stat_is("active", "good") && stat_is("guard.mean", "4.000") && stat_is("guard.limit", "20.000"));
    CHECK(file_put(LAB "guard", "off") == 0);
    CHECK(file_put(LAB "policy", "plain") == 0);
}

/* Against what the one that would take over measured. */
static void test_guard_ratio(void)
{
    CHECK(file_put(LAB "policy", "good") == 0);
    CHECK(file_put(ASK, "1000") == 0);
    CHECK(file_put(LAB "guard", "ratio=200 windows=2 window_ms=20") == 0);
    CHECK(file_put(LAB "policy", "bad") == 0);
    CHECK(falls_back("active good\n"));
    CHECK(stat_is("reason", "bad: objective 41.000, over 200% of good's: 2 x 20 ms"));
    CHECK(file_put(LAB "guard", "off") == 0);
    CHECK(file_has("/sys/kernel/malv/log", "bad objective 41.000, over 200% of good's: 2 x 20 ms: good takes over"));
    CHECK(file_put(LAB "policy", "plain") == 0);
}

static void test_guard_errors(void)
{
    CHECK(file_put(LAB "guard", "max=20 windows=2 window_ms=100") == 0);
    CHECK(file_put(LAB "guard", "max") == EINVAL);
    CHECK(file_put(LAB "guard", "ratio=0") == EINVAL);
    CHECK(file_is(LAB "guard", "max=20 windows=2 window_ms=100\n"));
    for (unsigned i = 0; i < 50; i++) { /* the thread comes and goes */
        CHECK(file_put(LAB "guard", "off") == 0);
        CHECK(file_put(LAB "guard", "max=20 windows=2 window_ms=100") == 0);
    }
    CHECK(file_put(LAB "guard", "off") == 0);
}

static void test_profile(void)
{
    CHECK(file_is(MLAAS "profile", "none\n"));
    CHECK(file_put(MLAAS "profile", "training\n") == 0);
    CHECK(file_is(MLAAS "profile", "training\n"));
    CHECK(file_put(MLAAS "profile", "two words") == EINVAL);
    CHECK(file_put(MLAAS "profile", "a_name_that_is_longer_than_any_profile") == EINVAL);
    CHECK(file_is(MLAAS "profile", "training\n"));
}

/* Which goes wrong, how, and who takes over. */
static bool contained(const char *policy, const char *kind, const char *reason, const char *heir)
{
    char name[64];
    long fallbacks = stat_of("fallbacks");

    if (file_put(LAB "policy", policy) != 0 || file_put(ASK, "20") != 0)
        return false;
    snprintf(name, sizeof(name), "%s.%s", policy, kind);
    if (stat_of(name) != 1 || stat_of("fallbacks") != fallbacks + 1)
        return false;
    snprintf(name, sizeof(name), "%s.retired", policy);
    return stat_of(name) == 1 && stat_is("reason", reason) && stat_is("active", heir) &&
           file_put(LAB "policy", policy) == EACCES && file_put(LAB "shadow", policy) == EACCES;
}

static void test_hostile(void)
{
    CHECK(contained("fault", "faulted", "fault: faulted", "good"));
    CHECK(contained("loop", "overran", "loop: overran its budget", "plain"));
    CHECK(file_put(CHOICES, "lab=loop pid=self") == EACCES);
    /* The last one goes wrong in the shadow: nobody but the figures notices. */
    CHECK(file_put(LAB "policy", "plain") == 0);
    CHECK(file_put(LAB "shadow", "nonsense") == 0);
    CHECK(file_put(ASK, "20") == 0);
    CHECK(file_is(LAB "shadow", "none\n"));
    CHECK(stat_of("nonsense.retired") == 1 && stat_of("nonsense.nonsense") == 1);
    CHECK(stat_is("active", "plain"));
}

/* NEED() has said what is wrong. */
#define PART(name)                                                                          \
    static void test_##name(void)                                                                  \
    {                                                                                              \
        CHECK(name());                                                                             \
    }
PART(choice_of_process)
PART(choice_tree)
PART(choice_threads)
PART(choice_rights)
PART(choice_by_name)
PART(choices_at_once)
PART(choice_errors)
PART(module_comes_and_goes)
PART(module_damaged)
PART(module_bad_calls)
PART(module_rights)
PART(module_of_policy)

static const struct test tests[] = {
    {"files", test_files},
    {"policy", test_policy},
    {"figures", test_figures},
    {"shadow", test_shadow},
    {"pilot", test_pilot},
    {"choice of a process", test_choice_of_process},
    {"choice of a tree of processes", test_choice_tree},
    {"choice and threads", test_choice_threads},
    {"rights", test_choice_rights},
    {"choice by name", test_choice_by_name},
    {"different choices at once", test_choices_at_once},
    {"nonsense as a choice", test_choice_errors},
    {"guard with a limit", test_guard_max},
    {"guard with a ratio", test_guard_ratio},
    {"nonsense as a guard", test_guard_errors},
    {"profile", test_profile},
    {"a module comes and goes", test_module_comes_and_goes},
    {"damaged modules", test_module_damaged},
    {"bad calls for modules", test_module_bad_calls},
    {"rights to load modules", test_module_rights},
    {"the module of a policy that decides", test_module_of_policy},
    {"hostile policies", test_hostile},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "who") == 0)
        return who_main(argv[2]);
    return RUN_TESTS(tests, argc, argv);
}
