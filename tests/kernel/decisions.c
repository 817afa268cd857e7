/*
 * decisions.c: a class whose policies are asked one question at a time (policy_call): policies that fault,
 * loop, answer nonsense, keep memory or sleep, as the machine's, as a program's own and in the shadow; and
 * that go while they are inside.
 */
#include "crew.h"
#include <microlake/policy.h>

#define CLASS      "ktest"
#define ASKERS     4u
#define QUESTIONS  200u
#define PATIENCE   32u /* questions that a hostile one answers well first */

/* To a question the built-in one answers one more, the others may answer two more. */
struct answer_ops {
    size_t struct_size;
    unsigned (*answer)(unsigned question);
};

static bool ops_valid(const void *table)
{
    return ((const struct answer_ops *)table)->struct_size == sizeof(struct answer_ops);
}

static bool ops_can_shadow(const void *table)
{
    (void)table;
    return true;
}

static struct policy_class class = {.name = CLASS,
                                    .objective = "nothing for each answer",
                                    .judgement = "answers of two more",
                                    .valid = ops_valid,
                                    .can_shadow = ops_can_shadow};

static unsigned answer_builtin(unsigned question)
{
    return question + 1;
}

static unsigned answer_honest(unsigned question)
{
    return question + 2;
}

static const struct answer_ops builtin_ops = {sizeof(builtin_ops), answer_builtin};
static const struct answer_ops honest_ops = {sizeof(honest_ops), answer_honest};
static struct policy builtin = {.name = "one_more", .ops = &builtin_ops};

static void class_ensure(void)
{
    int r = policy_class_register(&class, &builtin);

    EXPECT(r == OK || r == ERR_EXISTS);
}

struct decision {
    unsigned question, answer;
};

static bool decide(const struct policy *p, void *arg)
{
    struct decision *d = arg;
    unsigned answer = ((const struct answer_ops *)p->ops)->answer(d->question);

    if (answer != d->question + 1 && answer != d->question + 2)
        return false;
    d->answer = answer;
    return true;
}

/* One question, of which a whole answer has to come. */
static uint64_t ask(unsigned question, uint64_t choice)
{
    struct decision d = {question, 0}, shadows = {question, 0};
    uint64_t number, shadow;

    policy_call(&class, choice, decide, &d, &number);
    EXPECT(d.question == question);
    EXPECT(d.answer == question + (number == builtin.number ? 1 : 2));
    policy_judge(&class, number, d.answer == question + 2, 1);
    if (policy_call_shadow(&class, decide, &shadows, &shadow)) {
        EXPECT(shadow != builtin.number && shadows.answer == question + 2);
        policy_judge(&class, shadow, 1, 1);
    }
    return number;
}

static void asker(void *choice)
{
    for (unsigned i = 0; i < QUESTIONS; i++) {
        ask(i, (uint64_t)choice);
        if (i % 8 == 0)
            thread_yield();
    }
}

static bool info_find(const char *name, struct policy_info *out)
{
    for (unsigned i = 0; policy_info(CLASS, i, out) == OK; i++)
        if (!strcmp(out->name, name))
            return true;
    return false;
}

static void facts_take(struct policy_class_info *out)
{
    for (unsigned i = 0; policy_class_info(i, out) == OK; i++)
        if (!strcmp(out->name, CLASS))
            return;
    EXPECT(!"the class is there");
}

/* ---- Ways to go wrong -------------------------------------------------------------------------- */

static unsigned asked; /* atomic */
static uint8_t *mine;  /* a piece of the heap that is not the policy's to free */
static struct mutex some_lock = MUTEX_INIT(some_lock);

static bool patient(void)
{
    return __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED) % PATIENCE;
}

static unsigned answer_fault(unsigned question)
{
    volatile unsigned zero = question * 0;

    return patient() ? question + 2 : question / zero;
}

static unsigned answer_wild(unsigned question)
{
    if (!patient())
        *(volatile uint64_t *)0xdeadbeefcafef00dul = 1;
    return question + 2;
}

static unsigned answer_loop(unsigned question)
{
    volatile unsigned turns = 0;

    while (turns == 0 && !patient())
        while (turns < UINT32_MAX)
            turns++;
    return question + 2;
}

static unsigned answer_nonsense(unsigned question)
{
    return patient() ? question + 2 : question * 3 + 7;
}

static unsigned answer_keeps(unsigned question)
{
    return patient() || kmalloc(512) ? question + 2 : 0;
}

static unsigned answer_keeps_frames(unsigned question)
{
    return patient() || frame_alloc(4, 0) ? question + 2 : 0;
}

