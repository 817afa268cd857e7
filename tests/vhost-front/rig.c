/* rig.c: see rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/gpud-test-XXXXXX";
static char socket_path[64];
static char cache_path[64];
static pid_t gpud;

int rig_start(void **state)
{
    const char *program = getenv("GPUD");
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/gpu", folder);
    snprintf(cache_path, sizeof(cache_path), "%s/cache", folder);
    gpud = gpud_start(program ? program : "build/host/gpud", socket_path, cache_path);
    return 0;
}

int rig_stop(void **state)
{
    char command[160];
    (void)state;
    int status = gpud_stop(gpud);
    bool clean = access(socket_path, F_OK) != 0;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        return -1;
    return status == 0 && clean ? 0 : -1;
}

const char *rig_socket(void)
{
    return socket_path;
}

pid_t rig_newest_worker(void)
{
    char path[64];
    int worker, newest = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", gpud, gpud);
    FILE *children = fopen(path, "r");
    assert_non_null(children);
    while (fscanf(children, "%d", &worker) == 1)
        newest = worker;
    fclose(children);
    return newest;
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
