/*
 * objects.c: the object layer's creations and destructions as control requests.
 */
#include <microlake/memory.h>

#include "driver.h"

#define LOG_BYTES_MAX    (64u * 1024)
#define ANSWER_BYTES_MAX (64u * 1024)

static const uint32_t create_types[GPU_OBJECT_KINDS] = {
    [GPU_BUFFER] = VGPGPU_BUFFER_CREATE,
    [GPU_PROGRAM] = VGPGPU_PROGRAM_CREATE,
    [GPU_KERNEL] = VGPGPU_KERNEL_CREATE,
};

static const uint32_t destroy_types[GPU_OBJECT_KINDS] = {
    [GPU_BUFFER] = VGPGPU_BUFFER_DESTROY,
    [GPU_PROGRAM] = VGPGPU_PROGRAM_DESTROY,
    [GPU_KERNEL] = VGPGPU_KERNEL_DESTROY,
};

/* A request and room for its reply in one block of the heap, which the device can reach and change at any time. */
struct exchange {
    struct vgpgpu_reply *reply;
    void *request;
    uint32_t request_bytes, reply_room;
    struct vgpgpu_reply header; /* of the reply, as it was checked */
};

static bool exchange_open(struct exchange *e, uint32_t request_bytes, uint32_t payload_room)
{
    e->request_bytes = request_bytes;
    e->reply_room = (uint32_t)ALIGN_UP(sizeof(*e->reply) + payload_room, 16);
    e->reply = kzalloc((size_t)e->reply_room + request_bytes);
    e->request = (uint8_t *)e->reply + e->reply_room;
    return e->reply != NULL;
}

static void exchange_close(struct exchange *e)
{
    kfree(e->reply);
}

/* Sends it; the device's status becomes ours. */
static int exchange_run(struct gpgpu *g, struct exchange *e)
{
    int r = gpgpu_request(g, e->request, e->request_bytes, e->reply, e->reply_room, &e->header);

    return r == OK ? gpu_status(e->header.status) : r;
}

/* The same for what may take the host as long as a build: starting a process is such. */
static int exchange_run_slow(struct gpgpu *g, struct exchange *e)
{
    int r;

    __atomic_fetch_add(&g->slow, 1, __ATOMIC_RELAXED);
    r = exchange_run(g, e);
    __atomic_fetch_sub(&g->slow, 1, __ATOMIC_RELAXED);
    return r;
}

/* Requests that are a header only. A destruction must not fail for want of memory, because what it
 * is about to free is memory that the device uses: so there is a reserve. */
static int request_plain(struct gpgpu *g, uint32_t type, uint32_t context, uint32_t object)
{
    struct exchange e;
    bool own = exchange_open(&e, sizeof(struct vgpgpu_request), 0);
    int r;

    if (!own) {
        mutex_lock(&g->reserve_lock);
        e.reply = g->reserve;
        e.request = (uint8_t *)e.reply + e.reply_room;
    }
    *(struct vgpgpu_request *)e.request =
        (struct vgpgpu_request){.type = type, .context = context, .object = object};
    r = exchange_run(g, &e);
    if (own)
        exchange_close(&e);
    else
        mutex_unlock(&g->reserve_lock);
    return r;
}

/* The question: destroy context 0, which never exists. Any answer will do. */
int gpgpu_alive(void *driver)
{
    struct gpgpu *g = driver;
    struct exchange e;

    if (gpgpu_status_check(g) == OK && exchange_open(&e, sizeof(struct vgpgpu_request), 0)) {
        *(struct vgpgpu_request *)e.request = (struct vgpgpu_request){.type = VGPGPU_CONTEXT_DESTROY};
        exchange_run(g, &e);
        exchange_close(&e);
    }
    return g->lost ? ERR_LOST : OK;
}

/* The memory of what is destroyed soon serves somebody else. So the device has let go of it, or has never heard of
 * it, or gets none of this memory any more. */
static int destruction_run(struct gpgpu *g, uint32_t type, uint32_t context, uint32_t object)
{
    int r = request_plain(g, type, context, object);

    if (r == OK || r == ERR_NOT_FOUND || r == ERR_LOST)
        return r;
    gpgpu_lose(g, "does not let go of what is destroyed");
    return ERR_LOST;
}

int gpgpu_context_create(void *driver, uint32_t context, paddr_t fence_page)
{
    struct gpgpu *g = driver;
    struct exchange e;
    int r;

    if (!exchange_open(&e, sizeof(struct vgpgpu_context_create), 0))
        return ERR_NO_MEMORY;
    *(struct vgpgpu_context_create *)e.request = (struct vgpgpu_context_create){
        .header = {.type = VGPGPU_CONTEXT_CREATE, .context = context},
        .fence_page = fence_page,
    };
    r = exchange_run(g, &e);
    exchange_close(&e);
    return r;
}

int gpgpu_context_limit(void *driver, uint32_t context, uint32_t time_ms)
{
    struct gpgpu *g = driver;
    struct exchange e;
    int r;

    if (!exchange_open(&e, sizeof(struct vgpgpu_context_limit), 0))
        return ERR_NO_MEMORY;
    *(struct vgpgpu_context_limit *)e.request = (struct vgpgpu_context_limit){
        .header = {.type = VGPGPU_CONTEXT_LIMIT, .context = context},
        .time_ms = time_ms,
    };
    r = exchange_run_slow(g, &e);
    exchange_close(&e);
    return r;
}