static unsigned answer_frees(unsigned question)
{
    if (!patient())
        kfree(mine);
    return question + 2;
}

static unsigned answer_locks(unsigned question)
{
    if (!patient())
        mutex_lock(&some_lock);
    return question + 2;
}

static unsigned answer_sleeps(unsigned question)
{
    if (!patient())
        thread_sleep(time_now() + NS_PER_MS, 0);
    return question + 2;
}

static unsigned answer_yields(unsigned question)
{
    if (!patient())
        thread_yield();
    return question + 2;
}

static const struct hostile {
    struct answer_ops ops;
    enum policy_fault_kind kind;
    const char *reason;
} hostiles[] = {
    {{sizeof(struct answer_ops), answer_fault}, POLICY_FAULTED, "hostile: faulted"},
    {{sizeof(struct answer_ops), answer_wild}, POLICY_FAULTED, "hostile: faulted"},
    {{sizeof(struct answer_ops), answer_loop}, POLICY_OVERRAN, "hostile: overran its budget"},
    {{sizeof(struct answer_ops), answer_nonsense}, POLICY_NONSENSE, "hostile: answered nonsense"},
    {{sizeof(struct answer_ops), answer_keeps}, POLICY_FAULTED, "hostile: faulted"},
    {{sizeof(struct answer_ops), answer_keeps_frames}, POLICY_FAULTED, "hostile: faulted"},
    {{sizeof(struct answer_ops), answer_frees}, POLICY_FAULTED, "hostile: faulted"},
    {{sizeof(struct answer_ops), answer_locks}, POLICY_FAULTED, "hostile: faulted"},
    {{sizeof(struct answer_ops), answer_sleeps}, POLICY_FAULTED, "hostile: faulted"},
    {{sizeof(struct answer_ops), answer_yields}, POLICY_FAULTED, "hostile: faulted"},
};

enum role { AS_MACHINES, AS_CHOICE, AS_SHADOW };

static struct crew crew;

static void askers_run(uint64_t choice)
{
    crew = (struct crew){0};
    crew_add(&crew, "asker", asker, (void *)choice, ASKERS);
    crew_wait(&crew, 120);
}

/* Every question is answered, and who went wrong is retired, counted and, where it decided, told of. */
static void contain(const struct hostile *h, enum role role)
{
    struct policy honest = {.name = "honest", .ops = &honest_ops};
    struct policy hostile = {.name = "hostile", .ops = &h->ops, .extends = "honest"};
    const char *heir = role == AS_MACHINES ? "honest" : "one_more";
    struct policy_class_info before, after;
    struct policy_info info;
    uint64_t choice = 0;

    __atomic_store_n(&asked, 0, __ATOMIC_RELAXED);
    EXPECT(policy_register(CLASS, &honest) == OK && policy_register(CLASS, &hostile) == OK);
    facts_take(&before);
    if (role == AS_MACHINES)
        EXPECT(policy_set(CLASS, "hostile") == OK);
    else if (role == AS_SHADOW)
        EXPECT(policy_shadow(CLASS, "hostile") == OK);
    else
        EXPECT(policy_choose(CLASS, "hostile", &choice) == OK && choice);
    askers_run(choice);
    facts_take(&after);
    EXPECT(info_find("hostile", &info) && info.retired && !info.active && !info.machine);
    EXPECT(info.figures.faults[h->kind] > 0 && info.figures.calls >= PATIENCE - 1);
    EXPECT(info_find(heir, &info) && info.active && info.machine);
    EXPECT(after.fallbacks == before.fallbacks + (role == AS_MACHINES));
    EXPECT(role != AS_MACHINES || !strcmp(after.reason, h->reason));
    EXPECT(!after.shadow[0]);
    EXPECT(policy_set(CLASS, "hostile") == ERR_ACCESS && policy_shadow(CLASS, "hostile") == ERR_ACCESS &&
           policy_choose(CLASS, "hostile", &choice) == ERR_ACCESS);
    policy_unregister(CLASS, &hostile);
    policy_unregister(CLASS, &honest);
    EXPECT(info_find("one_more", &info) && info.active);
}

static void contain_all(enum role role)
{
    class_ensure();
    mine = kmalloc(64);
    for (unsigned i = 0; i < ARRAY_SIZE(hostiles); i++)
        contain(&hostiles[i], role);
    kfree(mine); /* it panics if it was freed */
    mutex_lock(&some_lock);
    mutex_unlock(&some_lock);
}

static void hostile_machines(void)
{
    contain_all(AS_MACHINES);
}

static void hostile_choices(void)
{
    contain_all(AS_CHOICE);
}

