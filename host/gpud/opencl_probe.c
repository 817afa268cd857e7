/* opencl_probe.c: finds OpenCL devices and reads what they are. */
#include "device_opencl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLATFORMS 16u
#define MAX_DEVICES   64u

/* CL_DEVICE_IL_VERSION: OpenCL 2.1, asked of every device; older ones refuse. */
#define DEVICE_IL_VERSION 0x105B

struct found_device {
    cl_platform_id platform;
    cl_device_id id;
};

static int devices_find(struct found_device *found, unsigned *count, char *why)
{
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint platform_count = 0;
    if (opencl_load(why))
        return -1;
    *count = 0;
    opencl.GetPlatformIDs(MAX_PLATFORMS, platforms, &platform_count);
    for (unsigned p = 0; p < platform_count && p < MAX_PLATFORMS; p++) {
        cl_device_id ids[MAX_DEVICES];
        cl_uint id_count = 0;
        opencl.GetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &id_count);
        for (unsigned d = 0; d < id_count && *count < MAX_DEVICES; d++)
            found[(*count)++] = (struct found_device){platforms[p], ids[d]};
    }
    if (*count)
        return 0;
    snprintf(why, DEVICE_WHY_BYTES, "OpenCL has no device on this host: install pocl-opencl-icd");
    return -1;
}

static void text_get(cl_device_id id, cl_device_info what, char *out, size_t bytes)
{
    char text[1024] = "";
    opencl.GetDeviceInfo(id, what, sizeof(text) - 1, text, NULL);
    snprintf(out, bytes, "%.*s", (int)bytes - 1, text);
}

static uint32_t device_type(cl_device_type type)
{
    if (type & CL_DEVICE_TYPE_GPU)
        return VGPGPU_DEVICE_GPU;
    return type & CL_DEVICE_TYPE_ACCELERATOR ? VGPGPU_DEVICE_ACCELERATOR : VGPGPU_DEVICE_CPU;
}

static bool device_is_unified(cl_device_id id)
{
    cl_bool unified = CL_FALSE;
    cl_device_type type = 0;
    opencl.GetDeviceInfo(id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(unified), &unified, NULL);
    opencl.GetDeviceInfo(id, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
    return unified && (type & CL_DEVICE_TYPE_CPU);
}

static bool device_takes_spirv(cl_device_id id)
{
    char il[128];
    text_get(id, DEVICE_IL_VERSION, il, sizeof(il));
    return opencl.CreateProgramWithIL && strstr(il, "SPIR-V");
}

static uint32_t program_kinds(cl_device_id id)
{
    cl_bool compiler = CL_FALSE;
    opencl.GetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof(compiler), &compiler, NULL);
    return 1u << VGPGPU_PROGRAM_BINARY | (compiler ? 1u << VGPGPU_PROGRAM_OPENCL_C : 0) |
           (device_takes_spirv(id) ? 1u << VGPGPU_PROGRAM_SPIRV : 0);
}

static uint32_t features(cl_device_id id)
{
    static const struct {
        const char *extension;
        uint32_t feature;
    } known[] = {{"cl_khr_fp16", VGPGPU_FEATURE_F16},
                 {"cl_khr_fp64", VGPGPU_FEATURE_F64},
                 {"cl_khr_int64_base_atomics", VGPGPU_FEATURE_ATOMIC64}};
    static char extensions[16384];
    uint32_t found = device_is_unified(id) ? VGPGPU_FEATURE_IN_PLACE : 0;
    memset(extensions, 0, sizeof(extensions));
    opencl.GetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof(extensions) - 1, extensions, NULL);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strstr(extensions, known[i].extension))
            found |= known[i].feature;
    return found;
}

static void groups_describe(cl_device_id id, struct device_info *info)
{
    size_t most = 0, sizes[16] = {0};
    cl_ulong local = 0;
    opencl.GetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(most), &most, NULL);
    opencl.GetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof(sizes), sizes, NULL);
    opencl.GetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(local), &local, NULL);
    info->max_group = (uint32_t)most;
    for (unsigned i = 0; i < 3; i++)
        info->max_group_size[i] = (uint32_t)sizes[i];
    info->local_bytes = local;
}

