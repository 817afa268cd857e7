/*
 * kills_test.c: processes of gpud killed in the middle of work, at random points: every fence that was
 * pending is signalled, contexts that are made anew work, another machine notices nothing, and no process,
 * descriptor, mapping or folder is left.
 *
 *     gpud_kills [ROUNDS [SEED]]      GPUD: another gpud than build/host/gpud
 *
 * Of twenty rounds ten kill the device process, one of these twice; seven the front, one of these while the next
 * one starts; two the keeper, and one the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fuzz.h"

#define QUEUES   4u
#define WAIT_MS  60000
#define LATEST_MS 60u /* a kill comes within this of the work's beginning */
#define ATTEMPTS 5

static unsigned long rounds = 20;
struct fuzz fuzz; /* not used here */

static struct rig machine, beside;
static unsigned long lost, whole; /* queues whose work was lost, and was not */

static const char kernels[] =
    "kernel void spin(global volatile int *c, int n) { for (int i = 0; i < n; i++) c[0] = i; }\n"
    "kernel void put(global int *c, int v) { c[1] = v; }\n";

/* ---- What is there */

struct things {
    unsigned processes, descriptors, mapped_kib; /* mappings that touch by chance are one to Linux */
};

static unsigned mapped_count(const char *path, const char *text)
{
    char line[512];
    unsigned long start, end, count = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file))
        if (strstr(line, text) && sscanf(line, "%lx-%lx", &start, &end) == 2)
            count += (end - start) >> 10;
    if (file)
        fclose(file);
    return (unsigned)count;
}

