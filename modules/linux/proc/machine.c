/*
 * machine.c: the files in /proc and /sys about the machine. They are registered when somebody first
 * looks into one of the two: most short-lived machines never do. See proc.h.
 */
#include <microlake/boot.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/module.h>
#include <microlake/random.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/include/linux_text.h"
#include "modules/linux/machine.h"
#include "modules/linux/proc/proc.h"
#include "modules/linux/process/process.h"
#include "modules/linux/time/clock.h"

void text_add(struct text *t, const char *format, ...)
{
    size_t left = t->used < t->room ? t->room - t->used : 0;
    char none[1];
    va_list args;

    va_start(args, format);
    t->used +=
        (size_t)vsnprintf(left > 0 ? t->out + t->used : none, left > 0 ? left : 1, format, args);
    va_end(args);
}

/* ---- Memory ---- */

static void add_size(struct text *t, const char *name, uint64_t bytes)
{
    text_add(t, "%-15s %8llu kB\n", name, (unsigned long long)(bytes / 1024));
}

/* What there is none of here is 0: swap, and a cache of blocks. Cached are pages of files that were read,
 * not those that programs mapped. */
static long show_meminfo(void *context, char *out, size_t size)
{
    static const char *const none[] = {"Buffers:",   "SwapCached:", "Active:", "Inactive:",
                                       "SwapTotal:", "SwapFree:",   "Dirty:",
                                       "Writeback:", "Shmem:",    "SReclaimable:"};
    struct text t = {out, size, 0};
    struct memory_stats m;

    (void)context;
    memory_stats(&m);
    add_size(&t, "MemTotal:", m.total);
    add_size(&t, "MemFree:", m.free);
    add_size(&t, "MemAvailable:", m.free + m.reclaimable);
    add_size(&t, "Cached:", m.reclaimable);
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        add_size(&t, none[i], 0);
    add_size(&t, "Slab:", m.heap);
    add_size(&t, "SUnreclaim:", m.heap);
    add_size(&t, "CommitLimit:", m.total);
    text_add(&t, "HugePages_Total: %6u\nHugePages_Free:  %6u\n", 0u, 0u);
    add_size(&t, "Hugepagesize:", 2u << 20);
    return text_length(&t);
}

/* ---- Load ---- */

struct cpu_sum {
    uint64_t ns, switches;
};

static void add_thread(struct thread *thread, void *context)
{
    struct cpu_sum *sum = context;

    sum->ns += thread->cpu_time;
    sum->switches += thread->switches;
}

static long show_stat(void *context, char *out, size_t size)
{
    const uint64_t tick = NS_PER_SEC / LINUX_TICKS_PER_SECOND;
    uint64_t up = time_now() * cpu_count() / tick, busy;
    struct text t = {out, size, 0};
    struct cpu_sum sum = {0};

    (void)context;
    thread_for_each(add_thread, &sum);
    busy = MIN(sum.ns / tick, up);
    text_add(&t, "cpu  %llu 0 0 %llu 0 0 0 0 0 0\n", (unsigned long long)busy,
             (unsigned long long)(up - busy));
    for (unsigned i = 0; i < cpu_count(); i++)
        text_add(&t, "cpu%u %llu 0 0 %llu 0 0 0 0 0 0\n", i,
                 (unsigned long long)(busy / cpu_count()),
                 (unsigned long long)((up - busy) / cpu_count()));
    text_add(&t, "ctxt %llu\nbtime %llu\nprocesses %u\nprocs_running 1\nprocs_blocked 0\n",
             (unsigned long long)sum.switches,
             (unsigned long long)(clock_wall_offset() / NS_PER_SEC), process_counts.processes);
    return text_length(&t);
}

/*
 * The load: how many CPUs were busy, averaged with exponentially less weight for what is longer ago.
 * The steps and weights are Linux's (5 s; 2048ths for 1, 5 and 15 minutes), but nothing ticks here:
 * a look takes the steps that are due at once, with the mean of the time since the last one.
 */
#define LOAD_STEP  (5 * NS_PER_SEC)
#define LOAD_ONE   2048u
#define LOAD_STEPS 1024u /* after so many nothing of the past is left */

