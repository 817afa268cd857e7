/* submit_decode.c: see submit_decode.h. `commands` stands at a multiple of 8. */
#include "submit_decode.h"

#include <stdlib.h>
#include "checked.h"

struct command_totals {
    unsigned commands, args, buffers, references;
};

/* Walks the command headers and adds up what room the operations take. */
static uint32_t commands_measure(const uint8_t *commands, uint32_t bytes,
                                 struct command_totals *totals)
{
    *totals = (struct command_totals){0};
    for (uint32_t offset = 0; offset < bytes;) {
        const struct vgpgpu_command *command = (const void *)(commands + offset);
        if (bytes - offset < sizeof(*command) || command->bytes < sizeof(*command) ||
            command->bytes % 8 || command->bytes > bytes - offset || command->reserved)
            return VGPGPU_ERR_INVALID;
        totals->commands++;
        totals->references += 2;
        if (command->op == VGPGPU_CMD_LAUNCH)
            totals->args += command->bytes / (uint32_t)sizeof(struct vgpgpu_arg);
        if (command->op == VGPGPU_CMD_OPERATION)
            totals->buffers += VGPGPU_MAX_TENSORS;
        offset += command->bytes;
    }
    totals->references += totals->args + totals->buffers;
    return VGPGPU_OK;
}

static bool room_grow(void **array, unsigned *room, unsigned needed, size_t size)
{
    if (needed <= *room)
        return true;
    void *grown = realloc(*array, needed * size);
    if (!grown)
        return false;
    *array = grown;
    *room = needed;
    return true;
}

static bool decoded_grow(struct decoded *decoded, const struct command_totals *totals)
{
    return room_grow((void **)&decoded->operations, &decoded->operation_room, totals->commands,
                     sizeof(decoded->operations[0])) &&
           room_grow((void **)&decoded->args, &decoded->arg_room, totals->args,
                     sizeof(decoded->args[0])) &&
           room_grow((void **)&decoded->buffers, &decoded->buffer_room, totals->buffers,
                     sizeof(decoded->buffers[0])) &&
           room_grow((void **)&decoded->references, &decoded->reference_room, totals->references,
                     sizeof(decoded->references[0]));
}

static uint32_t arg_buffer_decode(struct decoder *decoder, struct vgpgpu_arg *in,
                                  struct device_arg *out)
{
    if (in->size)
        return VGPGPU_ERR_INVALID;
    const struct object_facts *facts = decoder->find(decoder, OBJECT_BUFFER, &in->object);
    if (!facts)
        return VGPGPU_ERR_ID;
    if (in->offset >= facts->buffer.size || !is_aligned(in->offset, decoder->offset_align))
        return VGPGPU_ERR_RANGE;
    out->buffer = facts->buffer.device;
    out->offset = in->offset += facts->buffer.base;
    return VGPGPU_OK;
}

/* Decodes the argument at `*offset` of a launch of `end` bytes and moves past it. */
static uint32_t arg_decode(struct decoder *decoder, uint8_t *launch, uint32_t end,
                           uint32_t *offset, uint8_t want, struct device_arg *out)
{
    struct vgpgpu_arg *in = (void *)(launch + *offset);
    if (end - *offset < sizeof(*in) || in->reserved)
        return VGPGPU_ERR_INVALID;
    *offset += sizeof(*in);
    bool either = want == DEVICE_ARG_EITHER &&
                  (in->kind == VGPGPU_ARG_BUFFER || (in->kind == VGPGPU_ARG_VALUE && in->size == 8));
    if (in->kind != want && !either)
        return VGPGPU_ERR_INVALID;
    *out = (struct device_arg){.kind = in->kind, .size = in->size};
    if (in->kind == VGPGPU_ARG_BUFFER)
        return arg_buffer_decode(decoder, in, out);
    if (in->object || in->offset || !in->size)
        return VGPGPU_ERR_INVALID;
    if (in->kind == VGPGPU_ARG_LOCAL)
        return VGPGPU_OK;
    if (in->size > VGPGPU_MAX_VALUE)
        return VGPGPU_ERR_LIMIT;
    uint32_t padded = (uint32_t)align_up(in->size, 8);
    if (padded > end - *offset)
        return VGPGPU_ERR_INVALID;
    out->value = launch + *offset;
    *offset += padded;
    return VGPGPU_OK;
}

