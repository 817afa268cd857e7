/*
 * fuzz_messages.c: random vhost-user messages against a gpud built with sanitizers: fields, lengths and
 * descriptors that are wrong, memory that overlaps or is not there, rings set up in any order. A message is
 * answered or costs its own connection; the broker and a machine beside it notice nothing, and nothing is
 * left of what was sent. Half of the connections have fronts killed under them, before, while and after a
 * message is in work: that has its answer all the same, once.
 *
 *     gpud_fuzz_messages [MESSAGES [SEED]]      GPUD: another gpud than build/tests/gpud-asan
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "fuzz.h"
#include "host/gpud/vhost_message.h"

#define MEMORY_BYTES (4u << 20)
#define MOST_FDS     12u
#define ANSWER_MS    60000
#define FRONT_FDS    64 /* more than a front has with everything in its place; a keeper, too */
#define MOST_KILLS   12u /* on one connection: a keeper has its limit */

static unsigned long messages = 5000;
struct fuzz fuzz; /* random_id() and its like are not used here */

/* What became of a message. */
enum outcome { ANSWERED, REFUSED, CLOSED, UNANSWERED, OUTCOMES };

static struct {
    const char *name;
    bool answers; /* always */
    uint32_t bytes;
    unsigned long outcomes[OUTCOMES];
} kinds[VHOST_REQUEST_LIMIT + 1] = {
    [VHOST_GET_FEATURES] = {"GET_FEATURES", true, 0, {0}},
    [VHOST_SET_FEATURES] = {"SET_FEATURES", false, 8, {0}},
    [VHOST_SET_OWNER] = {"SET_OWNER", false, 0, {0}},
    [VHOST_RESET_OWNER] = {"RESET_OWNER", false, 0, {0}},
    [VHOST_SET_MEM_TABLE] = {"SET_MEM_TABLE", false, 8, {0}},
    [VHOST_SET_VRING_NUM] = {"SET_VRING_NUM", false, 8, {0}},
    [VHOST_SET_VRING_ADDR] = {"SET_VRING_ADDR", false, 40, {0}},
    [VHOST_SET_VRING_BASE] = {"SET_VRING_BASE", false, 8, {0}},
    [VHOST_GET_VRING_BASE] = {"GET_VRING_BASE", true, 8, {0}},
    [VHOST_SET_VRING_KICK] = {"SET_VRING_KICK", false, 8, {0}},
    [VHOST_SET_VRING_CALL] = {"SET_VRING_CALL", false, 8, {0}},
    [VHOST_SET_VRING_ERR] = {"SET_VRING_ERR", false, 8, {0}},
    [VHOST_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", true, 0, {0}},
    [VHOST_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", false, 8, {0}},
    [VHOST_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", true, 0, {0}},
    [VHOST_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", false, 8, {0}},
    [VHOST_GET_CONFIG] = {"GET_CONFIG", true, VHOST_CONFIG_HEADER_BYTES, {0}},
    [VHOST_SET_CONFIG] = {"SET_CONFIG", false, VHOST_CONFIG_HEADER_BYTES, {0}},
    [VHOST_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", true, sizeof(struct vhost_inflight), {0}},
    [VHOST_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", false, sizeof(struct vhost_inflight), {0}},
    [VHOST_RESET_DEVICE] = {"RESET_DEVICE", false, 0, {0}},
    [VHOST_REQUEST_LIMIT] = {"(others)", false, 8, {0}},
};

/* One connection. */
static struct {
    int socket;
    int memory; /* a memfd, mapped at ->bytes */
    uint8_t *bytes;
    uint64_t features;
    bool acknowledges; /* REPLY_ACK was agreed upon */
    unsigned kills;    /* of its fronts that are still to come */
    int notes;         /* of what is in flight, that the front has given; -1: none */
    struct vhost_inflight notes_layout;
} session;

static unsigned long kills;

/* A message in the making, with more descriptors than may be. */
struct wire {
    struct vhost_message message;
    unsigned fd_count;
    int fds[MOST_FDS];
};

/* ---- Descriptors */

static int fd_make(void)
{
    int ends[2];
    switch (random_below(9)) {
    case 0:
        return open("/dev/null", O_RDWR | O_CLOEXEC);
    case 1:
        return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    case 2:
        return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    case 3:
        if (pipe(ends) < 0)
            return -1;
        close(ends[1]);
        return ends[0];
    case 4:
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            return -1;
        close(ends[1]);
        return ends[0];
    case 5:
        return fcntl(session.memory, F_DUPFD_CLOEXEC, 3);
    case 6:
        return memfd_create("empty", MFD_CLOEXEC);
    default:
        return eventfd(0, EFD_CLOEXEC);
    }
}

static void fds_make(struct wire *wire, unsigned count)
{
    for (unsigned i = 0; i < count && wire->fd_count < MOST_FDS; i++) {
        int fd = fd_make();
        if (fd >= 0)
            wire->fds[wire->fd_count++] = fd;
    }
}

static int wire_send(struct wire *wire, size_t bytes)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * MOST_FDS)];
    } control = {.bytes = {0}};
    struct iovec part = {.iov_base = &wire->message.request, .iov_len = bytes};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (wire->fd_count) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * wire->fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * wire->fd_count);
        memcpy(CMSG_DATA(c), wire->fds, sizeof(int) * wire->fd_count);
    }
    ssize_t put = sendmsg(session.socket, &header, MSG_NOSIGNAL);
    for (unsigned i = 0; i < wire->fd_count; i++)
        close(wire->fds[i]);
    return put == (ssize_t)bytes ? 0 : -1;
}

