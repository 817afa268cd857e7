/*
 * fuzz_command_rules.c: see fuzz.h. Section 9 of docs/virtio-gpgpu.md once more, read from its words: whether one
 * command in the home is right. Built-in operations are judged by unit/gpud_tensors' reading of it.
 */
#include <string.h>
#include "fuzz.h"
#include "tests/unit/tensors/tensors.h"

typedef unsigned __int128 wide;

struct device_buffer buffers[BUFFERS + 1] = {
    {NULL, 0}, {NULL, FUZZ_BUFFER_BYTES}, {NULL, FUZZ_BUFFER_BYTES}, {NULL, FUZZ_BUFFER_BYTES}};

/* What the home's names stand for: bytes of a buffer. */
struct name {
    uint32_t root;
    uint64_t base, size;
};

static struct name name_find(uint32_t id)
{
    uint64_t align = fuzz.rig.front->config.offset_align;
    switch (id) {
    case 1:
    case 2:
    case 3:
        return (struct name){id, 0, FUZZ_BUFFER_BYTES};
    case 4:
        return (struct name){1, align, FUZZ_BUFFER_BYTES / 2};
    case 5:
        return (struct name){1, 3 * align, FUZZ_BUFFER_BYTES / 4 + 1};
    default:
        return (struct name){0, 0, 0};
    }
}

/* ---- Rows */

struct rows {
    struct name name;
    uint64_t offset, pitch, width, count;
};

static bool rows_are_inside(const struct rows *rows)
{
    return rows->name.root && rows->width && rows->count && rows->pitch >= rows->width &&
           (wide)rows->offset + (wide)(rows->count - 1) * rows->pitch + rows->width <= rows->name.size;
}

/* Looks at every byte. */
static bool rows_share(const struct rows *a, const struct rows *b)
{
    static uint8_t seen[FUZZ_BUFFER_BYTES];
    memset(seen, 0, sizeof(seen));
    for (uint64_t i = 0; i < a->count; i++)
        memset(seen + a->name.base + a->offset + i * a->pitch, 1, a->width);
    for (uint64_t i = 0; i < b->count; i++)
        if (memchr(seen + b->name.base + b->offset + i * b->pitch, 1, b->width))
            return true;
    return false;
}

static bool areas_reach(const struct rows *a, const struct rows *b)
{
    uint64_t a_start = a->name.base + a->offset, b_start = b->name.base + b->offset;
    return a_start < b_start + (b->count - 1) * b->pitch + b->width &&
           b_start < a_start + (a->count - 1) * a->pitch + a->width;
}

static enum verdict rows_judge(const struct rows *source, const struct rows *target)
{
    if (!rows_are_inside(source) || !rows_are_inside(target))
        return WRONG;
    if (source->name.root != target->name.root)
        return RIGHT;
    return rows_share(source, target) || (source->pitch != target->pitch && areas_reach(source, target)) ? WRONG
                                                                                                       : RIGHT;
}

static enum verdict copy_judge(const void *command, uint32_t bytes)
{
    const struct vgpgpu_cmd_copy *copy = command;
    if (bytes != sizeof(*copy))
        return WRONG;
    struct rows source = {name_find(copy->source), copy->source_offset, copy->length, copy->length, 1},
                target = {name_find(copy->target), copy->target_offset, copy->length, copy->length, 1};
    return rows_judge(&source, &target);
}

static enum verdict copy_2d_judge(const void *command, uint32_t bytes)
{
    const struct vgpgpu_cmd_copy_2d *copy = command;
    if (bytes != sizeof(*copy))
        return WRONG;
    struct rows source = {name_find(copy->source), copy->source_offset, copy->source_pitch, copy->width, copy->rows},
                target = {name_find(copy->target), copy->target_offset, copy->target_pitch, copy->width, copy->rows};
    return rows_judge(&source, &target);
}

static bool is_pattern(uint32_t bytes)
{
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16;
}

static enum verdict pattern_judge(uint32_t unit, const struct rows *rows)
{
    bool whole = is_pattern(unit) && rows->offset % unit == 0 && rows->pitch % unit == 0 && rows->width % unit == 0;
    return whole && rows_are_inside(rows) ? RIGHT : WRONG;
}

static enum verdict fill_judge(const void *command, uint32_t bytes)
{
    const struct vgpgpu_cmd_fill *fill = command;
    if (bytes != sizeof(*fill))
        return WRONG;
    struct rows rows = {name_find(fill->target), fill->offset, fill->length, fill->length, 1};
    return pattern_judge(fill->pattern_bytes, &rows);
}

static enum verdict fill_2d_judge(const void *command, uint32_t bytes)
{
    const struct vgpgpu_cmd_fill_2d *fill = command;
    if (bytes != sizeof(*fill))
        return WRONG;
    struct rows rows = {name_find(fill->target), fill->offset, fill->pitch, fill->width, fill->rows};
    return pattern_judge(fill->pattern_bytes, &rows);
}

/* ---- Launches */

static bool range_is_right(const struct vgpgpu_cmd_launch *launch)
{
    wide items = 1;
    bool chosen = launch->local[0] != 0;
    if (launch->dimensions < 1 || launch->dimensions > 3)
        return false;
    for (unsigned i = 0; i < 3; i++) {
        bool used = i < launch->dimensions;
        if (used ? !launch->global[i] || (launch->local[i] != 0) != chosen
                 : launch->global[i] != 1 || launch->local[i] > 1)
            return false;
        if (launch->global[i] > INT64_MAX || launch->local[i] > INT32_MAX)
            return false;
        items *= launch->global[i];
        if (items > INT64_MAX)
            return false;
    }
    return true;
}