static unsigned entries_count(const char *path)
{
    unsigned count = 0;
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

/* All that descend from a process and live, and what they hold; the device process's own is PoCL's affair. */
static void things_add(pid_t parent, struct things *things)
{
    char path[64], comm[32] = "", state = 0;
    int child;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    FILE *children = fopen(path, "r");
    while (children && fscanf(children, "%d", &child) == 1) {
        snprintf(path, sizeof(path), "/proc/%d/stat", child);
        FILE *stat = fopen(path, "r");
        if (stat && fscanf(stat, "%*d (%31[^)]) %c", comm, &state) == 2 && state != 'Z') {
            things->processes++;
            if (strcmp(comm, "gpud-device") != 0) {
                snprintf(path, sizeof(path), "/proc/%d/fd", child);
                things->descriptors += entries_count(path);
                snprintf(path, sizeof(path), "/proc/%d/maps", child);
                things->mapped_kib += mapped_count(path, "memfd:");
            }
        }
        if (stat)
            fclose(stat);
        things_add(child, things);
    }
    if (children)
        fclose(children);
}

static struct things things_now(void)
{
    struct things things = {0};
    things_add(getpid(), &things);
    return things;
}

/* What goes takes a moment; what stays, stays. */
static void things_check(const struct things *before)
{
    struct things now = things_now();
    for (int waited = 0; memcmp(&now, before, sizeof(now)) && waited < 2000; waited++) {
        poll(NULL, 0, 5);
        now = things_now();
    }
    if (memcmp(&now, before, sizeof(now)))
        fail_msg("%u processes, %u descriptors, %u KiB mapped; there were %u, %u, %u", now.processes,
                 now.descriptors, now.mapped_kib, before->processes, before->descriptors,
                 before->mapped_kib);
}

/* ---- Work */

static void machine_prepare(struct rig *rig)
{
    uint64_t args;
    char log[1024];
    struct vgpgpu_segment segment = {rig->fence_guest + VGPGPU_PAGE, VGPGPU_PAGE};
    memset(rig->fences, 0, sizeof(rig->fences));
    assert_int_equal(front_buffer_guest(rig->front, 1, 1, VGPGPU_PAGE, &segment, 1), 0);
    assert_int_equal(front_buffer_device(rig->front, 1, 2, VGPGPU_PAGE), 0);
    assert_int_equal(front_sub_buffer(rig->front, 1, 9, 2, 0, 2048), 0);
    assert_int_equal(front_program(rig->front, 1, 1, kernels, log, sizeof(log)), 0);
    assert_int_equal(front_kernel(rig->front, 1, 1, 1, "spin", &args), 0);
    assert_int_equal(front_kernel(rig->front, 1, 2, 1, "put", &args), 0);
}

static void machine_open(struct rig *rig)
{
    *rig = (struct rig){.front = front_open(rig_socket(), 32u << 20)};
    rig->fence_guest = front_pages(rig->front, 2);
    rig->slots = front_at(rig->front, rig->fence_guest);
    rig->batch = calloc(1, sizeof(*rig->batch));
    assert_non_null(rig->batch);
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
    machine_prepare(rig);
}

static void launch_add(struct rig *rig, uint32_t kernel, int value)
{
    batch_launch(rig->batch, kernel, 1, 1);
    batch_arg_buffer(rig->batch, 1, 0);
    batch_arg_value(rig->batch, &value, sizeof(value));
}

static void work_check(struct rig *rig)
{
    const int *cells = front_at(rig->front, rig->fence_guest + VGPGPU_PAGE);
    int value = (int)random_next();
    rig_batch(rig);
    launch_add(rig, 2, value);
    assert_int_equal(rig_run(rig, QUEUES), 0);
    assert_int_equal(cells[1], value);
}

/* Room for one more submission. False: nobody takes any. */
static bool room_wait(struct front *front)
{
    uint16_t head;
    uint32_t written;
    while (!front->queues[VGPGPU_QUEUE_SUBMIT].free_count)
        if (!front_take(front, VGPGPU_QUEUE_SUBMIT, WAIT_MS, &head, &written))
            return false;
    return true;
}

static void work_submit(struct rig *rig)
{
    uint32_t queue = random_below(QUEUES);
    if (!room_wait(rig->front))
        return;
    rig_batch(rig);
    uint32_t count = 1 + random_below(4);
    for (uint32_t left = count; left; left--) {
        launch_add(rig, 1, (int)random_below(200000));
        batch_copy(rig->batch, 1, 0, random_below(2) ? 2 : 9, 64, 32);
        if (left > 1)
            batch_signal(rig->batch, left - 1);
    }
    rig->fences[queue] += count;
    front_submit_flags(rig->front, 1, queue, rig->fences[queue], random_below(2),
                       rig->batch->commands, rig->batch->bytes);
}

/* A request that may be the one that the device process dies under. */
static void work_ask(struct rig *rig)
{
    static unsigned number;
    char source[100], log[1024];
    uint32_t status;
    if (one_in(3)) {
        snprintf(source, sizeof(source), "kernel void k(global int *c) { c[0] = %u; }", ++number);
        status = front_program(rig->front, 1, 3, source, log, sizeof(log));
        if (!status)
            status = front_destroy(rig->front, VGPGPU_PROGRAM_DESTROY, 1, 3);
    } else {
        status = front_buffer_device(rig->front, 1, 3, VGPGPU_PAGE);
        if (!status)
            status = front_destroy(rig->front, VGPGPU_BUFFER_DESTROY, 1, 3);
    }
    if (status && status != VGPGPU_ERR_LOST && status != UINT32_MAX)
        fail_msg("status %u of a request while a process is killed", status);
}

/* ---- Kills */

struct killer {
    const char *name;
    unsigned pause_ms;
    pid_t victim;
    atomic_bool done;
};

static void *killer_run(void *argument)
{
    struct killer *killer = argument;
    poll(NULL, 0, (int)killer->pause_ms);
    kill(killer->victim, SIGKILL);
    atomic_store(&killer->done, true);
    return NULL;
}

static bool connection_is_gone(void)
{
    struct pollfd event = {.fd = machine.front->socket, .events = POLLIN};
    return poll(&event, 1, 0) == 1;
}

/* Work goes on until the kill and a little beyond. */
static void work_until_killed(struct killer *killer)
{
    pthread_t thread;
    killer->victim = rig_process(killer->name);
    assert_true(killer->victim > 0);
    assert_int_equal(pthread_create(&thread, NULL, killer_run, killer), 0);
    for (unsigned beyond = random_below(4); beyond && !connection_is_gone();) {
        if (one_in(12))
            work_ask(&machine);
        else
            work_submit(&machine);
        if (atomic_load(&killer->done))
            beyond--;
    }
    while (!atomic_load(&killer->done))
        poll(NULL, 0, 1);
    pthread_join(thread, NULL);
}

/* Every fence comes, whatever became of the work. */
static void fences_check(void)
{
    for (uint32_t queue = 0; queue < QUEUES; queue++) {
        assert_int_equal(
            front_wait(machine.front, &machine.slots[queue], machine.fences[queue], 50, WAIT_MS), 0);
        uint32_t status = machine.slots[queue].status;
        if (status != VGPGPU_OK && status != VGPGPU_ERR_LOST)
            fail_msg("status %u of work that a kill may have ended", status);
        *(status ? &lost : &whole) += 1;
    }
}

/* New contexts work; when the next device process is killed as it starts, they do at the next attempt. */
static void context_renew(bool again)
{
    uint32_t status = VGPGPU_ERR_LOST;
    assert_int_equal(front_context_destroy(machine.front, 1), 0);
    for (int attempt = 0; attempt < ATTEMPTS && status; attempt++) {
        status = front_context_create(machine.front, 1, machine.fence_guest);
        assert_true(status == VGPGPU_OK || status == VGPGPU_ERR_LOST);
        pid_t device = rig_process("gpud-device");
        if (again && device) {
            poll(NULL, 0, (int)random_below(100));
            kill(device, SIGKILL);
            again = false;
            if (!status)
                assert_int_equal(front_context_destroy(machine.front, 1), 0);
            status = VGPGPU_ERR_LOST;
        }
    }
    assert_int_equal(status, 0);
    machine_prepare(&machine);
}

static void device_round(bool again)
{
    struct killer killer = {.name = "gpud-device", .pause_ms = random_below(LATEST_MS)};
    work_until_killed(&killer);
    fences_check();
    context_renew(again);
}

/* Another front takes its place. `again`: that is killed, too, before it has begun. */
static void front_round(bool again)
{
    struct killer killer = {.name = "gpud-front", .pause_ms = random_below(LATEST_MS)};
    work_until_killed(&killer);
    for (unsigned looks = 0; again && looks < 10000; looks++) {
        pid_t next = rig_process("gpud-front");
        again = !next || next == killer.victim;
        if (!again) {
            poll(NULL, 0, (int)random_below(20));
            kill(next, SIGKILL);
        }
    }
    fences_check();
    context_renew(false);
}

/* The machine loses its device: the connection says so. It may connect again. */
static void keeper_round(void)
{
    struct killer killer = {.name = "gpud-keeper", .pause_ms = random_below(LATEST_MS)};
    char byte;
    work_until_killed(&killer);
    assert_int_equal(read(machine.front->socket, &byte, 1), 0);
    front_close(machine.front);
    free(machine.batch);
    machine_open(&machine);
}

/* The machines' work goes on without it. */
static void broker_round(void)
{
    for (unsigned i = 0; i < 20; i++)
        work_submit(&machine);
    rig_broker_replace();
    for (unsigned i = 0; i < 20; i++)
        work_submit(&machine);
    fences_check();
    assert_int_equal(machine.slots[0].status, 0);
}

static void round_run(unsigned long round)
{
    unsigned which = round % 20;
    if (which == 9 || which == 17)
        keeper_round();
    else if (which == 19)
        broker_round();
    else if (which % 2 == 0 && which < 14)
        front_round(which == 6);
    else
        device_round(which == 11);
}

/* What orphans leave is this process's to bury. */
static void orphans_bury(void)
{
    siginfo_t ended = {0};
    while (waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT | WNOHANG) == 0 && ended.si_pid &&
           ended.si_pid != rig_broker()) {
        waitpid(ended.si_pid, NULL, 0);
        ended.si_pid = 0;
    }
}

static void test_kills(void **state)
{
    (void)state;
    machine_open(&beside);
    machine_open(&machine);
    struct things before = things_now();
    for (unsigned long round = 0; round < rounds; round++) {
        round_run(round);
        work_check(&machine);
        work_check(&beside);
        orphans_bury();
        things_check(&before);
    }
    rig_close(&machine);
    rig_close(&beside);
    /* The broker is left. */
    for (int waited = 0; things_now().processes > 1 && waited < 60000; waited++) {
        orphans_bury();
        poll(NULL, 0, 1);
    }
    assert_int_equal(things_now().processes, 1);
    assert_int_equal(things_now().mapped_kib, 0);
    print_message("%lu rounds; the work of %lu queues was lost, of %lu it was not\n", rounds, lost,
                  whole);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kills)};
    rig_arguments(argc, argv, "ROUNDS", &rounds, &fuzz_seed);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
