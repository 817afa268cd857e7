/* front_requests.c: what a driver says to the device: requests, batches, fences. */
#include "front.h"

#include <poll.h>
#include <sched.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPLY_ROOM (64u << 10)

uint32_t front_request(struct front *front, const void *request, size_t bytes, uint64_t *value,
                       char *text, size_t text_bytes)
{
    uint64_t reply_guest = front->request_guest;
    uint64_t request_guest = reply_guest + REPLY_ROOM;
    struct vgpgpu_reply *reply = front_at(front, reply_guest);
    memcpy(front_at(front, request_guest), request, bytes);
    memset(reply, 0xff, sizeof(*reply));
    /* In two pieces, so that no device may count on one. */
    uint32_t first = bytes > 20 ? 20 : (uint32_t)bytes;
    struct front_part parts[3] = {{request_guest, first, false},
                                  {request_guest + first, (uint32_t)bytes - first, false},
                                  {reply_guest, REPLY_ROOM, true}};
    front_post(front, VGPGPU_QUEUE_CONTROL, parts, 3);
    uint16_t head;
    uint32_t written;
    if (!front_take(front, VGPGPU_QUEUE_CONTROL, 60000, &head, &written) ||
        written < sizeof(*reply))
        return UINT32_MAX;
    if (value)
        *value = reply->value;
    if (text && text_bytes)
        snprintf(text, text_bytes, "%.*s", (int)reply->length, (const char *)(reply + 1));
    return reply->status;
}

uint32_t front_context_create(struct front *front, uint32_t context, uint64_t fence_page)
{
    struct vgpgpu_context_create request = {
        .header = {.type = VGPGPU_CONTEXT_CREATE, .context = context}, .fence_page = fence_page};
    return front_request(front, &request, sizeof(request), NULL, NULL, 0);
}

uint32_t front_context_limit(struct front *front, uint32_t context, uint32_t time_ms)
{
    struct vgpgpu_context_limit request = {
        .header = {.type = VGPGPU_CONTEXT_LIMIT, .context = context}, .time_ms = time_ms};
    return front_request(front, &request, sizeof(request), NULL, NULL, 0);
}

uint32_t front_destroy(struct front *front, uint32_t type, uint32_t context, uint32_t object)
{
    struct vgpgpu_request request = {.type = type, .context = context, .object = object};
    return front_request(front, &request, sizeof(request), NULL, NULL, 0);
}

uint32_t front_context_destroy(struct front *front, uint32_t context)
{
    return front_destroy(front, VGPGPU_CONTEXT_DESTROY, context, 0);
}

uint32_t front_buffer_guest(struct front *front, uint32_t context, uint32_t buffer, uint64_t size,
                            const struct vgpgpu_segment *segments, uint32_t count)
{
    size_t bytes = sizeof(struct vgpgpu_buffer_create) + count * sizeof(*segments);
    struct vgpgpu_buffer_create *request = calloc(1, bytes);
    *request = (struct vgpgpu_buffer_create){
        .header = {.type = VGPGPU_BUFFER_CREATE, .context = context, .object = buffer},
        .flags = VGPGPU_BUFFER_GUEST,
        .segment_count = count,
        .size = size};
    memcpy(request + 1, segments, count * sizeof(*segments));
    uint32_t status = front_request(front, request, bytes, NULL, NULL, 0);
    free(request);
    return status;
}

uint32_t front_buffer_device(struct front *front, uint32_t context, uint32_t buffer, uint64_t size)
{
    struct vgpgpu_buffer_create request = {
        .header = {.type = VGPGPU_BUFFER_CREATE, .context = context, .object = buffer},
        .flags = VGPGPU_BUFFER_DEVICE,
        .size = size};
    return front_request(front, &request, sizeof(request), NULL, NULL, 0);
}

uint32_t front_sub_buffer(struct front *front, uint32_t context, uint32_t sub, uint32_t buffer,
                          uint64_t offset, uint64_t size)
{
    struct vgpgpu_sub_buffer_create request = {
        .header = {.type = VGPGPU_SUB_BUFFER_CREATE, .context = context, .object = sub},
        .buffer = buffer,
        .offset = offset,
        .size = size};
    return front_request(front, &request, sizeof(request), NULL, NULL, 0);
}

