/*
 * gpucmd.c: see gpucmd.h. Every field is written, padding included: the bytes go to another
 * machine.
 */
#include "lib/gpucmd/gpucmd.h"

void gpucmd_begin(struct gpucmd *c, void *buffer, uint32_t room)
{
    *c = (struct gpucmd){.out = buffer, .room = buffer ? room : UINT32_MAX};
}

static uint32_t padded(uint64_t bytes)
{
    return (uint32_t)((bytes + 7) & ~7ull);
}

/* Appends bytes, zero-padded to a multiple of 8. */
static void append(struct gpucmd *c, const void *from, uint32_t bytes)
{
    uint32_t whole = padded(bytes);

    if (c->failed || whole > c->room - c->used) {
        c->failed = true;
        return;
    }
    if (c->out) {
        __builtin_memset(c->out + c->used, 0, whole);
        __builtin_memcpy(c->out + c->used, from, bytes);
    }
    c->used += whole;
}

static uint32_t arg_bytes(const struct gpucmd_arg *arg)
{
    uint32_t value = arg->kind == VGPGPU_ARG_VALUE ? padded(arg->size) : 0;

    return (uint32_t)sizeof(struct vgpgpu_arg) + value;
}

static void append_arg(struct gpucmd *c, const struct gpucmd_arg *arg)
{
    bool buffer = arg->kind == VGPGPU_ARG_BUFFER;
    struct vgpgpu_arg wire = {
        .kind = (uint16_t)arg->kind,
        .reserved = buffer ? arg->hint : 0,
        .object = buffer ? arg->buffer : 0,
        .offset = buffer ? arg->offset : 0,
        .size = buffer ? 0 : arg->size,
    };

    append(c, &wire, sizeof(wire));
    if (arg->kind == VGPGPU_ARG_VALUE)
        append(c, arg->value, (uint32_t)arg->size);
}

static bool launch_valid(const struct gpucmd_launch *l)
{
    if (l->dimensions < 1 || l->dimensions > 3 || l->arg_count > VGPGPU_MAX_ARGS)
        return false;
    for (uint32_t i = 0; i < l->arg_count; i++)
        if (l->args[i].kind == VGPGPU_ARG_VALUE &&
            (l->args[i].size == 0 || l->args[i].size > VGPGPU_MAX_VALUE))
            return false;
    return true;
}

void gpucmd_launch(struct gpucmd *c, const struct gpucmd_launch *launch)
{
    struct vgpgpu_cmd_launch wire = {
        .header = {.op = VGPGPU_CMD_LAUNCH, .bytes = sizeof(wire)},
        .kernel = launch->kernel,
        .dimensions = launch->dimensions,
        .arg_count = launch->arg_count,
        .global = {1, 1, 1},
    };

    if (!launch_valid(launch)) {
        c->failed = true;
        return;
    }
    for (uint32_t i = 0; i < launch->dimensions; i++) {
        wire.global[i] = launch->global[i];
        wire.local[i] = launch->local ? launch->local[i] : 0;
    }
    for (uint32_t i = launch->dimensions; launch->local && i < 3; i++)
        wire.local[i] = 1;
    for (uint32_t i = 0; i < launch->arg_count; i++)
        wire.header.bytes += arg_bytes(&launch->args[i]);
    if (wire.header.bytes > c->room - c->used) {
        c->failed = true;
        return;
    }
    append(c, &wire, sizeof(wire));
    for (uint32_t i = 0; i < launch->arg_count; i++)
        append_arg(c, &launch->args[i]);
}

void gpucmd_copy(struct gpucmd *c, uint32_t source, uint64_t source_offset, uint32_t target,
                 uint64_t target_offset, uint64_t bytes)
{
    struct vgpgpu_cmd_copy wire = {
        .header = {.op = VGPGPU_CMD_COPY, .bytes = sizeof(wire)},
        .source = source,
        .target = target,
        .source_offset = source_offset,
        .target_offset = target_offset,
        .length = bytes,
    };

    append(c, &wire, sizeof(wire));
}

void gpucmd_fill(struct gpucmd *c, uint32_t target, uint64_t offset, uint64_t bytes,
                 const void *pattern, uint32_t pattern_bytes)
{
    struct vgpgpu_cmd_fill wire = {
        .header = {.op = VGPGPU_CMD_FILL, .bytes = sizeof(wire)},
        .target = target,
        .pattern_bytes = pattern_bytes,
        .offset = offset,
        .length = bytes,
    };

    if (pattern_bytes == 0 || pattern_bytes > sizeof(wire.pattern)) {
        c->failed = true;
        return;
    }
    __builtin_memcpy(wire.pattern, pattern, pattern_bytes);
    append(c, &wire, sizeof(wire));
}

void gpucmd_copy_2d(struct gpucmd *c, const struct vgpgpu_cmd_copy_2d *copy)
{
    struct vgpgpu_cmd_copy_2d wire = *copy;

    wire.header = (struct vgpgpu_command){.op = VGPGPU_CMD_COPY_2D, .bytes = sizeof(wire)};
    append(c, &wire, sizeof(wire));
}

void gpucmd_fill_2d(struct gpucmd *c, const struct vgpgpu_cmd_fill_2d *fill)
{
    struct vgpgpu_cmd_fill_2d wire = *fill;

    wire.header = (struct vgpgpu_command){.op = VGPGPU_CMD_FILL_2D, .bytes = sizeof(wire)};
    append(c, &wire, sizeof(wire));
}

void gpucmd_barrier(struct gpucmd *c)
{
    struct vgpgpu_command wire = {.op = VGPGPU_CMD_BARRIER, .bytes = sizeof(wire)};

    append(c, &wire, sizeof(wire));
}

void gpucmd_signal(struct gpucmd *c, uint64_t before)
{
    struct vgpgpu_cmd_signal wire = {.header = {.op = VGPGPU_CMD_SIGNAL, .bytes = sizeof(wire)},
                                     .before = before};

    append(c, &wire, sizeof(wire));
}

void gpucmd_operation(struct gpucmd *c, enum vgpgpu_operation operation,
                      const struct vgpgpu_tensor *tensors, uint32_t count, const void *parameters,
                      uint32_t bytes)
{
    struct vgpgpu_cmd_operation wire = {
        .header = {.op = VGPGPU_CMD_OPERATION},
        .operation = (uint16_t)operation,
        .tensor_count = (uint16_t)count,
        .parameter_bytes = bytes,
    };
    uint32_t shapes = count * (uint32_t)sizeof(*tensors);

    if (count > VGPGPU_MAX_TENSORS || bytes % 8 || bytes > UINT16_MAX ||
        sizeof(wire) + shapes + bytes > c->room - c->used) {
        c->failed = true;
        return;
    }
    wire.header.bytes = (uint32_t)sizeof(wire) + shapes + bytes;
    append(c, &wire, sizeof(wire));
    append(c, tensors, shapes);
    append(c, parameters, bytes);
}

/* Without a number in a register: kernel code must not touch those. */
void gpucmd_multiply(struct gpucmd *c, const struct vgpgpu_tensor *into,
                     const struct vgpgpu_tensor *a, const struct vgpgpu_tensor *b, bool add)
{
    static const struct vgpgpu_gemm factors[2] = {{.alpha = 1, .beta = 0}, {.alpha = 1, .beta = 1}};
    const struct vgpgpu_tensor tensors[3] = {*into, *a, *b};

    gpucmd_operation(c, VGPGPU_GEMM, tensors, 3, &factors[add], sizeof(factors[add]));
}
