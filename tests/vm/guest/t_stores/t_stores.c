/*
 * t_stores.c: the stores of MLaaS as programs see them, while module stores_test uses a model and
 * captures rows on every CPU: a model is replaced a thousand times, files that are damaged or of
 * another shape are refused, hostile calls end in an error, rows are recorded, and no memory is
 * lost.
 *
 *     t_stores              all of it
 *     t_stores do WHAT      writes WHAT to stores_test and prints what has come of it
 */
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "lib/mlrt/mlrt.h"
#include "lib/tensorfile/tensorfile.h"
#include "tests/vm/guest/check.h"
#include "tests/vm/guest/files.h"
#include "uapi/mlaas.h"

#define ROOT         "/sys/kernel/mlaas/"
#define CONTROL      ROOT "stores_test"
#define MODEL        "/lib/models/torch_dense-int8.mlm"
#define OTHER_SHAPE  "/lib/models/torch_dense.mlm"
#define NAME         "stores_model"
#define REPLACEMENTS 1000
#define WARM_UP      50
#define FUZZ_ROUNDS  3000
#define SLACK_BYTES  (64 << 10) /* of caches that each CPU keeps */
#define FILE_BYTES   (1 << 20)

static char text[1 << 18];
static uint8_t models[2][FILE_BYTES] __attribute__((aligned(64)));
static size_t model_bytes;
static struct mlaas_model call;

static bool show(const char *path)
{
    return text_read(path, text, sizeof(text)) && text[0] != '\0';
}

/* The number behind a word at a line's start of a file. */
static long figure(const char *path, const char *word)
{
    size_t length = strlen(word);

    if (!show(path))
        return -1;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, length) == 0 && line[length] == ' ')
            return atol(line + length);
    }
    return -1;
}

/* An ioctl of the store. 0 or errno; call.why says more. */
static int store(unsigned long command, const char *name, const void *data, size_t bytes)
{
    int fd = open(MLAAS_MODELS_PATH, O_RDWR), result;

    if (fd < 0)
        return errno;
    memset(&call, 0, sizeof(call));
    call.data = (uint64_t)(uintptr_t)data;
    call.bytes = bytes;
    strncpy(call.name, name, sizeof(call.name) - 1);
    result = ioctl(fd, command, &call) == 0 ? 0 : errno;
    close(fd);
    return result;
}

static int replace(const void *data, size_t bytes)
{
    return store(MLAAS_MODEL_REPLACE, NAME, data, bytes);
}

static bool models_read(void)
{
    const struct mlrt_header *header = (const struct mlrt_header *)models[0];
    const struct mlrt_layer *last;

    if (!file_read(MODEL, models[0], FILE_BYTES, &model_bytes) || model_bytes < sizeof(*header))
        return false;
    last = (const struct mlrt_layer *)(header + 1) + header->layer_count - 1;
    memcpy(models[1], models[0], model_bytes);
    for (int i = 0; i < 64; i++)
        models[1][last->offset + (size_t)i] ^= 0x55;
    mlrt_seal(models[1], model_bytes);
    return true;
}

static long wrong_before; /* answers that were meant to be others: of models with changed bytes */

static bool nothing_wrong(void)
{
    long wrong = figure(CONTROL, "wrong") - wrong_before, torn = figure(CONTROL, "torn");

    if (wrong != 0 || torn != 0)
        printf("%ld wrong answers, %ld torn rows\n", wrong, torn);
    return wrong == 0 && torn == 0;
}

static void replaced_in_use(void)
{
    long heap = 0, runs = figure(CONTROL, "runs");

    for (int i = 0; i < REPLACEMENTS + WARM_UP; i++) {
        if (i == WARM_UP)
            heap = figure(ROOT "memory", "heap");
        CHECK(replace(models[i % 2], model_bytes) == 0);
    }
    CHECK(nothing_wrong());
    CHECK(figure(CONTROL, "runs") > runs);
    CHECK(figure(ROOT "memory", "heap") - heap < SLACK_BYTES);
    CHECK(show(ROOT "models") && strstr(text, NAME " 10") != NULL);
}

