/*
 * names.c: see names.h. Lengths are checked before anything is believed; all else is the device's to check.
 */
#include "lib/gpucmd/names.h"

#include <stdbool.h>
#include <stddef.h>

#define BOTH ((unsigned)GPUCMD_READS | (unsigned)GPUCMD_WRITES)

struct walk {
    gpucmd_name_fn *fn;
    void *arg;
};

static int name_visit(const struct walk *w, uint32_t *id, unsigned access, uint64_t whole)
{
    const struct gpucmd_name name = {.id = id, .access = access, .whole = whole};

    return *id ? w->fn(w->arg, &name) : 0;
}

static int arg_visit(const struct walk *w, struct vgpgpu_arg *arg)
{
    const struct gpucmd_name name = {
        .id = &arg->object,
        .hint = &arg->reserved,
        .access = arg->reserved ? arg->reserved : BOTH,
        .whole = arg->reserved == GPUCMD_WRITES ? UINT64_MAX : 0,
    };

    if (arg->reserved > BOTH)
        return GPUCMD_MALFORMED;
    return arg->object ? w->fn(w->arg, &name) : 0;
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + 7) & ~7ull;
}

static int launch_walk(const struct walk *w, struct vgpgpu_cmd_launch *c)
{
    uint8_t *at = (uint8_t *)(c + 1), *end = (uint8_t *)c + c->header.bytes;

    if (c->arg_count > VGPGPU_MAX_ARGS)
        return GPUCMD_MALFORMED;
    for (uint32_t i = 0; i < c->arg_count; i++) {
        struct vgpgpu_arg *arg = (void *)at;
        uint64_t value;
        int r;

        if ((size_t)(end - at) < sizeof(*arg))
            return GPUCMD_MALFORMED;
        at += sizeof(*arg);
        value = arg->kind == VGPGPU_ARG_VALUE ? arg->size : 0;
        if (value > VGPGPU_MAX_VALUE || padded(value) > (uint64_t)(end - at))
            return GPUCMD_MALFORMED;
        at += padded(value);
        r = arg->kind == VGPGPU_ARG_BUFFER ? arg_visit(w, arg) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}

/* Bytes from the buffer's start that a dense tensor covers; 0: it is not dense, or does not start there. */
static uint64_t tensor_covers(const struct vgpgpu_tensor *t)
{
    uint64_t bytes = t->type == VGPGPU_S8 ? 1 : t->type == VGPGPU_BF16 ? 2 : 4, stride = 1;

    if (t->offset || t->rank > VGPGPU_MAX_RANK)
        return 0;
    for (unsigned i = t->rank; i-- > 0;)
        if (t->strides[i] != stride || __builtin_mul_overflow(stride, t->dimensions[i], &stride))
            return 0;
    return __builtin_mul_overflow(stride, bytes, &bytes) ? 0 : bytes;
}

/* A product may add to what is there. */
static bool result_is_read(const struct vgpgpu_cmd_operation *c)
{
    const uint8_t *parameters = (const uint8_t *)(c + 1) + c->tensor_count * sizeof(struct vgpgpu_tensor);
    uint32_t beta;

    if (c->operation != VGPGPU_GEMM)
        return false;
    if (c->parameter_bytes < sizeof(struct vgpgpu_gemm))
        return true;
    __builtin_memcpy(&beta, parameters + offsetof(struct vgpgpu_gemm, beta), sizeof(beta));
    return beta << 1 != 0;
}

/* Sources come first: a result that is one of them is read. */
static int operation_walk(const struct walk *w, struct vgpgpu_cmd_operation *c)
{
    struct vgpgpu_tensor *tensors = (void *)(c + 1);
    uint32_t results = c->operation == VGPGPU_LSTM ? 3 : 1, i;
    unsigned access = GPUCMD_WRITES | (result_is_read(c) ? GPUCMD_READS : 0);
    int r = 0;

    for (i = results; i < c->tensor_count && r == 0; i++)
        r = name_visit(w, &tensors[i].buffer, GPUCMD_READS, 0);
    for (i = 0; i < (results < c->tensor_count ? results : c->tensor_count) && r == 0; i++)
        r = name_visit(w, &tensors[i].buffer, access, tensor_covers(&tensors[i]));
    return r;
}

static int pair_visit(const struct walk *w, uint32_t *source, uint32_t *target, uint64_t whole)
{
    int r = name_visit(w, source, GPUCMD_READS, 0);

    return r == 0 ? name_visit(w, target, GPUCMD_WRITES, whole) : r;
}

/* Bytes of the command without what its counts add; 0: there is no such command. */
static uint32_t command_bytes(uint16_t op)
{
    static const uint32_t bytes[] = {
        [VGPGPU_CMD_LAUNCH] = sizeof(struct vgpgpu_cmd_launch),
        [VGPGPU_CMD_COPY] = sizeof(struct vgpgpu_cmd_copy),
        [VGPGPU_CMD_FILL] = sizeof(struct vgpgpu_cmd_fill),
        [VGPGPU_CMD_BARRIER] = sizeof(struct vgpgpu_command),
        [VGPGPU_CMD_OPERATION] = sizeof(struct vgpgpu_cmd_operation),
        [VGPGPU_CMD_COPY_2D] = sizeof(struct vgpgpu_cmd_copy_2d),
        [VGPGPU_CMD_FILL_2D] = sizeof(struct vgpgpu_cmd_fill_2d),
        [VGPGPU_CMD_SIGNAL] = sizeof(struct vgpgpu_cmd_signal),
    };

    return op < sizeof(bytes) / sizeof(bytes[0]) ? bytes[op] : 0;
}

static int command_walk(const struct walk *w, struct vgpgpu_command *header)
{
    union {
        struct vgpgpu_command *header;
        struct vgpgpu_cmd_launch *launch;
        struct vgpgpu_cmd_copy *copy;
        struct vgpgpu_cmd_fill *fill;
        struct vgpgpu_cmd_operation *operation;
        struct vgpgpu_cmd_copy_2d *copy_2d;
        struct vgpgpu_cmd_fill_2d *fill_2d;
    } c = {header};

    switch (header->op) {
    case VGPGPU_CMD_LAUNCH:
        return launch_walk(w, c.launch);
    case VGPGPU_CMD_COPY:
        return pair_visit(w, &c.copy->source, &c.copy->target,
                          c.copy->target_offset ? 0 : c.copy->length);
    case VGPGPU_CMD_FILL:
        return name_visit(w, &c.fill->target, GPUCMD_WRITES, c.fill->offset ? 0 : c.fill->length);
    case VGPGPU_CMD_OPERATION:
        if (c.operation->tensor_count > VGPGPU_MAX_TENSORS ||
            sizeof(*c.operation) + c.operation->tensor_count * sizeof(struct vgpgpu_tensor) +
                    (uint64_t)c.operation->parameter_bytes >
                header->bytes)
            return GPUCMD_MALFORMED;
        return operation_walk(w, c.operation);
    case VGPGPU_CMD_COPY_2D:
        return pair_visit(w, &c.copy_2d->source, &c.copy_2d->target, 0);
    case VGPGPU_CMD_FILL_2D:
        return name_visit(w, &c.fill_2d->target, GPUCMD_WRITES, 0);
    default:
        return 0;
    }
}

int gpucmd_names(void *commands, uint32_t bytes, gpucmd_name_fn *fn, void *arg)
{
    const struct walk w = {fn, arg};
    int r = 0;

    for (uint32_t at = 0; at < bytes && r == 0;) {
        struct vgpgpu_command *header = (void *)((uint8_t *)commands + at);
        uint32_t left = bytes - at;

        if (left < sizeof(*header) || header->bytes > left || header->bytes % 8)
            return GPUCMD_MALFORMED;
        if (!command_bytes(header->op))
            return GPUCMD_UNKNOWN;
        if (header->bytes < command_bytes(header->op))
            return GPUCMD_MALFORMED;
        r = command_walk(&w, header);
        at += header->bytes;
    }
    return r;
}