static void device_describe(const struct found_device *found, struct device_info *info)
{
    cl_device_type type = 0;
    cl_uint units = 0, align_bits = 0;
    cl_ulong global = 0, buffer = 0;
    opencl.GetDeviceInfo(found->id, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
    opencl.GetDeviceInfo(found->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(units), &units, NULL);
    opencl.GetDeviceInfo(found->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(align_bits), &align_bits,
                         NULL);
    opencl.GetDeviceInfo(found->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(global), &global, NULL);
    opencl.GetDeviceInfo(found->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(buffer), &buffer, NULL);
    *info = (struct device_info){.type = device_type(type),
                                 .compute_units = units,
                                 .global_memory = global,
                                 .max_buffer = buffer,
                                 .offset_align = align_bits >= 8 ? align_bits / 8 : 1,
                                 .backend = "opencl",
                                 .program_kinds = program_kinds(found->id),
                                 .features = features(found->id)};
    groups_describe(found->id, info);
    text_get(found->id, CL_DEVICE_NAME, info->name, sizeof(info->name));
    text_get(found->id, CL_DRIVER_VERSION, info->backend_version, sizeof(info->backend_version));
}

int opencl_list(struct device_info *infos, unsigned room, unsigned *count, char *why)
{
    struct found_device found[MAX_DEVICES];
    if (devices_find(found, count, why))
        return -1;
    if (*count > room)
        *count = room;
    for (unsigned i = 0; i < *count; i++)
        device_describe(&found[i], &infos[i]);
    return 0;
}

static unsigned select_auto(const struct device_info *infos, unsigned count)
{
    static const uint32_t order[] = {VGPGPU_DEVICE_GPU, VGPGPU_DEVICE_ACCELERATOR};
    for (unsigned o = 0; o < sizeof(order) / sizeof(order[0]); o++)
        for (unsigned i = 0; i < count; i++)
            if (infos[i].type == order[o])
                return i;
    return 0;
}

/* Returns the index of the device meant, or `count`. */
static unsigned device_select(const char *selector, const struct device_info *infos, unsigned count)
{
    if (strcmp(selector, "auto") == 0)
        return select_auto(infos, count);
    char *end;
    unsigned long index = strtoul(selector, &end, 10);
    if (isdigit((unsigned char)selector[0]) && !*end)
        return index < count ? (unsigned)index : count;
    for (unsigned i = 0; i < count; i++)
        if (strcasestr(infos[i].name, selector))
            return i;
    return count;
}

static void explain_no_match(const char *selector, const struct device_info *infos, unsigned count,
                             char *why)
{
    size_t used = (size_t)snprintf(why, DEVICE_WHY_BYTES,
                                   "no device matches \"%.64s\"; there are:", selector);
    for (unsigned i = 0; i < count && used < DEVICE_WHY_BYTES; i++)
        used += (size_t)snprintf(why + used, DEVICE_WHY_BYTES - used, "%s %u %s", i ? "," : "", i,
                                 infos[i].name);
}

/* For tests: GPUD_OPERATIONS=clblast has the host's processor treated as any other device. */
static bool is_as_others(void)
{
    const char *wanted = getenv("GPUD_OPERATIONS");
    return wanted && strcmp(wanted, "clblast") == 0;
}

static bool device_is_native(cl_device_id id)
{
    cl_device_exec_capabilities can = 0;
    opencl.GetDeviceInfo(id, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof(can), &can, NULL);
    return (can & CL_EXEC_NATIVE_KERNEL) && device_is_unified(id);
}

/* PoCL is known to take commands from a native kernel; OpenCL does not say that others do. */
static bool platform_is_pocl(cl_platform_id platform)
{
    char name[64] = "";
    opencl.GetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof(name) - 1, name, NULL);
    return strcmp(name, "Portable Computing Language") == 0;
}

int opencl_open(const char *selector, struct device **out, struct device_info *info, char *why)
{
    struct found_device found[MAX_DEVICES];
    struct device_info infos[MAX_DEVICES];
    unsigned count;
    if (devices_find(found, &count, why))
        return -1;
    for (unsigned i = 0; i < count; i++)
        device_describe(&found[i], &infos[i]);
    unsigned chosen = device_select(selector, infos, count);
    if (chosen == count) {
        explain_no_match(selector, infos, count, why);
        return -1;
    }
    struct device *device = calloc(1, sizeof(*device));
    if (!device) {
        snprintf(why, DEVICE_WHY_BYTES, "out of memory");
        return -1;
    }
    device->platform = found[chosen].platform;
    device->id = found[chosen].id;
    device->offset_align = infos[chosen].offset_align;
    device->local_bytes = infos[chosen].local_bytes;
    device->unified = infos[chosen].features & VGPGPU_FEATURE_IN_PLACE;
    device->spirv = infos[chosen].program_kinds & 1u << VGPGPU_PROGRAM_SPIRV;
    device->native = device_is_native(device->id) && !is_as_others();
    device->lends = device->native && platform_is_pocl(device->platform);
    device->units = infos[chosen].compute_units;
    pthread_mutex_init(&device->park.lock, NULL);
    device->clblast = !device->native && opencl_clblast_load();
    *info = infos[chosen];
    if (device->native)
        cpu_operations_list(info->operations);
    if (device->clblast)
        info->operations[VGPGPU_GEMM] = 1u << VGPGPU_F32;
    *out = device;
    return 0;
}
