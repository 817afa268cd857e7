/*
 * cpu_crew.h: work in many pieces that several of this host's processors share. The caller works
 * too; the others come when they are awake, so that a short piece of work does not wait for them.
 *
 * Any thread may call. The threads are made with the first work and sleep between; who finds them
 * at work for another does his pieces alone.
 */
#pragma once

#include <stdint.h>

/* Calls work(job, piece) for each piece from 0 on, once, in any order, and returns when all are
 * done. */
void cpu_crew_run(void (*work)(const void *job, uint64_t piece), const void *job, uint64_t pieces);