uint32_t front_program_kind(struct front *front, uint32_t context, uint32_t program, uint32_t kind,
                            const void *source, size_t bytes, char *log, size_t log_bytes)
{
    struct vgpgpu_program_create *request = calloc(1, sizeof(*request) + bytes);
    *request = (struct vgpgpu_program_create){
        .header = {.type = VGPGPU_PROGRAM_CREATE, .context = context, .object = program},
        .kind = kind,
        .source_bytes = (uint32_t)bytes};
    memcpy(request + 1, source, bytes);
    uint32_t status =
        front_request(front, request, sizeof(*request) + bytes, NULL, log, log_bytes);
    free(request);
    return status;
}

/* What a text in OpenCL C needs to be one in CUDA C, as far as the tests go; lines are counted from behind it. */
static const char cuda_head[] =
    "#define kernel extern \"C\" __global__\n"
    "typedef unsigned char uchar; typedef unsigned short ushort; typedef unsigned uint; typedef unsigned long ulong;\n"
    "static __device__ size_t get_local_id(uint d) { return d ? d > 1 ? threadIdx.z : threadIdx.y : threadIdx.x; }\n"
    "static __device__ size_t get_global_id(uint d) { return get_local_id(d) + (d ? d > 1 ?"
    " (size_t)blockIdx.z * blockDim.z : (size_t)blockIdx.y * blockDim.y : (size_t)blockIdx.x * blockDim.x); }\n"
    "#line 1\n";

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Pointers are to all memory there. The word cannot be defined away: CUDA's own words are made of it. */
static void globals_blank(char *text)
{
    for (char *at = text; (at = strstr(at, "global")) != NULL; at++)
        if ((at == text || !is_word(at[-1])) && !is_word(at[6]))
            memset(at, ' ', 6);
}

static uint32_t cuda_program(struct front *front, uint32_t context, uint32_t program, const char *source, char *log,
                             size_t log_bytes)
{
    size_t bytes = sizeof(cuda_head) + strlen(source);
    char *text = malloc(bytes);
    snprintf(text, bytes, "%s%s", cuda_head, source);
    globals_blank(text + sizeof(cuda_head) - 1);
    uint32_t status =
        front_program_kind(front, context, program, VGPGPU_PROGRAM_CUDA_C, text, bytes - 1, log, log_bytes);
    free(text);
    return status;
}

uint32_t front_program(struct front *front, uint32_t context, uint32_t program, const char *source,
                       char *log, size_t log_bytes)
{
    if (strcmp(front->config.backend, "cuda") == 0)
        return cuda_program(front, context, program, source, log, log_bytes);
    return front_program_kind(front, context, program, VGPGPU_PROGRAM_OPENCL_C, source, strlen(source), log,
                              log_bytes);
}

uint32_t front_query(struct front *front, uint32_t context, uint32_t object, uint32_t what,
                     uint64_t offset, void *out, size_t room, uint64_t *total, size_t *came)
{
    struct vgpgpu_query request = {
        .header = {.type = VGPGPU_QUERY, .context = context, .object = object},
        .what = what,
        .offset = offset};
    uint32_t status = front_request(front, &request, sizeof(request), total, NULL, 0);
    const struct vgpgpu_reply *reply = front_at(front, front->request_guest);
    *came = status ? 0 : reply->length < room ? reply->length : room;
    memcpy(out, reply + 1, *came);
    return status;
}

uint32_t front_kernel(struct front *front, uint32_t context, uint32_t kernel, uint32_t program,
                      const char *name, uint64_t *arg_count)
{
    struct vgpgpu_kernel_create request = {
        .header = {.type = VGPGPU_KERNEL_CREATE, .context = context, .object = kernel},
        .program = program};
    snprintf(request.name, sizeof(request.name), "%s", name);
    return front_request(front, &request, sizeof(request), arg_count, NULL, 0);
}

/* Appends a zeroed structure to the batch. */
static void *batch_add(struct front_batch *batch, uint32_t bytes)
{
    if (batch->bytes + bytes > sizeof(batch->commands)) {
        fprintf(stderr, "vhost front end: a batch has no more room\n");
        exit(1);
    }
    void *place = batch->commands + batch->bytes;
    memset(place, 0, bytes);
    batch->bytes += bytes;
    return place;
}

static void *batch_command(struct front_batch *batch, uint16_t op, uint32_t bytes)
{
    batch->last = batch->bytes;
    struct vgpgpu_command *command = batch_add(batch, bytes);
    command->op = op;
    command->bytes = bytes;
    return command;
}

