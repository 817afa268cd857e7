/*
 * control.h: control requests. control.c brings them in and takes replies out; control_requests.c
 * says what each does.
 */
#pragma once

#include "machine.h"

/* One request in work. */
struct control_call {
    struct machine *machine;
    struct guest_memory *memory; /* the newest table */
    const uint8_t *request;      /* private copy */
    uint64_t bytes;
    bool again; /* a front that was killed has had it in work */
    /* What the handler leaves. */
    uint64_t value;
    char *payload;        /* malloc'd, or NULL */
    size_t payload_bytes; /* 0: it is text */
    /* A reference each, when the reply waits for the device to let go; then the status is OK. */
    struct object *dying_object;
    struct context *dying_context;
};

/* Each checks the request and acts; the header's length and reserved field are checked already.
 * They return an enum vgpgpu_status. */
uint32_t control_context_create(struct control_call *call);
uint32_t control_context_destroy(struct control_call *call);
uint32_t control_buffer_create(struct control_call *call);
uint32_t control_buffer_destroy(struct control_call *call);
uint32_t control_sub_buffer_create(struct control_call *call);
uint32_t control_program_create(struct control_call *call);
uint32_t control_program_destroy(struct control_call *call);
uint32_t control_kernel_create(struct control_call *call);
uint32_t control_kernel_destroy(struct control_call *call);

/* control_query.c */
uint32_t control_context_limit(struct control_call *call);
uint32_t control_query(struct control_call *call);
/* Lets go of the binary that a guest was reading. */
void sealed_forget(struct machine *machine);