static void hostile_shadows(void)
{
    contain_all(AS_SHADOW);
}

/* ---- Answers, choices, figures ----------------------------------------------------------------- */

static void answers_are_counted(void)
{
    struct policy honest = {.name = "honest", .ops = &honest_ops}, other = {.name = "other", .ops = &honest_ops};
    struct policy_info info;
    uint64_t choice;

    class_ensure();
    EXPECT(policy_register(CLASS, &honest) == OK && policy_register(CLASS, &other) == OK);
    EXPECT(policy_choose(CLASS, "honest", &choice) == OK && choice == honest.number);
    for (unsigned i = 0; i < 160; i++) {
        EXPECT(ask(i, 0) == builtin.number);
        EXPECT(ask(i, choice) == honest.number);
        policy_measure(&class, 3, 1);
    }
    EXPECT(policy_set(CLASS, "other") == OK);
    policy_measure(&class, 5, 1);
    EXPECT(ask(1, 0) == other.number && ask(1, choice) == honest.number);
    EXPECT(info_find("honest", &info) && info.figures.calls == 161 && info.figures.right == 161 &&
           info.figures.judged == 161 && info.figures.timed == 11 && info.figures.work == 0);
    EXPECT(info_find("other", &info) && info.figures.cost == 5 && info.figures.work == 1);
    policy_unregister(CLASS, &honest);
    EXPECT(ask(1, choice) == other.number); /* its number is nobody's now */
    EXPECT(policy_register(CLASS, &honest) == OK && honest.number != choice);
    EXPECT(ask(1, choice) == other.number);
    EXPECT(info_find("honest", &info) && info.figures.calls == 0);
    policy_unregister(CLASS, &honest);
    policy_unregister(CLASS, &other);
    EXPECT(ask(1, 0) == builtin.number);
}

/* ---- Going while somebody is inside ------------------------------------------------------------ */

/* What of a policy is gone when it is: whoever comes in later finds nothing. */
struct visitor {
    struct policy policy;
    struct answer_ops ops;
};

static unsigned inside; /* atomic: CPUs in a visitor */

static unsigned answer_slowly(unsigned question)
{
    uint64_t until = time_now() + 50 * NS_PER_US;

    __atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED);
    while (time_now() < until)
        ;
    __atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
    return question + 2;
}

static uint64_t visitors_number; /* atomic */

static void visit(void *arg)
{
    for (unsigned i = 0; !crew_stops(arg); i++) {
        ask(i, i % 2 ? __atomic_load_n(&visitors_number, __ATOMIC_RELAXED) : 0);
        if (i % 16 == 0)
            thread_yield();
    }
}

static void visitor_comes_and_goes(unsigned round)
{
    struct visitor *v = kzalloc(sizeof(*v));
    uint64_t number = 0;

    v->ops = (struct answer_ops){sizeof(v->ops), answer_slowly};
    v->policy = (struct policy){.name = "visitor", .ops = &v->ops};
    EXPECT(policy_register(CLASS, &v->policy) == OK);
    if (round % 3 != 1)
        EXPECT(policy_set(CLASS, "visitor") == OK);
    if (round % 3 != 2)
        EXPECT(policy_shadow(CLASS, "visitor") == OK);
    EXPECT(policy_choose(CLASS, "visitor", &number) == OK);
    __atomic_store_n(&visitors_number, number, __ATOMIC_RELAXED);
    thread_sleep(time_now() + 300 * NS_PER_US, 0);
    policy_unregister(CLASS, &v->policy);
    EXPECT(__atomic_load_n(&inside, __ATOMIC_RELAXED) == 0);
    memset(v, 0xa5, sizeof(*v)); /* whoever still looks there faults */
    kfree(v);
}

static void goes_while_inside(void)
{
    class_ensure();
    crew = (struct crew){0};
    crew_add(&crew, "visit", visit, &crew, 2 * cpu_count());
    for (unsigned i = 0; i < 150; i++)
        visitor_comes_and_goes(i);
    crew_end(&crew, 60);
}

/* ---- A thousand switches a second -------------------------------------------------------------- */

static struct crew storm;
static struct policy storm_honest = {.name = "honest", .ops = &honest_ops};
static uint64_t storm_switches, storm_began, storm_questions;

/* Both classes change each millisecond; a machine that is too slow for that changes them as often as it
 * can. */
static void storm_switch(void *arg)
{
    uint64_t due = time_now();

    for (unsigned i = 0; !crew_stops(arg); i++) {
        EXPECT(policy_set(CLASS, i % 2 ? "one_more" : "honest") == OK);
        EXPECT(policy_set("sched", i % 2 ? "round_robin" : "ktest_fifo") == OK);
        storm_switches += 2;
        due += NS_PER_MS;
        if (due > time_now())
            thread_sleep(due, 0);
    }
}