void batch_launch(struct front_batch *batch, uint32_t kernel, uint64_t global, uint64_t local)
{
    struct vgpgpu_cmd_launch *launch =
        batch_command(batch, VGPGPU_CMD_LAUNCH, sizeof(struct vgpgpu_cmd_launch));
    launch->kernel = kernel;
    launch->dimensions = 1;
    launch->global[0] = global;
    launch->global[1] = launch->global[2] = 1;
    launch->local[0] = local;
    launch->local[1] = launch->local[2] = local ? 1 : 0;
}

static struct vgpgpu_arg *batch_arg(struct front_batch *batch, uint32_t kind, uint32_t payload)
{
    uint32_t bytes = (uint32_t)sizeof(struct vgpgpu_arg) + payload;
    struct vgpgpu_arg *arg = batch_add(batch, bytes);
    struct vgpgpu_cmd_launch *launch = (void *)(batch->commands + batch->last);
    launch->header.bytes += bytes;
    launch->arg_count++;
    arg->kind = (uint16_t)kind;
    return arg;
}

void batch_arg_buffer(struct front_batch *batch, uint32_t buffer, uint64_t offset)
{
    struct vgpgpu_arg *arg = batch_arg(batch, VGPGPU_ARG_BUFFER, 0);
    arg->object = buffer;
    arg->offset = offset;
}

void batch_arg_value(struct front_batch *batch, const void *value, uint64_t size)
{
    struct vgpgpu_arg *arg = batch_arg(batch, VGPGPU_ARG_VALUE, ((uint32_t)size + 7) & ~7u);
    arg->size = size;
    memcpy(arg + 1, value, size);
}

void batch_arg_local(struct front_batch *batch, uint64_t size)
{
    batch_arg(batch, VGPGPU_ARG_LOCAL, 0)->size = size;
}

void batch_copy(struct front_batch *batch, uint32_t source, uint64_t source_offset, uint32_t target,
                uint64_t target_offset, uint64_t length)
{
    struct vgpgpu_cmd_copy *copy = batch_command(batch, VGPGPU_CMD_COPY, sizeof(*copy));
    copy->source = source;
    copy->source_offset = source_offset;
    copy->target = target;
    copy->target_offset = target_offset;
    copy->length = length;
}

void batch_fill(struct front_batch *batch, uint32_t target, uint64_t offset, uint64_t length,
                const void *pattern, uint32_t pattern_bytes)
{
    struct vgpgpu_cmd_fill *fill = batch_command(batch, VGPGPU_CMD_FILL, sizeof(*fill));
    fill->target = target;
    fill->offset = offset;
    fill->length = length;
    fill->pattern_bytes = pattern_bytes;
    memcpy(fill->pattern, pattern, pattern_bytes <= 16 ? pattern_bytes : 16);
}

void batch_copy_2d(struct front_batch *batch, const struct vgpgpu_cmd_copy_2d *copy)
{
    struct vgpgpu_cmd_copy_2d *command = batch_command(batch, VGPGPU_CMD_COPY_2D, sizeof(*copy));
    struct vgpgpu_command header = command->header;
    *command = *copy;
    command->header = header;
}

void batch_fill_2d(struct front_batch *batch, const struct vgpgpu_cmd_fill_2d *fill)
{
    struct vgpgpu_cmd_fill_2d *command = batch_command(batch, VGPGPU_CMD_FILL_2D, sizeof(*fill));
    struct vgpgpu_command header = command->header;
    *command = *fill;
    command->header = header;
}

void batch_barrier(struct front_batch *batch)
{
    batch_command(batch, VGPGPU_CMD_BARRIER, sizeof(struct vgpgpu_command));
}

void batch_signal(struct front_batch *batch, uint64_t before)
{
    struct vgpgpu_cmd_signal *command = batch_command(batch, VGPGPU_CMD_SIGNAL, sizeof(*command));
    command->before = before;
}

void batch_operation(struct front_batch *batch, uint16_t operation,
                     const struct vgpgpu_tensor *tensors, uint16_t count, const void *parameters,
                     uint32_t bytes)
{
    uint32_t shapes = count * (uint32_t)sizeof(*tensors);
    struct vgpgpu_cmd_operation *command = batch_command(
        batch, VGPGPU_CMD_OPERATION, (uint32_t)sizeof(*command) + shapes + bytes);
    command->operation = operation;
    command->tensor_count = count;
    command->parameter_bytes = bytes;
    memcpy(command + 1, tensors, shapes);
    memcpy((uint8_t *)(command + 1) + shapes, parameters, bytes);
}

