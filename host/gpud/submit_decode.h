/*
 * submit_decode.h: turns the commands of a submission, a private copy of what the guest wrote, into
 * operations on objects. Decoding checks everything and changes nothing but references.
 */
#pragma once

#include "machine.h"

struct operation {
    uint16_t op; /* enum vgpgpu_command_op; a barrier has nothing to do on an in-order queue */
    union {
        struct device_launch launch;
        struct device_copy copy;
        struct device_fill fill;
        struct device_operation operation;
    };
};

/* Room that a thread uses again for every submission; it grows as needed. */
struct decoded {
    unsigned count, arg_count, buffer_count, reference_count;
    struct operation *operations;
    struct device_arg *args;
    struct device_buffer **buffers; /* of built-in operations */
    struct object **references;     /* one held for each mention of an object */
    unsigned operation_room, arg_room, buffer_room, reference_room;
};

/* One decode in progress. */
struct decoder {
    struct context *context;
    uint32_t offset_align;
    struct decoded *out;
};

/* Finds an object and keeps it for the submission; NULL: there is none. */
struct object *decoder_use(struct decoder *decoder, enum object_kind kind, uint32_t id);

/* operation_decode.c: a built-in operation. */
uint32_t operation_decode(struct decoder *decoder, const struct vgpgpu_command *header,
                          struct operation *operation);

/*
 * Decodes `bytes` of commands against a context, with objects_lock held. The operations point into
 * `commands`. Returns an enum vgpgpu_status. References that were taken stay taken after an error:
 * the submission fails in its turn and then lets go of them.
 */
uint32_t submit_decode_locked(struct context *context, uint32_t offset_align,
                              const uint8_t *commands, uint32_t bytes, struct decoded *decoded);