static void damaged_files(void)
{
    static uint8_t copy[FILE_BYTES] __attribute__((aligned(64)));

    for (size_t bytes = 0; bytes < model_bytes; bytes += 97)
        CHECK(replace(models[0], bytes) == ENOEXEC && call.why[0] != '\0');
    memcpy(copy, models[0], model_bytes);
    for (size_t at = 0; at < model_bytes; at += 13) {
        copy[at] ^= 4;
        CHECK(replace(copy, model_bytes) == ENOEXEC);
        copy[at] ^= 4;
    }
    CHECK(replace(copy, model_bytes + 1) == ENOEXEC);
    CHECK(nothing_wrong());
}

static void wrong_shapes(void)
{
    static uint8_t other[FILE_BYTES] __attribute__((aligned(64)));
    size_t bytes;

    CHECK(file_read(OTHER_SHAPE, other, sizeof(other), &bytes));
    CHECK(replace(other, bytes) == EINVAL);
    CHECK(strstr(call.why, "wants a model of integers; this one is of float32") != NULL);
    CHECK(file_read("/lib/models/boost_iris-int8.mlm", other, sizeof(other), &bytes));
    CHECK(replace(other, bytes) == EINVAL);
    CHECK(strstr(call.why, "wants 16 inputs and 4 outputs; this model has 4 and 3") != NULL);
    CHECK(nothing_wrong());
}

static void hostile_calls(void)
{
    static const char full[] = "0123456789012345678901234567890123456789";
    int fd = open(MLAAS_MODELS_PATH, O_RDWR);

    CHECK(fd >= 0);
    CHECK(replace(models[0], (64u << 20) + 1) == EFBIG && call.why[0] != '\0');
    CHECK(replace(models[0], SIZE_MAX) == EFBIG);
    CHECK(replace(bad_address(), model_bytes) == EFAULT);
    CHECK(store(MLAAS_MODEL_LOAD, NAME, models[0], model_bytes) == EEXIST);
    CHECK(store(MLAAS_MODEL_REPLACE, "no_such", models[0], model_bytes) == ENOENT);
    CHECK(store(MLAAS_MODEL_UNLOAD, "no_such", NULL, 0) == ENOENT);
    CHECK(store(MLAAS_MODEL_UNLOAD, NAME, models[0], 1) == EINVAL);
    CHECK(store(MLAAS_MODEL_LOAD, "", models[0], model_bytes) == EINVAL);
    CHECK(store(MLAAS_MODEL_LOAD, "Bad/Name", models[0], model_bytes) == EINVAL);
    memcpy(call.name, full, sizeof(call.name));
    CHECK_ERRNO(ioctl(fd, MLAAS_MODEL_REPLACE, &call), EINVAL);
    CHECK_ERRNO(ioctl(fd, MLAAS_MODEL_REPLACE, bad_address()), EFAULT);
    CHECK_ERRNO(ioctl(fd, MLAAS_MODEL_REPLACE + 64, &call), ENOTTY);
    CHECK_ERRNO(ioctl(fd, 0, &call), ENOTTY);
    CHECK_ERRNO(read(fd, text, 1), EINVAL);
    CHECK_ERRNO(write(fd, text, 1), EINVAL);
    close(fd);
}

static void loads_and_unloads(void)
{
    long heap = 0;

    for (int i = 0; i < 100; i++) {
        if (i == 10)
            heap = figure(ROOT "memory", "heap");
        CHECK(store(MLAAS_MODEL_LOAD, "another", models[0], model_bytes) == 0);
        CHECK(show(ROOT "models") && strstr(text, "another 1 ") != NULL);
        CHECK(store(MLAAS_MODEL_UNLOAD, "another", NULL, 0) == 0);
    }
    CHECK(figure(ROOT "memory", "heap") - heap < SLACK_BYTES);
    for (int i = 0; i < 64; i++) { /* until the store is full */
        char name[16];
        snprintf(name, sizeof(name), "many_%d", i);
        int error = store(MLAAS_MODEL_LOAD, name, models[0], model_bytes);
        CHECK(error == 0 || (error == ENOSPC && i > 20));
    }
    for (int i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof(name), "many_%d", i);
        store(MLAAS_MODEL_UNLOAD, name, NULL, 0);
    }
    CHECK(store(MLAAS_MODEL_UNLOAD, NAME, NULL, 0) == 0); /* back to the policy's own */
    CHECK(store(MLAAS_MODEL_UNLOAD, NAME, NULL, 0) == EBUSY);
    CHECK(nothing_wrong());
}

