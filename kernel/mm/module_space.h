/*
 * module_space.h: memory for loadable modules, within 2 GiB of the nucleus. Thread context.
 */
#pragma once

#include <microlake/types.h>

/* Pages with anything in them, readable and writable, not executable: whoever asked fills them whole.
 * NULL: no memory. */
void *module_space_alloc(size_t pages);

/* Changes protection (enum map_prot of aspace.h). Writable and executable at once is refused. CPUs may
 * go by the former protection until module_space_publish(). */
int module_space_protect(void *va, size_t pages, unsigned prot);
void module_space_publish(void *va, size_t pages);

void module_space_free(void *va, size_t pages);
