/*
 * main.c: mlrt in the kernel: models of the boot archive against their frameworks' outputs, on
 * every path of the processor, from several threads at once; damaged files; learning; what an
 * inference costs. Runs in place of the machine's command, prints "ok CASE" and "FAIL CASE: why",
 * and ends the machine.
 */
#include <microlake/boot.h>
#include <microlake/cpu.h>
#include <microlake/log.h>
#include <microlake/memory.h>
#include <microlake/thread.h>
#include <microlake/time.h>

#include "lib/tensorfile/tensorfile.h"
#include "modules/mlaas/mlrt/include/mlrt_kernel.h"
#include "uapi/kmod.h"

#define THREADS       4u
#define ROUNDS        20u
#define COST_ROUNDS   200u
#define BATCH         64u
#define PATH_MAX      64u
#define FRACTION_BITS 16

static unsigned failures;

static void say(const char *what, const char *name, const char *why)
{
    char line[160];

    snprintf(line, sizeof(line), "%s %s%s\n", what, name, why);
    host_channel()->write(1, line, strlen(line));
}

static void verdict(const char *name, bool good, const char *why)
{
    char text[100];

    snprintf(text, sizeof(text), ": %s", why);
    failures += !good;
    say(good ? "ok" : "FAIL", name, good ? "" : text);
}

/* A model of the archive and, for its inputs and right outputs, a reference. */
struct scene {
    char name[32];
    struct boot_file file;
    struct tensorfile reference;
    const float *inputs, *outputs;
    uint32_t rows, steps, width, outputs_width;
    struct mlrt_model model;
};

static bool file_find(const char *name, const char *ending, struct boot_file *out)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "lib/models/%s%s", name, ending);
    return boot_file_find(path, out) == OK;
}

/* Files of the archive lie as they come; models want 8-aligned memory, so they are copied. */
static void *file_copy(const struct boot_file *file)
{
    void *copy = kmalloc(file->size);

    if (copy)
        memcpy(copy, file->data, file->size);
    return copy;
}

static bool reference_open(struct scene *s, const char *name)
{
    const struct tensorfile_entry *in, *out;
    struct boot_file file;
    void *copy;

    if (!file_find(name, ".ref.mtf", &file) || !(copy = file_copy(&file)) ||
        tensorfile_open(&s->reference, copy, file.size) != TENSORFILE_OK)
        return false;
    in = tensorfile_find(&s->reference, "inputs");
    out = tensorfile_find(&s->reference, "outputs");
    s->inputs = tensorfile_data(&s->reference, in);
    s->outputs = tensorfile_data(&s->reference, out);
    s->rows = in->shape[0];
    s->steps = in->rank == 3 ? in->shape[1] : 1;
    s->width = in->shape[in->rank - 1];
    s->outputs_width = out->shape[1];
    return true;
}

static bool scene_open(struct scene *s, const char *name, const char *ending)
{
    void *copy;

    memset(s, 0, sizeof(*s));
    snprintf(s->name, sizeof(s->name), "%s%s", name, ending);
    return file_find(name, ending, &s->file) && reference_open(s, name) &&
           (copy = file_copy(&s->file)) &&
           mlrt_open(&s->model, copy, s->file.size, MLRT_BEST) == MLRT_OK;
}

static void scene_close(struct scene *s)
{
    kfree((void *)s->reference.bytes);
    kfree((void *)s->model.bytes);
}

/* The same model on another path; the file stays where it is. */
static struct mlrt_model model_on(const struct scene *s, enum mlrt_path path)
{
    struct mlrt_model model = s->model;

    mlrt_open(&model, s->model.bytes, s->file.size, path);
    return model;
}

/* All rows on a path; the caller frees. NULL: there is no memory. */
static float *outputs_make(const struct scene *s, enum mlrt_path path)
{
    struct mlrt_model model = model_on(s, path);
    float *out = kmalloc((size_t)s->rows * s->outputs_width * sizeof(float));
    void *workspace = kmalloc(mlrt_workspace_bytes(&model, s->rows));

    if (out && workspace)
        mlrt_kernel_run(&model, s->inputs, s->rows, s->steps, NULL, out, workspace);
    kfree(workspace);
    return out;
}

