/* front.c: the front end's connection, memory and rings. front_requests.c speaks to the device. */
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "host/gpud/vhost_message.h"

static _Noreturn void front_die(const char *what)
{
    fprintf(stderr, "vhost front end: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Noreturn void gpud_become(const char *path, const char *socket, const char *cache,
                                  int ready_fd, int log_fd)
{
    char fd[16];
    const char *words[] = {"gpud", "--socket", socket, "--ready-fd", fd, "--device", "auto", NULL, NULL, NULL, NULL};
    unsigned count = 7;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that dies leaves nothing behind */
    snprintf(fd, sizeof(fd), "%d", ready_fd);
    if (getenv("GPUD_DEVICE"))
        words[6] = getenv("GPUD_DEVICE");
    if (log_fd >= 0) {
        dup2(log_fd, STDERR_FILENO);
        words[count++] = "--counts";
    }
    if (cache) {
        words[count++] = "--cache";
        words[count++] = cache;
    }
    execv(path, (char *const *)(uintptr_t)words);
    front_die(path);
}

pid_t gpud_start_counting(const char *path, const char *socket, const char *cache, int log_fd)
{
    int ends[2];
    if (pipe(ends) < 0)
        front_die("pipe");
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        gpud_become(path, socket, cache, ends[1], log_fd);
    }
    close(ends[1]);
    char text[8];
    if (child < 0 || read(ends[0], text, sizeof(text)) <= 0)
        front_die("gpud does not start");
    close(ends[0]);
    return child;
}

pid_t gpud_start(const char *path, const char *socket, const char *cache)
{
    return gpud_start_counting(path, socket, cache, -1);
}

int gpud_stop(pid_t gpud)
{
    int status;
    kill(gpud, SIGTERM);
    if (waitpid(gpud, &status, 0) != gpud)
        front_die("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void message_send(struct front *front, struct vhost_message *message, uint32_t request,
                         uint32_t size)
{
    message->request = request;
    message->flags = VHOST_VERSION;
    message->size = size;
    if (vhost_message_send(front->socket, message))
        front_die("the connection broke");
}

static uint64_t message_ask(struct front *front, uint32_t request)
{
    struct vhost_message message = {0};
    message_send(front, &message, request, 0);
    if (vhost_message_receive(front->socket, &message) != 1)
        front_die("no answer");
    return message.payload.number;
}

static void message_number(struct front *front, uint32_t request, uint64_t number)
{
    struct vhost_message message = {.payload.number = number};
    message_send(front, &message, request, sizeof(number));
}

static void message_ring(struct front *front, uint32_t request, unsigned index, uint32_t value)
{
    struct vhost_message message = {.payload.state = {.index = index, .value = value}};
    message_send(front, &message, request, sizeof(message.payload.state));
}

static void message_fd(struct front *front, uint32_t request, unsigned index, int fd)
{
    struct vhost_message message = {.payload.number = index, .fd_count = 1, .fds = {fd}};
    message_send(front, &message, request, sizeof(message.payload.number));
}

bool front_config(struct front *front, uint32_t offset, uint32_t size, void *out)
{
    struct vhost_message message = {.payload.config = {.offset = offset, .size = size, .flags = 0}};
    message_send(front, &message, VHOST_GET_CONFIG, VHOST_CONFIG_HEADER_BYTES + size);
    if (vhost_message_receive(front->socket, &message) != 1)
        front_die("no configuration");
    if (message.size != VHOST_CONFIG_HEADER_BYTES + size)
        return false;
    memcpy(out, message.payload.config.bytes, size);
    return true;
}

static void memory_share(struct front *front)
{
    uint64_t half = front->memory_bytes / 2;
    struct vhost_message message = {0};
    message.payload.memory.count = 2;
    message.payload.memory.regions[0] = (struct guest_region_layout){
        .guest = 0, .size = half, .user = (uintptr_t)front->memory, .offset = 0};
    message.payload.memory.regions[1] =
        (struct guest_region_layout){.guest = FRONT_HIGH_GUEST,
                                     .size = half,
                                     .user = (uintptr_t)front->memory + half,
                                     .offset = half};
    message.fd_count = 2;
    message.fds[0] = message.fds[1] = front->memory_fd;
    message_send(front, &message, VHOST_SET_MEM_TABLE, 8 + 2 * sizeof(struct guest_region_layout));
}

static uint64_t user_of(struct front *front, const void *pointer)
{
    (void)front;
    return (uintptr_t)pointer;
}

static void ring_start(struct front *front, unsigned index, uint16_t base)
{
    struct front_queue *queue = &front->queues[index];
    struct vhost_message message = {0};
    message_ring(front, VHOST_SET_VRING_NUM, index, FRONT_QUEUE_SIZE);
    message_ring(front, VHOST_SET_VRING_BASE, index, base);
    message.payload.address = (struct vhost_ring_address){
        .index = index,
        .descriptors = user_of(front, queue->descriptors),
        .available = user_of(front, queue->available),
        .used = user_of(front, queue->used),
    };
    message_send(front, &message, VHOST_SET_VRING_ADDR, sizeof(message.payload.address));
    message_fd(front, VHOST_SET_VRING_ERR, index, queue->error);
    message_fd(front, VHOST_SET_VRING_CALL, index, queue->call);
    message_fd(front, VHOST_SET_VRING_KICK, index, queue->kick);
    message_ring(front, VHOST_SET_VRING_ENABLE, index, 1);
}

static uint16_t ring_stop(struct front *front, unsigned index)
{
    struct vhost_message message = {.payload.state = {.index = index}};
    message_send(front, &message, VHOST_GET_VRING_BASE, sizeof(message.payload.state));
    if (vhost_message_receive(front->socket, &message) != 1)
        front_die("a ring does not stop");
    return (uint16_t)message.payload.state.value;
}

static void queue_clear(struct front *front, unsigned index)
{
    struct front_queue *queue = &front->queues[index];
    memset(front_at(front, queue->guest), 0, 3 * (size_t)VGPGPU_PAGE);
    queue->used_seen = 0;
    queue->free_count = 0;
    memset(queue->length, 0, sizeof(queue->length)); /* of chains that were on their way */
    for (unsigned i = FRONT_QUEUE_SIZE; i > 0; i--)
        queue->free[queue->free_count++] = (uint16_t)(i - 1);
}

static void queue_create(struct front *front, unsigned index)
{
    struct front_queue *queue = &front->queues[index];
    queue->guest = front_pages(front, 3);
    queue->descriptors = front_at(front, queue->guest);
    queue->available = front_at(front, queue->guest + VGPGPU_PAGE);
    queue->used = front_at(front, queue->guest + 2 * VGPGPU_PAGE);
    queue->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    queue->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    queue->error = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->kick < 0 || queue->call < 0 || queue->error < 0)
        front_die("eventfd");
    queue_clear(front, index);
}