/* ---- Messages */

static uint64_t user_random(void)
{
    uint64_t start = (uintptr_t)session.bytes;
    return one_in(6) ? random_edge() : start + random_below(MEMORY_BYTES / 256) * (one_in(8) ? 1 : 256);
}

static void region_make(struct guest_region_layout *region)
{
    static const uint64_t sizes[] = {4096, 8192, 65536, MEMORY_BYTES, MEMORY_BYTES / 2};
    region->guest = one_in(8) ? random_edge() : random_below(6) * (uint64_t)MEMORY_BYTES / 2;
    region->size = one_in(8) ? random_edge() : sizes[random_below(5)];
    region->user = one_in(8) ? random_edge() : (uintptr_t)session.bytes;
    region->offset = one_in(8) ? random_edge() : random_below(3) * 4096;
    if (region->offset + region->size > MEMORY_BYTES && one_in(2))
        region->offset = 0;
}

static void memory_make(struct wire *wire)
{
    struct vhost_memory_table *table = &wire->message.payload.memory;
    uint32_t count = random_below(4);
    table->count = one_in(12) ? (uint32_t)random_edge() : count;
    for (uint32_t i = 0; i < count; i++) {
        region_make(&table->regions[i]);
        if (one_in(15))
            fds_make(wire, 1);
        else
            wire->fds[wire->fd_count++] = fcntl(session.memory, F_DUPFD_CLOEXEC, 3);
    }
    if (one_in(15))
        fds_make(wire, random_below(6));
    wire->message.size = 8 + count * (uint32_t)sizeof(table->regions[0]);
}

static void config_make(struct wire *wire)
{
    struct vhost_config *config = &wire->message.payload.config;
    config->offset = (uint32_t)random_or_edge(sizeof(struct vgpgpu_config));
    config->size = (uint32_t)random_or_edge(sizeof(struct vgpgpu_config) + 1);
    for (unsigned i = 0; i < sizeof(config->bytes); i++)
        config->bytes[i] = (uint8_t)random_next(); /* of a write, which changes nothing */
    wire->message.size = VHOST_CONFIG_HEADER_BYTES + (config->size <= 256 ? config->size : 0);
}

/* What a front has given, as it was or spoilt; or a wish for such. */
static void inflight_make(struct wire *wire)
{
    struct vhost_inflight *inflight = &wire->message.payload.inflight;
    bool gives = wire->message.request == VHOST_SET_INFLIGHT_FD;
    if (gives && session.notes >= 0 && !one_in(4)) {
        *inflight = session.notes_layout;
        wire->fds[wire->fd_count++] = fcntl(session.notes, F_DUPFD_CLOEXEC, 3);
        if (one_in(3))
            inflight->bytes = random_edge();
        if (one_in(3))
            inflight->size = (uint16_t)random_or_edge(1025);
        return;
    }
    inflight->queues = (uint16_t)(one_in(4) ? random_edge() : 3);
    inflight->size = (uint16_t)(one_in(4) ? random_edge() : 1u << random_below(11));
    inflight->bytes = random_or_edge(100000);
    inflight->offset = one_in(2) ? 0 : random_edge();
    if (gives)
        fds_make(wire, one_in(5) ? random_below(3) : 1);
}

