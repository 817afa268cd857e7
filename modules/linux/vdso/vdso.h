/*
 * vdso.h: the shared object that every program finds in its memory, and the page of facts below it.
 */
#pragma once

#include <microlake/types.h>

struct mm;

/* Maps facts and object above the program's stack; mm->vdso becomes the object's address. Their
 * pages are made when a program first touches them. ERR_NO_MEMORY. Thread context. */
int vdso_map(struct mm *mm);

/* Bytes of address space that they take, the facts' page included. */
uint64_t vdso_size(void);

/* The wall clock's offset is known, or is another now: from now on programs read that clock themselves. */
void vdso_publish_wall(uint64_t offset);
