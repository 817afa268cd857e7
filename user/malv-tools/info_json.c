/*
 * info_json.c: the configuration space as JSON, its numbers under the names of uapi/virtio_gpgpu.h.
 */
#include "tools.h"

#include <stdio.h>

/* A string of the device's: it may hold anything. */
static void string_print(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20 || c >= 0x7f) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static void text_field(const char *name, const char *text)
{
    printf("\"%s\": ", name);
    string_print(text);
    printf(", ");
}

static void number_field(const char *name, uint64_t number)
{
    printf("\"%s\": %llu, ", name, (unsigned long long)number);
}

static void bits_field(const char *name, uint32_t mask, const char *const names[32])
{
    const char *comma = "";
    printf("\"%s\": [", name);
    for (uint32_t bit = 0; bit < 32; bit++) {
        if (!(mask >> bit & 1)) {
            continue;
        }
        if (names[bit] != NULL) {
            printf("%s\"%s\"", comma, names[bit]);
        } else {
            printf("%s%u", comma, bit);
        }
        comma = ", ";
    }
    printf("], ");
}

static void types_print(uint32_t types)
{
    const char *comma = "";
    putchar('[');
    for (uint32_t type = 0; type < 16; type++) {
        if (!(types >> type & 1)) {
            continue;
        }
        const char *name = malv_type_name(type);
        if (name != NULL) {
            printf("%s\"%s\"", comma, name);
        } else {
            printf("%s%u", comma, type);
        }
        comma = ", ";
    }
    putchar(']');
}

static void operations_field(const struct vgpgpu_config *config)
{
    const char *comma = "";
    printf("\"operations\": {");
    for (uint32_t i = 0; i < VGPGPU_OPERATION_ROOM; i++) {
        if (config->operations[i] == 0) {
            continue;
        }
        const char *name = malv_operation_name(i);
        if (name != NULL) {
            printf("%s\"%s\": ", comma, name);
        } else {
            printf("%s\"%u\": ", comma, i);
        }
        types_print(config->operations[i]);
        comma = ", ";
    }
    putchar('}');
}

void info_print_json(const char *path, const struct vgpgpu_config *config)
{
    putchar('{');
    text_field("device", path);
    text_field("device_name", config->device_name);
    text_field("device_type", info_type_name(config->device_type));
    text_field("backend", config->backend);
    text_field("backend_version", config->backend_version);
    number_field("version", config->version);
    number_field("abi_version", MALV_ABI_VERSION);
    bits_field("program_kinds", config->program_kinds, info_program_names);
    bits_field("features", config->features, info_feature_names);
    number_field("compute_units", config->compute_units);
    number_field("max_group", config->max_group);
    printf("\"max_group_size\": [%u, %u, %u], ", config->max_group_size[0], config->max_group_size[1],
           config->max_group_size[2]);
    number_field("local_bytes", config->local_bytes);
    number_field("global_memory", config->global_memory);
    number_field("max_buffer", config->max_buffer);
    number_field("max_segments", config->max_segments);
    number_field("offset_align", config->offset_align);
    number_field("max_contexts", config->max_contexts);
    number_field("max_objects", config->max_objects);
    number_field("queues_per_context", VGPGPU_QUEUES_PER_CONTEXT);
    number_field("max_submit_bytes", config->max_submit_bytes);
    number_field("max_program_bytes", config->max_program_bytes);
    number_field("max_args", VGPGPU_MAX_ARGS);
    number_field("max_value", VGPGPU_MAX_VALUE);
    operations_field(config);
    puts("}");
}
