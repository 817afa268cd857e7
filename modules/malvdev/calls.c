/*
 * calls.c: the ioctls of /dev/malv0 (uapi/malv.h). Each call's structure is copied in, worked on as
 * a private copy, and copied out when the call succeeded.
 */
#include <microlake/memory.h>
#include <microlake/time.h>
#include <microlake/user.h>
#include <microlake/wait.h>

#include "malvdev.h"
#include "modules/linux/include/linux_errno.h"
#include "uapi/malv.h"

_Static_assert(MALV_BUFFER_MANAGED == GPU_BUFFER_MANAGED, "one flag");
_Static_assert(MALV_SUBMIT_SIGNALS(1) == GPU_SIGNALS(1), "one place");

#define LOG_BYTES_MAX     (64u * 1024)
#define PROGRAM_BYTES_MAX (1u << 20) /* the heap's objects end at 2 MiB */
#define STRUCT_BYTES_MAX  256u

static long call_info(struct malv_file *f, void *arg)
{
    struct malv_info *info = arg;

    *info = (struct malv_info){.abi_version = MALV_ABI_VERSION, .config = f->config};
    return OK;
}

static long call_buffer_create(struct malv_file *f, void *arg)
{
    struct malv_buffer_create *b = arg;
    int r;

    if (b->size > 1ull << MALV_OFFSET_SHIFT)
        return malv_errno(ERR_RANGE);
    r = gpu_buffer_create(f->ctx, b->size, b->flags, &b->buffer);
    if (r != OK)
        return malv_errno(r);
    b->mmap_offset = b->flags == VGPGPU_BUFFER_GUEST ? (uint64_t)b->buffer << MALV_OFFSET_SHIFT : 0;
    return OK;
}

static long call_sub_buffer(struct malv_file *f, void *arg)
{
    struct malv_sub_buffer *s = arg;
    int r = gpu_buffer_sub(f->ctx, s->buffer, s->offset, s->size, &s->sub_buffer);

    if (r != OK)
        return r == ERR_RANGE ? ERR_INVALID : malv_errno(r);
    s->mmap_offset = (uint64_t)s->sub_buffer << MALV_OFFSET_SHIFT;
    return OK;
}

/* The program's texts in one kernel block: source, options, log. */
static int source_read(const struct malv_program_create *p, struct gpu_program_source *source,
                       char *block)
{
    char *options = block + p->source_bytes;

    *source = (struct gpu_program_source){
        .kind = p->kind,
        .source = block,
        .options = options,
        .source_bytes = p->source_bytes,
        .options_bytes = p->options_bytes,
    };
    if (p->log && p->log_bytes) {
        source->log = options + p->options_bytes;
        source->log_bytes = MIN(p->log_bytes, LOG_BYTES_MAX);
        source->log[0] = 0;
    }
    if (user_read(block, p->source, p->source_bytes) != OK)
        return ERR_FAULT;
    if (p->options_bytes && user_read(options, p->options, p->options_bytes) != OK)
        return ERR_FAULT;
    return OK;
}

static long call_program_create(struct malv_file *f, void *arg)
{
    struct malv_program_create *p = arg;
    uint64_t limit = MIN(f->config.max_program_bytes, PROGRAM_BYTES_MAX);
    struct gpu_program_source source;
    char *block;
    int r;

    if ((uint64_t)p->source_bytes + p->options_bytes > limit)
        return malv_errno(ERR_RANGE);
    if (p->source_bytes == 0 || (p->options_bytes && !p->options) || p->reserved)
        return ERR_INVALID;
    block = kmalloc((size_t)p->source_bytes + p->options_bytes + MIN(p->log_bytes, LOG_BYTES_MAX));
    if (!block)
        return ERR_NO_MEMORY;
    r = source_read(p, &source, block);
    if (r == OK) {
        r = gpu_program_build(f->ctx, &source, &p->program);
        if (source.log && user_write(p->log, source.log, strlen(source.log) + 1) != OK && r == OK) {
            gpu_object_destroy(f->ctx, GPU_PROGRAM, p->program);
            r = ERR_FAULT;
        }
    }
    kfree(block);
    return malv_errno(r);
}

static long call_kernel_create(struct malv_file *f, void *arg)
{
    struct malv_kernel_create *k = arg;

    if (strnlen(k->name, sizeof(k->name)) == sizeof(k->name) || k->reserved)
        return ERR_INVALID;
    return malv_errno(gpu_kernel_create(f->ctx, k->program, k->name, &k->kernel, &k->arg_count));
}

static long call_destroy(struct malv_file *f, void *arg)
{
    static const enum gpu_object_kind kinds[] = {
        [MALV_BUFFER] = GPU_BUFFER,
        [MALV_PROGRAM] = GPU_PROGRAM,
        [MALV_KERNEL] = GPU_KERNEL,
    };
    const struct malv_destroy *d = arg;

    if (d->kind < MALV_BUFFER || d->kind > MALV_KERNEL)
        return ERR_INVALID;
    return malv_errno(gpu_object_destroy(f->ctx, kinds[d->kind], d->object));
}

