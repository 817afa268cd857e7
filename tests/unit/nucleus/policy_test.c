/*
 * policy_test.c: the registry of policies and guarded calls of classes that are asked one question at a
 * time: who decides after each step, whatever the policies do. A policy goes wrong by a jump, as the trap
 * handler would have it.
 */
#include "stand_ins.h"

#include <arch/cpu_local.h>
#include <arch/x86.h>
#include <microlake/module.h>
#include <microlake/policy.h>
#include <microlake/thread.h>

#include "kernel/policy/guard.h"
#include "kernel/policy/policy_internal.h"

#define STEPS 30000

/* ---- around the registry ---------------------------------------------------------------------- */

static uint64_t clock_ns;
static unsigned passes; /* cpus_pass() calls */

uint64_t time_now(void)
{
    return clock_ns += 10;
}

void mutex_lock(struct mutex *m)
{
    assert_int_equal(m->held, 0);
    m->held = 1;
}

void mutex_unlock(struct mutex *m)
{
    assert_int_equal(m->held, 1);
    m->held = 0;
}

struct module *module_of_address(const void *address)
{
    (void)address;
    return NULL;
}

bool module_ref(struct module *m)
{
    return m;
}

void cpus_pass(void)
{
    passes++;
}

void guard_prepare(struct guard *g, struct policy *p, uint64_t now)
{
    assert_true(now <= clock_ns);
    assert_false(g->active);
    assert_true(this_cpu()->preempt_count > 0 && interrupts_are_on());
    g->policy = p;
    g->active = true;
}

/* ---- two classes: one whose policies share a queue, one whose policies are called --------------- */

enum habit { HONEST, FAULTS, OVERRUNS, NONSENSE };

struct test_ops {
    unsigned magic;
    unsigned answer;
    enum habit habit;
    bool no_shadow;
};

static bool ops_valid(const void *table)
{
    return ((const struct test_ops *)table)->magic == 7;
}

static bool ops_can_shadow(const void *table)
{
    return !((const struct test_ops *)table)->no_shadow;
}

static struct policy *activated;

static void queue_activate(struct policy *p)
{
    activated = p;
}

static const struct test_ops plain_ops = {.magic = 7, .answer = 1};
static struct policy called_plain = {.name = "plain", .ops = &plain_ops};
static struct policy queue_plain = {.name = "plain", .ops = &plain_ops};
static struct policy_class called = {.name = "called",
                                     .objective = "a cost",
                                     .judgement = "a judgement",
                                     .valid = ops_valid,
                                     .can_shadow = ops_can_shadow};
static struct policy_class queue = {.name = "queue", .valid = ops_valid, .activate = queue_activate};

static struct test_ops good_ops = {.magic = 7, .answer = 2}, bad_ops = {.magic = 7, .answer = 3},
                       other_ops = {.magic = 7, .answer = 4};
static struct policy good = {.name = "good", .ops = &good_ops};
static struct policy bad = {.name = "bad", .ops = &bad_ops, .extends = "good"};
static struct policy other = {.name = "other", .ops = &other_ops, .extends = "good"};

static unsigned watched;

static void watch(void)
{
    watched++;
}

static int setup(void **state)
{
    (void)state;
    cpus_reset(1);
    log_forget();
    bad_ops.habit = good_ops.habit = other_ops.habit = HONEST;
    bad_ops.no_shadow = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const char *class_name = i ? "queue" : "called";

        policy_unregister(class_name, &bad);
        policy_unregister(class_name, &other);
        policy_unregister(class_name, &good);
    }
    assert_ptr_equal(called.active, &called_plain);
    assert_ptr_equal(called.machine, &called_plain);
    assert_ptr_equal(queue.active, &queue_plain);
    assert_null(called.shadow);
    machine_check_idle();
    return 0;
}

struct question {
    unsigned half, answer;
};

/* What it writes of an answer before it goes wrong is not seen. */
static bool question_ask(const struct policy *p, void *arg)
{
    const struct test_ops *ops = p->ops;
    struct question *q = arg;
    struct guard *g = &this_cpu()->guard;

    if (p != &called_plain)
        assert_ptr_equal(g->policy, p);
    q->half = ops->answer;
    if (ops->habit == NONSENSE)
        return false;
    if (ops->habit != HONEST) {
        g->active = false;
        longjmp(guard_jump, 1 + (ops->habit == FAULTS ? POLICY_FAULTED : POLICY_OVERRAN));
    }
    q->answer = ops->answer;
    return true;
}

/* The answer to a question, which has to be the one that *number gives. */
static unsigned ask(uint64_t choice, uint64_t *number)
{
    struct question q = {0, 0};

    policy_call(&called, choice, question_ask, &q, number);
    assert_int_equal(q.half, q.answer);
    machine_check_idle();
    return q.answer;
}

