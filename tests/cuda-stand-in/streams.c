/* streams.c: see stand_in.h. One thread does the work of all streams, each in its order, some time later. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "stand_in.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static cuda_stream streams; /* lock */
static bool works;          /* lock: the thread is there */
static atomic_int error;    /* that sticks */
static _Thread_local bool called_back;

bool in_callback(void)
{
    return called_back;
}

void stick(cuda_result result)
{
    atomic_store(&error, result);
}

cuda_result stuck(void)
{
    return atomic_load(&error);
}

void stream_check(cuda_stream stream)
{
    if (stream->magic != MAGIC_STREAM || stream->context != context_current())
        wrong("a stream that is none, or of another context");
}

struct op *op_new(cuda_result (*run)(struct op *op))
{
    struct op *op = calloc(1, sizeof(*op));
    if (!op)
        abort();
    op->run = run;
    return op;
}

static void op_do(struct op *op)
{
    if (op->callback) {
        called_back = true;
        op->callback(op->stream, stuck(), op->data);
        called_back = false;
        return;
    }
    cuda_result result = stuck() ? 0 : op->run(op);
    if (result)
        stick(result);
    if (op->function)
        __atomic_fetch_sub(&op->function->module->in_work, 1, __ATOMIC_RELEASE);
}

/* The first work of a stream; of another one each time. */
static struct op *op_take_locked(void)
{
    static unsigned turn;
    unsigned count = 0, at = 0;
    for (cuda_stream stream = streams; stream; stream = stream->next)
        count += stream->first != NULL;
    unsigned wanted = count ? turn++ % count : 0;
    for (cuda_stream stream = streams; stream; stream = stream->next)
        if (stream->first && at++ == wanted) {
            struct op *op = stream->first;
            stream->first = op->next;
            if (!stream->first)
                stream->last = NULL;
            return op;
        }
    return NULL;
}

