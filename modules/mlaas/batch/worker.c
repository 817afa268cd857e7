/*
 * worker.c: a net's thread. It has the device, looks for it when it is lost, and takes the requests
 * that wait: as many together as there are and as fit, on the side that is faster for all of them.
 */
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "batch.h"

#define RETRY_NS NS_PER_SEC

static bool is_stopping(const struct mlbatch_net *net)
{
    return __atomic_load_n(&net->stopping, __ATOMIC_ACQUIRE);
}

/* ---- Taking ---- */

/* Requests that go together. */
struct batch {
    struct list requests;
    uint32_t rows, count;
};

static struct mlbatch_request *request_of(struct list *link)
{
    return container_of(link, struct mlbatch_request, link);
}

/* All that wait, oldest first, up to the device's rows; one that is larger than that comes alone.
 */
static void batch_take(struct mlbatch_net *net, struct batch *b)
{
    *b = (struct batch){.rows = 0};
    list_init(&b->requests);
    mutex_lock(&net->lock);
    while (!list_empty(&net->requests)) {
        struct mlbatch_request *r = request_of(net->requests.next);

        if (b->count && b->rows + r->rows > net->want.rows_max)
            break;
        list_remove(&r->link);
        list_push_back(&b->requests, &r->link);
        net->rows_waiting -= r->rows;
        b->rows += r->rows;
        b->count++;
    }
    mutex_unlock(&net->lock);
}

/* ---- The processor ---- */

static void batch_processor(struct mlbatch_net *net, struct batch *b)
{
    while (!list_empty(&b->requests)) {
        struct mlbatch_request *r = request_of(b->requests.next);
        uint64_t start = time_now();
        int status;

        list_remove(&r->link);
        status = net_processor_run(net, r->in, r->rows, r->out);
        mutex_lock(&net->lock);
        net->figures.on_processor += r->rows;
        if (status == OK && net->figures.device == MLBATCH_READY)
            net->figures.moves +=
                crossing_note(&net->crossing, CROSSING_PROCESSOR, r->rows, time_now() - start);
        mutex_unlock(&net->lock);
        net_finish(net, r, status);
    }
}

void worker_serve(struct mlbatch_net *net)
{
    struct batch b;

    for (batch_take(net, &b); b.count; batch_take(net, &b))
        batch_processor(net, &b);
}

/* ---- The device ---- */

static void close_in_background(void *arg)
{
    struct mlbatch_net *net = arg;

    device_close(net->device);
    __atomic_store_n(&net->closer_done, true, __ATOMIC_RELEASE);
    wait_wake_all(&net->news);
}

/* The closer has the device until it is done: the worker does not touch it. Closing waits for the
 * device's work, which may be long when the device stands still. */
static void device_drop(struct mlbatch_net *net)
{
    net->closer_done = false;
    if (thread_create("mlbatch_close", close_in_background, net, &net->closer) != OK) {
        net->closer = NULL;
        device_close(net->device);
        net->device = NULL;
    }
    net->retry_at = time_now() + RETRY_NS;
}

static void device_dropped(struct mlbatch_net *net)
{
    if (!net->closer || !__atomic_load_n(&net->closer_done, __ATOMIC_ACQUIRE))
        return;
    thread_join(net->closer, TIME_NEVER);
    thread_unref(net->closer);
    net->closer = NULL;
    net->device = NULL;
}

static void device_failed(struct mlbatch_net *net, int status)
{
    char reason[MLBATCH_REASON_MAX];

    if (status == ERR_LOST)
        snprintf(reason, sizeof(reason), "the device was lost");
    else if (status == ERR_TIMED_OUT)
        snprintf(reason, sizeof(reason), "the device did not answer in time");
    else
        snprintf(reason, sizeof(reason), "the device failed: %s", status_name(status));
    net_reason(net, MLBATCH_LOST, reason);
    device_drop(net);
}

static uint64_t expected_ns(struct mlbatch_net *net, uint32_t rows)
{
    uint64_t ns;

    mutex_lock(&net->lock);
    ns = net->crossing.ns[CROSSING_DEVICE][crossing_class(rows)];
    mutex_unlock(&net->lock);
    return ns;
}

static void rows_put(struct mlbatch_net *net, const struct batch *b)
{
    uint32_t row = 0;

    for (struct list *at = b->requests.next; at != &b->requests; at = at->next) {
        device_put(net->device, row, request_of(at)->in, request_of(at)->rows);
        row += request_of(at)->rows;
    }
}

static void rows_get(struct mlbatch_net *net, struct batch *b)
{
    uint32_t row = 0;

    while (!list_empty(&b->requests)) {
        struct mlbatch_request *r = request_of(b->requests.next);

        list_remove(&r->link);
        device_get(net->device, row, r->out, r->rows);
        row += r->rows;
        net_finish(net, r, OK);
    }
}

static void device_counted(struct mlbatch_net *net, const struct batch *b, uint64_t ns)
{
    mutex_lock(&net->lock);
    net->figures.on_device += b->rows;
    net->figures.batches++;
    net->figures.joined += b->count > 1;
    net->figures.moves += crossing_note(&net->crossing, CROSSING_DEVICE, b->rows, ns);
    mutex_unlock(&net->lock);
}