int gpgpu_context_destroy(void *driver, uint32_t context)
{
    int r = destruction_run(driver, VGPGPU_CONTEXT_DESTROY, context, 0);

    gpgpu_submit_reap(driver);
    return r;
}

int gpgpu_destroy(void *driver, uint32_t context, enum gpu_object_kind kind, uint32_t id)
{
    return destruction_run(driver, destroy_types[kind], context, id);
}

static struct vgpgpu_request header_of(const struct gpu_create *what)
{
    return (struct vgpgpu_request){
        .type = create_types[what->kind], .context = what->context, .object = what->id};
}

static int sub_buffer_create(struct gpgpu *g, struct gpu_create *what)
{
    struct exchange e;
    int r;

    if (!exchange_open(&e, sizeof(struct vgpgpu_sub_buffer_create), 0))
        return ERR_NO_MEMORY;
    *(struct vgpgpu_sub_buffer_create *)e.request = (struct vgpgpu_sub_buffer_create){
        .header = {.type = VGPGPU_SUB_BUFFER_CREATE, .context = what->context, .object = what->id},
        .buffer = what->buffer.parent,
        .offset = what->buffer.offset,
        .size = what->buffer.size,
    };
    r = exchange_run(g, &e);
    exchange_close(&e);
    return r;
}

static int buffer_create(struct gpgpu *g, struct gpu_create *what)
{
    struct vgpgpu_buffer_create *request;
    uint32_t bytes = what->buffer.count * (uint32_t)sizeof(struct vgpgpu_segment);
    struct exchange e;
    int r;

    if (!exchange_open(&e, (uint32_t)sizeof(*request) + bytes, 0))
        return ERR_NO_MEMORY;
    request = e.request;
    *request = (struct vgpgpu_buffer_create){
        .header = header_of(what),
        .flags = what->buffer.flags,
        .segment_count = what->buffer.count,
        .size = what->buffer.size,
    };
    if (bytes)
        memcpy(request + 1, what->buffer.segments, bytes);
    r = exchange_run(g, &e);
    exchange_close(&e);
    return r;
}

/* Copies what of the log there is; a source's log always ends with NUL. */
static void log_copy(const struct gpu_program_source *source, const struct exchange *e)
{
    uint32_t length;

    if (!source->log_bytes || !source->log)
        return;
    length = MIN(e->header.length, source->log_bytes - 1);
    memcpy(source->log, e->reply + 1, length);
    source->log[length] = 0;
}

static int program_create(struct gpgpu *g, struct gpu_create *what)
{
    const struct gpu_program_source *source = what->program;
    struct vgpgpu_program_create *request;
    struct exchange e;
    uint8_t *text;
    int r;

    if (!exchange_open(&e,
                       (uint32_t)sizeof(*request) + source->options_bytes + source->source_bytes,
                       source->log ? MIN(source->log_bytes, LOG_BYTES_MAX) : 0))
        return ERR_NO_MEMORY;
    request = e.request;
    *request = (struct vgpgpu_program_create){
        .header = header_of(what),
        .kind = source->kind,
        .options_bytes = source->options_bytes,
        .source_bytes = source->source_bytes,
    };
    text = (uint8_t *)(request + 1);
    if (source->options_bytes)
        memcpy(text, source->options, source->options_bytes);
    memcpy(text + source->options_bytes, source->source, source->source_bytes);
    r = exchange_run_slow(g, &e);
    if (r == OK || r == ERR_BUILD)
        log_copy(source, &e);
    exchange_close(&e);
    return r;
}

static int kernel_create(struct gpgpu *g, struct gpu_create *what)
{
    struct vgpgpu_kernel_create *request;
    struct exchange e;
    int r;

    if (strlen(what->kernel.name) >= sizeof(request->name))
        return ERR_INVALID;
    if (!exchange_open(&e, sizeof(*request), 0))
        return ERR_NO_MEMORY;
    request = e.request;
    request->header = header_of(what);
    request->program = what->kernel.program;
    strlcpy(request->name, what->kernel.name, sizeof(request->name));
    r = exchange_run(g, &e);
    if (r == OK && e.header.value > VGPGPU_MAX_ARGS)
        r = ERR_IO;
    if (r == OK)
        what->kernel.arg_count = (uint32_t)e.header.value;
    exchange_close(&e);
    return r;
}

int gpgpu_create(void *driver, struct gpu_create *what)
{
    switch (what->kind) {
    case GPU_BUFFER:
        return what->buffer.parent ? sub_buffer_create(driver, what) : buffer_create(driver, what);
    case GPU_PROGRAM:
        return program_create(driver, what);
    default:
        return kernel_create(driver, what);
    }
}

int gpgpu_query(void *driver, struct gpu_question *question)
{
    struct gpgpu *g = driver;
    uint32_t room = MIN(question->bytes, ANSWER_BYTES_MAX);
    struct exchange e;
    int r;

    if (!exchange_open(&e, sizeof(struct vgpgpu_query), room))
        return ERR_NO_MEMORY;
    *(struct vgpgpu_query *)e.request = (struct vgpgpu_query){
        .header = {.type = VGPGPU_QUERY, .context = question->context, .object = question->id},
        .what = question->what,
        .offset = question->offset,
    };
    r = exchange_run(g, &e);
    if (r == OK) {
        question->bytes = MIN(e.header.length, room);
        question->total = e.header.value;
        memcpy(question->out, e.reply + 1, question->bytes);
    }
    exchange_close(&e);
    return r;
}
