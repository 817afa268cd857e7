/*
 * sgd.c: online training of dense float models by stochastic gradient descent, a row at a time.
 * Back-propagation as in Rumelhart, Hinton and Williams (1986). Vector registers.
 *
 * Workspace: the outputs of every layer, one after the other, then two rows of errors. For the last
 * layer the error of what goes into its activation is output - target with each loss of mlrt.h;
 * that is why they are these.
 */
#include "lib/mlrt/internal.h"

#define PARTS_PER_ONE 1000000.0f
#define MXCSR_DEFAULT 0x1f80u

struct training {
    const struct mlrt_model *model;
    uint8_t *memory;
    float rate, decay, clip;
    float *outputs[MLRT_LAYERS_MAX];
    float *error, *next_error;
};

static bool layer_trains(const struct mlrt_layer *layer, bool last)
{
    uint32_t activation = layer->activation;
    if (layer->kind != MLRT_DENSE) {
        return false;
    }
    if (last) {
        return activation == MLRT_NO_ACTIVATION || activation == MLRT_SIGMOID ||
               activation == MLRT_SOFTMAX;
    }
    return activation <= MLRT_TANH;
}

/* The first layer that trains: a SCALE in front of it stays. */
static uint32_t first_trained(const struct mlrt_model *model)
{
    return model->layers[0].kind == MLRT_SCALE && model->header->layer_count > 1 ? 1 : 0;
}

int mlrt_can_train(const struct mlrt_model *model)
{
    uint32_t count = model->header->layer_count;
    for (uint32_t i = first_trained(model); i < count; i++) {
        if (!layer_trains(&model->layers[i], i + 1 == count)) {
            return MLRT_NOT_TRAINABLE;
        }
    }
    return model->header->integer ? MLRT_NOT_TRAINABLE : MLRT_OK;
}

size_t mlrt_train_workspace_bytes(const struct mlrt_model *model)
{
    return ((size_t)model->header->layer_count + 2) * model->widest * 4;
}

static void forward(struct training *t, const float *in)
{
    const struct mlrt_model *model = t->model;
    struct mlrt_job job = {.model = model,
                           .in = in,
                           .in_stride = model->header->inputs,
                           .out_stride = model->widest,
                           .rows = 1};
    for (uint32_t i = 0; i < model->header->layer_count; i++) {
        job.layer = &model->layers[i];
        job.arrays = model->arrays[i];
        job.out = t->outputs[i];
        mlrt_float_layers[job.layer->kind](&job);
        mlrt_float_activate(&job);
        job.in = job.out;
        job.in_stride = model->widest;
    }
}

static float square_root(float x)
{
    __asm__("sqrtss %0, %0" : "+x"(x));
    return x;
}

static bool is_finite(float x)
{
    return x - x == 0;
}

/* The last layer's error, clipped. False: it is not finite. */
static bool error_start(struct training *t, const float *targets)
{
    uint32_t count = t->model->header->outputs;
    const float *outputs = t->outputs[t->model->header->layer_count - 1];
    float norm = 0;
    for (uint32_t i = 0; i < mlrt_padded(count); i++) {
        t->error[i] = i < count ? outputs[i] - targets[i] : 0;
        norm += t->error[i] * t->error[i];
    }
    norm = square_root(norm);
    for (uint32_t i = 0; t->clip > 0 && norm > t->clip && i < count; i++) {
        t->error[i] *= t->clip / norm;
    }
    return is_finite(norm);
}

/* The derivative of an activation, from what it gave. */
static float slope(uint32_t activation, float y)
{
    switch (activation) {
    case MLRT_RELU:
        return y > 0 ? 1 : 0;
    case MLRT_SIGMOID:
        return y * (1 - y);
    case MLRT_TANH:
        return 1 - y * y;
    default:
        return 1;
    }
}

/* The error of what goes into this layer: of the outputs of the one before, through its activation.
 */