/* The ND-range: used dimensions are not 0, unused ones 1 (a work-group's may be 0 there). */
static uint32_t range_decode(const struct vgpgpu_cmd_launch *command, struct device_launch *launch)
{
    uint64_t items = 1;
    bool chosen = command->local[0] != 0;
    if (!command->dimensions || command->dimensions > 3)
        return VGPGPU_ERR_INVALID;
    for (unsigned i = 0; i < 3; i++) {
        bool used = i < command->dimensions;
        uint64_t global = command->global[i], local = command->local[i];
        if (used ? !global || (local != 0) != chosen : global != 1 || local > 1)
            return VGPGPU_ERR_INVALID;
        if (!checked_multiply(items, global, &items) || items > INT64_MAX || local > INT32_MAX)
            return VGPGPU_ERR_LIMIT;
        launch->global[i] = global;
        launch->local[i] = chosen && used ? local : 0;
    }
    launch->dimensions = command->dimensions;
    return VGPGPU_OK;
}

static uint32_t launch_decode(struct decoder *decoder, struct vgpgpu_command *header,
                              struct operation *operation)
{
    struct vgpgpu_cmd_launch *command = (void *)header;
    struct device_launch *launch = &operation->launch;
    if (header->bytes < sizeof(*command) || command->reserved)
        return VGPGPU_ERR_INVALID;
    uint32_t status = range_decode(command, launch);
    if (status)
        return status;
    const struct object_facts *facts = decoder->find(decoder, OBJECT_KERNEL, &command->kernel);
    if (!facts)
        return VGPGPU_ERR_ID;
    if (command->arg_count != facts->kernel.arg_count)
        return VGPGPU_ERR_INVALID;
    struct device_arg *args = decoder->out->args + decoder->out->arg_count;
    uint32_t offset = sizeof(*command);
    for (uint32_t i = 0; i < command->arg_count && !status; i++)
        status = arg_decode(decoder, (uint8_t *)command, header->bytes, &offset,
                            facts->kernel.wants[i], &args[i]);
    if (status)
        return status;
    if (offset != header->bytes)
        return VGPGPU_ERR_INVALID;
    decoder->out->arg_count += command->arg_count;
    launch->kernel = facts->kernel.device;
    launch->args = args;
    launch->arg_count = command->arg_count;
    return VGPGPU_OK;
}

static uint32_t copy_decode(struct decoder *decoder, struct vgpgpu_command *header,
                            struct operation *operation)
{
    struct vgpgpu_cmd_copy *command = (void *)header;
    if (header->bytes != sizeof(*command) || !command->length)
        return VGPGPU_ERR_INVALID;
    const struct object_facts *source = decoder->find(decoder, OBJECT_BUFFER, &command->source);
    const struct object_facts *target = decoder->find(decoder, OBJECT_BUFFER, &command->target);
    if (!source || !target)
        return VGPGPU_ERR_ID;
    if (!range_inside(command->source_offset, command->length, source->buffer.size) ||
        !range_inside(command->target_offset, command->length, target->buffer.size))
        return VGPGPU_ERR_RANGE;
    command->source_offset += source->buffer.base;
    command->target_offset += target->buffer.base;
    if (source->buffer.root == target->buffer.root &&
        command->source_offset < command->target_offset + command->length &&
        command->target_offset < command->source_offset + command->length)
        return VGPGPU_ERR_INVALID;
    operation->copy = (struct device_copy){.source = source->buffer.device,
                                           .target = target->buffer.device,
                                           .source_offset = command->source_offset,
                                           .target_offset = command->target_offset,
                                           .length = command->length,
                                           .rows = 1};
    return VGPGPU_OK;
}

