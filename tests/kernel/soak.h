/*
 * soak.h: what the files of the suite "soak" share. A round is one piece of a worker's work;
 * several threads do rounds of the same worker at once.
 */
#pragma once

#include "crew.h"

struct worker {
    const char *name;
    void (*round)(struct worker *w);
    unsigned copies; /* threads */
    uint64_t rounds; /* atomic, of all copies */
    uint64_t seen, seen_at;
};

extern struct crew soak_crew; /* all workers */

uint64_t soak_random(void);
void soak_nap(uint64_t us);

/* soak_threads.c */
void soak_threads_begin(void);
void soak_threads_end(void); /* no round goes on any more */
void round_mutex(struct worker *w);
void round_throw(struct worker *w);
void round_catch(struct worker *w);
void round_timers(struct worker *w);
void round_threads(struct worker *w);
void round_hops(struct worker *w);
void round_serve(struct worker *w);
void round_call(struct worker *w);

/* soak_memory.c */
void soak_memory_begin(void);
void soak_memory_end(void);
void round_frames(struct worker *w);
void round_heap(struct worker *w);
void round_mappings(struct worker *w);
void round_spaces(struct worker *w);
void round_shared_space(struct worker *w);
void round_window(struct worker *w);
void round_watch(struct worker *w);
