/* engine_requests.c: what the front asks: each answer says how it went. */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine.h"
#include "log.h"
#include "memory_limit.h"

#define MAX_PAYLOAD (64u << 20) /* a program is far less: the front sends what it has checked */

/* A request in work. */
struct question {
    struct link_request head;
    char *payload; /* with a NUL behind it */
    int fds[GUEST_MEMORY_REGIONS];
    unsigned fd_count;
    /* The answer. */
    uint32_t value;
    void *reply; /* malloc'd, or NULL */
    size_t reply_bytes;
};

/* Gives what was made its handle; `status` is how the making went. */
static uint32_t made(struct engine *engine, struct question *question, struct thing *thing,
                     uint32_t status)
{
    if (!status && thing_add(engine, question->head.handle, thing))
        return VGPGPU_OK;
    free(thing);
    return status ? status : VGPGPU_ERR_NO_MEMORY;
}

static uint32_t memory_take(struct engine *engine, struct question *question)
{
    struct guest_memory *memory;
    if (question->fd_count != question->head.count ||
        question->head.payload_bytes != question->head.count * sizeof(struct guest_region_layout))
        return VGPGPU_ERR_INVALID;
    if (guest_memory_create((const void *)question->payload, question->fds, question->fd_count,
                            &memory))
        return VGPGPU_ERR_NO_MEMORY;
    guest_memory_release(engine->memory);
    engine->memory = memory;
    return VGPGPU_OK;
}

static uint32_t context_make(struct engine *engine, struct question *question)
{
    struct thing *thing = thing_new(THING_CONTEXT);
    if (!thing)
        return VGPGPU_ERR_NO_MEMORY;
    return made(engine, question, thing,
                engine->ops->context_create(engine->device, &thing->context));
}

static uint32_t buffer_make(struct engine *engine, struct question *question)
{
    const struct link_request *head = &question->head;
    struct thing *context = thing_find(engine, THING_CONTEXT, head->parent);
    struct thing *thing = context ? thing_new(THING_BUFFER) : NULL;
    uint32_t status = thing ? VGPGPU_OK : VGPGPU_ERR_NO_MEMORY;
    struct guest_span *span = thing ? &thing->buffer.span : NULL;
    if (!status && head->count)
        status = guest_span_create(engine->memory, (const void *)question->payload, head->count,
                                   span);
    if (!status)
        status = engine->ops->buffer_create(context->context, span->address, head->size,
                                            &thing->buffer.device);
    if (status && span && span->memory)
        guest_span_destroy(span);
    if (!status) {
        thing->facts.buffer.device = thing->buffer.device;
        thing->facts.buffer.root = thing;
        thing->facts.buffer.size = head->size;
    }
    return made(engine, question, thing, status);
}

static uint32_t program_make(struct engine *engine, struct question *question)
{
    const struct link_request *head = &question->head;
    struct thing *context = thing_find(engine, THING_CONTEXT, head->parent);
    struct thing *thing = context ? thing_new(THING_PROGRAM) : NULL;
    char *log = NULL;
    if (!thing || head->size > head->payload_bytes)
        return made(engine, question, thing, VGPGPU_ERR_NO_MEMORY);
    const char *source = question->payload + head->size;
    memory_build_begin();
    uint32_t status =
        engine->ops->program_create(context->context, head->count, question->payload, source,
                                    head->payload_bytes - head->size, &thing->program, &log);
    memory_build_end();
    question->reply = log;
    question->reply_bytes = log ? strlen(log) : 0;
    if (question->reply_bytes > LINK_LOG_BYTES)
        question->reply_bytes = LINK_LOG_BYTES;
    return made(engine, question, thing, status);
}

static uint32_t kernel_make(struct engine *engine, struct question *question)
{
    struct thing *program = thing_find(engine, THING_PROGRAM, question->head.parent);
    struct thing *thing = program ? thing_new(THING_KERNEL) : NULL;
    uint8_t *wants = thing ? thing->facts.kernel.wants : NULL;
    if (!thing)
        return VGPGPU_ERR_NO_MEMORY;
    uint32_t status = engine->ops->kernel_create(program->program, question->payload, wants,
                                                 &thing->facts.kernel.arg_count, &thing->kernel);
    if (!status) {
        thing->facts.kernel.device = thing->kernel;
        question->value = thing->facts.kernel.arg_count;
        question->reply = malloc(VGPGPU_MAX_ARGS);
        question->reply_bytes = question->reply ? question->value : 0;
        if (question->reply)
            memcpy(question->reply, wants, VGPGPU_MAX_ARGS);
    }
    return made(engine, question, thing, status);
}