/* Bytes from the first of `rows` rows to the last one's end. */
static bool area_measure(uint64_t pitch, uint64_t width, uint64_t rows, uint64_t *bytes)
{
    return checked_multiply(rows - 1, pitch, bytes) && checked_add(*bytes, width, bytes);
}

/* Whether rows at two places of one buffer share a byte; `bytes` as area_measure() has them. */
static bool areas_overlap(const struct vgpgpu_cmd_copy_2d *command, uint64_t source_bytes,
                          uint64_t target_bytes)
{
    uint64_t source = command->source_offset, target = command->target_offset;
    if (source >= target + target_bytes || target >= source + source_bytes)
        return false;
    if (command->source_pitch != command->target_pitch)
        return true;
    uint64_t apart = (source > target ? source - target : target - source) % command->source_pitch;
    return apart < command->width || apart + command->width > command->source_pitch;
}

static uint32_t copy_2d_decode(struct decoder *decoder, struct vgpgpu_command *header,
                               struct operation *operation)
{
    struct vgpgpu_cmd_copy_2d *command = (void *)header;
    uint64_t source_bytes, target_bytes;
    if (header->bytes != sizeof(*command) || !command->width || !command->rows ||
        command->source_pitch < command->width || command->target_pitch < command->width)
        return VGPGPU_ERR_INVALID;
    const struct object_facts *source = decoder->find(decoder, OBJECT_BUFFER, &command->source);
    const struct object_facts *target = decoder->find(decoder, OBJECT_BUFFER, &command->target);
    if (!source || !target)
        return VGPGPU_ERR_ID;
    if (!area_measure(command->source_pitch, command->width, command->rows, &source_bytes) ||
        !area_measure(command->target_pitch, command->width, command->rows, &target_bytes) ||
        !range_inside(command->source_offset, source_bytes, source->buffer.size) ||
        !range_inside(command->target_offset, target_bytes, target->buffer.size))
        return VGPGPU_ERR_RANGE;
    command->source_offset += source->buffer.base;
    command->target_offset += target->buffer.base;
    if (source->buffer.root == target->buffer.root &&
        areas_overlap(command, source_bytes, target_bytes))
        return VGPGPU_ERR_INVALID;
    operation->copy = (struct device_copy){.source = source->buffer.device,
                                           .target = target->buffer.device,
                                           .source_offset = command->source_offset,
                                           .target_offset = command->target_offset,
                                           .length = command->width,
                                           .rows = command->rows,
                                           .source_pitch = command->source_pitch,
                                           .target_pitch = command->target_pitch};
    return VGPGPU_OK;
}

static uint32_t fill_2d_decode(struct decoder *decoder, struct vgpgpu_command *header,
                               struct operation *operation)
{
    struct vgpgpu_cmd_fill_2d *command = (void *)header;
    uint64_t bytes;
    if (header->bytes != sizeof(*command))
        return VGPGPU_ERR_INVALID;
    uint32_t unit = command->pattern_bytes;
    if (!unit || unit > sizeof(command->pattern) ||
        (unit & (unit - 1)) || !command->width || !command->rows ||
        command->pitch < command->width ||
        (command->offset | command->pitch | command->width) & (unit - 1))
        return VGPGPU_ERR_INVALID;
    const struct object_facts *target = decoder->find(decoder, OBJECT_BUFFER, &command->target);
    if (!target)
        return VGPGPU_ERR_ID;
    if (!area_measure(command->pitch, command->width, command->rows, &bytes) ||
        !range_inside(command->offset, bytes, target->buffer.size))
        return VGPGPU_ERR_RANGE;
    command->offset += target->buffer.base;
    operation->area.row = (struct device_fill){.target = target->buffer.device,
                                               .offset = command->offset,
                                               .length = command->width,
                                               .pattern = command->pattern,
                                               .pattern_bytes = unit};
    operation->area.pitch = command->pitch;
    operation->area.rows = command->rows;
    return VGPGPU_OK;
}