/* ---- the tests --------------------------------------------------------------------------------- */

static void test_register(void **state)
{
    struct test_ops wrong_ops = {.magic = 8};
    struct policy nameless = {.ops = &good_ops}, wrong = {.name = "wrong", .ops = &wrong_ops}, none = {.name = "none"};
    struct policy_class_info info;

    (void)state;
    memset(nameless.name, 'x', sizeof(nameless.name));
    assert_int_equal(policy_class_register(&called, &called_plain), ERR_EXISTS);
    assert_int_equal(policy_register("no_class", &good), ERR_NOT_FOUND);
    assert_int_equal(policy_register("called", &nameless), ERR_INVALID);
    assert_int_equal(policy_register("called", &wrong), ERR_INVALID);
    assert_int_equal(policy_register("called", &none), ERR_INVALID);
    assert_int_equal(policy_register("called", &good), OK);
    assert_int_equal(policy_register("called", &good), ERR_EXISTS);
    assert_int_equal(policy_class_info(0, &info), OK);
    assert_string_equal(info.name, "called");
    assert_string_equal(info.objective, "a cost");
    assert_int_equal(policy_class_info(2, &info), ERR_NOT_FOUND);
}

static void test_full(void **state)
{
    static struct policy many[POLICIES_MAX];
    struct policy_info info;

    (void)state;
    for (unsigned i = 0; i < POLICIES_MAX; i++) {
        many[i] = (struct policy){.ops = &good_ops};
        snprintf(many[i].name, sizeof(many[i].name), "many%u", i);
        assert_int_equal(policy_register("called", &many[i]), i < POLICIES_MAX - 1 ? OK : ERR_LIMIT);
    }
    assert_int_equal(policy_info("called", POLICIES_MAX - 1, &info), OK);
    assert_int_equal(policy_info("called", POLICIES_MAX, &info), ERR_NOT_FOUND);
    for (unsigned i = 0; i < POLICIES_MAX; i++)
        policy_unregister("called", &many[i]);
}

static void test_set(void **state)
{
    uint64_t switches = policy_switches("called"), number;

    (void)state;
    assert_int_equal(policy_set("called", "good"), ERR_NOT_FOUND);
    assert_int_equal(policy_set("no_class", "good"), ERR_NOT_FOUND);
    policy_register("called", &good);
    policy_register("called", &bad);
    assert_int_equal(policy_set("called", "bad"), OK);
    assert_int_equal(policy_set("called", "bad"), OK); /* nothing changes */
    assert_int_equal(policy_switches("called"), switches + 1);
    assert_int_equal(ask(0, &number), 3);
    assert_int_equal(number, bad.number);
    passes = 0;
    policy_unregister("called", &bad); /* what it extends takes over */
    assert_int_equal(passes, 1);
    assert_int_equal(ask(0, &number), 2);
    policy_unregister("called", &good);
    assert_int_equal(ask(0, &number), 1);
    assert_int_equal(number, called_plain.number);
    assert_int_equal(policy_switches("called"), switches + 3);
}

static void wrong_as_machines(enum habit habit, const char *reason)
{
    struct policy_class_info info;
    uint64_t number;

    policy_register("called", &good);
    policy_register("called", &bad);
    assert_int_equal(policy_set("called", "bad"), OK);
    bad_ops.habit = habit;
    assert_int_equal(ask(0, &number), 1); /* this one is the built-in's */
    assert_int_equal(number, called_plain.number);
    assert_int_equal(ask(0, &number), 2); /* and the next ones the heir's */
    assert_int_equal(bad.figures.faults[habit - 1], 1);
    policy_class_info(0, &info);
    assert_string_equal(info.reason, reason);
    bad_ops.habit = HONEST;
    assert_int_equal(policy_set("called", "bad"), ERR_ACCESS);
    policy_unregister("called", &bad);
    assert_int_equal(policy_register("called", &bad), OK);
    assert_int_equal(policy_set("called", "bad"), OK);
    policy_unregister("called", &bad);
    policy_unregister("called", &good);
}

static void test_wrong(void **state)
{
    (void)state;
    wrong_as_machines(FAULTS, "bad: faulted");
    wrong_as_machines(OVERRUNS, "bad: overran its budget");
    wrong_as_machines(NONSENSE, "bad: answered nonsense");
}

/* A chain: who takes over goes wrong, too. */
static void test_wrong_in_turn(void **state)
{
    uint64_t number;

    (void)state;
    policy_register("called", &good);
    policy_register("called", &bad);
    policy_set("called", "bad");
    bad_ops.habit = FAULTS;
    good_ops.habit = NONSENSE;
    assert_int_equal(ask(0, &number), 1);
    assert_ptr_equal(called.active, &good);
    assert_int_equal(ask(0, &number), 1);
    assert_ptr_equal(called.active, &called_plain);
    assert_ptr_equal(called.machine, &called_plain);
    policy_unregister("called", &bad);
    policy_register("called", &bad); /* it extends one that is retired */
    policy_set("called", "bad");
    assert_int_equal(ask(0, &number), 1);
    assert_ptr_equal(called.active, &called_plain);
}