static uint64_t features_random(uint32_t request)
{
    if (one_in(4))
        return random_edge();
    if (request == VHOST_SET_PROTOCOL_FEATURES)
        return 1u << VHOST_PROTOCOL_REPLY_ACK | (one_in(2) ? 1u << VHOST_PROTOCOL_CONFIG : 0);
    return 1ull << VHOST_FEATURE_VERSION_1 | (one_in(2) ? 1ull << VHOST_FEATURE_PROTOCOL : 0);
}

static void payload_make(struct wire *wire)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 64, 128, 128, 128, 256, 1024, 2048};
    struct vhost_message *message = &wire->message;
    uint32_t ring = one_in(15) ? (uint32_t)random_edge() : random_below(3);
    switch (message->request) {
    case VHOST_SET_FEATURES:
    case VHOST_SET_PROTOCOL_FEATURES:
        message->payload.number = features_random(message->request);
        break;
    case VHOST_SET_MEM_TABLE:
        memory_make(wire);
        break;
    case VHOST_SET_VRING_NUM:
        message->payload.state.index = ring;
        message->payload.state.value = one_in(8) ? (uint32_t)random_edge() : sizes[random_below(11)];
        break;
    case VHOST_SET_VRING_ADDR:
        message->payload.address = (struct vhost_ring_address){.index = ring,
                                                               .descriptors = user_random(),
                                                               .available = user_random(),
                                                               .used = user_random()};
        break;
    case VHOST_SET_VRING_KICK:
    case VHOST_SET_VRING_CALL:
    case VHOST_SET_VRING_ERR:
        message->payload.number = ring | (one_in(6) ? VHOST_NO_FD : 0);
        fds_make(wire, one_in(10)                               ? random_below(MOST_FDS)
                       : message->payload.number & VHOST_NO_FD ? 0
                                                                : 1);
        break;
    case VHOST_GET_CONFIG:
    case VHOST_SET_CONFIG:
        config_make(wire);
        break;
    case VHOST_GET_INFLIGHT_FD:
    case VHOST_SET_INFLIGHT_FD:
        inflight_make(wire);
        break;
    default:
        message->payload.state.index = ring;
        message->payload.state.value = (uint32_t)random_or_edge(2);
        break;
    }
}

static uint32_t request_random(void)
{
    uint32_t request;
    if (one_in(60))
        return (uint32_t)random_edge();
    do
        request = random_below(VHOST_REQUEST_LIMIT);
    while (!kinds[request].name || (request == VHOST_SET_PROTOCOL_FEATURES && !one_in(8)));
    return request;
}

/* What a good front end sends first, so that messages find something to spoil. */
static void wire_make(struct wire *wire, unsigned at)
{
    static const uint32_t first[] = {VHOST_SET_PROTOCOL_FEATURES, VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE};
    *wire = (struct wire){.message = {.request = at < 3 ? first[at] : request_random()}};
    struct vhost_message *message = &wire->message;
    uint32_t kind = message->request < VHOST_REQUEST_LIMIT ? message->request : VHOST_REQUEST_LIMIT;
    message->flags = VHOST_VERSION | (at == 0 || one_in(40) ? 0 : VHOST_FLAG_NEED_REPLY);
    message->size = kinds[kind].bytes;
    payload_make(wire);
    if (at == 0)
        message->payload.number = 1u << VHOST_PROTOCOL_REPLY_ACK | 1u << VHOST_PROTOCOL_CONFIG;
    if (at > 3 && one_in(40))
        fds_make(wire, random_below(MOST_FDS));
    if (at > 3 && one_in(40))
        message->size = random_below(kinds[kind].bytes + 20);
}

/* ---- Connections */

static void session_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig_socket());
    session.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    session.memory = memfd_create("guest", MFD_CLOEXEC);
    assert_true(session.socket >= 0 && session.memory >= 0);
    assert_int_equal(ftruncate(session.memory, MEMORY_BYTES), 0);
    session.bytes = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, session.memory, 0);
    assert_true(session.bytes != MAP_FAILED);
    session.acknowledges = false;
    session.notes = -1;
    session.kills = random_below(2) * MOST_KILLS;
    assert_int_equal(connect(session.socket, (struct sockaddr *)&address, sizeof(address)), 0);
    for (unsigned i = 0; one_in(2) && i < MEMORY_BYTES; i += 1 + random_below(64))
        session.bytes[i] = (uint8_t)random_next(); /* rings of nonsense */
}

