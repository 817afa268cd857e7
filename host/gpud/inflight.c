/* inflight.c: see inflight.h. */
#include "inflight.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "checked.h"
#include "virtqueue.h"

static size_t queue_bytes(unsigned size)
{
    return align_up(sizeof(struct inflight_queue) + size * sizeof(struct inflight_descriptor), 64);
}

static size_t whole_bytes(unsigned queues, unsigned size)
{
    return queues * queue_bytes(size) + INFLIGHT_CONTEXTS * sizeof(struct inflight_context);
}

static size_t room_bytes(void)
{
    return align_up(whole_bytes(VGPGPU_QUEUE_COUNT, VIRTQUEUE_MAX_SIZE), VGPGPU_PAGE);
}

/* Room for the largest: other threads may be making notes, so the place stays while what is there changes. */
static uint8_t *room_make(void)
{
    void *room = mmap(NULL, room_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room == MAP_FAILED ? NULL : room;
}

/* A former file's that was larger. */
static void rest_drop(uint8_t *room, size_t bytes)
{
    size_t first = align_up(bytes, VGPGPU_PAGE);
    if (first < room_bytes())
        mmap(room + first, room_bytes() - first, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static int memory_map(struct inflight *inflight, int fd, unsigned queues, unsigned size)
{
    size_t bytes = whole_bytes(queues, size);
    uint8_t *room = inflight->memory ? inflight->memory : room_make();
    if (!room || mmap(room, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return -1;
    rest_drop(room, bytes);
    *inflight = (struct inflight){.memory = room, .bytes = bytes, .queues = queues, .size = size};
    return 0;
}

int inflight_file(unsigned queues, unsigned size, uint64_t *bytes)
{
    int fd = memfd_create("gpud-inflight", MFD_CLOEXEC);
    *bytes = whole_bytes(queues, size);
    if (fd >= 0 && ftruncate(fd, (off_t)*bytes) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int inflight_make(struct inflight *inflight, unsigned queues, unsigned size)
{
    uint64_t bytes;
    int fd = inflight_file(queues, size, &bytes);
    if (fd >= 0 && memory_map(inflight, fd, queues, size)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int inflight_adopt(struct inflight *inflight, int fd, uint64_t bytes, uint64_t offset,
                   unsigned queues, unsigned size)
{
    struct stat file;
    if (offset || bytes != whole_bytes(queues, size) || fstat(fd, &file) < 0 ||
        (uint64_t)file.st_size < bytes)
        return -1;
    return memory_map(inflight, fd, queues, size);
}

struct inflight_queue *inflight_queue(const struct inflight *inflight, unsigned index,
                                      unsigned size)
{
    if (!inflight->memory || index >= inflight->queues || size > inflight->size)
        return NULL;
    return (void *)(inflight->memory + index * queue_bytes(inflight->size));
}

struct inflight_context *inflight_context(const struct inflight *inflight, uint32_t id)
{
    if (!inflight->memory || !id || id > INFLIGHT_CONTEXTS)
        return NULL;
    uint8_t *table = inflight->memory + inflight->queues * queue_bytes(inflight->size);
    return (struct inflight_context *)(void *)table + (id - 1);
}

void inflight_ring_forget(const struct inflight *inflight, unsigned index)
{
    struct inflight_queue *queue = inflight_queue(inflight, index, 0);
    if (!queue || !queue->version)
        return;
    for (unsigned i = 0; i < inflight->size; i++)
        queue->descriptors[i].taken = 0;
    queue->version = 0;
}

void inflight_contexts_forget(const struct inflight *inflight)
{
    for (uint32_t id = 1; id <= INFLIGHT_CONTEXTS; id++) {
        struct inflight_context *note = inflight_context(inflight, id);
        if (note)
            atomic_store(&note->fence_page, 0);
    }
}