static void test_choice(void **state)
{
    struct policy_class_info before, after;
    uint64_t choice = 0, number;

    (void)state;
    policy_register("called", &good);
    policy_register("called", &bad);
    policy_class_info(0, &before);
    assert_int_equal(policy_choose("called", "none", &choice), ERR_NOT_FOUND);
    assert_int_equal(policy_choose("called", "bad", &choice), OK);
    assert_int_equal(ask(choice, &number), 3);
    assert_int_equal(ask(0, &number), 1);
    assert_int_equal(ask(choice + 1000, &number), 1);
    bad_ops.habit = OVERRUNS;
    assert_int_equal(ask(0, &number), 1);
    assert_int_equal(ask(choice, &number), 1);
    bad_ops.habit = HONEST;
    assert_int_equal(ask(choice, &number), 1); /* it is retired */
    assert_int_equal(policy_choose("called", "bad", &choice), ERR_ACCESS);
    policy_class_info(0, &after);
    assert_int_equal(after.fallbacks, before.fallbacks); /* it never was the machine's */
    assert_int_equal(after.switches, before.switches);
}

static bool shadow_ask(unsigned *answer, uint64_t *number)
{
    struct question q = {0, 0};
    bool answered = policy_call_shadow(&called, question_ask, &q, number);

    *answer = q.answer;
    return answered;
}

static void test_shadow(void **state)
{
    uint64_t number;
    unsigned answer;

    (void)state;
    policy_register("called", &bad);
    assert_false(shadow_ask(&answer, &number));
    assert_int_equal(policy_shadow("called", "none"), ERR_NOT_FOUND);
    bad_ops.no_shadow = true;
    assert_int_equal(policy_shadow("called", "bad"), ERR_UNSUPPORTED);
    bad_ops.no_shadow = false;
    assert_int_equal(policy_shadow("queue", "plain"), ERR_UNSUPPORTED);
    assert_int_equal(policy_shadow("called", "bad"), OK);
    assert_true(shadow_ask(&answer, &number) && answer == 3 && number == bad.number);
    assert_int_equal(ask(0, &number), 1);
    bad_ops.habit = FAULTS;
    assert_false(shadow_ask(&answer, &number));
    assert_true(bad.retired && !called.shadow);
    assert_ptr_equal(called.active, &called_plain);
    assert_int_equal(policy_shadow("called", "bad"), ERR_ACCESS);
    policy_unregister("called", &bad);
    policy_register("called", &bad);
    assert_int_equal(policy_shadow("called", "bad"), OK);
    policy_unregister("called", &bad); /* as a shadow, too, it goes */
    assert_null(called.shadow);
}

static void test_fall_back(void **state)
{
    struct policy_class_info info;

    (void)state;
    policy_register("called", &good);
    policy_register("called", &bad);
    assert_int_equal(policy_fall_back("called", "bad", "x"), ERR_NOT_FOUND); /* not the machine's */
    assert_int_equal(policy_fall_back("called", "plain", "x"), ERR_NOT_FOUND);
    assert_int_equal(policy_fall_back("no_class", "bad", "x"), ERR_NOT_FOUND);
    policy_set("called", "bad");
    assert_int_equal(policy_fall_back("called", "bad", "7 is more than 5"), OK);
    assert_ptr_equal(called.active, &good);
    assert_false(bad.retired);
    assert_true(logged("policy: bad 7 is more than 5: good takes over called"));
    policy_class_info(0, &info);
    assert_string_equal(info.reason, "bad: 7 is more than 5");
    assert_int_equal(policy_set("called", "bad"), OK);
}

static void test_figures(void **state)
{
    struct policy_info info;
    uint64_t number;

    (void)state;
    policy_register("called", &good);
    policy_set("called", "good");
    for (unsigned i = 0; i < 33; i++)
        ask(0, &number);
    policy_judge(&called, number, 3, 4);
    policy_judge(&called, number + 1000, 3, 4); /* nobody's */
    policy_judge(&called, 0, 3, 4);
    policy_measure(&called, 50, 5);
    policy_set("called", "plain");
    policy_measure(&called, 1000, 1);
    assert_int_equal(policy_info("called", 1, &info), OK);
    assert_string_equal(info.name, "good");
    assert_int_equal(info.figures.calls, 33);
    assert_int_equal(info.figures.timed, 3);
    assert_int_equal(info.figures.right * 10 + info.figures.judged, 34);
    assert_int_equal(info.figures.cost * 10 + info.figures.work, 505);
    assert_true(!info.active && !info.machine && !info.builtin);
}

