/*
 * template.h: what module `template` offers to other modules: a counter. Any context.
 */
#pragma once

#include <microlake/types.h>

void template_count_add(uint64_t amount);
uint64_t template_count(void);
