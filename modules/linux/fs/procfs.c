/*
 * procfs.c: /proc: one folder a process, made when it is looked up, and files about the machine.
 */
#include <microlake/boot.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "modules/linux/cpuid.h"
#include "modules/linux/fs/file.h"
#include "modules/linux/fs/node.h"
#include "modules/linux/fs/proc_process.h"
#include "modules/linux/include/linux_text.h"
#include "modules/linux/machine.h"
#include "modules/linux/process/process.h"

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

static long show_meminfo(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    struct memory_stats m;

    (void)context;
    memory_stats(&m);
    text_add(&t, "MemTotal:       %8llu kB\n", (unsigned long long)(m.total / 1024));
    text_add(&t, "MemFree:        %8llu kB\n", (unsigned long long)(m.free / 1024));
    text_add(&t, "MemAvailable:   %8llu kB\n", (unsigned long long)(m.free / 1024));
    text_add(&t, "Buffers:        %8u kB\nCached:         %8u kB\n", 0u, 0u);
    text_add(&t, "SwapTotal:      %8u kB\nSwapFree:       %8u kB\n", 0u, 0u);
    text_add(&t, "Slab:           %8llu kB\n", (unsigned long long)(m.heap / 1024));
    return text_length(&t);
}

static void cpu_vendor(char out[13])
{
    uint32_t r[4];

    cpuid_read(0, r);
    memcpy(out, &r[1], 4);
    memcpy(out + 4, &r[3], 4);
    memcpy(out + 8, &r[2], 4);
    out[12] = '\0';
}

static void cpu_model(char out[49])
{
    uint32_t r[4];

    cpuid_read(0x80000000, r);
    strlcpy(out, "unknown", 49);
    if (r[0] < 0x80000004)
        return;
    for (uint32_t i = 0; i < 3; i++) {
        cpuid_read(0x80000002 + i, r);
        memcpy(out + 16 * i, r, 16);
    }
    out[48] = '\0';
}

/* The names Linux gives to what CPUID tells; programs look for some of them. */
static void add_flags(struct text *t)
{
    static const struct {
        uint32_t leaf, reg, bit;
        const char *name;
    } flags[] = {
        {1, 3, 0, "fpu"},       {1, 3, 4, "tsc"},       {1, 3, 8, "cx8"},
        {1, 3, 15, "cmov"},     {1, 3, 23, "mmx"},      {1, 3, 24, "fxsr"},
        {1, 3, 25, "sse"},      {1, 3, 26, "sse2"},     {1, 2, 0, "pni"},
        {1, 2, 9, "ssse3"},     {1, 2, 12, "fma"},      {1, 2, 13, "cx16"},
        {1, 2, 19, "sse4_1"},   {1, 2, 20, "sse4_2"},   {1, 2, 22, "movbe"},
        {1, 2, 23, "popcnt"},   {1, 2, 25, "aes"},      {1, 2, 26, "xsave"},
        {1, 2, 28, "avx"},      {1, 2, 29, "f16c"},     {1, 2, 30, "rdrand"},
        {7, 1, 3, "bmi1"},      {7, 1, 5, "avx2"},      {7, 1, 8, "bmi2"},
        {7, 1, 16, "avx512f"},  {7, 1, 17, "avx512dq"}, {7, 1, 30, "avx512bw"},
        {7, 1, 31, "avx512vl"},
    };

    text_add(t, "flags\t\t:");
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        uint32_t r[4];

        cpuid_read(flags[i].leaf, r);
        if (r[flags[i].reg] >> flags[i].bit & 1)
            text_add(t, " %s", flags[i].name);
    }
    text_add(t, "\n");
}