/* In a class that shares a queue one stands beside the machine's, and orders the queue. */
static void test_beside(void **state)
{
    uint64_t first, second;

    (void)state;
    policy_register("queue", &good);
    policy_register("queue", &bad);
    policy_register("queue", &other);
    assert_int_equal(policy_choose("queue", "bad", &first), ERR_UNSUPPORTED); /* it extends good */
    assert_int_equal(policy_choose("queue", "plain", &first), OK);
    assert_ptr_equal(queue.active, &queue_plain);
    policy_set("queue", "good");
    assert_int_equal(policy_choose("queue", "bad", &first), OK);
    assert_ptr_equal(queue.active, &bad);
    assert_ptr_equal(activated, &bad);
    assert_ptr_equal(queue.machine, &good);
    assert_int_equal(policy_choose("queue", "bad", &second), OK);
    assert_int_equal(policy_choose("queue", "other", &second), ERR_BUSY);
    assert_int_equal(policy_choose("queue", "good", &second), OK);
    policy_choose_end("queue", second); /* not what stands there */
    assert_ptr_equal(queue.active, &bad);
    policy_choose_end("queue", first);
    assert_ptr_equal(queue.active, &good);
    assert_ptr_equal(activated, &good);
    assert_int_equal(policy_choose("queue", "other", &second), OK);
    assert_ptr_equal(queue.active, &other);
    policy_set("queue", "plain"); /* it can't stand in for that */
    assert_ptr_equal(queue.active, &queue_plain);
    policy_set("queue", "good");
    assert_ptr_equal(queue.active, &other);
    policy_unregister("queue", &other);
    assert_ptr_equal(queue.active, &good);
    policy_set("queue", "bad");
    assert_int_equal(policy_choose("queue", "good", &second), OK); /* the machine's extends it */
    assert_ptr_equal(queue.active, &bad);
}

static void test_watch(void **state)
{
    (void)state;
    watched = 0;
    policy_classes_watch(watch);
    assert_int_equal(watched, 1);
    policy_classes_watch(NULL);
    assert_int_equal(watched, 1);
}

/* ---- anything, in any order -------------------------------------------------------------------- */

static struct policy *const all[] = {&good, &bad, &other};
static struct test_ops *const all_ops[] = {&good_ops, &bad_ops, &other_ops};

static bool is_registered(const struct policy *p)
{
    for (unsigned i = 0; i < POLICIES_MAX; i++)
        if (called.table[i] == p)
            return true;
    return false;
}

/* Who is named anywhere is there, and who decides is not retired. */
static void check_state(void)
{
    assert_true(is_registered(called.active) && is_registered(called.machine));
    assert_ptr_equal(called.active, called.machine);
    assert_false(called.active->retired);
    assert_true(!called.shadow || (is_registered(called.shadow) && !called.shadow->retired));
}

static void step(unsigned nth, uint64_t *choice)
{
    struct policy *p = all[nth];
    uint64_t number;
    unsigned answer;

    switch (random_below(9)) {
    case 0:
        if (!is_registered(p))
            assert_int_equal(policy_register("called", p), OK);
        break;
    case 1:
        policy_unregister("called", p);
        assert_false(is_registered(p));
        break;
    case 2:
        assert_int_equal(policy_set("called", p->name),
                         !is_registered(p) ? ERR_NOT_FOUND : p->retired ? ERR_ACCESS : OK);
        break;
    case 3:
        policy_shadow("called", random_below(4) ? p->name : NULL);
        break;
    case 4:
        policy_choose("called", p->name, choice);
        break;
    case 5:
        policy_fall_back("called", p->name, "why not");
        break;
    case 6:
        all_ops[nth]->habit = random_below(3) ? HONEST : (enum habit)random_below(4);
        break;
    case 7:
        shadow_ask(&answer, &number);
        break;
    default:
        answer = ask(random_below(2) ? *choice : 0, &number);
        assert_true(answer >= 1 && answer <= 4);
        policy_judge(&called, number, 1, 1);
    }
}

static void test_anything(void **state)
{
    uint64_t choice = 0;

    (void)state;
    random_seed(3);
    for (unsigned i = 0; i < STEPS; i++) {
        step((unsigned)random_below(3), &choice);
        check_state();
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_register), CASE(test_full),     CASE(test_set),      CASE(test_wrong), CASE(test_wrong_in_turn),
        CASE(test_choice),   CASE(test_shadow),   CASE(test_fall_back), CASE(test_figures), CASE(test_beside),
        CASE(test_watch),    CASE(test_anything),
    };

    cpus_reset(1);
    if (policy_class_register(&called, &called_plain) != OK || policy_class_register(&queue, &queue_plain) != OK)
        return 1;
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