static void session_close(void)
{
    close(session.socket);
    close(session.memory);
    if (session.notes >= 0)
        close(session.notes);
    munmap(session.bytes, MEMORY_BYTES);
}

/* Perhaps a front dies now. The first message that is answered says that there is one. */
static void front_kill(unsigned at)
{
    if (at < 2 || !session.kills || !one_in(6))
        return;
    if (one_in(2)) /* into its work */
        nanosleep(&(struct timespec){.tv_nsec = random_below(300000)}, NULL);
    if (!rig_kill("gpud-front"))
        return;
    session.kills--;
    kills++;
}

/* The configuration space as any machine has it, whatever was written to it. */
static struct vgpgpu_config known;

/* A piece of it that is there is answered with its bytes, any other with nothing. */
static void config_check(const struct vhost_message *sent, const struct vhost_message *answer)
{
    const struct vhost_config *asked = &sent->payload.config, *got = &answer->payload.config;
    bool is_there = asked->offset <= sizeof(known) && asked->size <= sizeof(known) - asked->offset &&
                    sent->size == VHOST_CONFIG_HEADER_BYTES + asked->size;
    assert_int_equal(answer->size, is_there ? sent->size : 0);
    if (is_there && asked->size) {
        assert_true(got->offset == asked->offset && got->size == asked->size);
        assert_memory_equal(got->bytes, (const uint8_t *)&known + asked->offset, asked->size);
    }
}

#define FEATURES (1ull << VHOST_FEATURE_VERSION_1 | 1ull << VHOST_FEATURE_INDIRECT | 1ull << VHOST_FEATURE_PROTOCOL)

/* Bits that were never offered are refused, at any time, and all others taken. */
static void features_check(const struct vhost_message *sent, const struct vhost_message *answer, bool answers)
{
    if (sent->request == VHOST_GET_FEATURES && answer->size)
        assert_int_equal(answer->payload.number, FEATURES);
    if (sent->request == VHOST_SET_FEATURES && !answers && sent->size >= sizeof(uint64_t))
        assert_int_equal(answer->payload.number != 0, (sent->payload.number & ~FEATURES) != 0);
}

/* Scribbles into them, too: a front believes little of what it finds there. */
static enum outcome notes_take(const struct vhost_message *answer)
{
    uint64_t nonsense = random_next();
    if (!answer->fd_count)
        return REFUSED;
    assert_int_equal(answer->fd_count, 1);
    if (session.notes >= 0)
        close(session.notes);
    session.notes = answer->fds[0];
    session.notes_layout = answer->payload.inflight;
    for (unsigned i = random_below(6); i; i--)
        if (pwrite(session.notes, &nonsense, sizeof(nonsense),
                   random_below((uint32_t)answer->payload.inflight.bytes - 8)) < 0)
            break;
    return ANSWERED;
}

static enum outcome answer_take(const struct vhost_message *sent, bool answers)
{
    struct vhost_message answer;
    struct pollfd event = {.fd = session.socket, .events = POLLIN};
    if (poll(&event, 1, ANSWER_MS) != 1)
        fail_msg("no answer to vhost-user request %u", sent->request);
    if (vhost_message_receive(session.socket, &answer) != 1)
        return CLOSED;
    assert_int_equal(answer.request, sent->request);
    assert_int_equal(answer.flags, VHOST_VERSION | VHOST_FLAG_REPLY);
    if (sent->request == VHOST_GET_INFLIGHT_FD)
        return notes_take(&answer);
    assert_int_equal(answer.fd_count, 0);
    if (sent->request == VHOST_GET_CONFIG && sent->size >= VHOST_CONFIG_HEADER_BYTES)
        config_check(sent, &answer);
    features_check(sent, &answer, answers);
    /* A refusal of what has an answer of its own looks like one of a number; one of GET_CONFIG is empty. */
    return answers ? answer.size ? ANSWERED : REFUSED : answer.payload.number ? REFUSED : ANSWERED;
}

