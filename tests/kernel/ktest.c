/*
 * ktest.c: runs the suite that the option ktest=SUITE names (ktest=SUITE/CASE: one case; ktest=all),
 * prints "ok SUITE/CASE" or "FAIL SUITE/CASE: why" lines, and ends the machine with 0 or 1.
 */
#include "crew.h"

#include <microlake/gpu.h>

#include "uapi/kmod.h"

/* per-CPU caches of frames, objects and stacks; rings of traces */
#define LEAK_SLACK (MAX(cpu_count(), 4u) * (160ul << 10))

static const struct ktest_suite *const suites[] = {&suite_memory,   &suite_threads, &suite_time,
                                                   &suite_policies, &suite_decisions, &suite_modules, &suite_aspaces,
                                                   &suite_gpu,      &suite_exhaustion, &suite_ports, &suite_costs, &suite_deaths,
                                                   &suite_traces,   &suite_storms,  &suite_cycles,
                                                   &suite_malformed, &suite_soak, &suite_gpu_crc, &suite_crc,
                                                   &suite_gpu_costs, &suite_gpu_memory};
static char failure[160], note[48];
static unsigned failures;

static void say(const char *text)
{
    const struct host_channel *host = host_channel();

    if (host->write)
        host->write(1, text, strlen(text));
    else
        log_warn("%s", text);
}

void ktest_note(const char *text)
{
    strlcpy(note, text, sizeof(note));
}

void ktest_fail(const char *file, int line, const char *what)
{
    if (!failure[0])
        snprintf(failure, sizeof(failure), "%s:%d: %s", file, line, what);
}

static uint64_t memory_free(void)
{
    struct memory_stats stats;

    memory_stats(&stats);
    return stats.free;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* Threads that ended are cleared away, and surplus stacks with the next thread that is made. */
static void memory_settle(void)
{
    struct thread *t;

    thread_sleep(time_now() + 2 * NS_PER_MS, 0);
    if (thread_create("settle", nothing, NULL, &t) == OK) {
        thread_join(t, TIME_NEVER);
        thread_unref(t);
    }
}

static void stay(void *arg)
{
    while (!crew_stops(arg))
        thread_sleep(time_now() + NS_PER_MS, 0);
}

/* The kernel keeps some free stacks: as many as it will keep are there before the first case. */
static void stacks_fill(void)
{
    static struct crew crew;

    crew_add(&crew, "stay", stay, &crew, CREW_MAX);
    crew_end(&crew, 60);
}

/* What is alive on the GPU is what was before the case. */
static void gpu_settled_expect(const struct gpu_stats *before)
{
    struct gpu_stats now;

    gpu_stats(&now);
    for (unsigned kind = 0; kind < GPU_OBJECT_KINDS; kind++)
        EXPECT(now.objects[kind] == before->objects[kind]);
    EXPECT(now.contexts == before->contexts);
    EXPECT(now.memory == before->memory);
    EXPECT(now.batches == before->batches);
    EXPECT(now.managed == before->managed && now.resident == before->resident);
}

static void case_run(const struct ktest_suite *suite, const struct ktest_case *c)
{
    uint64_t before = memory_free(), after;
    struct gpu_stats gpu;
    char line[240];

    failure[0] = note[0] = '\0';
    gpu_stats(&gpu);
    c->run();
    memory_settle();
    after = memory_free();
    gpu_settled_expect(&gpu);
    if (after + LEAK_SLACK < before && !failure[0])
        snprintf(failure, sizeof(failure), "%lu KiB of memory lost", (before - after) >> 10);
    if (failure[0]) {
        failures++;
        snprintf(line, sizeof(line), "FAIL %s/%s: %s\n", suite->name, c->name, failure);
    } else {
        snprintf(line, sizeof(line), "ok %s/%s%s\n", suite->name, c->name, note);
    }
    say(line);
}

static bool gpu_is_there(void)
{
    struct vgpgpu_config config;

    return gpu_device_info(0, &config) != ERR_NOT_FOUND;
}

/* "suite", "suite/case" or "all". */
static bool wanted(const char *which, const struct ktest_suite *suite, const struct ktest_case *c)
{
    size_t length = strlen(suite->name);

    if (!strcmp(which, "all"))
        return !suite->ends_machine && !suite->by_name && (!suite->needs_gpu || gpu_is_there());
    if (strncmp(which, suite->name, length))
        return false;
    return which[length] == '\0' ? !suite->ends_machine
                                 : which[length] == '/' && !strcmp(which + length + 1, c->name);
}

static int ktest_main(void)
{
    const char *which = boot_option("ktest", 0);
    unsigned ran = 0;
    char line[200];

    if (!which || !*which)
        which = "all";
    cpu_wait_all();
    stacks_fill();
    for (unsigned s = 0; s < ARRAY_SIZE(suites); s++)
        for (const struct ktest_case *c = suites[s]->cases; c->name; c++)
            if (wanted(which, suites[s], c)) {
                case_run(suites[s], c);
                ran++;
            }
    if (!ran) {
        snprintf(line, sizeof(line), "FAIL %s: there is no such suite or case\n", which);
        say(line);
    }
    return failures || !ran;
}

static int ktest_init(void)
{
    boot_set_main(ktest_main);
    return OK;
}

KMOD_MANIFEST(.name = "ktest", .version = "1.0.0", .needs = "", .init = ktest_init);