/* The slot that belongs to the next descriptor, once that one is free. */
static uint64_t submit_slot(struct front *front)
{
    struct front_queue *queue = &front->queues[VGPGPU_QUEUE_SUBMIT];
    uint16_t head;
    uint32_t written;
    while (front_take(front, VGPGPU_QUEUE_SUBMIT, queue->free_count ? 0 : 60000, &head, &written))
        ;
    return front->submit_guest + queue->free[queue->free_count - 1] * front->submit_slot;
}

static void submit_parts(struct front *front, const void *header, uint32_t header_bytes,
                         const void *commands, uint32_t bytes)
{
    uint64_t guest = submit_slot(front);
    if (header_bytes + bytes > front->submit_slot)
        guest = front->request_guest; /* long ones go one at a time */
    uint8_t *place = front_at(front, guest);
    memcpy(place, header, header_bytes);
    if (bytes)
        memcpy(place + header_bytes, commands, bytes);
    struct front_part part = {guest, header_bytes + bytes, false};
    front_post(front, VGPGPU_QUEUE_SUBMIT, &part, 1);
    uint16_t head;
    uint32_t written;
    const struct front_queue *queue = &front->queues[VGPGPU_QUEUE_SUBMIT];
    while (guest == front->request_guest && queue->used_seen != queue->available->index &&
           front_take(front, VGPGPU_QUEUE_SUBMIT, 60000, &head, &written))
        ; /* others may be before it */
}

void front_submit_flags(struct front *front, uint32_t context, uint32_t queue, uint64_t fence,
                        uint32_t flags, const void *commands, uint32_t bytes)
{
    struct vgpgpu_submit header = {.context = context,
                                   .queue = queue,
                                   .command_bytes = bytes,
                                   .flags = flags,
                                   .fence = fence};
    submit_parts(front, &header, sizeof(header), commands, bytes);
}

void front_submit(struct front *front, uint32_t context, uint32_t queue, uint64_t fence,
                  const void *commands, uint32_t bytes)
{
    front_submit_flags(front, context, queue, fence, 0, commands, bytes);
}

void front_submit_raw(struct front *front, const void *bytes, uint32_t count)
{
    submit_parts(front, bytes, count, NULL, 0);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool is_signalled(struct vgpgpu_fence_slot *slot, uint64_t fence)
{
    return __atomic_load_n(&slot->signalled, __ATOMIC_ACQUIRE) >= fence;
}

void front_events(struct front *front)
{
    uint16_t head;
    uint32_t written;
    while (front_take(front, VGPGPU_QUEUE_EVENT, 0, &head, &written)) {
        struct front_descriptor *descriptor = &front->queues[VGPGPU_QUEUE_EVENT].descriptors[head];
        struct front_part part = {descriptor->address, sizeof(struct vgpgpu_event), true};
        memcpy(&front->last_event, front_at(front, part.guest), sizeof(front->last_event));
        front->events_seen++;
        front_post(front, VGPGPU_QUEUE_EVENT, &part, 1);
    }
}

static int wait_asleep(struct front *front, struct vgpgpu_fence_slot *slot, uint64_t fence,
                       uint64_t end)
{
    int call = front->queues[VGPGPU_QUEUE_EVENT].call;
    struct pollfd events[2] = {{.fd = call, .events = POLLIN},
                               {.fd = front->socket, .events = POLLIN}};
    int result = 0;
    __atomic_store_n(&slot->wait, fence, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    while (!is_signalled(slot, fence)) {
        uint64_t now = now_us(), count;
        if (now >= end || events[1].revents) {
            result = -1;
            break;
        }
        if (poll(events, 2, (int)((end - now) / 1000) + 1) > 0 && events[0].revents &&
            read(call, &count, sizeof(count)) == sizeof(count))
            front_events(front);
    }
    __atomic_store_n(&slot->wait, VGPGPU_NOBODY_WAITS, __ATOMIC_RELAXED);
    return result;
}

int front_wait(struct front *front, struct vgpgpu_fence_slot *slot, uint64_t fence,
               unsigned spin_us, int timeout_ms)
{
    uint64_t start = now_us(), end = start + (uint64_t)timeout_ms * 1000;
    do {
        for (unsigned i = 0; i < 32; i++) {
            if (is_signalled(slot, fence))
                return 0;
            __builtin_ia32_pause();
        }
        sched_yield();
    } while (now_us() < start + spin_us);
    return wait_asleep(front, slot, fence, end);
}