/* Room for events; the submit ring's calls are not wanted: its chains are taken back when needed.
 */
static void queues_prepare(struct front *front)
{
    for (unsigned i = 0; i < 16; i++) {
        struct front_part part = {front->event_guest + i * sizeof(struct vgpgpu_event),
                                  sizeof(struct vgpgpu_event), true};
        front_post(front, VGPGPU_QUEUE_EVENT, &part, 1);
    }
    front->queues[VGPGPU_QUEUE_SUBMIT].available->flags = 1;
}

/* Asks for the notes at first; each gpud is then given them. */
static void inflight_share(struct front *front)
{
    struct vhost_message message = {
        .payload.inflight = {.queues = VGPGPU_QUEUE_COUNT, .size = FRONT_QUEUE_SIZE}};
    if (front->inflight_fd < 0) {
        message_send(front, &message, VHOST_GET_INFLIGHT_FD, sizeof(message.payload.inflight));
        if (vhost_message_receive(front->socket, &message) != 1 || message.fd_count != 1)
            front_die("no notes of what is in work");
        front->inflight_fd = message.fds[0];
        front->inflight_bytes = message.payload.inflight.bytes;
    }
    message.payload.inflight = (struct vhost_inflight){.bytes = front->inflight_bytes,
                                                       .queues = VGPGPU_QUEUE_COUNT,
                                                       .size = FRONT_QUEUE_SIZE};
    message.fd_count = 1;
    message.fds[0] = front->inflight_fd;
    message_send(front, &message, VHOST_SET_INFLIGHT_FD, sizeof(message.payload.inflight));
}

static void connection_open(struct front *front, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    front->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (front->socket < 0 || connect(front->socket, (struct sockaddr *)&address, sizeof(address)))
        front_die(path);
    uint64_t features = message_ask(front, VHOST_GET_FEATURES);
    uint64_t protocol = message_ask(front, VHOST_GET_PROTOCOL_FEATURES);
    message_number(front, VHOST_SET_PROTOCOL_FEATURES, protocol);
    struct vhost_message owner = {0};
    message_send(front, &owner, VHOST_SET_OWNER, 0);
    message_number(front, VHOST_SET_FEATURES, features);
    if (!front_config(front, 0, sizeof(front->config), &front->config))
        front_die("no configuration");
    inflight_share(front);
    memory_share(front);
}

struct front *front_open(const char *socket, uint64_t memory_bytes)
{
    struct front *front = calloc(1, sizeof(*front));
    if (!front)
        front_die("memory");
    front->memory_bytes = memory_bytes;
    front->inflight_fd = -1;
    front->memory_fd = memfd_create("guest", MFD_CLOEXEC);
    if (front->memory_fd < 0 || ftruncate(front->memory_fd, (off_t)memory_bytes))
        front_die("memfd");
    front->memory =
        mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, front->memory_fd, 0);
    if (front->memory == MAP_FAILED)
        front_die("mmap");
    /* Address 0 is what a request names that was left zero: nothing of the front's own is there. */
    front_pages(front, 1);
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
        queue_create(front, i);
    front->submit_slot = 16 << 10;
    front->request_guest = front_pages(front, 1100);
    front->submit_guest = front_pages(front, FRONT_QUEUE_SIZE * front->submit_slot / VGPGPU_PAGE);
    front->event_guest = front_pages(front, 1);
    connection_open(front, socket);
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
        ring_start(front, i, 0);
    queues_prepare(front);
    return front;
}