static void storm_ask(void *arg)
{
    for (unsigned i = 0; !crew_stops(arg); i++) {
        ask(i, 0);
        __atomic_fetch_add(&storm_questions, 1, __ATOMIC_RELAXED);
        if (i % 8 == 0)
            thread_yield();
    }
}

void ktest_switches_begin(void)
{
    class_ensure();
    storm = (struct crew){0};
    storm_switches = storm_questions = 0;
    storm_began = time_now();
    EXPECT(policy_register(CLASS, &storm_honest) == OK);
    ktest_fifo_register();
    crew_add(&storm, "switch", storm_switch, &storm, 1);
    crew_add(&storm, "ask", storm_ask, &storm, 2);
}

void ktest_switches_end(void)
{
    uint64_t ms = (time_now() - storm_began) / NS_PER_MS;
    struct policy_info info;
    char text[80];

    crew_end(&storm, 60);
    EXPECT(info_find("honest", &info) && !info.retired);
    policy_unregister(CLASS, &storm_honest);
    ktest_fifo_unregister();
    EXPECT(storm_switches && storm_questions);
    host_stat("switches.count=%lu", storm_switches);
    host_stat("switches.ms=%lu", ms);
    snprintf(text, sizeof(text), ": %lu switches, %lu decisions in %lu ms", storm_switches, storm_questions, ms);
    ktest_note(text);
}

/*
 * Pairs of threads that hand a token over and wait for it without a limit: a wake-up that is lost leaves
 * both asleep, and the crew does not end.
 */
struct pair {
    struct wait_queue queue;
    uint64_t turn; /* atomic */
    bool stop;     /* atomic: whose turn it is ends the game */
    bool over;     /* atomic */
};

static struct pair pairs[4];

static bool pair_over(const struct pair *p)
{
    return __atomic_load_n(&p->over, __ATOMIC_ACQUIRE);
}

static void pair_play(struct pair *p, unsigned side)
{
    while (!pair_over(p)) {
        WAIT_UNTIL(&p->queue, __atomic_load_n(&p->turn, __ATOMIC_ACQUIRE) % 2 == side || pair_over(p),
                   TIME_NEVER, 0);
        if (__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE))
            __atomic_store_n(&p->over, true, __ATOMIC_RELEASE);
        __atomic_fetch_add(&p->turn, 1, __ATOMIC_RELEASE);
        wait_wake(&p->queue, 1);
    }
}

static void pair_even(void *arg)
{
    pair_play(arg, 0);
}

static void pair_odd(void *arg)
{
    pair_play(arg, 1);
}

/* The CPUs are never idle; but who keeps one for its whole slice keeps the switching thread from it, too. */
static void storm_hogs(void *arg)
{
    uint64_t random = 1;

    while (!crew_stops(arg)) {
        for (unsigned i = 0; i < 1000; i++)
            ktest_random(&random);
        thread_yield();
    }
}

/* Nobody is woken for it: they still play. */
static void pairs_end(struct crew *players)
{
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
        __atomic_store_n(&pairs[i].stop, true, __ATOMIC_RELEASE);
    crew_wait(players, 60);
}

static void thousand_a_second(void)
{
    static struct crew players, hogs;
    uint64_t end = time_now() + boot_option_number("ktest.seconds", 4) * NS_PER_SEC;

    players = hogs = (struct crew){0};
    memset(pairs, 0, sizeof(pairs));
    ktest_switches_begin();
    crew_add(&hogs, "hog", storm_hogs, &hogs, cpu_count());
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        wait_queue_init(&pairs[i].queue);
        crew_add(&players, "even", pair_even, &pairs[i], 1);
        crew_add(&players, "odd", pair_odd, &pairs[i], 1);
    }
    while (time_now() < end)
        thread_sleep(time_now() + 20 * NS_PER_MS, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
        EXPECT(__atomic_load_n(&pairs[i].turn, __ATOMIC_ACQUIRE) > 0);
    pairs_end(&players);
    crew_end(&hogs, 60);
    ktest_switches_end();
}

static const struct ktest_case cases[] = {
    {"answers_are_counted", answers_are_counted},
    {"hostile_machines", hostile_machines},
    {"hostile_choices", hostile_choices},
    {"hostile_shadows", hostile_shadows},
    {"goes_while_inside", goes_while_inside},
    {"thousand_a_second", thousand_a_second},
    {NULL, NULL},
};

const struct ktest_suite suite_decisions = {.name = "decisions", .cases = cases};
