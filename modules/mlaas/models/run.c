/*
 * run.c: running a slot's model.
 */
#include <microlake/thread.h>

#include "store.h"

void models_run_integer(struct models_slot *slot, const int32_t *in, int32_t *out)
{
    struct models_view *view = models_enter(slot);

    view->runs++;
    mlrt_run_integer(&view->model, in, 1, out, models_workspace(slot));
    models_leave();
}

void models_run(struct models_slot *slot, const float *in, uint32_t rows, float *out,
                void *workspace)
{
    struct models_view *view = models_get(slot);

    view->runs += rows;
    mlrt_kernel_run(&view->model, in, rows, 1, NULL, out, workspace);
    models_put(view);
}
