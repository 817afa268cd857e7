/*
 * meeting.h: where malv's processes meet: a folder of the user's own with a socket for each machine that
 * runs, named after the process number of its `malv run`, and a link for each name of a machine.
 *
 * The folder is malv in XDG_RUNTIME_DIR or /run/user/UID, or /tmp/malv-UID. It is the user's, mode 700, or
 * it is not used.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The folder; made where it is not there and `make` is true. False: there is none, or it is not safe: a
 * line in `why`. */
bool meeting_folder(bool make, char folder[PATH_MAX], char why[PATH_MAX]);

/*
 * Listens for this process, under its number and `name` (NULL: none). The listener, or -1 and a line in
 * `why`: a machine of that name runs already, for instance.
 */
int meeting_open(const char *name, char why[PATH_MAX]);

/* Takes away what meeting_open() made. */
void meeting_close(const char *name);

/* The machines whose malv runs; sockets of dead ones are taken away. */
#define MEETING_MACHINES 256
struct meeting_machine {
    pid_t pid;
    char name[64]; /* empty: it has none */
};
unsigned meeting_list(struct meeting_machine out[MEETING_MACHINES]);

/* A connection to a machine by name or number; NULL: to the only one there is. -1: a message was
 * printed that says why not. */
int meeting_connect(const char *which);
