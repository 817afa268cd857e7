/*
 * submit_decode.h: turns the commands of a submission, a private copy of what the guest wrote, into
 * operations on objects. Decoding checks everything and changes nothing but references.
 *
 * It happens twice. The front decodes to check; whoever finds the objects for it puts their handles
 * in the place of the guest's identifiers. The device process decodes the same bytes to carry out.
 */
#pragma once

#include "device.h"

enum object_kind { OBJECT_BUFFER, OBJECT_PROGRAM, OBJECT_KERNEL, OBJECT_KINDS };

/* What decoding must know of an object. The device's pointers are NULL in the front. */
struct object_facts {
    union {
        struct {
            struct device_buffer *device;
            uint64_t size;
            const void *root; /* whose bytes these are: the same for a buffer and its sub-buffers */
            uint64_t base;    /* the first one's place there */
        } buffer;
        struct {
            struct device_kernel *device;
            uint32_t arg_count;
            uint8_t wants[VGPGPU_MAX_ARGS]; /* enum device_arg_want */
        } kernel;
    };
};

struct object;

struct operation {
    uint16_t op; /* enum vgpgpu_command_op */
    union {
        struct device_launch launch;
        struct device_copy copy;
        struct device_fill fill;
        struct {
            struct device_fill row; /* the first one */
            uint64_t pitch, rows;
        } area;
        struct device_operation operation;
        uint64_t before; /* of a SIGNAL */
    };
};

/* Room that a thread uses again for every submission; it grows as needed. */
struct decoded {
    unsigned count, arg_count, buffer_count, reference_count;
    unsigned signal_count;
    struct operation *operations;
    struct device_arg *args;
    struct device_buffer **buffers; /* of built-in operations */
    struct object **references;     /* the front's: one held for each mention of an object */
    unsigned operation_room, arg_room, buffer_room, reference_room;
};

/* One decode in progress. */
struct decoder {
    void *owner;
    /* Finds what `*id` names, which it may change; NULL: there is none. A sub-buffer's name becomes that
     * of the buffer underneath, and offsets behind it count from there on. */
    const struct object_facts *(*find)(struct decoder *decoder, enum object_kind kind,
                                       uint32_t *id);
    uint32_t offset_align;
    uint64_t before; /* the next SIGNAL's is less */
    struct decoded *out;
};

/* operation_decode.c: a built-in operation. */
uint32_t operation_decode(struct decoder *decoder, struct vgpgpu_command *header,
                          struct operation *operation);

/*
 * Decodes `bytes` of commands into ->out. The operations point into `commands`. Returns an enum
 * vgpgpu_status. References that were taken stay taken after an error: the submission fails in its
 * turn and then lets go of them.
 */
uint32_t submit_decode(struct decoder *decoder, uint8_t *commands, uint32_t bytes);