/* A float as a number with FRACTION_BITS; this code has no floating point. Sizes up to 2^14. */
static int32_t fixed_of(const float *x)
{
    uint32_t bits = *(const uint32_t *)x;
    int32_t shift = (int32_t)(bits >> 23 & 0xff) - 127 - 23 + FRACTION_BITS;
    int64_t value = (bits & 0x7fffff) | 0x800000;

    value = shift < -40 ? 0 : shift < 0 ? value >> -shift : shift > 30 ? INT32_MAX : value << shift;
    return (int32_t)(bits >> 31 ? -value : value);
}

static int32_t largest_difference(const struct scene *s, const float *out)
{
    int32_t largest = 0;

    for (uint32_t i = 0; i < s->rows * s->outputs_width; i++) {
        int32_t d = fixed_of(&out[i]) - fixed_of(&s->outputs[i]);

        largest = MAX(largest, d < 0 ? -d : d);
    }
    return largest;
}

/* Within `tolerance` / 65536 of the framework, the same bits on every path. */
static void check_outputs(const char *name, const char *ending, int32_t tolerance)
{
    struct scene s;
    float *first, *out;
    char label[80], why[60];

    if (!scene_open(&s, name, ending)) {
        verdict(name, false, "its files are not in the archive, or not good");
        return;
    }
    first = outputs_make(&s, MLRT_SCALAR);
    for (enum mlrt_path path = MLRT_SCALAR; path < MLRT_BEST; path++) {
        if (!mlrt_has_path(path))
            continue;
        out = outputs_make(&s, path);
        snprintf(label, sizeof(label), "%s on %s", s.name, mlrt_path_name(path));
        snprintf(why, sizeof(why), "%d / 65536 off", largest_difference(&s, out));
        verdict(label, largest_difference(&s, out) <= tolerance, why);
        snprintf(label, sizeof(label), "%s on %s gives the scalar path's bits", s.name,
                 mlrt_path_name(path));
        verdict(label, !memcmp(first, out, s.rows * s.outputs_width * sizeof(float)),
                "it does not");
        kfree(out);
    }
    kfree(first);
    scene_close(&s);
}

/* An integer model without vector registers, outside cpu_vector_begin(), gives the same. */
static void check_plain_registers(const char *name)
{
    struct scene s;
    int32_t in[16] = {65536, -30000, 99, 1 << 18}, with[8] = {0}, without[8] = {1};
    void *workspace;

    if (!scene_open(&s, name, "-int8.mlm") ||
        !(workspace = kmalloc(mlrt_workspace_bytes(&s.model, 1)))) {
        verdict(name, false, "its files are not in the archive, or not good");
        return;
    }
    struct mlrt_model plain = model_on(&s, MLRT_SCALAR);

    mlrt_kernel_run_integer(&s.model, in, 1, 1, NULL, with, workspace);
    mlrt_run_integer(&plain, in, 1, without, workspace);
    verdict("an integer model with general registers only",
            !memcmp(with, without, s.outputs_width * 4), "its outputs are others");
    kfree(workspace);
    scene_close(&s);
}

static struct scene shared;
static float *shared_outputs;
static unsigned wrong;

/* Vector registers are nobody else's: runs in many threads do not disturb each other. */
static void run_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        float *out = outputs_make(&shared, i % 2 ? MLRT_BEST : MLRT_SSE2);

        if (!out || memcmp(out, shared_outputs, shared.rows * shared.outputs_width * sizeof(float)))
            __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
        kfree(out);
        if (i % 5 == 0)
            thread_yield();
    }
}

static void check_threads(void)
{
    struct thread *threads[THREADS];

    if (!scene_open(&shared, "torch_gru", ".mlm")) {
        verdict("threads", false, "torch_gru is not in the archive");
        return;
    }
    shared_outputs = outputs_make(&shared, MLRT_SCALAR);
    for (unsigned i = 0; i < THREADS; i++)
        wrong += thread_create("runs", run_often, NULL, &threads[i]) != OK;
    for (unsigned i = 0; i < THREADS && !wrong; i++) {
        thread_join(threads[i], TIME_NEVER);
        thread_unref(threads[i]);
    }
    verdict("runs in several threads at once", wrong == 0, "some outputs are others");
    kfree(shared_outputs);
    scene_close(&shared);
}

