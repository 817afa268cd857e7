/*
 * cpu.c: the processors: /proc/cpuinfo, and /sys/devices/system. See proc.h.
 *
 * Each CPU is a core of its own, all are in one package, and memory is one node.
 */
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/time.h>

#include "modules/linux/cpuid.h"
#include "modules/linux/include/linux_text.h"
#include "modules/linux/proc/proc.h"

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

/* The names Linux gives to what CPUID tells, from bit 0 on, in Linux's order. "-": it shows none. */
static const struct {
    uint32_t leaf, reg;
    const char *names;
} flag_words[] = {
    {1, CPUID_EDX, "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn "
                   "clflush - dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    {0x80000001, CPUID_EDX, "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - "
                            "fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
    {1, CPUID_ECX, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr "
                   "pdcm - pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - "
                   "avx f16c rdrand hypervisor"},
    {0x80000001, CPUID_ECX, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse "
                            "3dnowprefetch osvw ibs xop skinit wdt - lwp fma4 tce"},
    {7, CPUID_EBX, "fsgsbase tsc_adjust - bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - "
                   "avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb - avx512pf "
                   "avx512er avx512cd sha_ni avx512bw avx512vl"},
    {7, CPUID_ECX, "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq "
                   "avx512_vnni avx512_bitalg - avx512_vpopcntdq - la57 - - - - - rdpid"},
    {7, CPUID_EDX, "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - "
                   "serialize - - - - - - - amx_bf16 avx512_fp16 amx_tile amx_int8"},
};

static bool has_leaf(uint32_t leaf)
{
    uint32_t r[4];

    cpuid_read(leaf & 0x80000000, r);
    return r[CPUID_EAX] >= leaf;
}

static void add_flag_word(struct text *t, uint32_t bits, const char *names)
{
    for (; *names; bits >>= 1) {
        int length = 0;

        while (names[length] && names[length] != ' ')
            length++;
        if ((bits & 1) && *names != '-')
            text_add(t, " %.*s", length, names);
        names += length + (names[length] == ' ');
    }
}

static void add_flags(struct text *t)
{
    text_add(t, "flags\t\t:");
    for (size_t i = 0; i < ARRAY_SIZE(flag_words); i++) {
        uint32_t r[4];

        if (!has_leaf(flag_words[i].leaf))
            continue;
        cpuid_read(flag_words[i].leaf, r);
        add_flag_word(t, r[flag_words[i].reg], flag_words[i].names);
    }
    text_add(t, "\n");
}

/* Family, model and stepping as the vendors' manuals add their parts up (Intel SDM, CPUID leaf 1). */
static void add_signature(struct text *t)
{
    uint32_t r[4], family, model;

    cpuid_read(1, r);
    family = r[CPUID_EAX] >> 8 & 15;
    model = r[CPUID_EAX] >> 4 & 15;
    if (family == 6 || family == 15)
        model |= r[CPUID_EAX] >> 12 & 0xf0;
    if (family == 15)
        family += r[CPUID_EAX] >> 20 & 255;
    text_add(t, "cpu family\t: %u\nmodel\t\t: %u\n", family, model);
}

static void add_addresses(struct text *t)
{
    uint32_t r[4] = {36 | 48 << 8}, line[4];

    if (has_leaf(0x80000008))
        cpuid_read(0x80000008, r);
    cpuid_read(1, line);
    text_add(t, "clflush size\t: %u\ncache_alignment\t: %u\n", (line[CPUID_EBX] >> 8 & 255) * 8,
             (line[CPUID_EBX] >> 8 & 255) * 8);
    text_add(t, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n",
             r[CPUID_EAX] & 255, r[CPUID_EAX] >> 8 & 255);
}
static long show_cpuinfo(void *context, char *out, size_t size)
{
    unsigned count = cpu_count(), khz = (unsigned)time_tsc_khz();
    struct text t = {out, size, 0};
    char vendor[13], model[49];
    uint32_t r[4];

    (void)context;
    cpu_vendor(vendor);
    cpu_model(model);
    cpuid_read(1, r);
    for (unsigned i = 0; i < count; i++) {
        text_add(&t, "processor\t: %u\nvendor_id\t: %s\n", i, vendor);
        add_signature(&t);
        text_add(&t, "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %u.%03u\n", model,
                 r[CPUID_EAX] & 15, khz / 1000, khz % 1000);
        text_add(&t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n", count,
                 i, count);
        text_add(&t, "apicid\t\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\n", i);
        add_flags(&t);
        text_add(&t, "bogomips\t: %u.%02u\n", khz / 500, khz / 5 % 100);
        add_addresses(&t);
        text_add(&t, "\n");
    }
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

/* The CPUs as a mask, 32 to a word, the highest word first. */
static long show_cpu_mask(void *context, char *out, size_t size)
{
    struct text t = {out, size, 0};
    unsigned count = cpu_count();

    (void)context;
    for (unsigned word = (count + 31) / 32; word-- > 0;) {
        unsigned bits = MIN(count - word * 32, 32u);

        text_add(&t, "%08x%s", bits == 32 ? ~0u : (1u << bits) - 1, word > 0 ? "," : "\n");
    }
    return text_length(&t);
}

const struct linux_pseudo_ops proc_cpuinfo = {.show = show_cpuinfo};
static const struct linux_pseudo_ops cpu_range = {.show = show_cpu_range};
static const struct linux_pseudo_ops cpu_number = {.show = show_cpu_number};
static const struct linux_pseudo_ops cpu_mask = {.show = show_cpu_mask};

static const struct {
    const char *path;
    const struct linux_pseudo_ops *ops;
    const char *context;
} system_files[] = {
    {"/sys/devices/system/cpu/online", &cpu_range, NULL},
    {"/sys/devices/system/cpu/possible", &cpu_range, NULL},
    {"/sys/devices/system/cpu/present", &cpu_range, NULL},
    {"/sys/devices/system/node/online", &proc_constant, "0"},
    {"/sys/devices/system/node/possible", &proc_constant, "0"},
    {"/sys/devices/system/node/has_cpu", &proc_constant, "0"},
    {"/sys/devices/system/node/has_memory", &proc_constant, "0"},
    {"/sys/devices/system/node/node0/cpulist", &cpu_range, NULL},
    {"/sys/devices/system/node/node0/cpumap", &cpu_mask, NULL},
    {"/sys/devices/system/node/node0/distance", &proc_constant, "10"},
};

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

static int register_topology(unsigned cpu)
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

int proc_cpu_register(void)
{
    int r = OK;

    for (size_t i = 0; i < ARRAY_SIZE(system_files) && r == OK; i++)
        r = linux_pseudo_register(system_files[i].path, system_files[i].ops,
                                  (void *)system_files[i].context);
    for (unsigned cpu = 0; cpu < cpu_count() && r == OK; cpu++)
        r = register_topology(cpu);
    return r;
}