static void *work(void *nothing)
{
    unsigned number = 0;
    (void)nothing;
    pthread_mutex_lock(&lock);
    for (;;) {
        struct op *op = op_take_locked();
        if (!op) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        pthread_mutex_unlock(&lock);
        if (number++ % 8 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL); /* who does not wait is seen */
        op_do(op);
        pthread_mutex_lock(&lock);
        op->stream->pending--;
        free(op);
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

void op_add(struct op *op, cuda_stream stream)
{
    pthread_t thread;
    op->stream = stream;
    pthread_mutex_lock(&lock);
    if (!works && pthread_create(&thread, NULL, work, NULL))
        wrong("no thread");
    works = true;
    if (stream->last)
        stream->last->next = op;
    else
        stream->first = op;
    stream->last = op;
    stream->pending++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

cuda_result cuStreamCreate(cuda_stream *out, unsigned flags);
cuda_result cuStreamCreate(cuda_stream *out, unsigned flags)
{
    cuda_result result = call_begin("cuStreamCreate", true, true);
    if (result)
        return result;
    if (flags != CUDA_STREAM_NON_BLOCKING)
        wrong("cuStreamCreate: flags %u", flags);
    cuda_stream stream = calloc(1, sizeof(*stream));
    *stream = (struct cuda_stream_s){.magic = MAGIC_STREAM, .context = context_current()};
    stream->context->streams++;
    counts_add(&(struct stand_in_counts){.streams = 1});
    pthread_mutex_lock(&lock);
    stream->next = streams;
    streams = stream;
    pthread_mutex_unlock(&lock);
    *out = stream;
    return 0;
}

cuda_result cuStreamDestroy_v2(cuda_stream stream);
cuda_result cuStreamDestroy_v2(cuda_stream stream)
{
    cuda_result result = call_begin("cuStreamDestroy_v2", true, false);
    stream_check(stream);
    pthread_mutex_lock(&lock);
    if (stream->pending)
        wrong("a stream is destroyed with work in it");
    cuda_stream *at = &streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    pthread_mutex_unlock(&lock);
    stream->context->streams--;
    counts_take(&(struct stand_in_counts){.streams = 1});
    stream->magic = MAGIC_DEAD;
    free(stream);
    return result;
}

cuda_result cuStreamSynchronize(cuda_stream stream);
cuda_result cuStreamSynchronize(cuda_stream stream)
{
    cuda_result result = call_begin("cuStreamSynchronize", true, false);
    stream_check(stream);
    pthread_mutex_lock(&lock);
    while (stream->pending)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return stuck() ? stuck() : result;
}

void context_wait(cuda_context context)
{
    pthread_mutex_lock(&lock);
    for (cuda_stream stream = streams; stream;) {
        bool busy = stream->context == context && stream->pending;
        if (busy)
            pthread_cond_wait(&changed, &lock);
        stream = busy ? streams : stream->next;
    }
    pthread_mutex_unlock(&lock);
}

cuda_result cuStreamAddCallback(cuda_stream stream, cuda_callback callback, void *data, unsigned flags);
cuda_result cuStreamAddCallback(cuda_stream stream, cuda_callback callback, void *data, unsigned flags)
{
    cuda_result result = call_begin("cuStreamAddCallback", true, true);
    stream_check(stream);
    if (flags)
        wrong("cuStreamAddCallback: flags %u", flags);
    if (result)
        return result;
    struct op *op = op_new(NULL);
    op->callback = callback;
    op->data = data;
    op_add(op, stream);
    return 0;
}

/* ---- Copies and fills */

static cuda_result rows_copy(struct op *op)
{
    for (uint64_t row = 0; row < op->rows; row++) {
        uint8_t *target = memory_need(op->target + row * op->target_pitch, op->width, "a copy's target"),
                *source = memory_need(op->source + row * op->source_pitch, op->width, "a copy's source");
        if (target < source + op->width && source < target + op->width)
            wrong("a copy's source and target overlap");
        memcpy(target, source, op->width);
    }
    return 0;
}

static cuda_result units_fill(struct op *op)
{
    uint8_t *target = memory_need(op->target, op->width * op->unit, "a fill's target");
    for (uint64_t i = 0; i < op->width; i++)
        memcpy(target + i * op->unit, &op->value, op->unit);
    return 0;
}

cuda_result cuMemcpyDtoDAsync_v2(cuda_pointer target, cuda_pointer source, size_t bytes, cuda_stream stream);
cuda_result cuMemcpyDtoDAsync_v2(cuda_pointer target, cuda_pointer source, size_t bytes, cuda_stream stream)
{
    cuda_result result = call_begin("cuMemcpyDtoDAsync_v2", true, true);
    stream_check(stream);
    if (result)
        return result;
    struct op *op = op_new(rows_copy);
    op->target = target;
    op->source = source;
    op->width = bytes;
    op->rows = 1;
    memory_need(target, bytes, "cuMemcpyDtoDAsync_v2");
    memory_need(source, bytes, "cuMemcpyDtoDAsync_v2");
    op_add(op, stream);
    return 0;
}

/* ---- To and from memory of the host, which gpud does not use but a program of figures does: it is registered */

static cuda_result host_copy(const char *name, cuda_pointer place, void *memory, bool up, size_t bytes,
                             cuda_stream stream)
{
    cuda_pointer host = 0;
    cuda_result result = cuMemHostGetDevicePointer_v2(&host, memory, 0);
    if (result)
        wrong("%s of memory that is not registered", name);
    return up ? cuMemcpyDtoDAsync_v2(place, host, bytes, stream) : cuMemcpyDtoDAsync_v2(host, place, bytes, stream);
}

cuda_result cuMemcpyHtoDAsync_v2(cuda_pointer target, const void *source, size_t bytes, cuda_stream stream);
cuda_result cuMemcpyHtoDAsync_v2(cuda_pointer target, const void *source, size_t bytes, cuda_stream stream)
{
    return host_copy("cuMemcpyHtoDAsync_v2", target, (void *)(uintptr_t)source, true, bytes, stream);
}

cuda_result cuMemcpyDtoHAsync_v2(void *target, cuda_pointer source, size_t bytes, cuda_stream stream);
cuda_result cuMemcpyDtoHAsync_v2(void *target, cuda_pointer source, size_t bytes, cuda_stream stream)
{
    return host_copy("cuMemcpyDtoHAsync_v2", source, target, false, bytes, stream);
}

cuda_result cuMemcpy2DAsync_v2(const struct cuda_copy_2d *copy, cuda_stream stream);
cuda_result cuMemcpy2DAsync_v2(const struct cuda_copy_2d *copy, cuda_stream stream)
{
    cuda_result result = call_begin("cuMemcpy2DAsync_v2", true, true);
    stream_check(stream);
    if (result)
        return result;
    if (copy->source_kind != CUDA_MEMORY_DEVICE || copy->target_kind != CUDA_MEMORY_DEVICE || copy->source_x ||
        copy->source_y || copy->target_x || copy->target_y)
        wrong("cuMemcpy2DAsync_v2: not what gpud gives");
    if (copy->source_pitch < copy->width || copy->target_pitch < copy->width ||
        copy->source_pitch > INT32_MAX || copy->target_pitch > INT32_MAX)
        return RESULT_INVALID;
    if (copy->source_pitch % 4 || copy->target_pitch % 4)
        return RESULT_INVALID; /* as it may, where a pitch is not cuMemAllocPitch()'s */
    struct op *op = op_new(rows_copy);
    op->target = copy->target;
    op->source = copy->source;
    op->target_pitch = copy->target_pitch;
    op->source_pitch = copy->source_pitch;
    op->width = copy->width;
    op->rows = copy->rows;
    op_add(op, stream);
    return 0;
}

static cuda_result fill(const char *name, cuda_pointer target, uint32_t value, uint32_t unit, uint64_t count,
                        cuda_stream stream)
{
    cuda_result result = call_begin(name, true, true);
    stream_check(stream);
    if (result)
        return result;
    if (target % unit)
        wrong("%s: the target is misaligned", name);
    struct op *op = op_new(units_fill);
    op->target = target;
    op->value = value;
    op->unit = unit;
    op->width = count;
    op_add(op, stream);
    return 0;
}

cuda_result cuMemsetD8Async(cuda_pointer target, unsigned char value, size_t count, cuda_stream stream);
cuda_result cuMemsetD8Async(cuda_pointer target, unsigned char value, size_t count, cuda_stream stream)
{
    return fill("cuMemsetD8Async", target, value, 1, count, stream);
}

cuda_result cuMemsetD16Async(cuda_pointer target, unsigned short value, size_t count, cuda_stream stream);
cuda_result cuMemsetD16Async(cuda_pointer target, unsigned short value, size_t count, cuda_stream stream)
{
    return fill("cuMemsetD16Async", target, value, 2, count, stream);
}

cuda_result cuMemsetD32Async(cuda_pointer target, unsigned value, size_t count, cuda_stream stream);
cuda_result cuMemsetD32Async(cuda_pointer target, unsigned value, size_t count, cuda_stream stream)
{
    return fill("cuMemsetD32Async", target, value, 4, count, stream);
}

/* ---- Launches */

/* The caller's parameters, one beside the other as the kernel has them: they are copied in the call. */
static void params_take(struct op *op, void **extra)
{
    unsigned bytes = op->function->bytes;
    if (!bytes && !extra)
        return;
    if (!extra || extra[0] != CUDA_PARAMS || extra[2] != CUDA_PARAMS_BYTES || extra[4] != CUDA_PARAMS_END)
        wrong("cuLaunchKernel: no parameters where there are %u bytes of them", bytes);
    if (*(size_t *)extra[3] != bytes)
        wrong("cuLaunchKernel: %zu bytes of parameters and not %u", *(size_t *)extra[3], bytes);
    memcpy(op->params, extra[1], bytes);
}

cuda_result cuLaunchKernel(cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                           unsigned group_x, unsigned group_y, unsigned group_z, unsigned shared,
                           cuda_stream stream, void **arguments, void **extra);
cuda_result cuLaunchKernel(cuda_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                           unsigned group_x, unsigned group_y, unsigned group_z, unsigned shared,
                           cuda_stream stream, void **arguments, void **extra)
{
    cuda_result result = call_begin("cuLaunchKernel", true, true);
    stream_check(stream);
    if (function->magic != MAGIC_FUNCTION || function->module->magic != MAGIC_MODULE ||
        function->module->context != context_current())
        wrong("a launch of no function, or in another context");
    if (result)
        return result;
    if (shared || arguments)
        wrong("cuLaunchKernel: not what gpud gives");
    uint64_t group = (uint64_t)group_x * group_y * group_z, grid = (uint64_t)grid_x * grid_y * grid_z;
    if (!group || !grid || group_x > 1024 || group_y > 1024 || group_z > 64 || group > 1024 || grid_y > 65535 ||
        grid_z > 65535 || grid_x > INT32_MAX)
        return RESULT_INVALID;
    if (group > function->most_items)
        return RESULT_OUT_OF_RESOURCES;
    struct op *op = op_new(kernel_run);
    op->function = function;
    op->items = grid * group < 1u << 20 ? (unsigned)(grid * group) : 1u << 20;
    params_take(op, extra);
    __atomic_fetch_add(&function->module->in_work, 1, __ATOMIC_RELAXED);
    op_add(op, stream);
    return 0;
}