/* xorshift64*, Vigna 2016 */
static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1d) >> 33) % limit;
}

/* Files with changed bytes and a right checksum: what is taken must be harmless. */
static void mutated_files(void)
{
    static uint8_t copy[FILE_BYTES] __attribute__((aligned(64)));
    int taken = 0;

    for (int i = 0; i < FUZZ_ROUNDS; i++) {
        memcpy(copy, models[0], model_bytes);
        for (uint32_t n = 1 + random_below(4); n > 0; n--) {
            uint32_t at = random_below(random_below(2) ? (uint32_t)model_bytes : 512);
            copy[at] = (uint8_t)random_below(256);
        }
        mlrt_seal(copy, model_bytes);
        int error = replace(copy, model_bytes);
        CHECK(error == 0 || error == ENOEXEC || error == EINVAL);
        taken += error == 0;
    }
    CHECK(taken > 0 && taken < FUZZ_ROUNDS);
    CHECK(replace(models[0], model_bytes) == 0);
    usleep(20000); /* who has run the last one has counted it */
    wrong_before = figure(CONTROL, "wrong");
}

static void hostile_recorders(void)
{
    static char long_name[64] = "stores_rows_and_some_more_characters_than_there_may_be";
    int fd = open(MLAAS_FEATURES_PATH, O_RDWR);

    CHECK(fd >= 0);
    CHECK_ERRNO(read(fd, text, sizeof(text)), EINVAL);
    CHECK_ERRNO(write(fd, "no_such_set", 11), ENOENT);
    CHECK_ERRNO(write(fd, long_name, strlen(long_name)), ENOENT);
    CHECK_ERRNO(write(fd, bad_address(), 8), EFAULT);
    CHECK(file_write(CONTROL, "steady"));
    CHECK(write(fd, "stores_rows", 11) == 11);
    CHECK_ERRNO(read(fd, text, 8), EINVAL);
    CHECK_ERRNO(write(fd, "stores_rows", 11), EBUSY);
    close(fd);
    CHECK(file_write(CONTROL, "unsteady"));
}

/* Rows as they come, whole ones only, while the set comes and goes. */
static void rows_recorded(void)
{
    int found = 0;

    for (int i = 0; i < 200; i++) {
        int fd = open(MLAAS_FEATURES_PATH, O_RDWR);
        ssize_t n = 0;
        CHECK(fd >= 0);
        if (write(fd, "stores_rows", 11) != 11) {
            CHECK(errno == ENOENT);
            close(fd);
            usleep(500);
            continue;
        }
        usleep(500);
        n = read(fd, text, sizeof(text));
        CHECK(n >= 0 || errno == EAGAIN);
        for (ssize_t at = 0; at < n; at += 24 + 8 * 4) {
            const struct mlaas_feature_row *row = (const void *)(text + at);
            const int32_t *values = (const int32_t *)(row + 1);
            CHECK(row->fields == 8);
            for (int f = 0; f < 8; f++)
                CHECK(values[f] == values[0] * (f + 1));
            found++;
        }
        close(fd);
    }
    CHECK(found > 0);
    CHECK(nothing_wrong());
}

static int program_run(const char *const *words)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        execv(words[0], (char *const *)words);
        _exit(126);
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define RUN(...) program_run((const char *const[]){"/bin/mlctl", __VA_ARGS__, NULL})

static void by_mlctl(void)
{
    CHECK(RUN("model", "list") == 0);
    CHECK(RUN("model", "replace", MODEL, NAME) == 0);
    CHECK(RUN("model", "replace", OTHER_SHAPE, NAME) == 1);
    CHECK(RUN("model", "load", MODEL, NAME) == 1);
    CHECK(RUN("model", "load", MODEL, "second") == 0);
    CHECK(RUN("model", "unload", "second") == 0);
    CHECK(RUN("model", "replace", "/bin/mlctl", NAME) == 1);
    CHECK(RUN("model", "replace", "/no/such/file", NAME) == 1);
    CHECK(RUN("model", "frobnicate") == 2);
    CHECK(RUN("record", "no_such", "/tmp/rows.mtf") == 1);
    CHECK(RUN("record", "stores_rows") == 2);
}