/* One message. False: it was the connection's last. */
static bool message_step(unsigned at)
{
    struct wire wire;
    wire_make(&wire, at);
    const struct vhost_message *message = &wire.message;
    uint32_t kind = message->request < VHOST_REQUEST_LIMIT && kinds[message->request].name
                        ? message->request
                        : VHOST_REQUEST_LIMIT;
    size_t bytes = VHOST_HEADER_BYTES + message->size;
    bool whole = at <= 3 || !one_in(150);
    if (!whole) { /* too short, or a header that cannot be */
        if (one_in(2))
            wire.message.flags ^= 1u << random_below(2);
        else if (one_in(2))
            wire.message.size = (uint32_t)random_edge() | 4096;
        else
            bytes = random_below((uint32_t)bytes) + 1;
    }
    front_kill(at);
    bool sent = wire_send(&wire, bytes) == 0;
    front_kill(at);
    if (!sent || !whole) {
        kinds[kind].outcomes[CLOSED]++;
        return false;
    }
    bool asks = (message->flags & VHOST_FLAG_NEED_REPLY) && session.acknowledges;
    enum outcome outcome = asks || kinds[kind].answers ? answer_take(message, kinds[kind].answers)
                                                       : UNANSWERED;
    kinds[kind].outcomes[outcome]++;
    if (message->request == VHOST_SET_PROTOCOL_FEATURES && (outcome == ANSWERED || outcome == UNANSWERED))
        session.acknowledges = message->payload.number & 1u << VHOST_PROTOCOL_REPLY_ACK;
    return outcome != CLOSED;
}

