/*
 * crew.h: threads that work until they are told to stop, or for a number of rounds. A crew that
 * does not end in time is a failure, and its memory stays, because its threads may still use it:
 * keep crews and what they work on in static memory.
 */
#pragma once

#include "ktest.h"

#define CREW_MAX 64

struct crew {
    struct thread *threads[CREW_MAX];
    unsigned count;
    bool stop; /* set once by crew_end(); read with crew_stops() */
};

/* Starts `count` more threads that run work(arg). */
void crew_add(struct crew *crew, const char *name, void (*work)(void *arg), void *arg,
              unsigned count);

/* Starts one thread for each CPU, which stays there, with work((void *)cpu). */
void crew_add_pinned(struct crew *crew, const char *name, void (*work)(void *arg));

/* Whether the crew's threads shall end. */
bool crew_stops(const struct crew *crew);

/* Waits for the end of all threads, of their own accord. False, and a failure: not within
 * `seconds`. */
bool crew_wait(struct crew *crew, unsigned seconds);

/* Tells them to end, and waits. */
bool crew_end(struct crew *crew, unsigned seconds);

/* Keeps every CPU busy until the crew ends: threads of all manners, more than there are CPUs. */
void crew_add_load(struct crew *crew);