static struct mutex load_lock = MUTEX_INIT(load_lock);
static uint64_t load_at, load_busy;  /* ns: when it was looked at, and CPU time until then */
static uint64_t load_average[3];     /* in units of 1/LOAD_ONE; these three: guarded by load_lock */

static void load_update_locked(uint64_t now)
{
    static const uint32_t weight[] = {1884, 2014, 2037};
    uint64_t steps = (now - load_at) / LOAD_STEP, mean;
    struct cpu_sum sum = {0};

    if (steps == 0)
        return;
    thread_for_each(add_thread, &sum);
    mean = sum.ns > load_busy ? (sum.ns - load_busy) / ((now - load_at) / LOAD_ONE) : 0;
    load_at = now;
    load_busy = sum.ns;
    for (uint64_t i = 0; i < MIN(steps, LOAD_STEPS); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(weight); k++)
            load_average[k] =
                (load_average[k] * weight[k] + mean * (LOAD_ONE - weight[k])) / LOAD_ONE;
    }
}

static void count_running(struct thread *thread, void *context)
{
    if (thread->personality && thread->state != THREAD_BLOCKED)
        ++*(unsigned *)context;
}

static long show_loadavg(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    unsigned running = 0;

    (void)context;
    mutex_lock(&load_lock);
    load_update_locked(time_now());
    for (unsigned k = 0; k < ARRAY_SIZE(load_average); k++)
        text_add(&t, "%u.%02u ", (unsigned)(load_average[k] / LOAD_ONE),
                 (unsigned)(load_average[k] % LOAD_ONE * 100 / LOAD_ONE));
    mutex_unlock(&load_lock);
    thread_for_each(count_running, &running);
    text_add(&t, "%u/%u %d\n", running, process_counts.tasks, process_last_id());
    return text_length(&t);
}

/* ---- Others ---- */

static long show_uptime(void *context, char *out, size_t size)
{
    uint64_t hundredths = time_now() / (NS_PER_SEC / 100);
    struct text t = {out, size, 0};

    (void)context;
    text_add(&t, "%llu.%02u 0.00\n", (unsigned long long)(hundredths / 100),
             (unsigned)(hundredths % 100));
    return text_length(&t);
}

static long show_version(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    text_add(&t, "Linux version %s (MaLV-OS) %s\n", LINUX_RELEASE, LINUX_VERSION);
    return text_length(&t);
}

static long show_cmdline(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    text_add(&t, "-- %s\n", boot_command());
    return text_length(&t);
}

static long show_objects(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    text_add(&t, "processes %u\ntasks %u\nmemories %u\ntables %u\nfiles %u\n",
             process_counts.processes, process_counts.tasks, process_counts.memories,
             process_counts.tables, file_count);
    return text_length(&t);
}

static long show_constant(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    text_add(&t, "%s\n", (const char *)context);
    return text_length(&t);
}

