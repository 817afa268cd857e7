/*
 * frame_rig.h: machines of different memory for the frame allocator, and a look inside it. The rig
 * holds the allocator itself: frame.c is compiled into it, to be started anew for each machine.
 */
#pragma once

#include "stand_ins.h"

#include "kernel/mm/mm.h"

/* Physical memory as the loader describes it: regions of RAM with holes between them, the image,
 * the archive and the command line somewhere in it. Addresses in bytes. */
struct rig_layout {
    struct memory_region ram[4]; /* ends with {0, 0} */
    struct memory_region image, archive;
    paddr_t command_line; /* 0: none */
};

extern const struct rig_layout rig_layouts[];
extern const unsigned rig_layout_count;

/* Maps the memory and starts the allocator on `cpu_total` CPUs. `table_byte` fills where its table
 * will be: memory need not be zero when a machine starts. */
void rig_start(const struct rig_layout *layout, unsigned cpu_total, uint8_t table_byte);
void rig_stop(void);

/* True for a frame that the allocator may hand out. */
bool rig_managed(uint64_t frame);
uint64_t rig_managed_count(void);
uint64_t rig_frame_end(void); /* one more than the last frame of RAM */

/* Checks the free lists against each other, their count and the memory there is. */
void rig_check(void);

/* Returns all CPUs' cached frames to the buddy system. */
void rig_drain(void);

/* Everything is free, in the fewest blocks that there can be. */
void rig_check_whole(void);

unsigned rig_cached(unsigned cpu);

/* What reclaim_direct() frees when it is asked (0: nothing), and how often it was. */
extern paddr_t rig_reclaimable;
extern unsigned rig_reclaims, rig_wakes;
extern bool rig_low;
