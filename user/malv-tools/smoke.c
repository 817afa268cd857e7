/*
 * smoke.c: malv-smoke: does the machine's GPU work from end to end? One line a check.
 *
 * What a check creates and does not destroy goes with the device, which every check opens anew: so
 * a failure does not spoil the checks after it, and opening and closing are tried as often.
 */
#include "smoke.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char help_text[] =
    "usage: malv-smoke [--device FILE] [CHECK...]\n"
    "\n"
    "Checks the GPU of this machine from end to end: memory, compiling, launching, waiting, "
    "matrix\n"
    "products, and that mistakes are answered with errors. Every result is compared with this\n"
    "processor's. A line for each check: ok, skip (the device does not have it) or FAIL and why.\n"
    "  --device FILE  another device than " MALV_DEVICE_PATH "\n"
    "  --list         the checks there are\n"
    "  --help         this text\n"
    "\n"
    "Exit status: 0 when no check failed, 1 when one did or there is no device, 2 for a wrong "
    "command\n"
    "line.\n";

static const struct check {
    const char *name;
    void (*run)(struct smoke *s);
    const char *text;
} checks[] = {
    {"in-place", check_in_place, "the device works on the program's memory in place"},
    {"by-copy", check_by_copy, "copies to the device's memory and back"},
    {"transfer", check_transfer, "reads and writes buffers of each kind from any memory"},
    {"fill", check_fill, "fills memory with patterns"},
    {"memory-errors", check_memory_errors, "buffers that can't be are refused"},
    {"build", check_build, "compiles OpenCL C, with options"},
    {"build-error", check_build_error, "a program that does not compile is refused, with a log"},
    {"launch", check_launch, "a kernel over two dimensions, with all kinds of arguments"},
    {"batch", check_batch, "many commands in one submission, in their order"},
    {"fences", check_fences, "fences are signalled in order, and once"},
    {"queues", check_queues, "queues work side by side"},
    {"gemm", check_gemm, "the built-in matrix product"},
    {"work-errors", check_work_errors, "work that can't be done ends with an error, alone"},
};
#define CHECK_COUNT (sizeof(checks) / sizeof(checks[0]))

void smoke_fail(struct smoke *s, const char *what, int error)
{
    snprintf(s->why, sizeof(s->why), "%s%s%s", what, error != 0 ? ": " : "",
             error != 0 ? malv_error_text(error) : "");
}

int smoke_buffer(struct smoke *s, uint64_t size, struct malv_buffer *buffer)
{
    int error = malv_buffer_create(s->device, size, VGPGPU_BUFFER_GUEST, buffer);
    return error != 0 ? error : malv_buffer_map(s->device, buffer);
}

int smoke_run(struct smoke *s, uint32_t queue, struct malv_batch *batch)
{
    uint64_t fence;
    int error = malv_submit(s->device, queue, batch, &fence);
    malv_batch_free(batch);
    return error != 0 ? error : malv_wait(s->device, queue, fence, SMOKE_WAIT_NS);
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Runs one check and prints its line; false when it failed. */
static bool check_run(const struct check *check, const char *path)
{
    struct smoke s = {0};
    double start = now_ms();
    int error = malv_device_open(path, &s.device);
    if (error != 0) {
        smoke_fail(&s, "opening the device", error);
    } else {
        check->run(&s);
        malv_device_close(s.device);
    }
    if (s.why[0] != '\0') {
        printf("FAIL %s: %s\n", check->name, s.why);
    } else if (s.skipped != NULL) {
        printf("skip %s: %s\n", check->name, s.skipped);
    } else {
        printf("ok %-14s %s, %.1f ms\n", check->name, check->text, now_ms() - start);
    }
    fflush(stdout);
    return s.why[0] == '\0';
}

static const struct check *check_find(const char *name)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (strcmp(checks[i].name, name) == 0) {
            return &checks[i];
        }
    }
    return NULL;
}

static int checks_run(const char *path, const struct check *const *wanted, size_t count)
{
    unsigned int failed = 0;
    struct malv_device *device = tool_open("malv-smoke", path);
    if (device == NULL) {
        return STATUS_FAILED;
    }
    printf("malv-smoke: %s, %s %s\n", malv_device_config(device)->device_name,
           malv_device_config(device)->backend, malv_device_config(device)->backend_version);
    malv_device_close(device);
    for (size_t i = 0; i < count; i++) {
        failed += !check_run(wanted[i], path);
    }
    printf("malv-smoke: %zu checks, %u failed\n", count, failed);
    return failed != 0 ? STATUS_FAILED : 0;
}

static int checks_list(void)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        printf("%-14s %s\n", checks[i].name, checks[i].text);
    }
    return 0;
}

int smoke_main(int argc, char **argv)
{
    const struct check *wanted[CHECK_COUNT];
    const char *path = NULL;
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help_text, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--list") == 0) {
            return checks_list();
        }
        if (strcmp(argv[i], "--device") == 0 && i + 1 < argc) {
            path = argv[++i];
        } else if (argv[i][0] == '-') {
            return tool_complain("malv-smoke", "no such option, or nothing behind it: ", argv[i]);
        } else if (check_find(argv[i]) == NULL) {
            return tool_complain("malv-smoke", "there is no check ", argv[i]);
        } else if (count == CHECK_COUNT) {
            return tool_complain("malv-smoke", "more checks than there are", "");
        } else {
            wanted[count++] = check_find(argv[i]);
        }
    }
    bool all = count == 0;
    while (all && count < CHECK_COUNT) {
        wanted[count] = &checks[count];
        count++;
    }
    return checks_run(path, wanted, count);
}
