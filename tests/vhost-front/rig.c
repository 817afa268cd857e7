/* rig.c: see rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rig.h"

#define LOG_ROOM (1u << 20)

static char folder[] = "/tmp/gpud-test-XXXXXX";
static char socket_path[64];
static char cache_path[64];
static pid_t gpud;
static int log_fd; /* each line is one write, and those of several processes follow each other */
static pid_t newest_keeper;

/* GPUD_TESTS in the environment: the one test, or the pattern of those, that are run. */
__attribute__((constructor)) static void tests_pick(void)
{
    if (getenv("GPUD_TESTS"))
        cmocka_set_test_filter(getenv("GPUD_TESTS"));
}

void rig_arguments(int argc, char **argv, const char *counted, unsigned long *count, uint64_t *seed)
{
    if (argc > 1)
        *count = strtoul(argv[1], NULL, 0);
    if (argc > 2)
        *seed = strtoull(argv[2], NULL, 0);
    if (argc <= 3 && *count && *seed)
        return;
    fprintf(stderr, "usage: %s [%s [SEED]], both from 1\n", argv[0], counted);
    exit(2);
}

static pid_t broker_start(void)
{
    const char *program = getenv("GPUD");
    return gpud_start_counting(program ? program : "build/host/gpud", socket_path, cache_path,
                               log_fd);
}

int rig_start(void **state)
{
    (void)state;
    setenv("GPUD_LIBRARY_OUTPUT", "1", 0); /* sanitizers say what they found in the device process */
    if (!mkdtemp(folder))
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/gpu", folder);
    snprintf(cache_path, sizeof(cache_path), "%s/cache", folder);
    log_fd = memfd_create("log", MFD_CLOEXEC);
    if (log_fd < 0 || fcntl(log_fd, F_SETFL, O_APPEND) < 0)
        return -1;
    gpud = broker_start();
    return 0;
}

static const char *log_read(void)
{
    static char text[LOG_ROOM];
    ssize_t count = pread(log_fd, text, sizeof(text) - 1, 0);
    text[count > 0 ? count : 0] = 0;
    return text;
}

bool rig_log_has(const char *text)
{
    for (int waited = 0; waited < 5000; waited++) {
        if (strstr(log_read(), text))
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

unsigned rig_log_count(const char *text)
{
    unsigned count = 0;
    for (const char *at = log_read(); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* Every machine that ended by itself says that nothing was left over. */
static bool nothing_leaks(void)
{
    const char *log = log_read();
    if (strstr(log, "SOMETHING WAS LEFT OVER") || strstr(log, "cuda stand-in:")) {
        print_error("%s", log);
        return false;
    }
    return true;
}

int rig_stop(void **state)
{
    char command[160];
    (void)state;
    int status = gpud_stop(gpud);
    if (getenv("GPUD_LOG"))
        fputs(log_read(), stderr);
    bool clean = access(socket_path, F_OK) != 0;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        return -1;
    if (status != 0 || !clean)
        print_error("gpud ended with status %d%s\n%s", status, clean ? "" : " and left its socket",
                    log_read());
    return status == 0 && clean && nothing_leaks() ? 0 : -1;
}

const char *rig_socket(void)
{
    return socket_path;
}

void rig_broker_replace(void)
{
    kill(gpud, SIGKILL);
    assert_int_equal(waitpid(gpud, NULL, 0), gpud);
    gpud = broker_start();
}

/* The newest child of a process, of that name unless it is NULL. */
static pid_t child_find(pid_t parent, const char *name)
{
    char path[64], comm[32];
    int child, newest = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    FILE *children = fopen(path, "r");
    while (children && fscanf(children, "%d", &child) == 1) {
        snprintf(path, sizeof(path), "/proc/%d/comm", child);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%31s", comm) == 1 && (!name || strcmp(comm, name) == 0))
            newest = child;
        if (file)
            fclose(file);
    }
    if (children)
        fclose(children);
    return newest;
}

pid_t rig_process(const char *name)
{
    pid_t keeper = child_find(gpud, "gpud-keeper");
    if (keeper)
        newest_keeper = keeper; /* after the broker's death nobody lists it */
    return strcmp(name, "gpud-keeper") == 0 ? newest_keeper : child_find(newest_keeper, name);
}

bool rig_kill(const char *name)
{
    pid_t process = rig_process(name);
    return process > 0 && kill(process, SIGKILL) == 0;
}

pid_t rig_broker(void)
{
    return gpud;
}

void rig_processes_end(void)
{
    for (int waited = 0; child_find(gpud, NULL) && waited < 60000; waited++)
        poll(NULL, 0, 1);
    assert_int_equal(child_find(gpud, NULL), 0);
}

void rig_open(struct rig *rig)
{
    *rig = (struct rig){.front = front_open(socket_path, 128u << 20)};
    rig->fence_guest = front_pages(rig->front, 1);
    rig->slots = front_at(rig->front, rig->fence_guest);
    rig->batch = calloc(1, sizeof(*rig->batch));
    assert_non_null(rig->batch);
    assert_int_equal(front_context_create(rig->front, 1, rig->fence_guest), 0);
}

void rig_close(struct rig *rig)
{
    assert_int_equal(front_context_destroy(rig->front, 1), 0);
    front_close(rig->front);
    free(rig->batch);
}

void *rig_guest_buffer(struct rig *rig, uint32_t buffer, uint64_t pages)
{
    struct vgpgpu_segment segment = {front_pages(rig->front, pages), pages * VGPGPU_PAGE};
    assert_int_equal(front_buffer_guest(rig->front, 1, buffer, segment.length, &segment, 1), 0);
    return front_at(rig->front, segment.address);
}

void rig_kernel(struct rig *rig, uint32_t id, const char *name, const char *source, uint64_t args)
{
    char log[4096] = "";
    uint64_t count;
    front_destroy(rig->front, VGPGPU_PROGRAM_DESTROY, 1, id);
    uint32_t status = front_program(rig->front, 1, id, source, log, sizeof(log));
    if (status)
        print_error("%s\n", log);
    assert_int_equal(status, 0);
    assert_int_equal(front_kernel(rig->front, 1, id, id, name, &count), 0);
    assert_int_equal(count, args);
}

void *rig_open_with(struct rig *rig, const char *name, const char *source, uint64_t args)
{
    rig_open(rig);
    void *page = rig_guest_buffer(rig, 1, 1);
    rig_kernel(rig, 1, name, source, args);
    return page;
}

struct front_batch *rig_batch(struct rig *rig)
{
    rig->batch->bytes = 0;
    return rig->batch;
}

void rig_submit(struct rig *rig, uint32_t queue)
{
    front_submit(rig->front, 1, queue, ++rig->fences[queue], rig->batch->commands,
                 rig->batch->bytes);
}

uint32_t rig_wait(struct rig *rig, uint32_t queue)
{
    assert_int_equal(front_wait(rig->front, &rig->slots[queue], rig->fences[queue], 50, 60000), 0);
    return rig->slots[queue].status;
}

uint32_t rig_run(struct rig *rig, uint32_t queue)
{
    rig_submit(rig, queue);
    return rig_wait(rig, queue);
}
