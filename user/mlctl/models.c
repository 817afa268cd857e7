/*
 * models.c: mlctl model: the machine's models, by way of /dev/mlmodels and
 * /sys/kernel/mlaas/models.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module.h"
#include "store_device.h"
#include "uapi/mlaas.h"
#include "verb.h"

#define LIST_PATH    "/sys/kernel/mlaas/models"
#define COLUMNS      10
#define LINE_BYTES   256
#define OPEN_TRIES   100
#define OPEN_WAIT_US 20000
#define FILE_MAX     (64u << 20)

int device_open(const char *path, int flags)
{
    int fd = -1;
    for (int i = 0; i < OPEN_TRIES; i++) {
        fd = open(path, flags | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT) {
            break;
        }
        usleep(OPEN_WAIT_US);
    }
    return fd < 0 ? -errno : fd;
}

static int device_complain(int error, const char *what)
{
    if (error == -EACCES || error == -EPERM) {
        return complain("changing the machine's models takes root's rights");
    }
    if (error == -ENOENT) {
        return complain("this machine has no model store: 'mlctl load models' brings it");
    }
    return complain("can't %s: %s", what, strerror(-error));
}

/* The file's name without its folder and ".mlm", in the letters of model names. */
static bool name_of_file(const char *path, char name[MLAAS_NAME_BYTES])
{
    const char *slash = strrchr(path, '/'), *from = slash != NULL ? slash + 1 : path;
    size_t length = strlen(from);
    if (length > 4 && strcmp(from + length - 4, ".mlm") == 0) {
        length -= 4;
    }
    if (length == 0 || length >= MLAAS_NAME_BYTES) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        name[i] = (char)tolower((unsigned char)from[i]);
    }
    name[length] = '\0';
    return true;
}

/* Maps a file to read, or takes standard input. *bytes of 0: nothing is mapped. -errno. */
static int file_map(const char *path, void **data, uint64_t *bytes)
{
    struct stat info;
    if (strcmp(path, "-") == 0) {
        *data = module_input_read(bytes);
        return *data != NULL ? 0 : -EIO;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int error = fstat(fd, &info) != 0 ? -errno : S_ISREG(info.st_mode) ? 0 : -EINVAL;
    if (error == 0 && info.st_size > FILE_MAX) {
        error = -EFBIG;
    }
    if (error == 0 && info.st_size > 0) {
        *bytes = (uint64_t)info.st_size;
        *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        error = *data == MAP_FAILED ? -errno : 0;
    }
    close(fd);
    return error;
}

static int model_call(unsigned long command, struct mlaas_model *model, const char *what)
{
    int fd = device_open(MLAAS_MODELS_PATH, O_RDWR);
    if (fd < 0) {
        return device_complain(fd, what);
    }
    int error = ioctl(fd, command, model) != 0 ? errno : 0;
    close(fd);
    if (error == 0) {
        return 0;
    }
    model->why[sizeof(model->why) - 1] = '\0';
    return complain("can't %s: %s", what, model->why[0] != '\0' ? model->why : strerror(error));
}

static int model_put(const char *verb, const char *path, const char *name)
{
    bool replaces = strcmp(verb, "replace") == 0;
    struct mlaas_model model = {.bytes = 0};
    void *data = NULL;
    char what[LINE_BYTES];

    if (name == NULL && strcmp(path, "-") == 0) {
        return complain_usage(&verb_model, "a model from standard input wants a name");
    }
    if (name != NULL ? strlen(name) >= sizeof(model.name) : !name_of_file(path, model.name)) {
        return complain("a model's name has at most %u characters: mlctl model %s %s NAME",
                        MLAAS_NAME_BYTES - 1, verb, path);
    }
    if (name != NULL) {
        strcpy(model.name, name);
    }
    int error = file_map(path, &data, &model.bytes);
    if (error != 0) {
        return complain("can't read %s: %s", path, strerror(-error));
    }
    model.data = (uint64_t)(uintptr_t)data;
    snprintf(what, sizeof(what), "%s %s from %s", verb, model.name, path);
    int status = model_call(replaces ? MLAAS_MODEL_REPLACE : MLAAS_MODEL_LOAD, &model, what);
    if (status == 0) {
        printf("%s: %s from %s, %llu bytes\n", model.name, replaces ? "replaced" : "loaded", path,
               (unsigned long long)model.bytes);
    }
    return status;
}

static int model_unload(const char *name)
{
    struct mlaas_model model = {.bytes = 0};
    char what[LINE_BYTES];

    if (strlen(name) >= sizeof(model.name)) {
        return complain("there is no model %s", name);
    }
    strcpy(model.name, name);
    snprintf(what, sizeof(what), "unload %s", name);
    int status = model_call(MLAAS_MODEL_UNLOAD, &model, what);
    if (status == 0) {
        printf("%s: unloaded\n", name);
    }
    return status;
}

static int model_list(void)
{
    static const char *const heads[COLUMNS] = {"NAME",    "VERSION", "BYTES", "LAYERS",  "INPUTS",
                                               "OUTPUTS", "USERS",   "RUNS",  "NUMBERS", "SOURCE"};
    int fd = device_open(LIST_PATH, O_RDONLY);
    char line[LINE_BYTES];
    FILE *file;

    if (fd < 0 || (file = fdopen(fd, "r")) == NULL) {
        return device_complain(fd < 0 ? fd : -errno, "list the models");
    }
    for (int i = 0; i < COLUMNS; i++) {
        printf("%-*s%s", i == 0 ? 20 : 8, heads[i], i + 1 < COLUMNS ? " " : "\n");
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        char *rest = NULL;
        int i = 0;
        for (char *word = strtok_r(line, " \n", &rest); word != NULL && i < COLUMNS;
             word = strtok_r(NULL, " \n", &rest), i++) {
            printf("%-*s%s", i == 0 ? 20 : 8, word, i + 1 < COLUMNS ? " " : "\n");
        }
    }
    fclose(file);
    return 0;
}

static int model_run(int count, char **words)
{
    const char *verb = count > 0 ? words[0] : "";
    if ((strcmp(verb, "load") == 0 || strcmp(verb, "replace") == 0) && (count == 2 || count == 3)) {
        return model_put(verb, words[1], count == 3 ? words[2] : NULL);
    }
    if (strcmp(verb, "unload") == 0 && count == 2) {
        return model_unload(words[1]);
    }
    if (strcmp(verb, "list") == 0 && count == 1) {
        return model_list();
    }
    return complain_usage(&verb_model, "model wants load, replace, unload or list");
}

const struct verb verb_model = {
    .name = "model",
    .usage = "model list\nmodel load FILE|- [NAME]\nmodel replace FILE|- [NAME]\nmodel unload NAME",
    .summary = "the models in the machine's store, which policies use",
    .help =
        "list     their names, versions, sizes, and how many use them and have run them\n"
        "load     brings a model file (.mlm, of malv-model) under a name that is not there yet;\n"
        "         without NAME the file's; - reads standard input\n"
        "replace  puts it in the place of the one of that name, while policies run it; of\n"
        "         another shape than they can use it is refused\n"
        "unload   takes it out; policies go back to the model that they came with\n"
        "All but list take root's rights.\n",
    .run = model_run,
};