/* A random UUID of version 4 (RFC 4122). */
static void add_uuid(struct text *t, const uint8_t random[16])
{
    uint8_t b[16];

    memcpy(b, random, sizeof(b));
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    for (unsigned i = 0; i < sizeof(b); i++)
        text_add(t, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    text_add(t, "\n");
}

static long show_uuid(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    uint8_t random[16];

    (void)context;
    random_bytes(random, sizeof(random));
    add_uuid(&t, random);
    return text_length(&t);
}

static uint8_t boot_id[16]; /* set once, before its file is there */

static long show_boot_id(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    add_uuid(&t, boot_id);
    return text_length(&t);
}

/* The names of the machine; the context is which. */
static long show_name(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    char name[LINUX_UTS_FIELD];

    machine_name_get((enum machine_name)(uintptr_t)context, name);
    text_add(&t, "%s\n", name);
    return text_length(&t);
}

/* A name ends with the line. */
static int store_name(void *context, const char *text, size_t size)
{
    size_t length = 0;

    while (length < size && text[length] != '\n' && text[length] != '\0')
        length++;
    machine_name_set((enum machine_name)(uintptr_t)context, text, length);
    return OK;
}

static const struct linux_pseudo_ops name_ops = {.show = show_name, .store = store_name};
static const struct linux_pseudo_ops meminfo = {.show = show_meminfo};
static const struct linux_pseudo_ops stat = {.show = show_stat};
static const struct linux_pseudo_ops loadavg = {.show = show_loadavg};
/* Who needs a module is not told. */
static long show_modules(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct module_info info;

    (void)context;
    for (unsigned i = 0; module_info(i, &info) == OK; i++)
        text_add(&t, "%s %zu %u - Live 0x0000000000000000\n", info.name, info.size, info.refs);
    return text_length(&t);
}

static const struct linux_pseudo_ops modules = {.show = show_modules};
static const struct linux_pseudo_ops uptime = {.show = show_uptime};
static const struct linux_pseudo_ops version = {.show = show_version};
static const struct linux_pseudo_ops cmdline = {.show = show_cmdline};
static const struct linux_pseudo_ops objects = {.show = show_objects};
static const struct linux_pseudo_ops uuid = {.show = show_uuid};
static const struct linux_pseudo_ops boot_id_ops = {.show = show_boot_id};
const struct linux_pseudo_ops proc_constant = {.show = show_constant};

static const struct {
    const char *path;
    const struct linux_pseudo_ops *ops;
    const void *context;
} files[] = {
    {"/proc/meminfo", &meminfo, NULL},
    {"/proc/cpuinfo", &proc_cpuinfo, NULL},
    {"/proc/stat", &stat, NULL},
    {"/proc/loadavg", &loadavg, NULL},
    {"/proc/uptime", &uptime, NULL},
    {"/proc/modules", &modules, NULL},
    {"/proc/version", &version, NULL},
    {"/proc/cmdline", &cmdline, NULL},
    {"/proc/filesystems", &proc_constant,
     "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\t9p\n\terofs"},
    {"/proc/swaps", &proc_constant, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"},
    {"/proc/malv/objects", &objects, NULL},
    {"/proc/sys/kernel/ostype", &proc_constant, "Linux"},
    {"/proc/sys/kernel/osrelease", &proc_constant, LINUX_RELEASE},
    {"/proc/sys/kernel/version", &proc_constant, LINUX_VERSION},
    {"/proc/sys/kernel/hostname", &name_ops, (void *)MACHINE_NODE_NAME},
    {"/proc/sys/kernel/domainname", &name_ops, (void *)MACHINE_DOMAIN_NAME},
    {"/proc/sys/kernel/pid_max", &proc_constant, "4194304"},
    {"/proc/sys/kernel/threads-max", &proc_constant, "4194304"},
    {"/proc/sys/kernel/ngroups_max", &proc_constant, "65536"},
    {"/proc/sys/kernel/cap_last_cap", &proc_constant, "40"},
    {"/proc/sys/kernel/overflowuid", &proc_constant, "65534"},
    {"/proc/sys/kernel/overflowgid", &proc_constant, "65534"},
    {"/proc/sys/kernel/randomize_va_space", &proc_constant, "2"},
    {"/proc/sys/kernel/core_pattern", &proc_constant, "core"},
    {"/proc/sys/kernel/random/uuid", &uuid, NULL},
    {"/proc/sys/kernel/random/boot_id", &boot_id_ops, NULL},
    {"/proc/sys/kernel/random/entropy_avail", &proc_constant, "256"},
    {"/proc/sys/kernel/random/poolsize", &proc_constant, "256"},
    {"/proc/sys/vm/overcommit_memory", &proc_constant, "1"},
    {"/proc/sys/vm/mmap_min_addr", &proc_constant, "65536"},
    {"/proc/sys/vm/nr_hugepages", &proc_constant, "0"},
    {"/proc/sys/fs/pipe-max-size", &proc_constant, "1048576"},
    {"/proc/sys/net/core/somaxconn", &proc_constant, "4096"},
    {"/sys/kernel/mm/transparent_hugepage/enabled", &proc_constant, "always [madvise] never"},
    {"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", &proc_constant, "2097152"},
};

int proc_machine_register(void)
{
    int r = proc_cpu_register();

    random_bytes(boot_id, sizeof(boot_id));
    for (size_t i = 0; i < ARRAY_SIZE(files) && r == OK; i++)
        r = linux_pseudo_register(files[i].path, files[i].ops, (void *)files[i].context);
    return r;
}