/* Keeps of `bytes`, which it takes over, the piece that the front asked for. */
static void piece_answer(struct question *question, void *bytes, size_t count)
{
    uint64_t offset = question->head.size < count ? question->head.size : count;
    question->value = (uint32_t)count;
    question->reply_bytes = count - offset < LINK_LOG_BYTES ? count - offset : LINK_LOG_BYTES;
    memmove(bytes, (uint8_t *)bytes + offset, question->reply_bytes);
    question->reply = bytes;
}

static uint32_t binary_ask(struct engine *engine, struct question *question)
{
    struct thing *program = thing_find(engine, THING_PROGRAM, question->head.handle);
    void *bytes = NULL;
    size_t count = 0;
    if (!program)
        return VGPGPU_ERR_EXEC;
    uint32_t status = engine->ops->program_binary(program->program, &bytes, &count);
    if (!status && count > UINT32_MAX) {
        free(bytes);
        status = VGPGPU_ERR_LIMIT;
    }
    if (!status)
        piece_answer(question, bytes, count);
    return status;
}

static uint32_t kernel_ask(struct engine *engine, struct question *question)
{
    struct thing *kernel = thing_find(engine, THING_KERNEL, question->head.handle);
    struct vgpgpu_kernel_info *info = kernel ? calloc(1, sizeof(*info)) : NULL;
    if (!info)
        return kernel ? VGPGPU_ERR_NO_MEMORY : VGPGPU_ERR_EXEC;
    info->arg_count = kernel->facts.kernel.arg_count;
    uint32_t status = engine->ops->kernel_info(kernel->kernel, info);
    if (status)
        free(info);
    else
        piece_answer(question, info, sizeof(*info));
    return status;
}

static uint32_t query(struct engine *engine, struct question *question)
{
    return question->head.count == VGPGPU_QUERY_BINARY ? binary_ask(engine, question)
                                                       : kernel_ask(engine, question);
}

static uint32_t all_count(struct engine *engine, struct question *question)
{
    struct link_counts *counts = calloc(1, sizeof(*counts));
    if (!counts)
        return VGPGPU_ERR_NO_MEMORY;
    pthread_mutex_lock(&engine->lock);
    *counts = (struct link_counts){.contexts = engine->counts[THING_CONTEXT],
                                   .queues = engine->counts[THING_QUEUE],
                                   .buffers = engine->counts[THING_BUFFER],
                                   .programs = engine->counts[THING_PROGRAM],
                                   .kernels = engine->counts[THING_KERNEL],
                                   .batches = atomic_load(&engine->running),
                                   .mappings = guest_span_mappings()};
    pthread_mutex_unlock(&engine->lock);
    question->reply = counts;
    question->reply_bytes = sizeof(*counts);
    return VGPGPU_OK;
}

static uint32_t (*const handlers[LINK_REQUEST_KINDS])(struct engine *engine,
                                                      struct question *question) = {
    [LINK_MEMORY] = memory_take,  [LINK_CONTEXT] = context_make, [LINK_BUFFER] = buffer_make,
    [LINK_PROGRAM] = program_make, [LINK_KERNEL] = kernel_make,  [LINK_COUNT] = all_count,
    [LINK_QUERY] = query,
};

/* What was posted before the request is done before it. */
static void messages_settle(struct engine *engine, uint64_t position)
{
    unsigned looks = 0;
    while (atomic_load_explicit(&engine->shared->consumed, memory_order_acquire) < position) {
        if (++looks < 1000)
            sched_yield();
        else
            poll(NULL, 0, 1);
    }
}

/* False: the front has gone. */
static bool question_receive(struct engine *engine, struct question *question)
{
    *question = (struct question){0};
    if (link_receive_fds(engine->socket, &question->head, sizeof(question->head), question->fds,
                         &question->fd_count) ||
        question->head.payload_bytes > MAX_PAYLOAD || question->head.kind >= LINK_REQUEST_KINDS)
        return false;
    question->payload = calloc(1, question->head.payload_bytes + 1);
    return question->payload &&
           link_receive(engine->socket, question->payload, question->head.payload_bytes) == 0;
}

void engine_requests_serve(struct engine *engine)
{
    struct question question;
    while (question_receive(engine, &question)) {
        struct link_answer answer = {0};
        messages_settle(engine, question.head.position);
        answer.status = handlers[question.head.kind](engine, &question);
        answer.value = question.value;
        answer.payload_bytes = question.reply_bytes;
        struct iovec parts[2] = {{&answer, sizeof(answer)},
                                 {question.reply, question.reply_bytes}};
        int sent = link_send(engine->socket, parts, question.reply_bytes ? 2 : 1, NULL, 0);
        for (unsigned i = 0; i < question.fd_count; i++)
            close(question.fds[i]);
        free(question.payload);
        free(question.reply);
        if (sent)
            return;
    }
}