static void error_back(struct training *t, uint32_t index)
{
    const struct mlrt_layer *layer = &t->model->layers[index];
    const float *weights = model_array(t->model, t->model->arrays[index], DENSE_WEIGHTS);
    uint32_t panels = mlrt_padded(layer->outputs) / MLRT_PANEL;
    float *swap = t->error;
    for (uint32_t i = 0; i < mlrt_padded(layer->inputs); i++) {
        float sum = 0;
        for (uint32_t p = 0; p < panels && i < layer->inputs; p++) {
            const float *row = weights + ((size_t)p * layer->inputs + i) * MLRT_PANEL;
            for (uint32_t lane = 0; lane < MLRT_PANEL; lane++) {
                sum += row[lane] * t->error[p * MLRT_PANEL + lane];
            }
        }
        t->next_error[i] =
            sum * slope(t->model->layers[index - 1].activation, t->outputs[index - 1][i]);
    }
    t->error = t->next_error;
    t->next_error = swap;
}

/* One panel's weights of one input. False: a new one is not finite; then none is written. */
static bool weights_step(const struct training *t, float *weights, const float *error, float in)
{
    float fresh[MLRT_PANEL];
    bool finite = true;
    for (uint32_t lane = 0; lane < MLRT_PANEL; lane++) {
        fresh[lane] = weights[lane] - t->rate * (error[lane] * in + t->decay * weights[lane]);
        finite = finite && is_finite(fresh[lane]);
    }
    for (uint32_t lane = 0; lane < MLRT_PANEL && finite; lane++) {
        weights[lane] = fresh[lane];
    }
    return finite;
}

static bool layer_step(const struct training *t, uint32_t index, const float *in)
{
    const struct mlrt_layer *layer = &t->model->layers[index];
    float *weights = (float *)(t->memory + t->model->arrays[index][DENSE_WEIGHTS]);
    float *bias = (float *)(t->memory + t->model->arrays[index][DENSE_BIAS]);
    bool finite = true;
    for (uint32_t p = 0; p < mlrt_padded(layer->outputs) / MLRT_PANEL; p++) {
        const float *error = t->error + p * MLRT_PANEL;
        for (uint32_t i = 0; i < layer->inputs; i++, weights += MLRT_PANEL) {
            finite = weights_step(t, weights, error, in[i]) && finite;
        }
        for (uint32_t lane = 0; lane < MLRT_PANEL; lane++, bias++) {
            float fresh = *bias - t->rate * error[lane];
            *bias = is_finite(fresh) ? fresh : *bias;
            finite = finite && is_finite(fresh);
        }
    }
    return finite;
}

static bool row_train(struct training *t, const float *in, const float *targets)
{
    uint32_t first = first_trained(t->model);
    forward(t, in);
    if (!error_start(t, targets)) {
        return false;
    }
    for (uint32_t i = t->model->header->layer_count; i-- > first;) {
        /* The error goes back through the weights that made it, so before they change. */
        struct training here = *t;
        if (i > first) {
            error_back(t, i);
        }
        if (!layer_step(&here, i, i > 0 ? t->outputs[i - 1] : in)) {
            return false;
        }
    }
    return true;
}

int mlrt_train(const struct mlrt_model *model, void *memory, const float *in, const float *targets,
               uint32_t rows, const struct mlrt_sgd *how, void *workspace)
{
    const struct mlrt_header *header = model->header;
    struct training t = {.model = model, .memory = memory};
    uint32_t before, ours = MXCSR_DEFAULT;
    bool finite = true;
    float *place = workspace;
    if (mlrt_can_train(model) != MLRT_OK) {
        return MLRT_NOT_TRAINABLE;
    }
    __asm__ volatile("stmxcsr %0" : "=m"(before));
    __asm__ volatile("ldmxcsr %0" ::"m"(ours) : "memory");
    t.rate = (float)how->rate_millionths / PARTS_PER_ONE;
    t.decay = (float)how->decay_millionths / PARTS_PER_ONE;
    t.clip = (float)how->clip_thousandths / 1000.0f;
    for (uint32_t i = 0; i < header->layer_count; i++, place += model->widest) {
        t.outputs[i] = place;
    }
    t.error = place;
    t.next_error = place + model->widest;
    for (uint32_t row = 0; row < rows && finite; row++) {
        finite = row_train(&t, in + (size_t)row * header->inputs,
                           targets + (size_t)row * header->outputs);
    }
    __asm__ volatile("ldmxcsr %0" ::"m"(before) : "memory");
    return finite ? MLRT_OK : MLRT_NOT_FINITE;
}
