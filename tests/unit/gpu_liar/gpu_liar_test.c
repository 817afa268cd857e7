/*
 * gpu_liar_test.c: the lives of tests/hostile_gpu/machine.c, without a machine: each lie at each place, many by chance,
 * and by chance with memory that runs out. What is read or written out of bounds, freed twice, used late or left over
 * is the sanitizers' business; nobody may wait for what nobody would end. FUZZ_SEED=N is another run, FUZZ_LIVES=N a longer
 * one, LIE=WHAT one lie.
 */
#include "tests/unit/nucleus/stand_ins.h"

#include "modules/drivers/virtio/include/virtio.h"
#include "world.h"

#include "tests/hostile_gpu/machine.c"

#define LIVES 3000u

static uint64_t setting(const char *name, uint64_t fallback)
{
    return getenv(name) ? strtoull(getenv(name), NULL, 0) : fallback;
}

/* Each life is the same whatever was before it. */
static bool life_step(void)
{
    static unsigned seen;

    if (lives != seen)
        random_seed(m.liar.state);
    seen = lives;
    return device_step();
}

static int machine_begin(void **state)
{
    static bool loaded;

    (void)state;
    cpus_reset(1);
    for (unsigned i = 0; i < manifest_count && !loaded; i++)
        if (!strcmp(manifests[i]->name, "virtio_gpgpu"))
            loaded = manifests[i]->init() == OK;
    random_seed(setting("FUZZ_SEED", 1));
    log_forget();
    world_step = life_step;
    return 0;
}

static void run(const char *what, uint64_t count, unsigned fail_every)
{
    world_what = what;
    world_lives = count;
    world_seed = setting("FUZZ_SEED", 1);
    world_fails = fail_every;
    failures = 0;
    assert_int_equal(hostile_main(), 0);
    machine_check_idle();
}

static void each_lie_at_each_place(void **state)
{
    (void)state;
    run(getenv("LIE") ? getenv("LIE") : "directed", 0, 0);
}

static void by_chance_often(void **state)
{
    (void)state;
    run("random", setting("FUZZ_LIVES", LIVES), 0);
}

static void mistakes_of_callers(void **state)
{
    (void)state;
    run("misuse", 0, 0);
}

static void by_chance_without_memory(void **state)
{
    (void)state;
    run("random", setting("FUZZ_LIVES", LIVES), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mistakes_of_callers, machine_begin),
        cmocka_unit_test_setup(each_lie_at_each_place, machine_begin),
        cmocka_unit_test_setup(by_chance_often, machine_begin),
        cmocka_unit_test_setup(by_chance_without_memory, machine_begin),
    };

    return cmocka_run_group_tests_name("gpu_liar", tests, NULL, NULL);
}
