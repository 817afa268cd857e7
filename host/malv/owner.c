/*
 * owner.c: see owner.h.
 */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "meeting.h"
#include "message.h"

#define KEPT_MAX   (1u << 20)  /* bytes that a client may leave unread */
#define LINE_MUCH  (64u << 10) /* with more waiting for the machine, clients wait, too */
#define READ_BYTES 4096

bool owner_start(struct owner *owner, const struct run_options *options)
{
    char why[PATH_MAX];
    owner->options = options;
    for (unsigned i = 0; i < HOSTRUN_REQUESTS; i++)
        owner->clients[i].fd = -1;
    owner->listen_fd = meeting_open(options->name, why);
    if (owner->listen_fd < 0 && (options->name || options->verbose))
        message("%s", why);
    return owner->listen_fd >= 0 || !options->name;
}

/* ---- Bytes on their way ------------------------------------------------------------------------ */

static bool bytes_add(uint8_t **bytes, size_t *at, size_t *end, size_t *room, const void *more,
                      size_t count)
{
    if (*at > 0) {
        memmove(*bytes, *bytes + *at, *end - *at);
        *end -= *at;
        *at = 0;
    }
    if (*end + count > *room) {
        size_t larger = (*end + count) * 2;
        uint8_t *grown = realloc(*bytes, larger);
        if (!grown)
            return false;
        *bytes = grown;
        *room = larger;
    }
    memcpy(*bytes + *end, more, count);
    *end += count;
    return true;
}

/* Writes what a descriptor takes. False: it takes nothing any more. */
static bool bytes_write(int fd, const uint8_t *bytes, size_t *at, size_t end)
{
    ssize_t count = send(fd, bytes + *at, end - *at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0)
        *at += (size_t)count;
    return count >= 0 || errno == EAGAIN || errno == EINTR;
}

static void line_add(struct owner *o, uint8_t type, uint8_t request, const void *payload,
                     size_t length)
{
    uint8_t frame[HOSTRUN_FRAME_MAX];
    size_t count = hostrun_frame(frame, type, request, payload, length);
    if (!bytes_add(&o->to_line, &o->line_at, &o->line_end, &o->line_room, frame, count))
        message("not enough memory for a request to the machine");
}

/* ---- Clients ----------------------------------------------------------------------------------- */

static unsigned number_of(const struct owner *o, const struct owner_client *c)
{
    return (unsigned)(c - o->clients);
}

static void client_free(struct owner_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->out);
    *c = (struct owner_client){.fd = -1};
}

/* It hangs up, or does not read: its program is ended, and its number is free when the machine says so. */
static void client_drop(struct owner *o, struct owner_client *c)
{
    bool under_way = c->asked && !c->ended;
    client_free(c);
    if (!under_way || o->line_fd < 0)
        return;
    c->orphan = true;
    line_add(o, HOSTRUN_KILL, (uint8_t)number_of(o, c), NULL, 0);
}

static void client_send(struct owner *o, struct owner_client *c, uint8_t type, const void *payload,
                        size_t length)
{
    uint8_t frame[HOSTRUN_FRAME_MAX];
    size_t count = hostrun_frame(frame, type, 0, payload, length);
    if (c->fd < 0)
        return;
    if (c->out_end - c->out_at + count > KEPT_MAX ||
        !bytes_add(&c->out, &c->out_at, &c->out_end, &c->out_room, frame, count))
        client_drop(o, c);
}

/* Who this machine is: the answer to malv ps. */
static void client_tell(struct owner *o, struct owner_client *c)
{
    char text[HOSTRUN_MAX_PAYLOAD];
    const uint8_t status = 0;
    size_t used = 0;
    text[0] = '\0';
    for (char *const *word = o->options->command; *word && used < sizeof(text) - 1; word++) {
        int length = snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "", *word);
        used += length > 0 ? (size_t)length : 0;
    }
    client_send(o, c, HOSTRUN_STDOUT, text, strlen(text));
    client_send(o, c, HOSTRUN_EXIT, &status, 1);
    c->ended = true;
}

/* Nothing goes to the machine before it listens. */
static void client_accepted(struct owner *o, struct owner_client *c)
{
    if (!c->waits || !o->hello)
        return;
    c->waits = false;
    client_send(o, c, HOSTRUN_ACCEPTED, NULL, 0);
}

struct client_context {
    struct owner *owner;
    struct owner_client *client;
};

static void client_frame(void *context, uint8_t type, uint8_t request, const uint8_t *payload,
                         size_t length)
{
    struct owner *o = ((struct client_context *)context)->owner;
    struct owner_client *c = ((struct client_context *)context)->client;
    (void)request;
    if (c->fd < 0 || c->ended)
        return;
    if (type == HOSTRUN_ASK) {
        client_tell(o, c);
        return;
    }
    if (type != HOSTRUN_WORDS && type != HOSTRUN_INPUT && type != HOSTRUN_RUN && type != HOSTRUN_KILL)
        return;
    c->asked = true;
    line_add(o, type, (uint8_t)number_of(o, c), payload, length);
    if (type == HOSTRUN_RUN) {
        c->waits = true;
        client_accepted(o, c);
    }
}

