/*
 * main.c: malv-info and malv-smoke in one program: the name it is called by decides.
 */
#include "tools.h"

#include <stdio.h>
#include <string.h>

struct malv_device *tool_open(const char *program, const char *path)
{
    struct malv_device *device;
    int error = malv_device_open(path, &device);
    if (error == 0) {
        return device;
    }
    fprintf(stderr, "%s: %s: %s%s\n", program, path != NULL ? path : MALV_DEVICE_PATH,
            malv_error_text(error),
            path == NULL ? "; a machine has a GPU unless it was started with --gpu off" : "");
    return NULL;
}

int tool_complain(const char *program, const char *what, const char *word)
{
    fprintf(stderr, "%s: %s%s; see '%s --help'\n", program, what, word, program);
    return STATUS_USAGE;
}

int main(int argc, char **argv)
{
    const char *name = argc > 0 ? argv[0] : "";
    const char *slash = strrchr(name, '/');
    bool smoke = strcmp(slash != NULL ? slash + 1 : name, "malv-smoke") == 0;
    int status = smoke ? smoke_main(argc, argv) : info_main(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "%s: can't write to standard output\n", smoke ? "malv-smoke" : "malv-info");
        return STATUS_FAILED;
    }
    return status;
}
