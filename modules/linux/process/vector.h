/*
 * vector.h: the vector registers of the calling thread, copied to and from other places. Thread
 * context of a user thread.
 */
#pragma once

#include <microlake/thread.h>
#include <microlake/types.h>

void vector_setup(void);
bool vector_has_xsave(void);

/* Bytes of the state, without the magic behind it in signal frames. */
size_t vector_size(void);

/* Writes the state and the words that describe it to a 64-byte aligned user address. */
int vector_write_user(vaddr_t at);

/* Loads a state that a program left at a user address; foreign bytes: what the processor would
 * refuse is made harmless. ERR_FAULT, ERR_NO_MEMORY. */
int vector_read_user(vaddr_t at);

/* Puts the caller's registers into the state programs start with. */
void vector_reset(void);

/* Gives a thread that was not started yet the caller's state. */
void vector_copy_to(struct thread *child);