void front_reconnect(struct front *front, const char *path)
{
    close(front->socket);
    connection_open(front, path);
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
        ring_start(front, i, __atomic_load_n(&front->queues[i].used->index, __ATOMIC_ACQUIRE));
}

void front_close(struct front *front)
{
    close(front->socket);
    close(front->inflight_fd);
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++) {
        close(front->queues[i].kick);
        close(front->queues[i].call);
        close(front->queues[i].error);
    }
    munmap(front->memory, front->memory_bytes);
    close(front->memory_fd);
    free(front);
}

void front_pause(struct front *front)
{
    uint16_t bases[VGPGPU_QUEUE_COUNT];
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
        bases[i] = ring_stop(front, i);
    memory_share(front);
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
        ring_start(front, i, bases[i]);
}

void front_reset_begin(struct front *front)
{
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++)
        ring_stop(front, i);
}

void front_reset(struct front *front)
{
    front_reset_begin(front);
    front_reset_end(front);
}

void front_reset_end(struct front *front)
{
    for (unsigned i = 0; i < VGPGPU_QUEUE_COUNT; i++) {
        queue_clear(front, i);
        ring_start(front, i, 0);
    }
    queues_prepare(front);
}

uint64_t front_pages(struct front *front, uint64_t pages)
{
    uint64_t half = front->memory_bytes / 2, start = front->allocated, bytes = pages * VGPGPU_PAGE;
    if (start < half && start + bytes > half)
        start = half;
    if (start + bytes > front->memory_bytes) {
        errno = ENOMEM;
        front_die("guest memory");
    }
    front->allocated = start + bytes;
    return start < half ? start : FRONT_HIGH_GUEST + (start - half);
}

void *front_at(struct front *front, uint64_t guest)
{
    return front->memory +
           (guest >= FRONT_HIGH_GUEST ? guest - FRONT_HIGH_GUEST + front->memory_bytes / 2 : guest);
}

void front_post_head(struct front *front, unsigned index, uint16_t head)
{
    struct front_queue *queue = &front->queues[index];
    uint16_t at = queue->available->index;
    queue->available->ring[at % FRONT_QUEUE_SIZE] = head;
    queue->chains++;
    __atomic_store_n(&queue->available->index, (uint16_t)(at + 1), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&queue->used->flags, __ATOMIC_RELAXED) & 1)
        return;
    uint64_t one = 1;
    queue->kicks++;
    if (write(queue->kick, &one, sizeof(one)) < 0)
        front_die("kick");
}

uint16_t front_post(struct front *front, unsigned index, const struct front_part *parts,
                    unsigned count)
{
    struct front_queue *queue = &front->queues[index];
    uint16_t head = 0, before = 0;
    while (queue->free_count < count) {
        uint16_t taken;
        uint32_t written;
        if (!front_take(front, index, 60000, &taken, &written))
            front_die("the device gives no chain back");
    }
    for (unsigned i = 0; i < count; i++) {
        uint16_t at = queue->free[--queue->free_count];
        queue->descriptors[at] = (struct front_descriptor){
            .address = parts[i].guest,
            .length = parts[i].bytes,
            .flags =
                (uint16_t)((parts[i].write ? FRONT_WRITE : 0) | (i + 1 < count ? FRONT_NEXT : 0)),
        };
        if (i == 0)
            head = at;
        else
            queue->descriptors[before].next = at;
        before = at;
    }
    queue->length[head] = (uint16_t)count;
    front_post_head(front, index, head);
    return head;
}

/* False when nothing came in time, or the device's process has gone. */
static bool used_wait(struct front *front, struct front_queue *queue, int timeout_ms)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (__atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE) == queue->used_seen) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        long passed = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
        if (passed >= timeout_ms)
            return false;
        struct pollfd events[2] = {{.fd = queue->call, .events = POLLIN},
                                   {.fd = front->socket, .events = POLLIN}};
        uint64_t count;
        poll(events, 2, 10);
        if (events[0].revents && read(queue->call, &count, sizeof(count)) < 0)
            front_die("call");
        if (events[1].revents)
            return false;
    }
    return true;
}

bool front_take(struct front *front, unsigned index, int timeout_ms, uint16_t *head,
                uint32_t *written)
{
    struct front_queue *queue = &front->queues[index];
    if (!used_wait(front, queue, timeout_ms))
        return false;
    unsigned at = queue->used_seen % FRONT_QUEUE_SIZE;
    *head = (uint16_t)queue->used->ring[at].head;
    *written = queue->used->ring[at].written;
    queue->used_seen++;
    uint16_t next = *head;
    for (unsigned i = 0; i < queue->length[*head]; i++) {
        queue->free[queue->free_count++] = next;
        next = queue->descriptors[next].next;
    }
    queue->length[*head] = 0;
    return true;
}