static void check_damage(void)
{
    struct boot_file file;
    struct mlrt_model model;
    uint8_t *copy = file_find("boost_iris", ".mlm", &file) ? file_copy(&file) : NULL;
    bool refused = copy != NULL;

    for (size_t at = 0; copy && at < file.size; at += 97) {
        copy[at] ^= 4;
        refused = refused && mlrt_open(&model, copy, file.size, MLRT_BEST) != MLRT_OK;
        copy[at] ^= 4;
    }
    verdict("damaged models are refused", refused, "one was taken");
    kfree(copy);
}

/* torch_dense is a softmax of dense layers: it can be taught the opposite of an answer. */
static void check_training(void)
{
    struct scene s;
    static float target[4];
    static const uint32_t one = 0x3f800000;
    const struct mlrt_sgd how = {.rate_millionths = 50000, .clip_thousandths = 2000};
    bool learned = false;

    if (!scene_open(&s, "torch_dense", ".mlm")) {
        verdict("training", false, "torch_dense is not in the archive");
        return;
    }
    void *workspace =
        kmalloc(mlrt_train_workspace_bytes(&s.model) + mlrt_workspace_bytes(&s.model, 1));
    uint32_t wanted = (mlrt_largest(s.outputs, 4) + 1) % 4;
    float out[4];

    memcpy(&target[wanted], &one, sizeof(one));
    for (unsigned i = 0; i < 500 && workspace; i++)
        mlrt_kernel_train(&s.model, (void *)s.model.bytes, s.inputs, target, 1, &how, workspace);
    if (workspace) {
        mlrt_kernel_run(&s.model, s.inputs, 1, 1, NULL, out, workspace);
        learned = mlrt_largest(out, 4) == wanted;
    }
    verdict("a net learns in the kernel", learned, "its answer is the old one");
    kfree(workspace);
    scene_close(&s);
}

/* host_stat("models.NAME.PATH.BATCH=N"): nanoseconds a row; with --icount, instructions. */
static void cost_report(const char *name, const char *ending, enum mlrt_path path, uint32_t batch)
{
    struct scene s;

    if (!mlrt_has_path(path) || !scene_open(&s, name, ending))
        return;
    struct mlrt_model model = model_on(&s, path);
    float *out = kmalloc(BATCH * s.outputs_width * sizeof(float));
    void *workspace = kmalloc(mlrt_workspace_bytes(&model, batch));
    uint64_t start = time_now();

    for (unsigned i = 0; i < COST_ROUNDS && out && workspace && s.rows >= batch; i++)
        mlrt_kernel_run(&model, s.inputs, batch, 1, NULL, out, workspace);
    host_stat("models.%s.%s.%u=%lu", s.name, mlrt_path_name(path), batch,
              (time_now() - start) / COST_ROUNDS / batch);
    kfree(out);
    kfree(workspace);
    scene_close(&s);
}

static void costs_report(void)
{
    static const char *const files[][2] = {{"torch_dense", ".mlm"}, {"torch_dense", "-int8.mlm"},
                                           {"torch_gru", ".mlm"},   {"torch_gru", "-int8.mlm"},
                                           {"boost_iris", ".mlm"},  {"boost_iris", "-int8.mlm"}};

    for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
        for (enum mlrt_path path = MLRT_SCALAR; path < MLRT_BEST; path++) {
            cost_report(files[i][0], files[i][1], path, 1);
            cost_report(files[i][0], files[i][1], path, files[i][0][0] == 't' ? BATCH : 32);
        }
}

static int test_main(void)
{
    cpu_wait_all();
    if (boot_option("mlrt.costs", 0)) {
        costs_report();
        return 0;
    }
    check_outputs("torch_dense", ".mlm", 2);
    check_outputs("torch_gru", ".mlm", 2);
    check_outputs("torch_lstm", ".mlm", 2);
    check_outputs("boost_iris", ".mlm", 2);
    check_outputs("torch_dense", "-int8.mlm", 9830);
    check_outputs("torch_gru", "-int8.mlm", 983);
    check_outputs("boost_iris", "-int8.mlm", 7);
    check_plain_registers("torch_dense");
    check_threads();
    check_damage();
    check_training();
    return failures != 0;
}

static int test_init(void)
{
    boot_set_main(test_main);
    return OK;
}

KMOD_MANIFEST(.name = "mlrt_test", .version = "1.0.0", .needs = "mlrt", .init = test_init);
