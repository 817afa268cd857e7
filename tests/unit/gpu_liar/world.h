/*
 * world.h: what world.c stands in for is driven from here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What the other side does while this one waits; false: nothing. Called with no lock held. */
extern bool (*world_step)(void);

/* What the option hostile= says, and how many lives and from which seed by chance. */
extern const char *world_what;
extern uint64_t world_lives, world_seed;

/* One allocation of so many fails; 0: none. */
extern unsigned world_fails;