static void client_read(struct owner *o, struct owner_client *c)
{
    uint8_t bytes[READ_BYTES];
    struct client_context context = {o, c};
    ssize_t count = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0)
        client_drop(o, c);
    else
        hostrun_feed(&c->reader, bytes, (size_t)count, client_frame, &context);
}

/* The folder is closed to others; this is said twice. */
static bool is_owner(int fd)
{
    struct ucred who;
    socklen_t size = sizeof(who);
    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) &&
           (who.uid == geteuid() || who.uid == 0);
}

static struct owner_client *client_place(struct owner *o)
{
    for (unsigned i = 0; i < HOSTRUN_REQUESTS; i++) {
        if (o->clients[i].fd < 0 && !o->clients[i].orphan)
            return &o->clients[i];
    }
    return NULL;
}

static void client_accept(struct owner *o)
{
    struct owner_client *place = client_place(o);
    int fd = place ? accept4(o->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    if (fd < 0)
        return;
    if (!is_owner(fd)) {
        close(fd);
        return;
    }
    *place = (struct owner_client){.fd = fd};
}

/* ---- The machine ------------------------------------------------------------------------------- */

static void line_frame(void *context, uint8_t type, uint8_t request, const uint8_t *payload,
                       size_t length)
{
    struct owner *o = context;
    struct owner_client *c = &o->clients[request];
    if (type == HOSTRUN_HELLO) {
        o->hello = true;
        for (unsigned i = 0; i < HOSTRUN_REQUESTS; i++)
            client_accepted(o, &o->clients[i]);
    }
    if (type != HOSTRUN_STDOUT && type != HOSTRUN_STDERR && type != HOSTRUN_EXIT)
        return;
    client_send(o, c, type, payload, length);
    if (type != HOSTRUN_EXIT)
        return;
    c->ended = true;
    c->orphan = false;
}

static void line_read(struct owner *o)
{
    static uint8_t bytes[16 * READ_BYTES];
    ssize_t count = read(o->line_fd, bytes, sizeof(bytes));
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count > 0) {
        hostrun_feed(&o->line_reader, bytes, (size_t)count, line_frame, o);
        return;
    }
    close(o->line_fd);
    o->line_fd = -1;
}

/* ---- The loop ---------------------------------------------------------------------------------- */

static short client_events(const struct owner *o, const struct owner_client *c)
{
    bool room = o->line_end - o->line_at < LINE_MUCH;
    short events = c->ended || !room ? 0 : POLLIN;
    return (short)(events | (c->out_at < c->out_end ? POLLOUT : 0));
}

void owner_poll_prepare(const struct owner *o, struct pollfd fds[OWNER_FDS])
{
    bool place = false;
    for (unsigned i = 0; i < HOSTRUN_REQUESTS; i++) {
        const struct owner_client *c = &o->clients[i];
        place |= c->fd < 0 && !c->orphan;
        fds[2 + i] = (struct pollfd){.fd = c->fd, .events = c->fd < 0 ? 0 : client_events(o, c)};
    }
    fds[0] = (struct pollfd){.fd = place ? o->listen_fd : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = o->line_fd, .events = POLLIN};
    if (o->hello && o->line_at < o->line_end)
        fds[1].events |= POLLOUT;
}

static void client_handle(struct owner *o, struct owner_client *c, short events)
{
    if (c->fd >= 0 && (events & POLLOUT) && !bytes_write(c->fd, c->out, &c->out_at, c->out_end))
        client_drop(o, c);
    if (c->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)))
        client_read(o, c);
    if (c->fd >= 0 && c->ended && c->out_at == c->out_end)
        client_free(c);
}

void owner_poll_handle(struct owner *o, const struct pollfd fds[OWNER_FDS])
{
    const short ready = POLLIN | POLLHUP | POLLERR;
    if (o->line_fd >= 0 && (fds[1].revents & POLLOUT) &&
        !bytes_write(o->line_fd, o->to_line, &o->line_at, o->line_end))
        o->line_at = o->line_end;
    if (o->line_fd >= 0 && (fds[1].revents & ready))
        line_read(o);
    for (unsigned i = 0; i < HOSTRUN_REQUESTS; i++)
        client_handle(o, &o->clients[i], fds[2 + i].fd >= 0 ? fds[2 + i].revents : 0);
    if (o->listen_fd >= 0 && (fds[0].revents & POLLIN))
        client_accept(o);
}

void owner_stop(struct owner *o)
{
    if (o->listen_fd < 0)
        return;
    for (unsigned i = 0; i < HOSTRUN_REQUESTS; i++) {
        struct owner_client *c = &o->clients[i];
        if (c->fd >= 0 && c->out_at < c->out_end)
            bytes_write(c->fd, c->out, &c->out_at, c->out_end);
        client_free(c);
    }
    close(o->listen_fd);
    o->listen_fd = -1;
    meeting_close(o->options->name);
    free(o->to_line);
}
