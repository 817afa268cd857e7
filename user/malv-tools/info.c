/*
 * info.c: malv-info: what the machine's GPUs are, all that their configuration space tells.
 */
#include "tools.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEVICES_MAX 16 /* /dev/malv0 and on */

static const char help_text[] =
    "usage: malv-info [--json] [DEVICE...]\n"
    "\n"
    "Shows the GPUs of this machine: what they are, their limits, their built-in operations.\n"
    "DEVICE is a device file; without one, all there are.\n"
    "  --json   one JSON object a line and device\n"
    "  --help   this text\n"
    "\n"
    "Exit status: 0, 1 when a device can't be opened or there is none, 2 for a wrong command "
    "line.\n";

const char *info_type_name(uint32_t type)
{
    static const char *const names[] = {
        [VGPGPU_DEVICE_CPU] = "CPU",
        [VGPGPU_DEVICE_GPU] = "GPU",
        [VGPGPU_DEVICE_ACCELERATOR] = "accelerator",
    };
    const char *name = type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
    return name != NULL ? name : "unknown";
}

const char *const info_program_names[32] = {
    [VGPGPU_PROGRAM_OPENCL_C] = "OpenCL C", [VGPGPU_PROGRAM_SPIRV] = "SPIR-V",
    [VGPGPU_PROGRAM_PTX] = "PTX",           [VGPGPU_PROGRAM_CUDA_C] = "CUDA C",
    [VGPGPU_PROGRAM_BINARY] = "binary",
};

const char *const info_feature_names[32] = {"in-place", "f16",    "f64",
                                          "atomic64", "signal", "sub-buffer"};

static void text_show(const char *name, const char *text)
{
    printf("  %-28s %s\n", name, text);
}

static void number_show(const char *name, uint64_t number, const char *unit)
{
    printf("  %-28s %llu%s\n", name, (unsigned long long)number, unit);
}

/* Bytes exactly, and in a unit that can be read. */
static void bytes_show(const char *name, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double readable = (double)bytes;
    unsigned int unit = 0;
    while (readable >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        readable /= 1024;
        unit++;
    }
    if (unit == 0) {
        number_show(name, bytes, " bytes");
    } else {
        printf("  %-28s %.4g %s (%llu bytes)\n", name, readable, units[unit],
               (unsigned long long)bytes);
    }
}

static void type_show(uint32_t type)
{
    const char *name = malv_type_name(type);
    if (name != NULL) {
        printf(" %s", name);
    } else {
        printf(" type %u", type);
    }
}

static void operation_show(uint32_t operation, uint32_t types)
{
    const char *name = malv_operation_name(operation);
    if (name != NULL) {
        printf("    %-26s", name);
    } else {
        printf("    operation %-16u", operation);
    }
    for (uint32_t type = 0; type < 16; type++) {
        if (types >> type & 1) {
            type_show(type);
        }
    }
    putchar('\n');
}

/* The bits of a mask by their names, or numbers. */
static void bits_show(const char *name, uint32_t mask, const char *const names[32])
{
    const char *comma = "";
    printf("  %-28s ", name);
    for (uint32_t bit = 0; bit < 32; bit++) {
        if (!(mask >> bit & 1)) {
            continue;
        }
        if (names[bit] != NULL) {
            printf("%s%s", comma, names[bit]);
        } else {
            printf("%sbit %u", comma, bit);
        }
        comma = ", ";
    }
    puts(mask == 0 ? "none" : "");
}

static void groups_show(const struct vgpgpu_config *config)
{
    const uint32_t *size = config->max_group_size;
    if (config->max_group == 0) {
        return; /* the device does not tell */
    }
    number_show("Work-items of a group", config->max_group, "");
    printf("  %-28s %u x %u x %u\n", "of them, along dimensions", size[0], size[1], size[2]);
    bytes_show("Memory that a group shares", config->local_bytes);
}

static void operations_show(const struct vgpgpu_config *config)
{
    unsigned int count = 0;
    printf("  Built-in operations, and the types they take\n");
    for (uint32_t i = 0; i < VGPGPU_OPERATION_ROOM; i++) {
        if (config->operations[i] != 0) {
            operation_show(i, config->operations[i]);
            count++;
        }
    }
    if (count == 0) {
        printf("    none\n");
    }
}

static void config_show(const char *path, const struct vgpgpu_config *config)
{
    printf("Device %s\n", path);
    text_show("Name", config->device_name);
    text_show("Type", info_type_name(config->device_type));
    text_show("Back end", config->backend);
    text_show("Back end version", config->backend_version);
    number_show("virtio-gpgpu version", config->version, "");
    number_show("ABI version", MALV_ABI_VERSION, "");
    bits_show("Programs in", config->program_kinds, info_program_names);
    bits_show("Features", config->features, info_feature_names);
    number_show("Compute units", config->compute_units, "");
    groups_show(config);
    bytes_show("Memory", config->global_memory);
    bytes_show("Largest buffer", config->max_buffer);
    number_show("Segments of a buffer", config->max_segments, "");
    number_show("Offsets are multiples of", config->offset_align, " bytes");
    number_show("Contexts", config->max_contexts, "");
    number_show("Objects of a kind, a context", config->max_objects, "");
    number_show("Queues of a context", VGPGPU_QUEUES_PER_CONTEXT, ", in order");
    bytes_show("Commands of a submission", config->max_submit_bytes);
    bytes_show("Source of a program", config->max_program_bytes);
    number_show("Arguments of a kernel", VGPGPU_MAX_ARGS, "");
    number_show("Largest argument by value", VGPGPU_MAX_VALUE, " bytes");
    operations_show(config);
}

static int device_show(const char *path, bool json)
{
    struct malv_device *device = tool_open("malv-info", path);
    if (device == NULL) {
        return STATUS_FAILED;
    }
    path = path != NULL ? path : MALV_DEVICE_PATH;
    if (json) {
        info_print_json(path, malv_device_config(device));
    } else {
        config_show(path, malv_device_config(device));
    }
    malv_device_close(device);
    return 0;
}

/* Every device file there is; the first one also when it is not there, which says so. */
static int devices_show(bool json)
{
    int status = device_show(NULL, json);
    for (unsigned int i = 1; i < DEVICES_MAX; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/malv%u", i);
        if (access(path, F_OK) == 0 && device_show(path, json) != 0) {
            status = STATUS_FAILED;
        }
    }
    return status;
}

int info_main(int argc, char **argv)
{
    bool json = false;
    int status = 0, paths = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help_text, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (argv[i][0] == '-') {
            return tool_complain("malv-info", "there is no option ", argv[i]);
        } else {
            argv[1 + paths++] = argv[i];
        }
    }
    if (paths == 0) {
        return devices_show(json);
    }
    for (int i = 1; i <= paths; i++) {
        if (device_show(argv[i], json) != 0) {
            status = STATUS_FAILED;
        }
    }
    return status;
}
