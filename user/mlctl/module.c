/*
 * module.c: mlctl load and unload, by Linux's own calls.
 */
#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "verb.h"

#define INPUT_MAX (16u << 20) /* bytes of a module from standard input */

bool module_find(const char *word, char *path, size_t size)
{
    char file[NAME_MAX];
    if (strchr(word, '/') != NULL) {
        return (size_t)snprintf(path, size, "%s", word) < size && access(path, R_OK) == 0;
    }
    size_t length = strlen(word);
    bool ends = length > 5 && strcmp(word + length - 5, ".kmod") == 0;
    if ((size_t)snprintf(file, sizeof(file), "%s%s", word, ends ? "" : ".kmod") >= sizeof(file)) {
        return false;
    }
    for (const char *const *folder = places.modules; *folder != NULL; folder++) {
        if (path_write(path, size, *folder, file, NULL) == 0 && access(path, R_OK) == 0) {
            return true;
        }
    }
    return ends && (size_t)snprintf(path, size, "%s", word) < size && access(path, R_OK) == 0;
}

/* The kernel's own words: a line for each reason. */
static void reasons_tell(void)
{
    char text[4096], path[PATH_MAX];
    char *rest = NULL;
    snprintf(path, sizeof(path), "%s/load_error", places.mlaas);
    if (file_read(path, text, sizeof(text)) != 0) {
        return;
    }
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        fprintf(stderr, "mlctl: %s\n", line);
    }
}

/* What the calls' errnos mean here. */
static int load_complain(const char *what, int error)
{
    switch (error) {
    case -EPERM:
    case -EACCES:
        complain("loading %s takes root's rights", what);
        break;
    case -EEXIST:
        complain("%s is loaded already", what);
        break;
    case -ENOEXEC:
        complain("%s is not a module file of this system (a .kmod, not a .kmod.full)", what);
        break;
    case -EKEYREJECTED:
    case -ENOKEY:
        complain("%s is not signed with this machine's key, or was changed: sign it with kmodsign",
                 what);
        break;
    case -ENOENT:
        complain("%s: a symbol or module that it needs is not there", what);
        break;
    case -ENOSYS:
        complain("this machine can't load modules while it runs");
        break;
    default:
        complain("can't load %s: %s", what, strerror(-error));
    }
    reasons_tell();
    return error;
}

int module_load_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int error = -errno;
        complain("can't read %s: %s", path, strerror(-error));
        return error;
    }
    int error = syscall(SYS_finit_module, fd, "", 0) == 0 ? 0 : -errno;
    close(fd);
    return error == 0 ? 0 : load_complain(path, error);
}

/* All of standard input; NULL: it can't be read, or is too long. */
void *module_input_read(size_t *size)
{
    char *bytes = malloc(INPUT_MAX);
    size_t used = 0;
    ssize_t got = bytes != NULL ? 1 : -1;
    while (got > 0 && used < INPUT_MAX) {
        got = read(STDIN_FILENO, bytes + used, INPUT_MAX - used);
        used += got > 0 ? (size_t)got : 0;
    }
    if (got == 0) {
        *size = used;
        return bytes;
    }
    free(bytes);
    return NULL;
}

static int module_load_input(void)
{
    size_t size;
    void *bytes = module_input_read(&size);
    if (bytes == NULL) {
        complain("can't read a module of at most %u MiB from standard input", INPUT_MAX >> 20);
        return -EIO;
    }
    int error = syscall(SYS_init_module, bytes, size, "") == 0 ? 0 : -errno;
    free(bytes);
    return error == 0 ? 0 : load_complain("the module from standard input", error);
}

int module_unload_name(const char *name)
{
    int error = syscall(SYS_delete_module, name, O_NONBLOCK) == 0 ? 0 : -errno;
    if (error == -ENOENT) {
        complain("no module '%s' is loaded", name);
    } else if (error == -EBUSY || error == -EAGAIN || error == -EWOULDBLOCK) {
        complain("module %s is in use: unload first what needs it, and close its files", name);
    } else if (error == -EPERM || error == -EACCES) {
        complain("unloading %s takes root's rights", name);
    } else if (error != 0) {
        complain("can't unload %s: %s", name, strerror(-error));
    }
    if (error != 0 && error != -ENOENT) {
        reasons_tell();
    }
    return error;
}

static void modules_list(void)
{
    char text[16384], path[PATH_MAX];
    char *rest = NULL;
    snprintf(path, sizeof(path), "%s/modules", places.mlaas);
    if (file_read(path, text, sizeof(text)) != 0) {
        return;
    }
    fputs("mlctl: loaded are:", stderr);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        fprintf(stderr, " %.*s", (int)strcspn(line, " "), line);
    }
    fputc('\n', stderr);
}

static int load_run(int count, char **words)
{
    char path[PATH_MAX];
    if (count != 1 || words[0][0] == '\0') {
        return complain_usage(&verb_load, "load wants one module");
    }
    if (strcmp(words[0], "-") == 0) {
        if (module_load_input() != 0) {
            return STATUS_FAILED;
        }
        printf("loaded\n");
        return STATUS_OK;
    }
    if (!module_find(words[0], path, sizeof(path))) {
        return complain("there is no module '%s': give a file's path, or the name of one in %s",
                        words[0], places.modules[0]);
    }
    if (module_load_file(path) != 0) {
        return STATUS_FAILED;
    }
    printf("%s: loaded\n", words[0]);
    return STATUS_OK;
}

/* Memory that a module with policies took and did not give back stays on its account. */
static void rest_tell(const char *name)
{
    char text[16384], path[PATH_MAX], key[128];
    snprintf(path, sizeof(path), "%s/memory", places.mlaas);
    snprintf(key, sizeof(key), "\npolicy.%.64s ", name);
    if (file_read(path, text, sizeof(text)) != 0) {
        return;
    }
    const char *line = strstr(text, key);
    unsigned long long bytes = line != NULL ? strtoull(line + strlen(key), NULL, 10) : 0;
    if (bytes > 0) {
        complain("%s has left %llu bytes of memory behind", name, bytes);
    }
}

static int unload_run(int count, char **words)
{
    if (count != 1 || words[0][0] == '\0') {
        return complain_usage(&verb_unload, "unload wants one module's name");
    }
    int error = module_unload_name(words[0]);
    if (error == -ENOENT) {
        modules_list();
    }
    if (error != 0) {
        return STATUS_FAILED;
    }
    printf("%s: unloaded\n", words[0]);
    rest_tell(words[0]);
    return STATUS_OK;
}

const struct verb verb_load = {
    .name = "load",
    .usage = "load FILE|NAME|-",
    .summary = "load a module, a policy for instance, while the machine works",
    .help = "\nNAME is looked for in /lib/modules of the boot archive; - reads standard input. A policy\n"
            "that is loaded can be set; loading alone makes it no class's active one. Root only.\n",
    .run = load_run,
};

const struct verb verb_unload = {
    .name = "unload",
    .usage = "unload NAME",
    .summary = "unload a module; where its policy is used, another takes over",
    .help = "\nWhat the policy extends, or the class's built-in one, takes over first. Root only.\n",
    .run = unload_run,
};