/* False: it went wrong, and the requests are still there. */
static bool batch_device(struct mlbatch_net *net, struct batch *b)
{
    uint64_t start = time_now();
    int r;

    rows_put(net, b);
    r = device_run(net->device, b->rows, expected_ns(net, b->rows));
    if (r != OK) {
        mutex_lock(&net->lock);
        net->figures.fallbacks++;
        mutex_unlock(&net->lock);
        device_failed(net, r);
        return false;
    }
    net->device->view->runs += b->rows;
    device_counted(net, b, time_now() - start);
    rows_get(net, b);
    return true;
}

static bool device_wanted(struct mlbatch_net *net, const struct batch *b)
{
    enum mlbatch_way way = __atomic_load_n(&net->way, __ATOMIC_RELAXED);
    bool wanted;

    if (!net->device || net->closer || b->rows > net->want.rows_max || way == MLBATCH_PROCESSOR)
        return false;
    mutex_lock(&net->lock);
    wanted = net->figures.device == MLBATCH_READY &&
             (way == MLBATCH_DEVICE || crossing_choose(&net->crossing, b->rows) == CROSSING_DEVICE);
    mutex_unlock(&net->lock);
    return wanted;
}

/* ---- Having a device ---- */

static bool view_is_old(struct mlbatch_net *net)
{
    bool old = net->device->view != models_enter(net->want.slot);

    models_leave();
    return old;
}

static void device_offer(struct mlbatch_net *net)
{
    mutex_lock(&net->lock);
    net->figures.device = MLBATCH_READY;
    mutex_unlock(&net->lock);
    if (net->crossing.rows == CROSSING_NEVER)
        log_info("mlbatch: %s: the device is never faster", net->want.name);
    else
        log_info("mlbatch: %s: the device is faster from %u rows on", net->want.name,
                 net->crossing.rows);
}

static void device_look(struct mlbatch_net *net)
{
    struct models_view *view = models_get(net->want.slot);
    const char *why;
    int r;

    mutex_lock(&net->lock);
    net->figures.version = view->version;
    mutex_unlock(&net->lock);
    r = device_create(view, net->want.rows_max, net->want.steps, &net->device, &why);
    if (r == OK) {
        r = measure_take(net);
        if (r == OK)
            device_offer(net);
        else if (!is_stopping(net))
            device_failed(net, r);
        return;
    }
    models_put(view);
    if (r == ERR_NOT_FOUND || r == ERR_UNSUPPORTED) {
        net_reason(net, MLBATCH_NO_DEVICE, why ? why : "this machine has no device");
        net->retry_at = TIME_NEVER; /* but for another model */
        return;
    }
    net_reason(net, MLBATCH_LOST, status_name(r));
    net->retry_at = time_now() + RETRY_NS;
}

/* The slot has another model: it takes the old one's place on the device. */
static void device_renew(struct mlbatch_net *net)
{
    mutex_lock(&net->lock);
    net->figures.device = MLBATCH_STARTING;
    mutex_unlock(&net->lock);
    if (net->device)
        device_close(net->device);
    net->device = NULL;
    net->retry_at = 0;
}

/* Has somebody seen another model in the slot since the last time? */
static bool renewed_take(struct mlbatch_net *net)
{
    bool renewed;

    mutex_lock(&net->lock);
    renewed = net->renewed;
    net->renewed = false;
    mutex_unlock(&net->lock);
    return renewed;
}

static void device_mind(struct mlbatch_net *net)
{
    bool renewed = renewed_take(net);

    device_dropped(net);
    if (!net->closer && (net->device ? view_is_old(net) : renewed))
        device_renew(net);
    if (!net->device && !net->closer && time_now() >= net->retry_at && !is_stopping(net))
        device_look(net);
}

/* ---- The thread ---- */

/* When the worker has something to do at the latest, and whether it has now. */
static bool work_is_there(struct mlbatch_net *net, uint64_t *due)
{
    bool there;

    *due = net->device ? TIME_NEVER : net->retry_at; /* a closer wakes us */
    mutex_lock(&net->lock);
    there = net->renewed;
    if (!list_empty(&net->requests)) {
        uint64_t until = request_of(net->requests.next)->came + net->want.linger_ns;

        there |= net->figures.device != MLBATCH_READY || net->rows_waiting >= net->crossing.rows ||
                 net->rows_waiting >= net->want.rows_max || time_now() >= until;
        *due = MIN(*due, until);
    }
    mutex_unlock(&net->lock);
    return there || is_stopping(net) ||
           (net->closer && __atomic_load_n(&net->closer_done, __ATOMIC_ACQUIRE));
}

static void work_await(struct mlbatch_net *net)
{
    uint64_t due;

    while (!work_is_there(net, &due) && time_now() < due) {
        struct waiter w;

        wait_prepare(&net->news, &w);
        if (!work_is_there(net, &due))
            wait_sleep(&net->news, &w, due, 0);
        wait_finish(&net->news, &w);
    }
}

void worker_run(void *arg)
{
    struct mlbatch_net *net = arg;
    struct batch b;

    while (!is_stopping(net)) {
        device_mind(net);
        batch_take(net, &b);
        if (b.count && (!device_wanted(net, &b) || !batch_device(net, &b)))
            batch_processor(net, &b);
        if (!b.count)
            work_await(net);
    }
    worker_serve(net);
    if (net->closer) {
        thread_join(net->closer, TIME_NEVER);
        thread_unref(net->closer);
    } else if (net->device) {
        device_close(net->device);
    }
}
