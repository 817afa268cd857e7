/*
 * measure.c: both sides' times over the size of a batch, when a model has come to the device. Rows
 * of zeros take as long as others. What waits is answered in between. A size for which the processor takes
 * longer than batch_measure_ms is its last one: what larger ones take follows from it.
 */
#include <microlake/memory.h>
#include <microlake/time.h>

#include "batch.h"

#define ROUNDS     3u
#define WARM_UP_NS (10 * NS_PER_SEC)
#define BYTES_MAX  (1u << 20) /* of rows; larger batches follow from smaller ones */

struct rows_memory {
    float *in, *out;
};

static uint64_t processor_time(struct mlbatch_net *net, const struct rows_memory *m, uint32_t rows)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t start = time_now();

        if (net_processor_run(net, m->in, rows, m->out) != OK)
            return 0;
        best = MIN(best, time_now() - start);
    }
    return best;
}

/* With the copies. The first run of a size makes the device ready for it. */
static int device_time(struct mlbatch_net *net, const struct rows_memory *m, uint32_t rows,
                       uint64_t *best)
{
    int r = device_run(net->device, rows, WARM_UP_NS);

    *best = UINT64_MAX;
    for (unsigned i = 0; i < ROUNDS && r == OK; i++) {
        uint64_t start = time_now();

        device_put(net->device, 0, m->in, rows);
        r = device_run(net->device, rows, WARM_UP_NS);
        device_get(net->device, 0, m->out, rows);
        *best = MIN(*best, time_now() - start);
    }
    return r;
}

static void note(struct mlbatch_net *net, enum crossing_side side, uint32_t rows, uint64_t ns)
{
    mutex_lock(&net->lock);
    crossing_note(&net->crossing, side, rows, ns);
    mutex_unlock(&net->lock);
}

static int sizes_measure(struct mlbatch_net *net, const struct rows_memory *m, uint32_t rows_max)
{
    uint64_t here = 1, there = 0;
    int r = OK;

    for (uint32_t rows = 1; rows <= rows_max && r == OK; rows *= 2) {
        if (__atomic_load_n(&net->stopping, __ATOMIC_ACQUIRE))
            return ERR_INTERRUPTED;
        if (here && here < batch_measure_ms * NS_PER_MS) {
            here = processor_time(net, m, rows);
            if (here)
                note(net, CROSSING_PROCESSOR, rows, here);
        }
        worker_serve(net);
        r = device_time(net, m, rows, &there);
        if (r == OK)
            note(net, CROSSING_DEVICE, rows, there);
        worker_serve(net);
    }
    return r;
}

int measure_take(struct mlbatch_net *net)
{
    const struct mlrt_header *h = net->device->view->model.header;
    uint32_t rows = net->want.rows_max, in = net->want.steps * h->inputs * (uint32_t)sizeof(float);
    struct rows_memory m;
    int r = ERR_NO_MEMORY;

    while (rows > 1 && (uint64_t)rows * MAX(in, h->outputs * sizeof(float)) > BYTES_MAX)
        rows /= 2;
    m.in = kzalloc((size_t)rows * in);
    m.out = kzalloc((size_t)rows * h->outputs * sizeof(float));
    if (m.in && m.out) {
        mutex_lock(&net->lock);
        crossing_clear(&net->crossing);
        mutex_unlock(&net->lock);
        r = sizes_measure(net, &m, rows);
    }
    kfree(m.in);
    kfree(m.out);
    return r;
}
