/*
 * main.c: the order in which Micro-LAKE comes up. Each step may use the ones before it.
 */
#include <arch/arch.h>
#include <arch/x86.h>
#include <microlake/boot.h>
#include <microlake/gpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/time.h>
#include <microlake/wait.h>
#include "archive.h"
#include "boot_internal.h"
#include "kernel/mm/mm.h"
#include "kernel/thread/sched.h"
#include "kernel/time/time_internal.h"
#include "kernel/trace/trace_internal.h"

#define STATUS_NO_MAIN 125 /* the launcher's "the machine failed" */
#define LATE_NS        (100 * NS_PER_MS) /* the command's start is its own */

static int (*main_run)(void);
static uint64_t boot_kib; /* memory in use at the end of start-up */

void boot_set_main(int (*run)(void))
{
    main_run = run;
}

static void stats_report(void)
{
    struct memory_stats m;
    struct module_info info;
    struct policy_info policy;

    memory_stats(&m);
    host_stat("memory.boot_kib=%lu", boot_kib);
    host_stat("memory.total_kib=%lu", m.total >> 10);
    host_stat("memory.used_kib=%lu", (m.total - m.free) >> 10);
    host_stat("cpus=%u", cpu_count());
    for (unsigned i = 0; module_info(i, &info) == OK; i++)
        host_stat("module.%s=%s, %zu KiB", info.name, info.version, info.size >> 10);
    for (unsigned i = 0; policy_info("sched", i, &policy) == OK; i++)
        host_stat("policy.sched.%s=%s%lu decisions", policy.name, policy.active ? "active, " : "",
                  policy.figures.calls);
    host_stat("policy.sched.switches=%lu", policy_switches("sched"));
}

/* ---- what can wait until the command runs ---- */

static struct wait_queue command_queue = WAIT_QUEUE_INIT(command_queue);
static bool command_runs; /* atomic */

void boot_command_begins(void)
{
    host_mark("first-user");
    __atomic_store_n(&command_runs, true, __ATOMIC_RELEASE);
    wait_wake_all(&command_queue);
}

static void load_late(void *arg)
{
    (void)arg;
    WAIT_UNTIL(&command_queue, __atomic_load_n(&command_runs, __ATOMIC_ACQUIRE), TIME_NEVER, 0);
    thread_sleep(time_now() + LATE_NS, 0);
    module_load_late();
}

static void late_prepare(void)
{
    struct thread *late;

    if (thread_create("late", load_late, NULL, &late) == OK)
        thread_unref(late);
    else
        module_load_late(); /* now, then */
}

/* ---- start ---- */

/* The rest of the start, in an ordinary thread. */
static void boot_continue(void *arg)
{
    unsigned status = STATUS_NO_MAIN;
    struct memory_stats m;
    bool late;

    (void)arg;
    trace_start();
    gpu_memory_start();
    module_load_boot(&late);
    if (late)
        late_prepare();
    memory_stats(&m);
    boot_kib = (m.total - m.free) >> 10;
    log_info("boot: %lu us to the end of start-up, %lu KiB in use", time_now() / NS_PER_US,
             boot_kib);
    if (main_run)
        status = (unsigned)main_run() & 0xff;
    else
        log_error("boot: no personality in the boot archive: nobody can run '%s'", boot_command());
    stats_report();
    machine_exit(status);
}

void kernel_start(uint32_t start_info)
{
    struct thread *boot;

    cpu_init_boot();
    trace_init();
    serial_init();
    boot_info_read(start_info);
    boot_options_init();
    log_init();
    frame_init();
    kva_init();
    paging_init();
    frame_init_high();
    user_access_init();
    apic_init_boot();
    time_init_early();
    cpus[0]->apic_id = apic_id_read();
    boot_archive_init();
    sched_init();
    smp_start();
    time_init();
    apic_init_this();
    if (thread_create("boot", boot_continue, NULL, &boot) != OK)
        panic("no memory for the first thread");
    sched_start(this_cpu());
}
