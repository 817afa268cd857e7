/*
 * owner.h: `malv run`'s side of `malv policy`: takes requests from a socket that only the machine's owner
 * can open, and carries their frames (uapi/hostrun.h) to the machine and back. Part of run.c's poll loop.
 * A client that does not read what it asked for is let go; nothing of that holds the machine up.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>

#include "lib/hostrun/hostrun.h"
#include "options.h"

#define OWNER_FDS (2 + HOSTRUN_REQUESTS) /* listener, line, clients */

struct owner_client {
    int fd; /* -1: none */
    bool ended;   /* its last frame came, and what is left is on its way */
    bool orphan;  /* it has gone, but its request has not ended */
    bool asked;   /* it has sent what the machine knows of */
    bool waits;   /* to hear that the machine has its request */
    struct hostrun_reader reader;
    uint8_t *out; /* what it has not read yet */
    size_t out_at, out_end, out_room;
};

struct owner {
    const struct run_options *options;
    int listen_fd; /* -1: nobody can ask */
    int line_fd;   /* our end of the machine's third serial line; -1: it has none, or it is closed */
    bool hello;    /* the machine listens */
    struct hostrun_reader line_reader;
    uint8_t *to_line; /* what the machine has not taken yet */
    size_t line_at, line_end, line_room;
    struct owner_client clients[HOSTRUN_REQUESTS];
};

/* Listens. False: it can't; where the machine was given a name, a message says why. */
bool owner_start(struct owner *owner, const struct run_options *options);

/* Says what to wait for, and does what has come. */
void owner_poll_prepare(const struct owner *owner, struct pollfd fds[OWNER_FDS]);
void owner_poll_handle(struct owner *owner, const struct pollfd fds[OWNER_FDS]);

void owner_stop(struct owner *owner);