static int fds_count(pid_t process)
{
    char path[32];
    int count = -2; /* . and .. */
    snprintf(path, sizeof(path), "/proc/%d/fd", process);
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static void fds_check(const char *name, uint64_t seed)
{
    pid_t process = rig_process(name);
    if (process > 0 && fds_count(process) > FRONT_FDS)
        fail_msg("%d descriptors in %s, from seed %llu", fds_count(process), name,
                 (unsigned long long)seed);
}

/* A machine like any other works, beside all that. */
static void machine_works(void)
{
    struct rig rig;
    uint8_t *page = rig_open_with(&rig, "put", "kernel void put(global char *c) { c[0] = 7; }", 1);
    batch_launch(rig_batch(&rig), 1, 1, 1);
    batch_arg_buffer(rig.batch, 1, 0);
    assert_int_equal(rig_run(&rig, 0), 0);
    assert_int_equal(page[0], 7);
    known = rig.front->config;
    rig_close(&rig);
}

/* While rings run, notes are made: others cannot be asked for, nor given. */
static void test_notes_while_rings_run(void **state)
{
    static const uint32_t requests[] = {VHOST_GET_INFLIGHT_FD, VHOST_SET_INFLIGHT_FD};
    struct vhost_message message = {0};
    struct rig rig;
    (void)state;
    unsigned deaths = rig_log_count("its front was ended");
    uint8_t *page = rig_open_with(&rig, "put", "kernel void put(global char *c) { c[0] = 7; }", 1);
    for (unsigned i = 0; i < 2; i++) {
        message = (struct vhost_message){.request = requests[i],
                                         .flags = VHOST_VERSION | VHOST_FLAG_NEED_REPLY,
                                         .size = sizeof(message.payload.inflight),
                                         .payload.inflight = {.bytes = rig.front->inflight_bytes,
                                                              .queues = VGPGPU_QUEUE_COUNT,
                                                              .size = FRONT_QUEUE_SIZE},
                                         .fd_count = i,
                                         .fds = {rig.front->inflight_fd}};
        assert_int_equal(vhost_message_send(rig.front->socket, &message), 0);
        assert_int_equal(vhost_message_receive(rig.front->socket, &message), 1);
        assert_true(message.fd_count == 0 && message.payload.number == 1);
        page[0] = 0;
        batch_launch(rig_batch(&rig), 1, 1, 1);
        batch_arg_buffer(rig.batch, 1, 0);
        assert_int_equal(rig_run(&rig, 0), 0);
        assert_int_equal(page[0], 7);
    }
    rig_close(&rig);
    assert_int_equal(rig_log_count("its front was ended"), deaths);
}

static void kinds_print(unsigned long sums[OUTCOMES])
{
    memset(sums, 0, OUTCOMES * sizeof(*sums));
    printf("%-22s  ANSWERED   REFUSED    CLOSED  NO ANSWER WANTED\n", "");
    for (unsigned i = 0; i <= VHOST_REQUEST_LIMIT; i++) {
        if (!kinds[i].name)
            continue;
        printf("%-22s", kinds[i].name);
        for (unsigned j = 0; j < OUTCOMES; j++) {
            printf(" %9lu", kinds[i].outcomes[j]);
            sums[j] += kinds[i].outcomes[j];
        }
        printf("\n");
        if (messages >= 5000 && i < VHOST_REQUEST_LIMIT)
            assert_true(kinds[i].outcomes[ANSWERED] > 0);
    }
}

static void test_messages(void **state)
{
    uint64_t first = fuzz_seed;
    unsigned long sent = 0, connections = 0;
    (void)state;
    machine_works();
    rig_processes_end();
    int broker_fds = fds_count(rig_broker());
    while (rig_goes_on(sent)) {
        session_open();
        for (unsigned at = 0; message_step(at) && sent < messages; at++)
            sent++;
        fds_check("gpud-front", first);
        fds_check("gpud-keeper", first);
        session_close();
        if (connections++ % 20 == 0)
            machine_works();
    }
    machine_works();
    rig_processes_end();
    assert_int_equal(fds_count(rig_broker()), broker_fds);
    messages = sent;
    unsigned long outcomes[OUTCOMES];
    kinds_print(outcomes);
    printf("%lu messages on %lu connections in %.0f s (%.0f a second) from seed %llu: %lu answered, %lu refused, %lu "
           "ended the connection, %lu wanted no answer; %lu fronts killed and replaced\n",
           sent, connections, rig_seconds(), (double)sent / rig_seconds(), (unsigned long long)first,
           outcomes[ANSWERED], outcomes[REFUSED], outcomes[CLOSED], outcomes[UNANSWERED], kills);
    assert_true(kills > 0 || messages < 5000);
    assert_int_equal(rig_log_count("AddressSanitizer"), 0);
    /* The sandbox cuts what a sanitizer says: only those died that were killed. */
    assert_int_equal(rig_log_count("ended by signal"),
                     rig_log_count("ended by signal 9:") + rig_log_count("ended by signal 9, "));
    assert_int_equal(rig_log_count("runtime error"), 0);
    assert_int_equal(rig_log_count("the front answers what is no answer"), 0);
}

/* ---- Front ends that do not take part */

static int get_features_send(size_t from, size_t to)
{
    const uint32_t header[3] = {VHOST_GET_FEATURES, VHOST_VERSION, 0};
    return send(session.socket, (const uint8_t *)header + from, to - from, MSG_DONTWAIT | MSG_NOSIGNAL) ==
                   (ssize_t)(to - from)
               ? 0
               : -1;
}

static void features_take(void)
{
    const struct vhost_message sent = {.request = VHOST_GET_FEATURES};
    assert_int_equal(answer_take(&sent, true), ANSWERED);
}

/* One that asks and takes no answers, until there is room for neither; then it takes all, one for each. */
static void test_answers_left(void **state)
{
    unsigned asked = 0, last_kill = 0;
    (void)state;
    session_open();
    for (unsigned idle = 0; idle < 200;) {
        if (get_features_send(0, VHOST_HEADER_BYTES)) {
            idle++;
            poll(NULL, 0, 1);
            continue;
        }
        idle = 0;
        if (++asked - last_kill > 100 && last_kill < 1000 && rig_kill("gpud-front"))
            last_kill = asked;
    }
    machine_works();
    for (unsigned taken = 0; taken < asked; taken++)
        features_take();
    assert_true(get_features_send(0, VHOST_HEADER_BYTES) == 0);
    features_take();
    session_close();
}

/* One that stops in the middle of a message, while its front dies, and goes on. */
static void test_half_messages(void **state)
{
    (void)state;
    session_open();
    for (size_t half = 1; half < VHOST_HEADER_BYTES; half++) {
        assert_int_equal(get_features_send(0, half), 0);
        if (half % 2)
            rig_kill("gpud-front");
        poll(NULL, 0, (int)half * 3);
        assert_int_equal(get_features_send(half, VHOST_HEADER_BYTES), 0);
        features_take();
    }
    assert_int_equal(get_features_send(0, 5), 0); /* it is left like that: nobody waits for it */
    machine_works();
    session_close();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_notes_while_rings_run),
                                       cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_answers_left),
                                       cmocka_unit_test(test_half_messages)};
    rig_arguments(argc, argv, "MESSAGES", &messages, &fuzz_seed);
    setenv("GPUD", "build/tests/gpud-asan", 0);
    setenv("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1", 0);
    return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