/* A recording is a tensor file whose rows are whole. */
static void recorded_by_mlctl(void)
{
    static uint8_t file[4 << 20] __attribute__((aligned(64)));
    struct tensorfile tensors;
    const float *values;
    size_t bytes;

    CHECK(file_write(CONTROL, "steady"));
    CHECK(RUN("record", "stores_rows", "--seconds", "5", "--rows", "2000", "/tmp/rows.mtf") == 0);
    CHECK(file_read("/tmp/rows.mtf", file, sizeof(file), &bytes));
    CHECK(tensorfile_open(&tensors, file, bytes) == TENSORFILE_OK);
    CHECK(tensorfile_expect(&tensors, "values", TENSORFILE_FLOAT32, 2, (const uint32_t[]){0, 8},
                            (const void **)&values) == TENSORFILE_OK);
    for (uint32_t row = 0; row < tensorfile_find(&tensors, "values")->shape[0]; row++)
        for (int f = 0; f < 8; f++)
            CHECK(values[row * 8 + (uint32_t)f] == values[row * 8] * (float)(f + 1));
    CHECK(tensorfile_find(&tensors, "key") != NULL && tensorfile_find(&tensors, "time") != NULL);
    unlink("/tmp/rows.mtf");
    CHECK(file_write(CONTROL, "unsteady"));
}

static void not_roots(void)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        bool refused = setuid(1000) == 0 && open(MLAAS_MODELS_PATH, O_RDWR) < 0 &&
                       errno == EACCES && open(MLAAS_FEATURES_PATH, O_RDWR) < 0 &&
                       errno == EACCES && RUN("model", "list") == 0 &&
                       RUN("model", "unload", NAME) == 1;
        _exit(refused ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void registered_again(void)
{
    long before = figure(CONTROL, "registrations");

    CHECK(show(ROOT "features/stores_rows") || errno == ENOENT);
    sleep(1);
    CHECK(figure(CONTROL, "registrations") > before);
    CHECK(nothing_wrong());
}

/* All of it twice: the second time, no memory is left behind. */
static void nothing_is_left(void)
{
    long heap = 0;

    for (int i = 0; i < 5; i++) {
        CHECK(file_write(CONTROL, "stop"));
        if (i == 1)
            heap = figure(ROOT "memory", "heap");
        if (i > 1)
            CHECK(figure(ROOT "memory", "heap") - heap < SLACK_BYTES);
        CHECK(file_write(CONTROL, "load"));
    }
    CHECK(file_write(CONTROL, "stop"));
    CHECK(show(ROOT "models") ? strstr(text, NAME) == NULL : true);
}

static const struct test tests[] = {
    {"a model is replaced a thousand times while it runs", replaced_in_use},
    {"damaged files", damaged_files},
    {"files of another shape", wrong_shapes},
    {"hostile calls", hostile_calls},
    {"models are loaded and unloaded", loads_and_unloads},
    {"files with changed bytes and a right checksum", mutated_files},
    {"hostile recorders", hostile_recorders},
    {"rows are recorded", rows_recorded},
    {"a set comes and goes under captures", registered_again},
    {"mlctl model", by_mlctl},
    {"mlctl record", recorded_by_mlctl},
    {"users who are not root", not_roots},
    {"nothing is left", nothing_is_left},
};

static int control_do(const char *what)
{
    bool done = file_write(CONTROL, what);

    if (!done || !show(CONTROL)) {
        printf("FAIL %s: %s\n", what, strerror(errno));
        return 1;
    }
    fputs(text, stdout);
    return strstr(text, "FAIL") != NULL;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "do") == 0)
        return control_do(argv[2]);
    if (!models_read() || !file_write(CONTROL, "load")) {
        printf("FAIL t_stores: no %s: %s\n", CONTROL, strerror(errno));
        return 1;
    }
    return RUN_TESTS(tests, argc, argv);
}
