/*
 * net.c: what callers call. See batch.h.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "batch.h"

#define WORKSPACE_ALIGN 64u

struct mutex nets_lock = MUTEX_INIT(nets_lock);
struct list nets = LIST_INIT(nets);

/* ---- The processor's way ---- */

/* A lane, locked: a free one if there is one. */
static struct lane *lane_take(struct mlbatch_net *net)
{
    static unsigned turn;

    for (unsigned i = 0; i < LANES; i++)
        if (mutex_trylock(&net->lanes[i].lock))
            return &net->lanes[i];
    struct lane *lane = &net->lanes[__atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % LANES];

    mutex_lock(&lane->lock);
    return lane;
}

static bool lane_fits(struct lane *lane, size_t size)
{
    if (size <= lane->size)
        return true;
    kfree(lane->block);
    lane->block = kmalloc(size + WORKSPACE_ALIGN);
    lane->workspace = (void *)ALIGN_UP((uintptr_t)lane->block, WORKSPACE_ALIGN);
    lane->size = lane->block ? size : 0;
    return lane->block;
}

int net_processor_run(struct mlbatch_net *net, const float *in, uint32_t rows, float *out)
{
    struct models_view *view = models_get(net->want.slot);
    struct lane *lane = lane_take(net);
    int r = ERR_NO_MEMORY;

    if (lane_fits(lane, mlrt_workspace_bytes(&view->model, MLRT_KERNEL_ROWS))) {
        view->runs += rows;
        mlrt_kernel_run(&view->model, in, rows, net->want.steps, NULL, out, lane->workspace);
        r = OK;
    }
    mutex_unlock(&lane->lock);
    models_put(view);
    return r;
}

/* ---- Requests ---- */

void net_finish(struct mlbatch_net *net, struct mlbatch_request *request, int status)
{
    request->status = status;
    if (request->done) {
        request->done(request);
        return;
    }
    mutex_lock(&net->lock);
    request->finished = true;
    wait_wake_all(&net->answers);
    mutex_unlock(&net->lock); /* the request may be gone from here on */
}

void mlbatch_submit(struct mlbatch_net *net, struct mlbatch_request *request)
{
    request->finished = false;
    request->came = time_now();
    mutex_lock(&net->lock);
    list_push_back(&net->requests, &request->link);
    net->rows_waiting += request->rows;
    mutex_unlock(&net->lock);
    wait_wake_all(&net->news);
}

static bool is_finished(struct mlbatch_net *net, const struct mlbatch_request *request)
{
    bool finished;

    mutex_lock(&net->lock);
    finished = request->finished;
    mutex_unlock(&net->lock);
    return finished;
}

int mlbatch_wait(struct mlbatch_net *net, struct mlbatch_request *request)
{
    WAIT_UNTIL(&net->answers, is_finished(net, request), TIME_NEVER, 0);
    return request->status;
}

/* Is it a batch for the device, with what waits already, or one that may wait for others? */
static bool goes_to_worker(struct mlbatch_net *net, uint32_t rows)
{
    enum mlbatch_way way = __atomic_load_n(&net->way, __ATOMIC_RELAXED);
    struct models_view *now = models_enter(net->want.slot);
    bool result, stale = now->version != net->figures.version;

    models_leave();
    mutex_lock(&net->lock);
    result = net->figures.device == MLBATCH_READY && way != MLBATCH_PROCESSOR &&
             (way == MLBATCH_DEVICE || net->want.linger_ns ||
              crossing_choose(&net->crossing, rows + net->rows_waiting) == CROSSING_DEVICE);
    stale =
        stale && (net->figures.device == MLBATCH_READY || net->figures.device == MLBATCH_NO_DEVICE);
    net->renewed |= stale;
    mutex_unlock(&net->lock);
    if (stale)
        wait_wake_all(&net->news);
    return result;
}