static long call_submit(struct malv_file *f, void *arg)
{
    struct malv_submit *s = arg;
    struct vgpgpu_submit *batch;

    uint32_t queue = s->queue & (MALV_SUBMIT_SIGNALS(1) - 1);
    unsigned flags = s->queue & MALV_SUBMIT_UNORDERED ? GPU_UNORDERED : 0;

    if (s->command_bytes % 8 || queue >= VGPGPU_QUEUES_PER_CONTEXT)
        return ERR_INVALID;
    if (s->command_bytes > f->config.max_submit_bytes)
        return malv_errno(ERR_RANGE);
    batch = gpu_batch_alloc(f->ctx, s->command_bytes);
    if (!batch)
        return ERR_NO_MEMORY;
    if (s->command_bytes && user_read(batch + 1, s->commands, s->command_bytes) != OK) {
        gpu_batch_free(batch);
        return ERR_FAULT;
    }
    flags |= s->queue & ~MALV_SUBMIT_UNORDERED & ~queue;
    return malv_errno(gpu_submit(f->ctx, queue, batch, flags, &s->fence));
}

static long call_wait(struct malv_file *f, void *arg)
{
    const struct malv_wait *w = arg;
    enum vgpgpu_status failed = VGPGPU_OK;
    uint64_t due;
    int r;

    if (w->reserved)
        return ERR_INVALID;
    if (w->timeout_ns == 0)
        due = 0;
    else if (__builtin_add_overflow(time_now(), w->timeout_ns, &due))
        due = TIME_NEVER;
    r = gpu_fence_wait(f->ctx, w->queue, w->fence, due, WAIT_INTERRUPTIBLE, &failed);
    if (r == ERR_TIMED_OUT)
        return LINUX_ERRNO(ETIMEDOUT);
    return r == OK ? malv_errno_of_device(failed) : malv_errno(r);
}

static long call_notify(struct malv_file *f, void *arg)
{
    const struct malv_notify *n = arg;

    return n->reserved ? ERR_INVALID : malv_errno(malv_notify(f, n->queue, n->fence));
}

static long call_limit(struct malv_file *f, void *arg)
{
    const struct malv_limit *l = arg;

    return l->reserved ? ERR_INVALID : malv_errno(gpu_context_limit(f->ctx, l->time_ms));
}

static long call_query(struct malv_file *f, void *arg)
{
    struct malv_query *q = arg;
    uint32_t room = MIN(q->bytes, LOG_BYTES_MAX);
    void *answer;
    int r;

    if (q->reserved || !room)
        return ERR_INVALID;
    answer = kmalloc(room);
    if (!answer)
        return ERR_NO_MEMORY;
    q->bytes = room;
    r = gpu_query(f->ctx, q->what, q->object, q->offset, answer, &q->bytes, &q->total);
    if (r == OK && q->bytes && user_write(q->address, answer, q->bytes) != OK)
        r = ERR_FAULT;
    kfree(answer);
    return malv_errno(r);
}

static const struct malv_call {
    long (*call)(struct malv_file *f, void *arg);
    uint32_t command;
    uint32_t size;
    bool writes; /* the structure goes back to the program */
} calls[] = {
    {call_info, MALV_IOC_INFO, sizeof(struct malv_info), true},
    {call_buffer_create, MALV_IOC_BUFFER_CREATE, sizeof(struct malv_buffer_create), true},
    {call_program_create, MALV_IOC_PROGRAM_CREATE, sizeof(struct malv_program_create), true},
    {call_kernel_create, MALV_IOC_KERNEL_CREATE, sizeof(struct malv_kernel_create), true},
    {call_destroy, MALV_IOC_DESTROY, sizeof(struct malv_destroy), false},
    {call_submit, MALV_IOC_SUBMIT, sizeof(struct malv_submit), true},
    {call_wait, MALV_IOC_WAIT, sizeof(struct malv_wait), false},
    {call_notify, MALV_IOC_NOTIFY, sizeof(struct malv_notify), false},
    {call_limit, MALV_IOC_LIMIT, sizeof(struct malv_limit), false},
    {call_query, MALV_IOC_QUERY, sizeof(struct malv_query), true},
    {call_sub_buffer, MALV_IOC_SUB_BUFFER, sizeof(struct malv_sub_buffer), true},
};
_Static_assert(sizeof(struct malv_info) <= STRUCT_BYTES_MAX, "room for the largest structure");

long malv_ioctl(void *file, unsigned command, uint64_t argument)
{
    uint64_t copy[STRUCT_BYTES_MAX / sizeof(uint64_t)];
    const struct malv_call *c = calls;
    long r;

    while (c < calls + ARRAY_SIZE(calls) && c->command != command)
        c++;
    if (c == calls + ARRAY_SIZE(calls))
        return LINUX_ERRNO(ENOTTY);
    if (user_read(copy, argument, c->size) != OK)
        return ERR_FAULT;
    r = c->call(file, copy);
    if (r == OK && c->writes && user_write(argument, copy, c->size) != OK)
        return ERR_FAULT;
    return r;
}