static long show_cpuinfo(void *context, char *out, size_t size)
{
    unsigned count = cpu_count(), mhz = (unsigned)(time_tsc_khz() / 1000);
    struct text t = {out, size, 0};
    char vendor[13], model[49];

    (void)context;
    cpu_vendor(vendor);
    cpu_model(model);
    for (unsigned i = 0; i < count; i++) {
        text_add(&t, "processor\t: %u\nvendor_id\t: %s\nmodel name\t: %s\n", i, vendor, model);
        text_add(&t, "cpu MHz\t\t: %u.000\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\n",
                 mhz, count, i);
        text_add(&t, "cpu cores\t: %u\n", count);
        add_flags(&t);
        text_add(&t, "\n");
    }
    return text_length(&t);
}

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
             (unsigned long long)(time_wall_offset() / NS_PER_SEC), process_counts.processes);
    return text_length(&t);
}

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

static long show_cpu_range(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    (void)context;
    if (cpu_count() > 1)
        text_add(&t, "0-%u\n", cpu_count() - 1);
    else
        text_add(&t, "0\n");
    return text_length(&t);
}

static long show_cpu_number(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};

    text_add(&t, "%u\n", (unsigned)(uintptr_t)context);
    return text_length(&t);
}

static const struct linux_pseudo_ops meminfo = {.show = show_meminfo};
static const struct linux_pseudo_ops cpuinfo = {.show = show_cpuinfo};
static const struct linux_pseudo_ops stat = {.show = show_stat};
static const struct linux_pseudo_ops uptime = {.show = show_uptime};
static const struct linux_pseudo_ops version = {.show = show_version};
static const struct linux_pseudo_ops cmdline = {.show = show_cmdline};
static const struct linux_pseudo_ops objects = {.show = show_objects};
static const struct linux_pseudo_ops constant = {.show = show_constant};
static const struct linux_pseudo_ops cpu_range = {.show = show_cpu_range};
static const struct linux_pseudo_ops cpu_number = {.show = show_cpu_number};

static const struct {
    const char *path;
    const struct linux_pseudo_ops *ops;
    const char *context;
} files[] = {
    {"/proc/meminfo", &meminfo, NULL},
    {"/proc/cpuinfo", &cpuinfo, NULL},
    {"/proc/stat", &stat, NULL},
    {"/proc/uptime", &uptime, NULL},
    {"/proc/version", &version, NULL},
    {"/proc/cmdline", &cmdline, NULL},
    {"/proc/malv/objects", &objects, NULL},
    {"/proc/sys/kernel/ostype", &constant, "Linux"},
    {"/proc/sys/kernel/osrelease", &constant, LINUX_RELEASE},
    {"/proc/sys/kernel/pid_max", &constant, "4194304"},
    {"/proc/sys/vm/overcommit_memory", &constant, "1"},
    {"/sys/devices/system/cpu/online", &cpu_range, NULL},
    {"/sys/devices/system/cpu/possible", &cpu_range, NULL},
    {"/sys/devices/system/cpu/present", &cpu_range, NULL},
};

/* Each CPU is a core of its own, and all are in one package. */
static const struct {
    const char *name;
    const struct linux_pseudo_ops *ops;
    bool own; /* it shows the CPU's number, else 0 or all CPUs */
} topology_files[] = {
    {"core_id", &cpu_number, true},
    {"physical_package_id", &cpu_number, false},
    {"thread_siblings_list", &cpu_number, true},
    {"core_cpus_list", &cpu_number, true},
    {"core_siblings_list", &cpu_range, false},
    {"package_cpus_list", &cpu_range, false},
};

static int add_topology(unsigned cpu)
{
    char path[80];
    int r = OK;

    for (size_t i = 0; i < ARRAY_SIZE(topology_files) && r == OK; i++) {
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/%s", cpu,
                 topology_files[i].name);
        r = linux_pseudo_register(path, topology_files[i].ops,
                                  (void *)(uintptr_t)(topology_files[i].own ? cpu : 0));
    }
    return r;
}

int procfs_init(void)
{
    int r = proc_process_init();

    for (size_t i = 0; i < ARRAY_SIZE(files) && r == OK; i++)
        r = linux_pseudo_register(files[i].path, files[i].ops, (void *)files[i].context);
    for (unsigned cpu = 0; cpu < cpu_count() && r == OK; cpu++)
        r = add_topology(cpu);
    return r;
}