static int part_run(struct mlbatch_net *net, const float *in, uint32_t rows, float *out)
{
    struct mlbatch_request request = {.in = in, .rows = rows, .out = out};
    uint64_t start;
    int r;

    if (goes_to_worker(net, rows)) {
        mlbatch_submit(net, &request);
        return mlbatch_wait(net, &request);
    }
    start = time_now();
    r = net_processor_run(net, in, rows, out);
    mutex_lock(&net->lock);
    net->figures.on_processor += rows;
    if (net->figures.device == MLBATCH_READY && r == OK)
        net->figures.moves +=
            crossing_note(&net->crossing, CROSSING_PROCESSOR, rows, time_now() - start);
    mutex_unlock(&net->lock);
    return r;
}

int mlbatch_run(struct mlbatch_net *net, const float *in, uint32_t rows, float *out)
{
    struct models_view *view = models_get(net->want.slot);
    size_t inputs = (size_t)view->model.header->inputs * net->want.steps;
    size_t outputs = view->model.header->outputs;
    int r = OK;

    models_put(view); /* every model of the slot has as many */
    while (rows && r == OK) {
        uint32_t part = MIN(rows, net->want.rows_max);

        r = part_run(net, in, part, out);
        in += part * inputs;
        out += part * outputs;
        rows -= part;
    }
    return r;
}

/* ---- Opening and closing ---- */

static bool want_is_valid(const struct mlbatch_want *want)
{
    return want->name && want->slot && want->rows_max <= MLBATCH_ROWS_MAX &&
           (want->rows_max & (want->rows_max - 1)) == 0 && want->steps <= MLRT_GPU_STEPS_MAX;
}

int mlbatch_open(const struct mlbatch_want *want, struct mlbatch_net **out)
{
    struct mlbatch_net *net;
    int r;

    if (!want_is_valid(want))
        return ERR_INVALID;
    net = kzalloc(sizeof(*net));
    if (!net)
        return ERR_NO_MEMORY;
    net->want = *want;
    net->want.rows_max = want->rows_max ? want->rows_max : MLBATCH_ROWS_MAX;
    net->want.steps = want->steps ? want->steps : 1;
    mutex_init(&net->lock);
    wait_queue_init(&net->news);
    wait_queue_init(&net->answers);
    list_init(&net->requests);
    crossing_clear(&net->crossing);
    for (unsigned i = 0; i < LANES; i++)
        mutex_init(&net->lanes[i].lock);
    net->figures.device = MLBATCH_STARTING;
    r = thread_create("mlbatch", worker_run, net, &net->worker);
    if (r != OK) {
        kfree(net);
        return r;
    }
    mutex_lock(&nets_lock);
    list_push_back(&nets, &net->link);
    mutex_unlock(&nets_lock);
    *out = net;
    return OK;
}

void mlbatch_close(struct mlbatch_net *net)
{
    mutex_lock(&nets_lock);
    list_remove(&net->link);
    mutex_unlock(&nets_lock);
    __atomic_store_n(&net->stopping, true, __ATOMIC_RELEASE);
    wait_wake_all(&net->news);
    thread_join(net->worker, TIME_NEVER);
    thread_unref(net->worker);
    for (unsigned i = 0; i < LANES; i++)
        kfree(net->lanes[i].block);
    kfree(net);
}

/* ---- Figures ---- */

void net_reason(struct mlbatch_net *net, enum mlbatch_device device, const char *reason)
{
    mutex_lock(&net->lock);
    net->figures.device = device;
    strlcpy(net->figures.reason, reason, sizeof(net->figures.reason));
    mutex_unlock(&net->lock);
    if (device == MLBATCH_LOST)
        log_warn("mlbatch: %s: the processor answers: %s", net->want.name, reason);
}

void mlbatch_figures(struct mlbatch_net *net, struct mlbatch_figures *out)
{
    mutex_lock(&net->lock);
    *out = net->figures;
    out->crossing = net->figures.device == MLBATCH_READY ? net->crossing.rows : MLBATCH_NEVER;
    memcpy(out->processor_ns, net->crossing.ns[CROSSING_PROCESSOR], sizeof(out->processor_ns));
    memcpy(out->device_ns, net->crossing.ns[CROSSING_DEVICE], sizeof(out->device_ns));
    mutex_unlock(&net->lock);
    strlcpy(out->name, net->want.name, sizeof(out->name));
}

void mlbatch_force(struct mlbatch_net *net, enum mlbatch_way way)
{
    __atomic_store_n(&net->way, way, __ATOMIC_RELAXED);
}