static bool buffer_argument_is_right(const struct vgpgpu_arg *arg)
{
    struct name name = name_find(arg->object);
    return arg->kind == VGPGPU_ARG_BUFFER && !arg->reserved && !arg->size && name.root && arg->offset < name.size &&
           arg->offset % fuzz.rig.front->config.offset_align == 0;
}

static bool plain_argument_is_right(const struct vgpgpu_arg *arg, uint16_t kind, uint64_t least, uint64_t most)
{
    return arg->kind == kind && !arg->reserved && !arg->object && !arg->offset && arg->size >= least &&
           arg->size <= most;
}

/* A buffer, and a number of 4 bytes. */
static bool put_is_right(const struct vgpgpu_cmd_launch *launch, uint32_t bytes)
{
    const struct vgpgpu_arg *args = (const void *)(launch + 1);
    return launch->arg_count == 2 && bytes == sizeof(*launch) + 2 * sizeof(*args) + 8 &&
           buffer_argument_is_right(&args[0]) && plain_argument_is_right(&args[1], VGPGPU_ARG_VALUE, 4, 4);
}

static bool loc_is_right(const struct vgpgpu_cmd_launch *launch, uint32_t bytes)
{
    const struct vgpgpu_arg *args = (const void *)(launch + 1);
    return launch->arg_count == 1 && bytes == sizeof(*launch) + sizeof(*args) &&
           plain_argument_is_right(&args[0], VGPGPU_ARG_LOCAL, 1, fuzz.rig.front->config.local_bytes);
}

/* Work-groups that are chosen the device may refuse. */
static enum verdict launch_judge(const void *command, uint32_t bytes)
{
    const struct vgpgpu_cmd_launch *launch = command;
    if (bytes < sizeof(*launch) || launch->reserved || !range_is_right(launch))
        return WRONG;
    if (launch->kernel != 1 && launch->kernel != 2)
        return WRONG;
    if (strcmp(fuzz.rig.front->config.backend, "cuda") == 0)
        return OPEN; /* its kernels are others */
    if (launch->kernel == 1 ? !put_is_right(launch, bytes) : !loc_is_right(launch, bytes))
        return WRONG;
    return launch->local[0] ? OPEN : RIGHT;
}

/* ---- Operations */

/* Names a part of a buffer by the buffer. False: there is none such, or it is left. */
static bool tensor_settle(struct vgpgpu_tensor *tensor)
{
    static const struct vgpgpu_tensor nothing;
    if (memcmp(tensor, &nothing, sizeof(nothing)) == 0)
        return true;
    struct name name = name_find(tensor->buffer);
    wide span = 1;
    for (unsigned i = 0; i < VGPGPU_MAX_RANK; i++)
        if (tensor->dimensions[i])
            span += (wide)(tensor->dimensions[i] - 1) * tensor->strides[i];
    if (!name.root || span * element_bytes(tensor->type) + tensor->offset > name.size)
        return false;
    tensor->buffer = name.root;
    tensor->offset += name.base;
    return true;
}

static enum verdict operation_judge(const void *command, uint32_t bytes)
{
    const struct vgpgpu_cmd_operation *operation = command;
    const uint8_t *payload = (const uint8_t *)(operation + 1);
    struct trial trial = {0};
    if (bytes < sizeof(*operation) || operation->tensor_count > VGPGPU_MAX_TENSORS)
        return WRONG;
    uint32_t tensors = operation->tensor_count * (uint32_t)sizeof(trial.tensors[0]);
    if ((uint64_t)sizeof(*operation) + tensors + operation->parameter_bytes != bytes)
        return WRONG;
    if (operation->parameter_bytes > PARAMETERS)
        return WRONG; /* no operation has so many */
    trial.operation = operation->operation;
    trial.count = operation->tensor_count;
    trial.parameter_bytes = operation->parameter_bytes;
    memcpy(trial.tensors, payload, tensors);
    memcpy(trial.parameters, payload + tensors, trial.parameter_bytes);
    for (unsigned i = 0; i < trial.count; i++)
        if (!tensor_settle(&trial.tensors[i]))
            return WRONG;
    return trial_is_right(&trial) ? RIGHT : WRONG;
}

/* ---- */

static enum verdict barrier_judge(const void *command, uint32_t bytes)
{
    (void)command;
    return bytes == sizeof(struct vgpgpu_command) ? RIGHT : WRONG;
}

enum verdict command_judge(const void *commands, uint32_t bytes, uint64_t room)
{
    static enum verdict (*const judges[])(const void *command, uint32_t bytes) = {
        [VGPGPU_CMD_LAUNCH] = launch_judge,   [VGPGPU_CMD_COPY] = copy_judge,
        [VGPGPU_CMD_FILL] = fill_judge,       [VGPGPU_CMD_BARRIER] = barrier_judge,
        [VGPGPU_CMD_COPY_2D] = copy_2d_judge, [VGPGPU_CMD_FILL_2D] = fill_2d_judge,
        [VGPGPU_CMD_OPERATION] = operation_judge,
    };
    const struct vgpgpu_command *command = commands;
    const struct vgpgpu_cmd_signal *signal = commands;
    if (command->reserved || command->bytes < sizeof(*command) || command->bytes % 8 || command->bytes > bytes)
        return WRONG;
    if (command->bytes < bytes) /* what follows is taken as another */
        return OPEN;
    if (command->op == VGPGPU_CMD_SIGNAL)
        return bytes == sizeof(*signal) && signal->before && signal->before < room ? RIGHT : WRONG;
    if (command->op >= sizeof(judges) / sizeof(judges[0]) || !judges[command->op])
        return WRONG;
    return judges[command->op](command, bytes);
}