static uint32_t fill_decode(struct decoder *decoder, struct vgpgpu_command *header,
                            struct operation *operation)
{
    struct vgpgpu_cmd_fill *command = (void *)header;
    if (header->bytes != sizeof(*command))
        return VGPGPU_ERR_INVALID;
    uint32_t unit = command->pattern_bytes;
    if (!unit || unit > sizeof(command->pattern) || (unit & (unit - 1)) || !command->length ||
        command->length % unit || command->offset % unit)
        return VGPGPU_ERR_INVALID;
    const struct object_facts *target = decoder->find(decoder, OBJECT_BUFFER, &command->target);
    if (!target)
        return VGPGPU_ERR_ID;
    if (!range_inside(command->offset, command->length, target->buffer.size))
        return VGPGPU_ERR_RANGE;
    command->offset += target->buffer.base;
    operation->fill = (struct device_fill){.target = target->buffer.device,
                                           .offset = command->offset,
                                           .length = command->length,
                                           .pattern = command->pattern,
                                           .pattern_bytes = unit};
    return VGPGPU_OK;
}

static uint32_t barrier_decode(struct decoder *decoder, struct vgpgpu_command *header,
                               struct operation *operation)
{
    (void)decoder;
    (void)operation;
    return header->bytes == sizeof(*header) ? VGPGPU_OK : VGPGPU_ERR_INVALID;
}

static uint32_t signal_decode(struct decoder *decoder, struct vgpgpu_command *header,
                              struct operation *operation)
{
    const struct vgpgpu_cmd_signal *command = (const void *)header;
    if (header->bytes != sizeof(*command) || !command->before || command->before >= decoder->before)
        return VGPGPU_ERR_INVALID;
    operation->before = decoder->before = command->before;
    decoder->out->signal_count++;
    return VGPGPU_OK;
}

static uint32_t (*const decoders[])(struct decoder *decoder, struct vgpgpu_command *header,
                                    struct operation *operation) = {
    [VGPGPU_CMD_LAUNCH] = launch_decode,
    [VGPGPU_CMD_COPY] = copy_decode,
    [VGPGPU_CMD_FILL] = fill_decode,
    [VGPGPU_CMD_BARRIER] = barrier_decode,
    [VGPGPU_CMD_OPERATION] = operation_decode,
    [VGPGPU_CMD_COPY_2D] = copy_2d_decode,
    [VGPGPU_CMD_FILL_2D] = fill_2d_decode,
    [VGPGPU_CMD_SIGNAL] = signal_decode,
};

static uint32_t commands_decode(struct decoder *decoder, uint8_t *commands, uint32_t bytes)
{
    for (uint32_t offset = 0; offset < bytes;) {
        struct vgpgpu_command *header = (void *)(commands + offset);
        struct operation *operation = &decoder->out->operations[decoder->out->count];
        if (header->op >= sizeof(decoders) / sizeof(decoders[0]) || !decoders[header->op])
            return VGPGPU_ERR_UNSUPPORTED;
        operation->op = header->op;
        uint32_t status = decoders[header->op](decoder, header, operation);
        if (status)
            return status;
        decoder->out->count++;
        offset += header->bytes;
    }
    return VGPGPU_OK;
}

uint32_t submit_decode(struct decoder *decoder, uint8_t *commands, uint32_t bytes)
{
    struct decoded *decoded = decoder->out;
    struct command_totals totals;
    decoded->count = decoded->arg_count = decoded->buffer_count = decoded->reference_count = 0;
    decoded->signal_count = 0;
    uint32_t status = commands_measure(commands, bytes, &totals);
    if (status)
        return status;
    if (!decoded_grow(decoded, &totals))
        return VGPGPU_ERR_NO_MEMORY;
    return commands_decode(decoder, commands, bytes);
}
